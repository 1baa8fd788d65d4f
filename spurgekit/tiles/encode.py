"""Tiles as files: PNG, JPEG, or GeoTIFF for whatever the other two cannot hold."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid
from spurgekit.tiles.png import encode_png

Encoder = Callable[[NDArray[np.generic], NDArray[np.bool_], PixelGrid], bytes]
"""Takes pixels [bands, h, w], valid [h, w] and the tile's grid; returns the file's bytes."""

FORMATS = ("png", "jpg", "tif")
JPEG_QUALITY = 95


def choose_format(asked: str, bands: int, dtype: np.dtype[np.generic]) -> str:
    """Return the format to write: the one asked for if it holds such pixels; for ``auto``, PNG where it can, else GeoTIFF.

    Raises
    ------
    InputError
        If the format cannot hold that many bands or that type.
    """
    fits = {"png": bands in (1, 3) and dtype.kind == "u", "jpg": bands in (1, 3) and dtype == np.uint8, "tif": True}
    if asked == "auto":
        return "png" if fits["png"] else "tif"
    if not fits[asked]:
        raise InputError(
            f"{bands} band{'s' if bands != 1 else ''} of {dtype} do not fit into {asked.upper()}; "
            f"pass --format tif, or choose three bands with --bands 1,2,3"
        )
    return asked


def encoder(file_format: str) -> Encoder:
    """Return the function that encodes tiles in a format."""
    return {"png": _encode_png, "jpg": _encode_jpg, "tif": _encode_tif}[file_format]


def _encode_png(pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> bytes:  # noqa: ARG001
    return encode_png(pixels[0] if len(pixels) == 1 else cv2.merge(list(pixels)))


def _encode_jpg(pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> bytes:  # noqa: ARG001
    image = pixels[0] if len(pixels) == 1 else cv2.merge([pixels[2], pixels[1], pixels[0]])
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode {image.shape} {image.dtype} as JPEG")
    return bytes(data)


def _encode_tif(pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> bytes:
    bands, height, width = pixels.shape
    is_float = pixels.dtype.kind == "f"
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": bands,
        "dtype": pixels.dtype.name,
        "crs": grid.crs,
        "transform": grid.transform,
        "compress": "deflate",
        "predictor": 3 if is_float else 2,
        "nodata": np.nan if is_float else None,
        "photometric": "rgb" if bands == 3 and not is_float else "minisblack",
    }
    if is_float and not valid.all():
        pixels = np.where(valid, pixels, np.nan)
    with MemoryFile() as memory, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with memory.open(**profile) as file:
            file.write(pixels)
            if not is_float and not valid.all():
                file.write_mask(valid)
        return bytes(memory.read())
