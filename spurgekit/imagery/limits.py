"""What is read at once, at most: what a file claims of its size is not believed further than that."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from rasterio.io import DatasetReader

from spurgekit.errors import ImageryError
from spurgekit.image_names import ImageName
from spurgekit.imagery.gdal_warnings import without_warnings

MAX_READ_BYTES = 512 << 20
"""The most that one read may decode: a block of a file, or a window of an image."""

MAX_TILE_PX = 8192 * 8192
"""Pixels of the largest image that counts as a tile, which is decoded whole."""

MOST_PX_UNSEEN = 4 << 30
MOST_TIMES_SMALLER = 100_000
"""How many times smaller than its pixels a file may be that claims more than so many of them; no coding reaches that."""

PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "JPEG2000")
"""Formats that Pillow reads tiles of; others, such as PostScript, would start programs."""


def check_claims(path: ImageName, dataset: DatasetReader, size_bytes: int | None) -> None:
    """Refuse an image whose blocks are too large to be decoded, or which claims to be larger than its file can hold.

    Parameters
    ----------
    path : path or GdalName
        For messages.
    dataset : rasterio.DatasetReader
    size_bytes : int or None
        Of the file, where that is known.

    Raises
    ------
    ImageryError
        The message says what to do.
    """
    rows, columns = dataset.block_shapes[0]
    together = dataset.count if dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL" else 1
    block_bytes = rows * columns * np.dtype(dataset.dtypes[0]).itemsize * together
    if block_bytes > MAX_READ_BYTES:
        raise ImageryError(
            f"{path} is stored in pieces of {columns:,} x {rows:,} px, {_in_words(block_bytes)} each, and up to "
            f"{_in_words(MAX_READ_BYTES)} are read at once: store it in tiles, e.g. gdal_translate -co TILED=YES "
            f"-co COMPRESS=DEFLATE {path.name} NEW.tif"
        )
    if dataset.driver == "GTiff" and size_bytes is not None:
        pixels = dataset.width * dataset.height
        if pixels > MOST_PX_UNSEEN and pixels * dataset.count > MOST_TIMES_SMALLER * size_bytes:
            raise ImageryError(
                f"{path} claims to be {dataset.width:,} x {dataset.height:,} px, which its {size_bytes:,} bytes cannot hold; "
                "it is damaged, or almost nowhere filled: cut it to its part with data, e.g. gdal_translate -srcwin"
            )


def check_window(path: ImageName, width: int, height: int, pixel_bytes: int) -> None:
    """Refuse to read a window that is too large, of pixels of so many bytes."""
    if width * height * pixel_bytes > MAX_READ_BYTES:
        raise ImageryError(
            f"{path}: {width:,} x {height:,} px cannot be read at once ({_in_words(width * height * pixel_bytes)}; up to "
            f"{_in_words(MAX_READ_BYTES)} can); cut it into tiles first, with 'spurgekit tile'"
        )


def check_tile(path: ImageName, width: int, height: int) -> None:
    """Refuse an image that is too large for a tile, before it is decoded.

    Raises
    ------
    ImageryError
    """
    if width * height > MAX_TILE_PX:
        side = round(MAX_TILE_PX**0.5)
        raise ImageryError(
            f"{path} is {width:,} x {height:,} px, and tiles are up to {side:,} x {side:,} px; cut it with 'spurgekit tile'"
        )


@contextmanager
def open_picture(path: Path, data: bytes | None = None, formats: Sequence[str] = PICTURE_FORMATS) -> Iterator[Image.Image]:
    """Open a tile, or a picture of a tile's size, by Pillow; what the block decodes of it is decoded safely.

    Parameters
    ----------
    path : pathlib.Path
    data : bytes, optional
        What is in the file, where it has been read already.
    formats : sequence of str
        Pillow's names of the formats that are meant.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImageryError
        If it is damaged, of another format, or too large.
    """
    try:
        with without_warnings(Warning):  # of large images and damaged EXIF
            image = Image.open(path if data is None else io.BytesIO(data), formats=list(formats))
        with image:
            check_tile(path, *image.size)
            yield image
    except (FileNotFoundError, ImageryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageryError(f"{path} is far too large for a tile; cut it with 'spurgekit tile'") from error
    except Exception as error:  # Pillow's readers raise whatever comes to pass in a damaged file
        raise ImageryError(f"{path} cannot be decoded; it is damaged or was cut off") from error


def _in_words(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
