"""What a folder of a planned walk holds: points for GIS, GPS and the office, the way past them, a picture and a summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from numpy.typing import NDArray
from shapely import LineString

from spurgekit.imagery import PixelGrid, PixelSource, name_crs
from spurgekit.imagery.crs import EARTH
from spurgekit.imagery.quicklook import quick_look
from spurgekit.imagery.site_picture import INK, Colour, SitePicture
from spurgekit.maps.colours import class_colour
from spurgekit.maps.mapped_cells import MappedCells, cells_below
from spurgekit.maps.products import MAX_SHADE
from spurgekit.next_survey.candidates import Candidates
from spurgekit.progress import Progress, silent
from spurgekit.text import counted
from spurgekit.vector_formats import VECTOR_FORMATS
from spurgekit.vectors import writing

POINTS, ROUTE, SUMMARY, PICTURE = "points", "route.gpx", "summary.json", "next-survey.png"
COLUMNS = (
    "tile", "stop", "longitude", "latitude", "easting", "northing", "mapped", "probability", "uncertainty", "novelty",
    "label", "note",
)  # fmt: skip
SYMBOL = "Flag, Blue"
"""As Garmin's devices call it."""

WAY: Colour = (255, 225, 77)
START: Colour = (0, 200, 90)
LIKE: Colour = (0, 120, 215)
UNLIKE: Colour = (255, 130, 0)
RADIUS_PX = 11

