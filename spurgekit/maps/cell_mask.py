"""Which cells of a map lie on some ground, by the rule of GIS: those whose centre does."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from spurgekit.imagery import PixelGrid, Window


@dataclass(frozen=True, slots=True, eq=False)
class CellMask:
    """Some cells of a grid.

    Attributes
    ----------
    window : Window
        The part of the grid that holds them.
    inside : ndarray of bool, shape (height, width)
        Which cells of the window they are.
    """

    window: Window
    inside: NDArray[np.bool_]

    @classmethod
    def everywhere(cls, grid: PixelGrid) -> CellMask:
        """Return all cells of a grid."""
        return cls(grid.window, np.ones((grid.height, grid.width), np.bool_))

    @classmethod
    def on(cls, ground: BaseGeometry, grid: PixelGrid) -> CellMask | None:
        """Return the cells whose centre lies on some ground, in the smallest window that holds them.

        A cell belongs to the ground below its centre, however much of it lies elsewhere, as ``gdalwarp -cutline``,
        ``rio mask`` and zonal statistics have it: of polygons that share an edge each cell is in one.

        Parameters
        ----------
        ground : shapely geometry
            Polygons in the CRS of the grid.
        grid : PixelGrid
            Of the cells.

        Returns
        -------
        CellMask or None
            None where there is no such cell.
        """
        # In cells, so that a turned grid is as good as any.
        local = shapely.transform(ground, lambda xy: np.column_stack(grid.to_pixel(*xy.T)))
        if local.is_empty:
            return None
        left, top, right, bottom = (int(value) for value in np.floor(local.bounds))
        around = Window(left, top, right - left + 1, bottom - top + 1) & grid.window
        if around is None:
            return None
        shape, start = (around.height, around.width), Affine.translation(around.col, around.row)
        inside = rasterize([local], out_shape=shape, transform=start, dtype=np.uint8).astype(np.bool_)
        rows, cols = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        kept = Window(int(cols[0]), int(rows[0]), int(cols[-1] - cols[0]) + 1, int(rows[-1] - rows[0]) + 1)
        return cls(kept.shifted(around.col, around.row), inside[kept.slices])

    def over(self, window: Window) -> NDArray[np.bool_]:
        """Return which cells of another window of the grid they are, shape (height, width)."""
        found = np.zeros((window.height, window.width), np.bool_)
        shared = self.window & window
        if shared is not None:
            mine = self.inside[shared.shifted(-self.window.col, -self.window.row).slices]
            found[shared.shifted(-window.col, -window.row).slices] = mine
        return found

    def rows(self, rows: range) -> CellMask:
        """Return the cells in some rows of the window."""
        window = Window(self.window.col, self.window.row + rows.start, self.window.width, len(rows))
        return CellMask(window, self.inside[rows.start : rows.stop])

    def grown(self, reach: int, grid: PixelGrid) -> CellMask:
        """Return these cells of a grid, and all within so many rows and columns of one."""
        own = self.window
        around = Window(own.col - reach, own.row - reach, own.width + 2 * reach, own.height + 2 * reach) & grid.window
        assert around is not None
        return CellMask(around, cv2.dilate(self.over(around).astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0)

    def numbers(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows and the columns of the cells in the grid, row by row."""
        rows, cols = np.nonzero(self.inside)
        return rows + self.window.row, cols + self.window.col
