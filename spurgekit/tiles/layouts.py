"""A tile and the layouts that say where tiles lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Window
from spurgekit.outlines import both_places
from spurgekit.tables import whole_numbers


@dataclass(frozen=True, slots=True)
class Tile:
    """A square of an image that is looked at as one.

    Attributes
    ----------
    id : str
        Derived from the site and the place, never random.
    window : Window
        Its pixels in the image, which may reach outside.
    attributes : mapping
        What else is known: row and column of a grid, or the columns of a points file.
    """

    id: str
    window: Window
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size_px(self) -> int:
        """Its side in pixels."""
        return self.window.width

    @property
    def gsd_m(self) -> float | None:
        """Its own ground sample distance; None, since it is the image's."""
        return None

    def ground(self, grid: PixelGrid) -> NDArray[np.float64]:
        """Return the corners of the ground that it covers in an image with this grid, shape (4, 2)."""
        return grid.corners(self.window)


def grid_layout(
    grid: PixelGrid, site: str, *, size_px: int, overlap_px: int = 0, aoi: BaseGeometry | None = None
) -> Iterator[Tile]:
    """Yield the tiles that cover an image, row by row from its upper left corner.

    Ids count rows and columns of the whole image, so that a tile keeps its id whatever the area of interest.

    Parameters
    ----------
    grid : PixelGrid
        The image.
    site : str
        Start of the ids.
    size_px, overlap_px : int
        Side of a tile, and the pixels that it shares with its neighbour.
    aoi : shapely geometry, optional
        Area of interest in the CRS of the grid; tiles that do not touch it are left out.
    """
    if size_px < 1:
        raise InputError(f"a tile needs a size of at least 1 px, not {size_px}")
    if not 0 <= overlap_px < size_px:
        raise InputError(f"an overlap of {overlap_px} px does not go with tiles of {size_px} px; pass 0 to {size_px - 1}")
    if aoi is not None:
        shapely.prepare(aoi)
    for row, col, window in grid.squares(size_px, size_px - overlap_px):
        if aoi is None or aoi.intersects(grid.footprint(window)):
            yield Tile(f"{site}_r{row:05d}_c{col:05d}", window, {"row": row, "col": col})


def points_layout(grid: PixelGrid, site: str, points: gpd.GeoDataFrame, *, size_px: int, path: Path) -> list[Tile]:
    """Return one tile around each point, its centre within half a pixel of the point.

    Points outside the image are left out; the caller says how many.

    Parameters
    ----------
    grid : PixelGrid
        The image.
    site : str
        Start of the ids; the point's ``idx`` follows, or its place in the file where it has none.
    points : geopandas.GeoDataFrame
        In the CRS of the grid.
    size_px : int
        Side of a tile.
    path : pathlib.Path
        Where the points come from, for messages.

    Raises
    ------
    InputError
        If the geometries are not points, ``idx`` is not unique, or no point lies in the image.
    """
    if size_px < 1:
        raise InputError(f"a tile needs a size of at least 1 px, not {size_px}")
    if not (points.geom_type == "Point").all():
        raise InputError(
            f"{path} holds {points.geom_type.mode()[0]}s, not points; pass polygons as `aoi`, or as `labels` of a dataset"
        )
    numbers = _point_numbers(points, path)
    cols, rows = grid.to_pixel(points.geometry.x.to_numpy(), points.geometry.y.to_numpy())
    inside = (cols >= 0) & (rows >= 0) & (cols < grid.width) & (rows < grid.height)
    if not inside.any():
        raise InputError(
            f"{path}: none of its {len(points)} points lies in the image; {both_places(points.total_bounds, grid)}; "
            "check the CRS and the order of coordinates"
        )
    left, top = np.floor(cols - size_px / 2 + 0.5), np.floor(rows - size_px / 2 + 0.5)
    table = pd.DataFrame(points.drop(columns=points.geometry.name)).assign(idx=numbers)
    records = table.to_dict("records")  # row by row ints would become floats
    return [
        Tile(
            f"{site}_p{numbers[i]:05d}",
            Window(int(left[i]), int(top[i]), size_px, size_px),
            {str(name): value for name, value in records[i].items()},
        )
        for i in np.flatnonzero(inside)
    ]


def _point_numbers(points: gpd.GeoDataFrame, path: Path) -> list[int]:
    if "idx" not in points:
        return list(range(len(points)))
    numbers: list[int] = whole_numbers(points["idx"], f"{path}: idx").tolist()
    if len(set(numbers)) < len(numbers):
        raise InputError(
            f"{path}: column idx names {len(numbers) - len(set(numbers))} points twice; make it unique or rename it"
        )
    return numbers
