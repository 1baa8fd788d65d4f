"""How far two images of one site lie apart, by phase correlation at several windows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.imagery import PixelSource, Window

SIDES_PX = (512, 256, 128, 64, 32)
"""Sides of windows that are tried, the largest first."""

MOST_ACROSS = 5
"""Windows in a row, and in a column."""

FEWEST = 3
"""Windows that have to agree."""

VALID = 0.75
"""Least share of a window that both images show."""

REACH = 4
"""A window is as many times as wide as the largest shift that is looked for: what both show of it is most of it."""

ROUNDING = 1e-9
"""By how much ground may be too small."""

AGREE_PX = 3.0
"""Windows agree that are no farther apart than so many pixels, or a tenth of the largest shift."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shift:
    """Where a second image has things, as seen from where the first has them.

    Attributes
    ----------
    east_m, north_m : float
        In metres along the axes of the CRS.
    spread_m : float
        How far the windows that agree differ in either direction: 1.4826 times their median absolute deviation, which is a
        standard deviation of what is normally distributed.
    windows, agreeing : int
        Windows that were compared, and those that agree.
    """

    east_m: float
    north_m: float
    spread_m: float
    windows: int
    agreeing: int

    @property
    def size_m(self) -> float:
        """Its length."""
        return float(np.hypot(self.east_m, self.north_m))


def window_of(shared_m: tuple[float, float], native_m: float, max_shift_m: float) -> tuple[int, float] | None:
    """Return the side of windows in pixels and the ground sample distance to read them at.

    Parameters
    ----------
    shared_m : tuple of float
        Width and height of the ground that both images show.
    native_m : float
        The coarser of their ground sample distances.
    max_shift_m : float
        The largest shift that is to be found.

    Returns
    -------
    tuple or None
        None where the ground is too small for three windows a side that overlap by half.

    Examples
    --------
    >>> window_of((36, 36), 0.0125, 3.0)
    (512, 0.0234375)
    >>> window_of((5, 5), 0.0125, 3.0) is None
    True
    """
    for side_px in SIDES_PX:
        gsd_m = max(native_m, REACH * max_shift_m / side_px)
        if min(shared_m) >= 2 * side_px * gsd_m * (1 - ROUNDING):
            return side_px, gsd_m
    return None


def largest_shift_m(shared_m: tuple[float, float]) -> float:
    """Return the largest shift that ground of some width and height has windows for.

    Examples
    --------
    >>> largest_shift_m((24, 30))
    3.0
    """
    return min(shared_m) / (2 * REACH)


def measure_shift(old: PixelSource, new: PixelSource, side_px: int, max_shift_m: float) -> Shift | None:
    """Measure where a second image has things, as seen from where the first has them.

    The cross-power spectrum of two windows of the same ground, whitened, is that of a shift (Kuglin and Hines 1975): light and
    contrast drop out, and what grew or died in between is outvoted by what did not. A Hann window keeps edges out of it.
    Windows that lie elsewhere than most are left out, and the shift is the median of the others.

    Parameters
    ----------
    old, new : PixelSource
        In one CRS, at one ground sample distance, their rows running the same way.
    side_px : int
        Of a window, an even number.
    max_shift_m : float
        What windows need to agree to goes by it.

    Returns
    -------
    Shift or None
        None where fewer than half of the windows, or than :data:`FEWEST`, agree.
    """
    t, middle = old.grid.transform, np.zeros(2)
    agree_px = max(AGREE_PX, max_shift_m / old.gsd_m / 10)
    for _ in range(2):  # the second time on windows that show the same ground, to a pixel
        found = _apart(old, new, side_px, np.rint(middle))
        if len(found) < FEWEST:
            return None
        near = np.linalg.norm(found[:, None] - found, axis=2) <= agree_px
        kept = found[near[near.sum(axis=1).argmax()]]
        if len(kept) < max(FEWEST, len(found) / 2):
            return None
        middle = np.median(kept, axis=0)
    spread_m = 1.4826 * float(np.median(np.abs(kept - middle))) * old.gsd_m
    east, north = (middle @ np.array([[t.a, t.d], [t.b, t.e]]) * old.grid.metres_per_unit).tolist()
    return Shift(east, north, spread_m, len(found), len(kept))


def _apart(old: PixelSource, new: PixelSource, side_px: int, moved: Floats) -> Floats:
    """Return how far each window lies from where the old image has it, (columns, rows), read so many pixels away."""
    found, hann = [], cv2.createHanningWindow((side_px, side_px), cv2.CV_64F)
    for window in _windows(old, new, side_px):
        here = np.array(new.grid.to_pixel(*old.grid.to_world(window.col, window.row))).ravel()
        left, top = np.rint(here + moved).astype(int).tolist()
        one, other = _grey(old, window), _grey(new, Window(left, top, side_px, side_px))
        if one is not None and other is not None:
            found.append(np.add(cv2.phaseCorrelate(one, other, hann)[0], [left, top]) - here)
    return np.array(found).reshape(-1, 2)


def _windows(old: PixelSource, new: PixelSource, side_px: int) -> list[Window]:
    """Return windows of the old image on the ground that the new one shows as well, overlapping by half at most."""
    col, row = old.grid.to_pixel(*new.grid.corners()[[0, 2]].T)
    low = np.ceil(np.maximum([col.min(), row.min()], 0)).astype(int)
    high = np.floor(np.minimum([col.max(), row.max()], [old.grid.width, old.grid.height])).astype(int) - side_px
    if (high < low).any():
        return []
    counts = np.minimum(2 * (high - low) // side_px + 1, MOST_ACROSS)
    cols, rows = (np.rint(np.linspace(low[i], high[i], counts[i])).astype(int).tolist() for i in (0, 1))
    return [Window(left, top, side_px, side_px) for top in rows for left in cols]


def _grey(raster: PixelSource, window: Window) -> Floats | None:
    """Return a window in grey around 0; None where too little of it is shown."""
    pixels, valid = raster.read(window)
    if valid.mean() < VALID:
        return None
    grey = pixels[:3].astype(np.float64).mean(axis=0)
    middle, contrast = grey[valid].mean(), grey[valid].std()
    if contrast == 0:
        return None
    return np.where(valid, (grey - middle) / contrast, 0.0)
