"""Tiles as pictures that a browser shows: their own file where it serves, else three bands stretched to bytes."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spurgekit.byte_cache import ByteCache
from spurgekit.errors import InputError
from spurgekit.imagery import open_tile_image
from spurgekit.imagery.limits import open_picture
from spurgekit.imagery.stretch import BYTES, Stretch, rgb_bands
from spurgekit.review.review_folder import ReviewFolder, ReviewTile

SHOWABLE = {"PNG": "image/png", "JPEG": "image/jpeg"}
"""Formats that are sent as they are."""

JPEG_QUALITY = 88
CACHE_BYTES = 64 << 20
LARGE_PX = 4_000_000
"""Pictures with more pixels are decoded one at a time, however many a browser asks for."""

_ONE_LARGE = Lock()
SAMPLE = 24
"""Tiles that the stretch of a folder is taken from."""

Pixels = NDArray[np.uint8]
"""RGB or RGBA, shape (height, width, 3 or 4)."""


@dataclass(frozen=True, slots=True)
class BrowserImage:
    """A picture as a file.

    Attributes
    ----------
    data : bytes
    media_type : str
    """

    data: bytes
    media_type: str

    def __len__(self) -> int:
        return len(self.data)


class TilePictures:
    """Makes pictures of the tiles of a folder. Threads may share it.

    Parameters
    ----------
    folder : ReviewFolder
        No file outside of it is ever read.
    """

    def __init__(self, folder: ReviewFolder) -> None:
        self._folder = folder
        self._thumbnails: ByteCache[BrowserImage] = ByteCache(CACHE_BYTES, len)
        self._stretches: dict[tuple[str, int], Stretch] = {}
        self._stretching = Lock()

    def picture(self, tile: ReviewTile) -> BrowserImage:
        """Return a tile as it is; what is no picture to a browser becomes a PNG.

        Raises
        ------
        InputError
            If its file is missing or damaged, or lies outside the folder.
        """
        path = self._find(tile)
        data = path.read_bytes()
        if (media_type := _showable(data)) is not None:
            _decode(data, path)  # a browser would show half of a file without a word
            return BrowserImage(data, media_type)
        return _encode(self.pixels(tile))

    def thumbnail(self, tile: ReviewTile, side_px: int) -> BrowserImage:
        """Return a tile no larger than a side; raises what :meth:`picture` does."""
        if tile.size_px <= side_px:
            return self.picture(tile)

        def make() -> BrowserImage:
            pixels = self.pixels(tile)
            shrink = min(1.0, side_px / max(pixels.shape[:2]))
            return _encode(shrunk(pixels, shrink), lossy=True)

        return self._thumbnails.get((tile.id, side_px), make)

    def pixels(self, tile: ReviewTile) -> Pixels:
        """Return a tile as RGB, or RGBA where parts of it have no data; raises what :meth:`picture` does."""
        path = self._find(tile)
        data = path.read_bytes()
        if _showable(data) is not None:
            return _decode(data, path)
        pixels, valid = _read_bands(path)
        colours = np.moveaxis(rgb_bands(self._stretch(pixels)(pixels)), 0, -1)
        return colours if valid.all() else np.dstack([colours, 255 * valid.astype(np.uint8)])

    def _find(self, tile: ReviewTile) -> Path:
        path = tile.path.resolve()
        if not path.is_relative_to(self._folder.path):
            raise InputError(f"{tile.path.name} lies outside {self._folder.path.name}, and is not shown")
        if not path.is_file():
            raise InputError(f"{tile.path.name} is missing; make the tiles again")
        return path

    def _stretch(self, like: NDArray[np.generic]) -> Stretch:
        """Return the stretch of tiles with such pixels, which the first of them waits for, so that tiles can be compared."""
        if like.dtype == np.uint8:
            return BYTES
        key = (like.dtype.name, len(like))
        with self._stretching:
            if key not in self._stretches:
                self._stretches[key] = self._measure(like)
            return self._stretches[key]

    def _measure(self, like: NDArray[np.generic]) -> Stretch:
        tiles = self._folder.tiles
        values = []
        for tile in tiles[:: -(-len(tiles) // SAMPLE)]:
            try:
                pixels, valid = _read_bands(self._find(tile))
            except InputError:  # it is said where that tile is shown
                continue
            if pixels.dtype == like.dtype and len(pixels) == len(like):
                values.append(pixels[:, valid])
        sample = np.concatenate(values, axis=1) if values else like.reshape(len(like), -1)
        return Stretch.of(sample, each_band=True)


def _showable(data: bytes) -> str | None:
    """Return the media type of a picture that a browser shows as it is, or None; PNGs of 16 bits need a stretch."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return None if data[24:25] == b"\x10" else SHOWABLE["PNG"]
    return SHOWABLE["JPEG"] if data[:2] == b"\xff\xd8" else None


def _decode(data: bytes, path: Path) -> Pixels:
    name = Path(path.name)  # a page is not told where a folder lies
    with open_picture(name, data, tuple(SHOWABLE)) as image:
        is_large = image.width * image.height > LARGE_PX
        with _ONE_LARGE if is_large else nullcontext():
            has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))


def _read_bands(path: Path) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return the first three bands, or the first one, of an image of any kind."""
    with open_tile_image(path) as raster:
        pixels, valid = raster.read(raster.grid.window)
    return pixels[: 3 if len(pixels) >= 3 else 1], valid


def _encode(pixels: Pixels, *, lossy: bool = False) -> BrowserImage:
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    if lossy and image.mode == "RGB":
        image.save(file, "JPEG", quality=JPEG_QUALITY)
        return BrowserImage(file.getvalue(), SHOWABLE["JPEG"])
    image.save(file, "PNG", compress_level=1)
    return BrowserImage(file.getvalue(), SHOWABLE["PNG"])


def shrunk(pixels: Pixels, scale: float) -> Pixels:
    """Return a smaller picture, each pixel the mean of the ground that it covers."""
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def encode_jpeg(pixels: Pixels) -> bytes:
    """Return RGB as a JPEG."""
    return _encode(pixels, lossy=True).data
