"""Tile images of a dataset as arrays for a model, decoded on all cores ahead of it.

Any number of bands goes the same way: of uint8 (photographs), uint16 (most multispectral cameras) or float32 (reflectance,
elevation). Pixels without data are marked by one rule: whole numbers are 0 in all bands, as :mod:`spurgekit.tiles` writes
them; floats are NaN in all bands, since an elevation of 0 is data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery import open_raster
from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.parallel import cores, stream_map
from spurgekit.text import counted

# OpenCV would write about damaged files itself, beside the one line that says what to do.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

DType = Literal["uint8", "uint16", "float32"]
"""What tiles that a model is shown are made of."""

Pixels = NDArray[np.uint8 | np.uint16 | np.float32]
"""Tiles of such a type, shape (..., bands, height, width)."""

DAMAGED = "cannot be decoded; it is damaged or was cut off: make the tiles again"


@dataclass(frozen=True, slots=True)
class TileKind:
    """How many bands tiles have and what they are made of.

    >>> str(TileKind(5, "float32")), str(TileKind(1, "uint8"))
    ('5 bands of float32', '1 band of uint8')
    """

    bands: int
    dtype: DType

    def __str__(self) -> str:
        return f"{counted(self.bands, 'band')} of {self.dtype}"

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> TileKind:
        """Return the kind of pixels of shape (..., bands, height, width)."""
        return cls(pixels.shape[-3], pixels.dtype.name)  # type: ignore[arg-type]


def read_tile(path: Path) -> Pixels:
    """Read a tile.

    An alpha band is no band: it says which pixels are data. GeoTIFFs of other types become float32, where their values survive
    it: int8 and int16 always do, int32 and uint32 up to 2**24; float64 is rounded.

    Returns
    -------
    ndarray of uint8, uint16 or float32, shape (bands, height, width)
        Pixels without data are 0 in all bands; NaN in all bands in float32.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of a type that cannot be converted.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; the dataset lists it: build it again")
    return _read_geotiff(path) if path.suffix.lower() in (".tif", ".tiff") else _decode(path)


def mark_missing(pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
    """Mark pixels without data, in place, by the rule above.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width)
    valid : ndarray of bool, shape (height, width)
    """
    if not valid.all():
        np.copyto(pixels, np.nan if pixels.dtype.kind == "f" else 0, where=~valid)


def _read_geotiff(path: Path) -> Pixels:
    try:
        with open_raster(path) as raster:  # OpenCV knows neither more than four bands nor masks
            pixels, valid = raster.read(raster.grid.window)
    except ImageryError:
        other = _read_other_type(path)
        if other is None:
            raise
        pixels, valid = other
    mark_missing(pixels, valid)
    return pixels  # type: ignore[return-value]


def _read_other_type(path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Read a GeoTIFF of a type that :func:`open_raster` refuses; None where its type is not what is wrong with it."""
    with ExitStack() as stack:
        try:
            with without_warnings(NotGeoreferencedWarning):
                file = stack.enter_context(rasterio.open(path))
        except RasterioError:
            return None
        if set(file.dtypes) <= set(get_args(DType)):
            return None
        bands = [band for band, colour in zip(file.indexes, file.colorinterp, strict=True) if colour != ColorInterp.alpha]
        try:
            stored, valid = file.read(bands), file.dataset_mask() > 0
        except RasterioError as error:
            raise InputError(f"{path} {DAMAGED}") from error
    pixels = stored.real.astype(np.float32)
    if stored.dtype.kind not in "fiu" or (stored.dtype.kind in "iu" and (pixels != stored)[:, valid].any()):
        raise InputError(
            f"{path} holds {stored.dtype} with values that float32 cannot hold; convert it to uint8, uint16 or float32"
        )
    return pixels, valid & np.isfinite(pixels).all(axis=0)


def _decode(path: Path) -> Pixels:
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise InputError(f"{path} {DAMAGED}")
    if image.ndim == 2:
        return image[None]  # type: ignore[return-value]
    pixels = np.empty((3, *image.shape[:2]), image.dtype)
    cv2.mixChannels([image], list(pixels), [0, 2, 1, 1, 2, 0])  # several times as fast as NumPy's copy of a transposed array
    if image.shape[2] == 4:
        mark_missing(pixels, image[..., 3] > 0)
    return pixels


def batches(paths: Sequence[Path], size: int, *, ahead: bool = True) -> Iterator[Pixels]:
    """Yield the tiles in batches.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    size : int
    ahead : bool
        Decode the next tiles while a batch is in use. Where a network uses it on the same cores it is better not to: its
        threads wait for each other at every layer, and one that has to share its core holds all of them up.

    Returns
    -------
    iterator of ndarray of uint8, uint16 or float32, shape (up to size, bands, height, width)

    Raises
    ------
    InputError
        If a tile cannot be read, or has another size, number of bands or type than the first one.
    """
    with ThreadPoolExecutor(cores()) as threads:
        first: Pixels | None = None
        batch: list[Pixels] = []
        if ahead:
            tiles = stream_map(threads, read_tile, paths, in_flight=2 * size)
        else:
            parts = (paths[start : start + size] for start in range(0, len(paths), size))
            tiles = chain.from_iterable(list(threads.map(read_tile, part)) for part in parts)
        for path, tile in zip(paths, tiles, strict=True):
            first = tile if first is None else first
            _check_alike(path, tile, paths[0], first)
            batch.append(tile)
            if len(batch) == size:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)


def _check_alike(path: Path, tile: Pixels, first_path: Path, first: Pixels) -> None:
    if tile.shape[1:] != first.shape[1:]:
        raise InputError(
            f"{path} is {tile.shape[2]} x {tile.shape[1]} px, others {first.shape[2]} x {first.shape[1]} "
            f"(such as {first_path.name}); tile all images with one size"
        )
    has, wanted = TileKind.of(tile), TileKind.of(first)
    if has != wanted:
        raise InputError(
            f"{path} has {has}, others {wanted.bands} of {wanted.dtype} (such as {first_path.name}); "
            "tile all images with the same `bands`"
        )
