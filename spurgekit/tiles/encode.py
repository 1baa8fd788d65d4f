"""Tiles as files: PNG, JPEG, or GeoTIFF for whatever the other two cannot hold; see :mod:`spurgekit.tiles.tile_formats`."""

from __future__ import annotations

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from spurgekit.imagery import PixelGrid
from spurgekit.tiles.png import encode_png

JPEG_QUALITY = 95


def encode_png_tile(pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> bytes:  # noqa: ARG001
    """Encode a tile as PNG."""
    return encode_png(pixels[0] if len(pixels) == 1 else cv2.merge(list(pixels)))


def encode_jpg_tile(pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> bytes:  # noqa: ARG001
    """Encode a tile as JPEG."""
    image = pixels[0] if len(pixels) == 1 else cv2.merge([pixels[2], pixels[1], pixels[0]])
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode {image.shape} {image.dtype} as JPEG")
    return bytes(data)


def encode_tif_tile(pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> bytes:
    """Encode a tile as GeoTIFF; pixels without data are masked, or NaN."""
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
