"""Pixels on the ground: windows and grids as small immutable values.

Pixel coordinates are ``(col, row)`` and continuous: the outer corner of the first pixel is ``(0, 0)`` and its centre is
``(0.5, 0.5)``, as in GDAL's geotransforms. Every conversion between pixels and the world is in this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS
from rasterio.windows import Window as RasterioWindow
from shapely import Polygon

from spurgekit.errors import ImageryError
from spurgekit.imagery.crs import has_place, linear_scale, misplaced, name_crs, to_pyproj, unit_m, utm_code

MAX_SCALE_ERROR = 0.01
"""How far a projection may stretch lengths before its metres no longer count as metres (UTM stays within 0.001)."""

SAME_GSD = 1e-3
"""Ground sample distances that differ by less than this share count as equal, so that nothing is resampled for it."""

POSSIBLE_GSD_M = 1e-4, 1e3
"""A finer pixel is a microscope's, a coarser one a weather satellite's; what is taken for either is in another unit.

Pixels of up to 10 m whose degrees are taken for metres are finer.
"""

DEGREES_A_PIXEL = 1e-3
"""Of coordinates that are degrees, a pixel has fewer (110 m)."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of whole pixels, which may reach outside its image.

    Attributes
    ----------
    col, row : int
        Pixel coordinates of the upper left corner.
    width, height : int
        Size in pixels, positive.
    """

    col: int
    row: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a window needs a positive size, not {self.width} x {self.height}")

    @property
    def stop_col(self) -> int:
        """First column to the right of the window."""
        return self.col + self.width

    @property
    def stop_row(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices; only for windows that do not start left of or above the image."""
        return slice(self.row, self.stop_row), slice(self.col, self.stop_col)

    def __and__(self, other: Window) -> Window | None:
        """Return the pixels shared with another window, or None."""
        col, row = max(self.col, other.col), max(self.row, other.row)
        width = min(self.stop_col, other.stop_col) - col
        height = min(self.stop_row, other.stop_row) - row
        return Window(col, row, width, height) if width > 0 and height > 0 else None

    def shifted(self, cols: int, rows: int) -> Window:
        """Return the same window moved by whole pixels."""
        return replace(self, col=self.col + cols, row=self.row + rows)

    def to_rasterio(self) -> RasterioWindow:
        """Return rasterio's own window."""
        return RasterioWindow(self.col, self.row, self.width, self.height)


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """Where the pixels of an image lie on the ground.

    Attributes
    ----------
    width, height : int
        Size in pixels.
    transform : affine.Affine
        Maps (col, row) to world (x, y). Rotated and sheared transforms are legal.
    crs : rasterio.crs.CRS or None
        Coordinate reference system of the world coordinates.
    """

    width: int
    height: int
    transform: Affine
    crs: CRS | None = None

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a grid needs a positive size, not {self.width} x {self.height}")
        if self.transform.determinant == 0:
            raise ValueError("the transform of a grid cannot be degenerate")

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def window(self) -> Window:
        """The whole grid as a window of itself."""
        return Window(0, 0, self.width, self.height)

    @property
    def is_rotated(self) -> bool:
        """Whether rows or columns run aslant of the axes of the CRS."""
        return bool(self.transform.b or self.transform.d)

    @property
    def metres_per_unit(self) -> float:
        """Length of one CRS unit on the ground, in metres.

        Raises
        ------
        ImageryError
            If there is no CRS, or its units do not measure the ground: degrees, or a projection that stretches lengths by
            more than 1 % here, as Web Mercator does. Also if the coordinates cannot be in the CRS that the file names, or no
            camera has such pixels.
        """
        return _metres_per_unit(self)

    @property
    def gsd_m(self) -> float:
        """Ground sample distance in metres: the side of a square of one pixel's area."""
        return math.sqrt(abs(self.transform.determinant)) * self.metres_per_unit

    @property
    def pixel_size_m(self) -> tuple[float, float]:
        """Length of one step along a row and along a column, in metres."""
        t, unit = self.transform, self.metres_per_unit
        return math.hypot(t.a, t.d) * unit, math.hypot(t.b, t.e) * unit

    @property
    def pixel_area_m2(self) -> float:
        """Ground area of a pixel in square metres."""
        return abs(self.transform.determinant) * self.metres_per_unit**2

    def _measured(self) -> float:
        """Return the length of a unit, after a look whether the coordinates can be meant."""
        if self.crs is None and self.transform.is_identity:
            raise ImageryError(
                "is not georeferenced: it has neither a CRS nor a geotransform; georeference it first, e.g. in QGIS"
            )
        if self.crs is None:
            raise ImageryError(self.degrees_hint() or "has no CRS; pass `crs`, e.g. `crs=EPSG:32612`")
        if self.transform.is_identity:
            raise ImageryError("has a CRS but no geotransform; georeference it first, e.g. in QGIS")
        if self.crs.is_geographic:
            degrees = math.sqrt(abs(self.transform.determinant))
            raise ImageryError(
                f"is in {name_crs(self.crs)}, whose unit is the degree (a pixel is {degrees:.2e} degrees); "
                f"pass `crs={self.suggest_utm()}` to reproject it while it is read"
            )
        stretch = self._linear_scale()
        if abs(stretch - 1) > MAX_SCALE_ERROR:
            raise ImageryError(
                f"is in {name_crs(self.crs)}, which stretches lengths by {stretch:.2f} here; "
                f"pass `crs={self.suggest_utm()}` to reproject it while it is read"
            )
        unit = unit_m(self.crs)
        side_m = math.sqrt(abs(self.transform.determinant)) * unit
        if not POSSIBLE_GSD_M[0] <= side_m <= POSSIBLE_GSD_M[1]:
            raise ImageryError(
                f"would have pixels of {side_m:.2g} m in {name_crs(self.crs)}, which no survey has; pass `image_crs`, "
                "the CRS that its coordinates are in" + (", e.g. `image_crs=EPSG:4326`" if self._reads_as_degrees else "")
            )
        return unit

    def _linear_scale(self) -> float:
        """Projected length over true length at the grid's centre (square root of the areal scale)."""
        crs = to_pyproj(self.crs)
        if not has_place(self.crs):  # take the units of a local CRS as they are
            return 1.0
        if crs.is_geocentric:
            raise ImageryError(f"is in {name_crs(self.crs)}, which counts from the earth's centre; reproject it to UTM first")
        return linear_scale(crs, *self._centre_lonlat())

    def _centre_lonlat(self) -> tuple[float, float]:
        x, y = (float(value) for value in self.to_world(self.width / 2, self.height / 2))
        if (where := misplaced(to_pyproj(self.crs), x, y)) is not None:
            raise ImageryError(
                f"would be in {name_crs(self.crs)}, but its centre ({x:.10g}, {y:.10g}) lies {where}; "
                "pass `image_crs`, the CRS that its coordinates are in"
            )
        longitude, latitude = pyproj.Proj(to_pyproj(self.crs))(x, y, inverse=True)
        return longitude, latitude

    @property
    def _reads_as_degrees(self) -> bool:
        """Whether the coordinates could be longitudes and latitudes: they are in range, and pixels are as small as need be."""
        in_range = bool((np.abs(self.corners()) <= (180, 90)).all())
        return in_range and math.sqrt(abs(self.transform.determinant)) < DEGREES_A_PIXEL

    def degrees_hint(self) -> str | None:
        """Return what to do about a grid without a CRS whose coordinates look like degrees, to follow a name; else None."""
        if self.crs is not None or self.transform.is_identity or not self._reads_as_degrees:
            return None
        longitude, latitude = (float(value) for value in self.to_world(self.width / 2, self.height / 2))
        return (
            "has no CRS, and its coordinates look like degrees: pass `image_crs=EPSG:4326`, the CRS that they are in, and "
            f"`crs={utm_code(longitude, latitude)}`, one in metres to work in"
        )

    def suggest_utm(self) -> str:
        """Return the UTM zone of the grid's centre as an EPSG code, e.g. ``EPSG:32612``."""
        return utm_code(*self._centre_lonlat())

    # -- between pixels and the world -----------------------------------------------------------------------------

    def to_world(self, col: ArrayLike, row: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return world x and y of continuous pixel coordinates (scalars or arrays of one shape)."""
        return _apply(self.transform, col, row)

    def to_pixel(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return continuous (col, row) of world coordinates (scalars or arrays of one shape)."""
        return _apply(~self.transform, x, y)

    def corners(self, window: Window | None = None) -> NDArray[np.float64]:
        """Return the world corners of a window, clockwise in the image from its upper left.

        Returns
        -------
        ndarray of float64, shape (4, 2)
            Columns x and y.
        """
        w = window or self.window
        x, y = self.to_world([w.col, w.stop_col, w.stop_col, w.col], [w.row, w.row, w.stop_row, w.stop_row])
        return np.column_stack([x, y])

    def footprint(self, window: Window | None = None) -> Polygon:
        """Return the ground that a window covers, as a polygon in the CRS."""
        return Polygon(self.corners(window))

    def outline(self, points: int = 32) -> NDArray[np.float64]:
        """Return world points along the edge of the grid, for finding where it lies in another CRS.

        Parameters
        ----------
        points : int
            Points on each of the four sides, the first of them a corner.

        Returns
        -------
        ndarray of float64, shape (4 * points, 2)
            Columns x and y, clockwise in the image from its upper left.
        """
        along, ones, zeros = np.arange(points) / points, np.ones(points), np.zeros(points)
        cols = np.concatenate([along, ones, 1 - along, zeros]) * self.width
        rows = np.concatenate([zeros, along, ones, 1 - along]) * self.height
        return np.column_stack(self.to_world(cols, rows))

    # -- other grids ----------------------------------------------------------------------------------------------

    def crop(self, window: Window) -> PixelGrid:
        """Return the grid of a window, which may reach outside (so this pads, too)."""
        shift = Affine.translation(window.col, window.row)
        return PixelGrid(window.width, window.height, self.transform @ shift, self.crs)

    def coarsened(self, cell_px: int) -> PixelGrid:
        """Return the grid of square cells of ``cell_px`` pixels from the same corner; the last ones may reach outside."""
        return PixelGrid(
            math.ceil(self.width / cell_px),
            math.ceil(self.height / cell_px),
            self.transform @ Affine.scale(cell_px),
            self.crs,
        )

    def at_gsd(self, gsd_m: float) -> PixelGrid:
        """Return a grid over the same ground, from the same corner, with square pixels of ``gsd_m`` metres.

        A grid whose pixels are within 0.1 % of that size on both sides is returned unchanged.
        """
        across, down = gsd_m / self.pixel_size_m[0], gsd_m / self.pixel_size_m[1]
        if abs(across - 1) < SAME_GSD and abs(down - 1) < SAME_GSD:
            return self
        width = max(1, math.ceil(self.width / across - 1e-6))
        height = max(1, math.ceil(self.height / down - 1e-6))
        return PixelGrid(width, height, self.transform @ Affine.scale(across, down), self.crs)

    def squares(self, size_px: int, step_px: int | None = None) -> Iterator[tuple[int, int, Window]]:
        """Yield (row index, column index, window) of a tiling from the upper left corner, row by row.

        Windows at the right and bottom edges reach outside the grid rather than leave pixels uncovered.

        Parameters
        ----------
        size_px : int
            Side of a square.
        step_px : int, optional
            Distance between neighbours; less than ``size_px`` overlaps them. Default ``size_px``.
        """
        step = step_px or size_px
        columns = _steps(self.width, size_px, step)
        for i in range(_steps(self.height, size_px, step)):
            for j in range(columns):
                yield i, j, Window(j * step, i * step, size_px, size_px)


@lru_cache(maxsize=64)  # looking takes a millisecond, and windows and plots ask again and again
def _metres_per_unit(grid: PixelGrid) -> float:
    return grid._measured()


def _steps(length: int, size: int, step: int) -> int:
    covering = 1 + max(0, math.ceil((length - size) / step))
    return min(covering, math.ceil(length / step))  # steps longer than a square must not end in a square of nothing


def _apply(t: Affine, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f
