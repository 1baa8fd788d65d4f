"""Two maps brought onto one grid: that of the old one, on the ground that both cover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject

from spurgekit.change.mapped_date import MappedDate
from spurgekit.change.registration import Shift, largest_shift_m, measure_shift, window_of
from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery import PixelGrid, Window, name_crs
from spurgekit.imagery.crs import has_place, points_in

LEAST_OF_CELL = 0.05
"""A shift of less than this share of a cell is let be: to resample for it would cost more than it mends."""

FARTHER = 4
"""Where no shift is found as large as may be corrected, one is looked for that is so many times as large, to be said."""

EXACT_PX = 1e-3
"""Cells that lie off a grid by a smaller share of a cell lie on it."""

SAME_CELL = 0.01
"""Cells, and tiles, that differ by a smaller share are as large as each other; in two zones of UTM they are not quite."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Registration:
    """How two dates were brought together.

    Attributes
    ----------
    shift : Shift or None
        Where the new one has things, as seen from the old one; None where it is not known.
    measured_on : {"images", "maps"} or None
        What it was measured on.
    corrected : bool
        Whether the new map was moved by it.
    note : str
        The same in words.
    """

    shift: Shift | None
    measured_on: Literal["images", "maps"] | None
    corrected: bool
    note: str

    @property
    def offset_m(self) -> tuple[float, float]:
        """By how much the new map is to be moved, to the east and to the north."""
        return (-self.shift.east_m, -self.shift.north_m) if self.shift is not None and self.corrected else (0.0, 0.0)

    def moved(self, grid: PixelGrid) -> PixelGrid:
        """Return where a grid of the new date lies in truth, in its own CRS, whose axes may be turned by a little."""
        if not self.corrected:
            return grid
        unit = grid.metres_per_unit
        east, north = (metres / unit for metres in self.offset_m)
        return PixelGrid(grid.width, grid.height, Affine.translation(east, north) @ grid.transform, grid.crs)


@dataclass(frozen=True, slots=True, eq=False)
class CommonGround:
    """What both maps say of the cells of the old one that both cover.

    Attributes
    ----------
    grid : PixelGrid
        Of these cells: a part of that of the old map.
    both : ndarray of bool, shape (rows, columns)
        Which cells both maps cover.
    said, around : tuple of two ndarray of float32, shape (classes, rows, columns)
        Of the old and of the new map; see :class:`~spurgekit.change.mapped_date.MappedDate`.
    notes : tuple of str
        What was resampled, and what is left out.
    """

    grid: PixelGrid
    both: NDArray[np.bool_]
    said: tuple[Floats, Floats]
    around: tuple[Floats, Floats]
    notes: tuple[str, ...]

    @property
    def compared_m2(self) -> float:
        """Ground that is compared: of whole cells, at a mosaic's rim as well."""
        return float(self.both.sum() * self.grid.pixel_area_m2)


def check_comparable(old: MappedDate, new: MappedDate) -> None:
    """Refuse maps of which no cell of one can be compared with a cell of the other.

    Models may be others, and of other bands: their probabilities are of the same classes all the same.

    Raises
    ------
    InputError
        If their classes, their cells or their tiles differ, or the old one was flown after the new one.
    """
    if old.classes != new.classes:
        raise InputError(
            f"{old.folder} has the classes {', '.join(old.classes)}, {new.folder} has {', '.join(new.classes)}; "
            "map both dates with models of the same classes, in the same order"
        )
    if old.is_fine != new.is_fine:
        fine = old if old.is_fine else new
        raise InputError(
            f"{fine.folder} is finer than tiles or blended, the other map is not; map both with one `resolution` and `blend`"
        )
    for what, one, other in (
        ("cells", old.summary.cell_m, new.summary.cell_m),
        ("tiles", old.summary.support_m, new.summary.support_m),
    ):
        if one is None or other is None or abs(one / other - 1) > SAME_CELL:
            sides = " and ".join("unknown size" if side is None else f"{side:.3g} m" for side in (one, other))
            remedy = "the same `stride_px` at the same `gsd_m`" if what == "cells" else "models of tiles of one size"
            raise InputError(f"{old.folder} and {new.folder} have {what} of {sides}; map both with {remedy}")
    if old.date and new.date and old.date > new.date:
        raise InputError(f"{old.folder} was flown on {old.date}, after {new.folder} ({new.date}); name the older map first")


