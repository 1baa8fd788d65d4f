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
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery import open_tile_image
from spurgekit.imagery.limits import open_picture
from spurgekit.imagery.opening import open_tile
from spurgekit.parallel import cores, stream_map
from spurgekit.text import counted

# OpenCV would write about damaged files itself, beside the one line that says what to do.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

DType = Literal["uint8", "uint16", "float32"]
"""What tiles that a model is shown are made of."""

Pixels = NDArray[np.uint8 | np.uint16 | np.float32]
"""Tiles of such a type, shape (..., bands, height, width)."""

BATCH_BYTES = 256 << 20
"""The most that a batch takes."""

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
        with open_tile_image(path) as raster:  # OpenCV knows neither more than four bands nor masks
            pixels, valid = raster.read(raster.grid.window)
    except ImageryError:
        other = _read_other_type(path)
        if other is None:
            raise
        pixels, valid = other
    mark_missing(pixels, valid)
    return pixels  # type: ignore[return-value]


def _read_other_type(path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Read a GeoTIFF of a type that :func:`open_tile_image` refuses; None where its type is not what is wrong with it."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_tile(path))
        except ImageryError:
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
    data = path.read_bytes()
    try:
        with open_picture(path, data):  # its header, which says how large it is
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except ImageryError as error:
        raise InputError(f"{error}; make the tiles again") from error
    if image is None:
        raise InputError(f"{path} {DAMAGED}")
    if image.ndim == 2:
        return image[None]  # type: ignore[return-value]
    pixels = np.empty((3, *image.shape[:2]), image.dtype)
    cv2.mixChannels([image], list(pixels), [0, 2, 1, 1, 2, 0])  # several times as fast as NumPy's copy of a transposed array
    if image.shape[2] == 4:
        mark_missing(pixels, image[..., 3] > np.iinfo(image.dtype.name).max // 2)
    return pixels


def batches(paths: Sequence[Path], size: int, *, ahead: bool = True) -> Iterator[Pixels]:
    """Yield the tiles in batches.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    size : int
        Of a batch; of tiles so large that these would fill the memory a batch has fewer.
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
    if not paths:
        return
    first = read_tile(paths[0])
    size = batch_size_of(first, size)
    read = partial(_read_like, first_path=paths[0], first=first)
    with ThreadPoolExecutor(cores()) as threads:
        batch: list[Pixels] = []
        if ahead:
            tiles = stream_map(threads, read, paths, in_flight=2 * size)
        else:
            parts = (paths[start : start + size] for start in range(0, len(paths), size))
            tiles = chain.from_iterable(list(threads.map(read, part)) for part in parts)
        for tile in tiles:
            batch.append(tile)
            if len(batch) == size:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)


def batch_size_of(tile: Pixels, size: int) -> int:
    """Return how many tiles like one make a batch: as many as asked for, fewer of tiles so large that these fill the memory."""
    return max(1, min(size, BATCH_BYTES // tile.nbytes))


def read_batch(paths: Sequence[Path], first: Path) -> Pixels:
    """Read tiles one after the other in this thread.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    first : pathlib.Path
        A tile that they have to be like.

    Returns
    -------
    ndarray of uint8, uint16 or float32, shape (n, bands, height, width)

    Raises
    ------
    InputError
        As :func:`batches` does.
    """
    like = read_tile(first)
    return np.stack([_read_like(path, first, like) for path in paths])


def _read_like(path: Path, first_path: Path, first: Pixels) -> Pixels:
    """Read a tile that has to be like the first one: of those that are not, none is kept until it is its turn."""
    tile = first if path == first_path else read_tile(path)
    _check_alike(path, tile, first_path, first)
    return tile


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
