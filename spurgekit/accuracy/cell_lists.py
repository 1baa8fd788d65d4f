"""The cells of a sample as a table, squares and waypoints, for whoever goes and looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.imagery import PixelGrid
from spurgekit.imagery.crs import has_place
from spurgekit.tiles.layouts import Tile
from spurgekit.vector_formats import VECTOR_FORMATS
from spurgekit.vectors import write_geopackage

CELLS = "cells.csv"
SHAPES = "cells.gpkg"
WAYPOINTS = "cells.gpx"
LAYER = "cells"
DEGREES = "EPSG:4326"
COLUMNS = ("cell", "longitude", "latitude", "easting", "northing", "label", "note")


def write_lists(folder: Path, cells: Sequence[Tile], grid: PixelGrid) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write the cells as a table with a column for labels, as squares for a GIS, and as waypoints for GPS.

    Parameters
    ----------
    folder : pathlib.Path
    cells : sequence of Tile
        Their windows are in the grid of the map.
    grid : PixelGrid
        Of the map.

    Returns
    -------
    files : tuple of str
        Those that were written.
    notes : tuple of str
        What was left out, and why.
    """
    ids = [cell.id for cell in cells]
    x, y = grid.to_world([cell.window.col + 0.5 for cell in cells], [cell.window.row + 0.5 for cell in cells])
    centres = gpd.GeoDataFrame({"cell": ids}, geometry=gpd.points_from_xy(x, y), crs=grid.crs.to_wkt() if grid.crs else None)
    placed = has_place(grid.crs)
    columns: dict[str, object] = {"cell": ids}
    if placed:
        there = centres.to_crs(DEGREES).geometry
        columns |= {"longitude": there.x.round(7), "latitude": there.y.round(7)}
    names = ("easting", "northing") if placed else ("x", "y")
    columns |= {name: np.round(values, 2) for name, values in zip(names, (x, y), strict=True)}
    squares = [grid.footprint(cell.window) for cell in cells]
    table = gpd.GeoDataFrame(pd.DataFrame(columns).assign(label="", note=""), geometry=squares, crs=centres.crs)
    VECTOR_FORMATS[".csv"].write(table, folder / CELLS, LAYER)
    write_geopackage(table, folder / SHAPES, layer=LAYER)
    if not placed:
        return (CELLS, SHAPES), ("the map has no place on Earth, so there are no waypoints for GPS",)
    VECTOR_FORMATS[".gpx"].write(centres, folder / WAYPOINTS, LAYER)
    return (CELLS, SHAPES, WAYPOINTS), ()