def register(old: MappedDate, new: MappedDate, max_shift_m: float) -> Registration:
    """Measure how far two dates lie apart, on their images where they are there, else on the maps, and decide about it.

    Raises
    ------
    InputError
        If it is more than may be corrected.
    """
    if not max_shift_m:
        return Registration(None, None, False, "how far the images lie apart was not measured: maps are compared as they lie")
    gone = " and ".join(dict.fromkeys(one.no_image for one in (old, new) if not one.images))
    cell_m = old.grid.gsd_m
    measured: Literal["images", "maps"] = "maps" if gone else "images"
    shift, why = _measured(old, new, measured, max_shift_m)
    on = "the maps" if gone else "the images"
    beside = f" ({gone})" if gone else ""
    if shift is None:
        return Registration(
            None, None, False,
            f"how far the two dates lie apart cannot be measured on {on}{beside}: {why}; compared as they lie, "
            "edges of patches may seem to change",
        )  # fmt: skip
    said = (
        f"{shift.size_m:.2f} m ({shift.east_m:+.2f} east, {shift.north_m:+.2f} north; {shift.agreeing} of {shift.windows} "
        f"windows of {on} agree to {shift.spread_m:.2f} m{beside})"
    )
    if shift.size_m > max_shift_m:
        raise InputError(
            f"{new.folder} lies off {old.folder} by {said}, more than the {max_shift_m:g} m that are corrected; georeference "
            "one of the images by the other and map it again, or pass a larger `max_shift_m`"
        )
    if shift.size_m <= max(shift.spread_m, LEAST_OF_CELL * cell_m):
        return Registration(shift, measured, False, f"the new map lies off the old one by {said}, too little to correct")
    return Registration(shift, measured, True, f"the new map lies off the old one by {said}, and is moved back by it")


def common_ground(old: MappedDate, new: MappedDate, registration: Registration) -> CommonGround:
    """Bring the new map onto the cells of the old one, on the ground that both cover.

    Parameters
    ----------
    old, new : MappedDate
    registration : Registration

    Raises
    ------
    InputError
        If no cell is covered by both.
    """
    window, apart = None, InputError(f"{old.folder} and {new.folder} have no ground in common; name two maps of one site")
    grid, notes = registration.moved(new.grid), tuple[str, ...]()
    if has_place(old.grid.crs) != has_place(grid.crs):
        raise apart
    corners = points_in(grid.outline(), grid.crs, old.grid.crs) if grid.crs != old.grid.crs else grid.outline()
    cols, rows = old.grid.to_pixel(*corners.T)
    left, top = math.floor(cols.min() + EXACT_PX), math.floor(rows.min() + EXACT_PX)
    right, bottom = math.ceil(cols.max() - EXACT_PX), math.ceil(rows.max() - EXACT_PX)
    if right > left and bottom > top:
        window = Window(left, top, right - left, bottom - top) & old.grid.window
    if window is None:
        raise apart
    cells = old.grid.crop(window)
    offset = _whole_cells(cells, grid)
    if offset is not None:
        taken = Window(*offset, cells.width, cells.height).slices
        said, around = new.said[:, *taken], new.around[:, *taken]
    else:
        said = _resampled(new.said, grid, cells)
        around = _resampled(new.around, grid, cells) if new.is_fine else said
        how = "has cells that lie between those of the old one" if grid.crs == old.grid.crs else f"is in {name_crs(grid.crs)}"
        notes = (f"the new map {how}: its probabilities are interpolated onto the cells of the old one",)
    inside = window.slices
    both = np.isfinite(old.said[0][inside]) & np.isfinite(said[0])
    if not both.any():
        raise apart
    unit_m2 = cells.pixel_area_m2
    notes += _left_out(old, both, unit_m2, "old") + _left_out(new, both, unit_m2, "new")
    return CommonGround(cells, both, (old.said[:, *inside], said), (old.around[:, *inside], around), notes)