WHAT_IT_MEANS = (
    "Stops are in the order of the walk, which ends where it began if a start was given. Each is the middle of a tile, a "
    "square of support_m, whose class is to be found. uncertainty is the entropy of the map's probabilities, from 0 to 1; "
    "novelty is how far the tile lies from all training tiles as the model sees it, 1 being the mean distance between two "
    "of these, and beyond unlike_from it is unlike them. What a tile is worth goes by its uncertainty and by how much of "
    "the ground it stands for that neither training tiles nor other stops stand for, not by these two numbers alone."
)


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A walk past tiles of a map.

    Attributes
    ----------
    site : str
        That ids of tiles begin with.
    tiles : Candidates
        In the order of the walk.
    support_m : float
        Side of a tile.
    length_m : float
    unlike_from : float
        Novelty beyond which a tile is unlike the training tiles.
    start : ndarray of float64, shape (2,), or None
        Where it begins and ends, in the CRS of the map.
    """

    site: str
    tiles: Candidates
    support_m: float
    length_m: float
    unlike_from: float
    start: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.tiles)

    @property
    def is_unlike(self) -> NDArray[np.bool_]:
        """Which tiles are unlike the training tiles."""
        return np.asarray(self.tiles.novelty > self.unlike_from)

    def line(self, grid: PixelGrid) -> NDArray[np.float64]:
        """Return the places that it leads past in the CRS of the map, shape (stops, 2)."""
        stops = np.column_stack(grid.to_world(self.tiles.cols + 0.5, self.tiles.rows + 0.5))
        return stops if self.start is None else np.vstack([self.start, stops, self.start])


def write_walk(
    folder: Path, walk: Walk, cells: MappedCells, raster: PixelSource, progress: Progress = silent
) -> tuple[str, ...]:
    """Write ``points.gpkg``, ``.csv`` and ``.gpx``, ``route.gpx``, ``summary.json`` and ``next-survey.png``.

    Parameters
    ----------
    folder : pathlib.Path
    walk : Walk
    cells : MappedCells
    raster : PixelSource
        The image below them.
    progress : Progress

    Returns
    -------
    tuple of str
        Names of the files.
    """
    points = _points(walk, cells)
    for suffix in (".gpkg", ".csv"):
        VECTOR_FORMATS[suffix].write(points, folder / f"{POINTS}{suffix}", POINTS)
    described = [
        f"{row.tile}: {row.mapped} {row.probability:.2f}, uncertainty {row.uncertainty:.2f}, novelty {row.novelty:.2f}"
        for row in points.itertuples()
    ]
    names = [f"{stop:0{len(str(len(points)))}d}" for stop in points["stop"]]
    waypoints = gpd.GeoDataFrame({"name": names, "desc": described, "sym": SYMBOL}, geometry=points.geometry)
    VECTOR_FORMATS[".gpx"].write(waypoints, folder / f"{POINTS}.gpx", POINTS)
    files = [f"{POINTS}{suffix}" for suffix in (".gpkg", ".csv", ".gpx")]
    if len(line := walk.line(cells.grid)) > 1:
        route = gpd.GeoDataFrame({"name": [walk.site]}, geometry=[LineString(line)], crs=points.crs).to_crs(EARTH.to_wkt())
        with writing(ROUTE):
            pyogrio.write_dataframe(route, folder / ROUTE, layer="routes", driver="GPX")
        files.append(ROUTE)
    _write_summary(folder / SUMMARY, walk, cells)
    _draw(folder / PICTURE, walk, cells, raster, progress)
    return (*files, SUMMARY, PICTURE)


def _points(walk: Walk, cells: MappedCells) -> gpd.GeoDataFrame:
    """Return a row for each stop."""
    tiles, grid = walk.tiles, cells.grid
    assert grid.crs is not None
    x, y = grid.to_world(tiles.cols + 0.5, tiles.rows + 0.5)
    points = gpd.GeoSeries(gpd.points_from_xy(x, y), crs=grid.crs.to_wkt())
    there = points.to_crs(EARTH.to_wkt())
    mapped = tiles.probabilities.argmax(axis=1)
    values = [
        [f"{walk.site}_r{row:05d}_c{col:05d}" for row, col in zip(tiles.rows, tiles.cols, strict=True)],
        np.arange(1, len(tiles) + 1),
        there.x.round(7), there.y.round(7), x.round(2), y.round(2),
        [cells.classes[number] for number in mapped],
        *(one.astype(np.float64).round(3) for one in (tiles.probabilities.max(axis=1), tiles.uncertainty, tiles.novelty)),
        "", "",
    ]  # fmt: skip
    return gpd.GeoDataFrame(pd.DataFrame(dict(zip(COLUMNS, values, strict=True))), geometry=points)


def _write_summary(path: Path, walk: Walk, cells: MappedCells) -> None:
    summary = {
        "schema_version": 1,
        "map": walk.site,
        "crs": name_crs(cells.grid.crs),
        "support_m": round(walk.support_m, 6),
        "stops": len(walk),
        "walk_m": round(walk.length_m, 1),
        "from_start_and_back": walk.start is not None,
        "unlike_from": round(walk.unlike_from, 3),
        "unlike": int(walk.is_unlike.sum()),
        "what_it_means": WHAT_IT_MEANS,
    }
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8", newline="\n")


def _draw(path: Path, walk: Walk, cells: MappedCells, raster: PixelSource, progress: Progress) -> None:
    look, grid = quick_look(raster, progress=progress), cells.grid
    picture = SitePicture(look, f"{walk.site}: the next survey, {counted(len(walk), 'tile')} of {walk.support_m:.2f} m")
    at, inside = cells_below(look.grid, grid)
    inside &= look.seen & cells.is_mapped[tuple(at)]
    shade = np.zeros((*inside.shape, 4), np.uint8)
    said = cells.said[:, *at]
    for number, name in list(enumerate(cells.classes))[1:]:
        mine = inside & (said.argmax(axis=0) == number)
        shade[mine, :3], shade[mine, 3] = class_colour(number), (MAX_SHADE * said[number][mine]).astype(np.uint8)
        picture.legend(class_colour(number), f"{name}, as mapped")
    picture.paint(shade)
    line, stops = walk.line(grid), walk.line(grid)
    for colour, width in ((INK, 5), (WAY, 2)):
        picture.outline([line], colour, width=width, closed=False)
    end = "from the start and back" if walk.start is not None else "from 1 to the last"
    picture.legend(WAY, f"{walk.length_m:,.0f} m to walk, {end}")
    if walk.start is not None:
        picture.points(line[:1], START, radius=RADIUS_PX)
        picture.legend(START, "start", "dot")
        stops = line[1:-1]
    new = walk.is_unlike
    for which, colour, what in ((~new, LIKE, "to look at"), (new, UNLIKE, "unlike those that the model learned from")):
        picture.points(stops[which], colour, radius=RADIUS_PX)
        if which.any():
            picture.legend(colour, f"tile {what}", "dot")
    for number, place in enumerate(stops.tolist(), start=1):
        picture.label(place, str(number), 0.0)  # as large as letters are at least
    picture.save(path)
