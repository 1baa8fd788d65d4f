"""Tile images of a dataset as arrays for a model, decoded on all cores ahead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.errors import InputError
from spurgekit.imagery import open_raster
from spurgekit.parallel import cores, stream_map

# OpenCV would write about damaged files itself, beside the one line that says what to do.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_tile(path: Path) -> NDArray[np.uint8]:
    """Read an RGB tile.

    Returns
    -------
    ndarray of uint8, shape (3, height, width)

    Raises
    ------
    InputError
        If the file is missing or damaged, or is not RGB of uint8.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; the dataset lists it: build it again")
    tile = _read_geotiff(path) if path.suffix == ".tif" else _decode(path)
    if len(tile) != 3 or tile.dtype != np.uint8:
        raise InputError(
            f"{path} has {len(tile)} band{'s' if len(tile) > 1 else ''} of {tile.dtype}; this recipe reads 3 of uint8: "
            "tile again with --bands 1,2,3"
        )
    return np.ascontiguousarray(tile, dtype=np.uint8)


def _read_geotiff(path: Path) -> NDArray[np.generic]:
    with open_raster(path) as raster:  # OpenCV knows neither more than four bands nor masks
        return raster.read(raster.grid.window)[0]


def _decode(path: Path) -> NDArray[np.generic]:
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise InputError(f"{path} cannot be decoded; it is damaged or was cut off: make the tiles again")
    return image[None] if image.ndim == 2 else np.asarray(image[..., ::-1].transpose(2, 0, 1))


def batches(paths: Sequence[Path], size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the tiles in batches.

    Returns
    -------
    iterator of ndarray of uint8, shape (up to size, 3, height, width)
    """
    with ThreadPoolExecutor(cores()) as threads:
        batch: list[NDArray[np.uint8]] = []
        for path, tile in zip(paths, stream_map(threads, read_tile, paths, in_flight=2 * size), strict=True):
            if batch and tile.shape != batch[0].shape:
                raise InputError(
                    f"{path} is {tile.shape[2]} x {tile.shape[1]} px, others {batch[0].shape[2]} x {batch[0].shape[1]}"
                )
            batch.append(tile)
            if len(batch) == size:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)
