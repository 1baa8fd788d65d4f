"""A small picture of a large image, gathered while its strips pass by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurgekit.imagery.mosaic import PixelSource
from spurgekit.imagery.pixel_grid import PixelGrid, Window
from spurgekit.imagery.stretch import Stretch
from spurgekit.progress import Progress, silent

Watcher = Callable[[Window, NDArray[np.generic], NDArray[np.bool_]], None]
"""Is shown every strip that is read: the window, its pixels and which of them are valid."""

MAX_PX = 1600
STRIP_ROWS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Pixels of an image, one for each pixel of a part of its picture.

    Attributes
    ----------
    row, col : int
        Where that part begins in the picture.
    pixels : ndarray, shape (bands, height, width)
    seen : ndarray of bool or uint8, shape (height, width)
        Which of them are valid; of sums of several pixels, how many they are of.
    """

    row: int
    col: int
    pixels: NDArray[np.generic]
    seen: NDArray[np.bool_ | np.uint8]


@dataclass(frozen=True, slots=True)
class Sampler:
    """Takes from strips of an image what its picture is made of: of each square of the image, four pixels.

    Attributes
    ----------
    image : Window
        The part of the image that is shown.
    factor : int
        Side of the square below a pixel of the picture.
    bands : tuple of int
        Those that are shown, counted from 0.
    """

    image: Window
    factor: int
    bands: tuple[int, ...]

    def take(self, window: Window, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> list[Sample]:
        """Return copies of what a strip has."""
        inside = window & self.image
        if inside is None:
            return []
        window = window.shifted(-self.image.col, -self.image.row)
        inside = inside.shifted(-self.image.col, -self.image.row)
        f, samples = self.factor, []
        for down in sorted({f // 4, (3 * f) // 4}):
            for across in sorted({f // 4, (3 * f) // 4}):
                row, col = _first(inside.row, down, f), _first(inside.col, across, f)
                if row >= inside.stop_row or col >= inside.stop_col:
                    continue
                take = (
                    slice(row - window.row, inside.stop_row - window.row, f),
                    slice(col - window.col, inside.stop_col - window.col, f),
                )
                shown = np.stack([pixels[band][take] for band in self.bands])
                samples.append(Sample(row // f, col // f, shown, valid[take].copy()))
        return samples


class QuickLook:
    """Gathers a picture of at most ``max_px`` pixels a side: each is the mean of four pixels of the image below it.

    Parameters
    ----------
    raster : PixelSource
    max_px : int
    window : Window, optional
        The part of the image to show; all of it by default.

    Attributes
    ----------
    grid : PixelGrid
        Where the picture's pixels lie.
    """

    def __init__(self, raster: PixelSource, max_px: int = MAX_PX, window: Window | None = None) -> None:
        self._image = window or raster.grid.window
        self._factor = max(1, math.ceil(max(self._image.width, self._image.height) / max_px))
        self.grid: PixelGrid = raster.grid.crop(self._image).coarsened(self._factor)
        self._bands = (0, 1, 2) if len(raster.bands) >= 3 else (0,)
        self._is_byte = raster.dtype == np.uint8
        self._sums = np.zeros((len(self._bands), self.grid.height, self.grid.width), np.float32)
        self._counts = np.zeros((self.grid.height, self.grid.width), np.uint8)

    @property
    def sampler(self) -> Sampler:
        """What takes from strips what the picture is made of."""
        return Sampler(self._image, self._factor, self._bands)

    def watch(self, window: Window, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Take in a strip of the image. A pixel that comes by twice (overlapping strips) counts twice, which keeps the mean."""
        self.add(self.sampler.take(window, pixels, valid))

    def add(self, samples: Iterable[Sample]) -> None:
        """Take in what was taken from a strip."""
        for sample in samples:
            rows, columns = sample.seen.shape
            put = slice(sample.row, sample.row + rows), slice(sample.col, sample.col + columns)
            for sums, pixels in zip(self._sums, sample.pixels, strict=True):
                sums[put] += pixels  # 0 where not valid
            self._counts[put] += sample.seen

    def hide(self, pixels: NDArray[np.bool_]) -> None:
        """Take out pixels of the picture, shape (height, width), as if they had no data."""
        self._sums[:, pixels] = 0
        self._counts[pixels] = 0

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which of the picture's pixels have data, shape (height, width)."""
        return np.asarray(self._counts > 0)

    def rgba(self) -> NDArray[np.uint8]:
        """Return the picture; transparent where there is no data. Types other than uint8 are stretched to 2-98 %.

        Returns
        -------
        ndarray of uint8, shape (height, width, 4)
        """
        seen = self.seen
        mean = self._sums / np.maximum(self._counts, 1)
        shown = mean if self._is_byte else Stretch.of(mean[:, seen], each_band=True)(mean)
        picture = np.zeros((*seen.shape, 4), np.uint8)
        picture[..., :3] = np.moveaxis(shown, 0, -1)
        picture[..., 3] = 255 * seen
        return picture


def quick_look(
    raster: PixelSource, max_px: int = MAX_PX, window: Window | None = None, progress: Progress = silent
) -> QuickLook:
    """Read an image, or a window of it, strip by strip, and return its quick look."""
    look, area = QuickLook(raster, max_px, window), window or raster.grid.window
    rows = max(raster.block_shape[0], STRIP_ROWS) if raster.block_shape[0] <= 2 * STRIP_ROWS else STRIP_ROWS
    with progress(f"looking at {raster.path.name}", area.height) as advance:
        for row in range(area.row, area.stop_row, rows):
            strip = Window(area.col, row, area.width, min(rows, area.stop_row - row))
            look.watch(strip, *raster.read(strip))
            advance(strip.height)
    return look


def _first(start: int, remainder: int, step: int) -> int:
    """Return the first number from ``start`` that leaves ``remainder`` when divided by ``step``."""
    return start + (remainder - start) % step