def _left_out(one: MappedDate, both: NDArray[np.bool_], cell_m2: float, which: str) -> tuple[str, ...]:
    mapped = int(one.is_mapped.sum())
    missing = max(mapped - int(both.sum()), 0)
    if not missing:
        return ()
    return (f"{missing * cell_m2:,.1f} of the {mapped * cell_m2:,.1f} m2 of the {which} map are not on both, and left out",)


def _measured(old: MappedDate, new: MappedDate, on: Literal["images", "maps"], max_shift_m: float) -> tuple[Shift | None, str]:
    """Return how far two dates lie apart, as far as the ground that both show has room to tell, or why nobody knows."""
    why = ""
    try:
        native_m, shared_m = _looked_at(old, new, on)
        room_m = largest_shift_m(shared_m)
        for reach_m in dict.fromkeys(min(times * max_shift_m, room_m) for times in (1, FARTHER)):
            fitting = window_of(shared_m, native_m, reach_m)
            if fitting is None:
                why = why or "too little ground is shown by both"
                continue
            side_px, gsd_m = fitting
            with old.open(on, old.crs, gsd_m) as one, new.open(on, old.crs, gsd_m) as other:
                if not np.allclose(
                    np.array(one.grid.transform)[[0, 1, 3, 4]], np.array(other.grid.transform)[[0, 1, 3, 4]], rtol=1e-3
                ):
                    return None, "their rows run in different directions"
                if shift := measure_shift(one, other, side_px, reach_m):
                    return shift, ""
            why = why or "windows of them do not agree"
    except ImageryError as error:
        return None, str(error)
    return None, why


def _looked_at(old: MappedDate, new: MappedDate, on: Literal["images", "maps"]) -> tuple[float, tuple[float, float]]:
    """Return the coarser ground sample distance of two images, and the sides of the ground that both show, in metres."""
    with old.open(on, old.crs) as one, new.open(on, old.crs) as other:
        corners = np.stack([raster.grid.corners() for raster in (one, other)])
        sides = (corners.max(axis=1).min(axis=0) - corners.min(axis=1).max(axis=0)) * one.grid.metres_per_unit
        return max(one.gsd_m, other.gsd_m), (float(sides[0]), float(sides[1]))


def _whole_cells(cells: PixelGrid, grid: PixelGrid) -> tuple[int, int] | None:
    """Return where cells begin on another grid, in columns and rows of it, where they are some of its; else None."""
    if grid.crs != cells.crs:
        return None
    cols, rows = grid.to_pixel(*cells.corners().T)
    left, top = round(float(cols[0])), round(float(rows[0]))
    right, bottom = left + cells.width, top + cells.height
    if np.abs(np.stack([cols, rows]) - [[left, right, right, left], [top, top, bottom, bottom]]).max() > EXACT_PX:
        return None
    fits = left >= 0 and top >= 0 and right <= grid.width and bottom <= grid.height
    return (left, top) if fits else None


def _resampled(said: Floats, grid: PixelGrid, cells: PixelGrid) -> Floats:
    """Return probabilities on other cells, between neighbours; NaN where the cell below a centre has none."""
    how = {"src_transform": grid.transform, "src_crs": grid.crs, "dst_transform": cells.transform, "dst_crs": cells.crs}
    found = np.full((len(said), cells.height, cells.width), np.nan, np.float32)
    reproject(said, found, src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.bilinear, **how)
    known = np.zeros((cells.height, cells.width), np.uint8)
    reproject(np.isfinite(said[0]).astype(np.uint8), known, resampling=Resampling.nearest, **how)
    found[:, known == 0] = np.nan
    return np.asarray(found / found.sum(axis=0), np.float32)
