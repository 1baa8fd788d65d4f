"""A small picture of a large image, gathered while its strips pass by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spurgekit.imagery.mosaic import PixelSource
from spurgekit.imagery.pixel_grid import PixelGrid, Window
from spurgekit.imagery.raster import Raster
from spurgekit.imagery.stretch import BYTES, Stretch
from spurgekit.progress import Progress, silent

Watcher = Callable[[Window, NDArray[np.generic], NDArray[np.bool_]], None]
"""Is shown every strip that is read: the window, its pixels and which of them are valid."""

MAX_PX = 1600
STRIP_ROWS = 512


class QuickLook:
    """Gathers a picture of at most ``max_px`` pixels a side: each is the mean of four pixels of the image below it.

    Parameters
    ----------
    raster : PixelSource
    max_px : int
    window : Window, optional
        The part of the image to show; all of it by default.
    rows : range, optional
        Rows of that part to gather, others passing by; all of them by default. It is then a piece for :meth:`add`.

    Attributes
    ----------
    grid : PixelGrid
        Where the picture's pixels lie.
    sums : ndarray of float, shape (bands, height, width)
        Of what was seen below each pixel of the picture; of a piece, from the first row that it has some of. They are exact, so
        that a picture is the same from however many pieces.
    counts : ndarray of uint8, shape (height, width)
        How often.
    """

    def __init__(
        self, raster: PixelSource, max_px: int = MAX_PX, window: Window | None = None, rows: range | None = None
    ) -> None:
        whole = window or raster.grid.window
        rows = rows or range(whole.height)
        self._factor = max(1, math.ceil(max(whole.width, whole.height) / max_px))
        self._origin = whole.col, whole.row
        self._image = Window(whole.col, whole.row + rows.start, whole.width, len(rows))
        self._first = rows.start // self._factor
        self.grid: PixelGrid = raster.grid.crop(whole).coarsened(self._factor)
        self._bands = (0, 1, 2) if len(raster.bands) >= 3 else (0,)
        self._is_byte = raster.dtype == np.uint8
        height = math.ceil(rows.stop / self._factor) - self._first
        exact = np.float32 if raster.dtype.kind == "u" else np.float64
        self.sums: NDArray[np.floating[Any]] = np.zeros((len(self._bands), height, self.grid.width), exact)
        self.counts = np.zeros((height, self.grid.width), np.uint8)

    def watch(self, window: Window, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Take in a strip of the image. A pixel that comes by twice (overlapping strips) counts twice, which keeps the mean."""
        inside = window & self._image
        if inside is None:
            return
        left, top = self._origin
        window, inside = window.shifted(-left, -top), inside.shifted(-left, -top)
        f = self._factor
        for down in sorted({f // 4, (3 * f) // 4}):
            for across in sorted({f // 4, (3 * f) // 4}):
                row, col = _first(inside.row, down, f), _first(inside.col, across, f)
                if row >= inside.stop_row or col >= inside.stop_col:
                    continue
                take = (
                    slice(row - window.row, inside.stop_row - window.row, f),
                    slice(col - window.col, inside.stop_col - window.col, f),
                )
                seen = valid[take]
                first = row // f - self._first
                put = (slice(first, first + seen.shape[0]), slice(col // f, col // f + seen.shape[1]))
                for i, band in enumerate(self._bands):
                    self.sums[i][put] += pixels[band][take]  # pixels are 0 where not valid
                self.counts[put] += seen

    def add(self, rows: range, sums: NDArray[np.floating[Any]], counts: NDArray[np.uint8]) -> None:
        """Take in what a piece of ``rows`` has gathered."""
        first = rows.start // self._factor
        own = slice(first, first + len(counts))
        self.sums[:, own] += sums
        self.counts[own] += counts

    def hide(self, pixels: NDArray[np.bool_]) -> None:
        """Take out pixels of the picture, shape (height, width), as if they had no data."""
        self.sums[:, pixels] = 0
        self.counts[pixels] = 0

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which of the picture's pixels have data, shape (height, width)."""
        return np.asarray(self.counts > 0)

    def rgba(self) -> NDArray[np.uint8]:
        """Return the picture; transparent where there is no data. Types other than uint8 are stretched to 2-98 %.

        Returns
        -------
        ndarray of uint8, shape (height, width, 4)
        """
        seen = self.seen
        mean = self.sums / np.maximum(self.counts, 1)
        stretch = BYTES if self._is_byte else Stretch.of(mean[:, seen], each_band=True)
        picture = np.zeros((*seen.shape, 4), np.uint8)
        picture[..., :3] = np.moveaxis(stretch(mean), 0, -1)
        picture[..., 3] = 255 * seen
        return picture


def quick_look(raster: Raster, max_px: int = MAX_PX, window: Window | None = None, progress: Progress = silent) -> QuickLook:
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
