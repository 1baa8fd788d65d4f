"""``overview.png``: the tiles, or plots and their markers, drawn on the site, to be read at a glance."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from spurgekit.imagery import PixelGrid, Raster, Window
from spurgekit.imagery.quicklook import QuickLook, quick_look
from spurgekit.imagery.site_picture import INK, Colour, SitePicture
from spurgekit.progress import Progress, silent
from spurgekit.text import counted
from spurgekit.tiles.site_plots import SitePlots

WHOLE: Colour = (255, 225, 77)
PARTIAL: Colour = (255, 127, 14)
PLOT: Colour = (255, 255, 255)
MARKER: Colour = (60, 200, 255)
STRAY: Colour = (170, 170, 170)
FILLED_IN: Colour = (255, 60, 120)


def draw_overview(path: Path, look: QuickLook, index: gpd.GeoDataFrame, *, title: str, what: str = "tile") -> None:
    """Draw the footprints of tiles, or of what they show, on a quick look of their site.

    Whole tiles are yellow; tiles that reach outside the imagery are orange.
    """
    picture = SitePicture(look, title)
    corners = shapely.get_coordinates(index.geometry).reshape(len(index), -1, 2)
    whole = index["valid_fraction"].to_numpy() == 1
    for mine, colour, label in ((~whole, PARTIAL, f"{what}s partly outside the imagery"), (whole, WHOLE, f"whole {what}s")):
        if mine.any():
            picture.outline(corners[mine], colour)
            picture.legend(colour, f"{mine.sum():,} {label}")
    picture.save(path)


def draw_plots(
    path: Path, raster: Raster, index: gpd.GeoDataFrame, found: SitePlots, *, title: str, progress: Progress = silent
) -> None:
    """Draw plots, their ids, corners and tiles, and the markers, on the part of the image that they lie in.

    Plots are white, tiles thin and coloured as by :func:`draw_overview`, corners with a marker blue dots, corners that were
    filled in red rings, and markers that belong to no plot grey.
    """
    picture = SitePicture(quick_look(raster, window=_around(found, raster.grid), progress=progress), title)
    tiles = shapely.get_coordinates(index.geometry).reshape(len(index), -1, 2)
    whole = index["valid_fraction"].to_numpy() == 1
    for mine, colour in ((~whole, PARTIAL), (whole, WHOLE)):
        if mine.any():
            picture.outline(tiles[mine], colour, width=1)
    outlines = [np.asarray(plot.corners) for plot in found.plots]
    picture.outline(outlines, INK, width=5)  # white would be lost outside the imagery
    picture.outline(outlines, PLOT, width=3)
    seen = np.array([plot.found for plot in found.plots]).ravel()
    corners = np.concatenate(outlines)
    markers = np.column_stack(raster.grid.to_world([m.col for m in found.markers], [m.row for m in found.markers]))
    at_corner = np.array([bool(corners) for corners in found.corners_of_markers(raster.grid)], dtype=np.bool_)
    picture.points(markers[~at_corner], STRAY)
    picture.points(markers[at_corner], MARKER)
    picture.points(corners[~seen], FILLED_IN, radius=9, filled=False)
    for plot in found.plots:
        picture.label(plot.polygon.centroid.coords[0], plot.id, np.sqrt(plot.polygon.area) / 3)
    picture.legend(PLOT, counted(len(found.plots), "plot"))
    picture.legend(WHOLE, counted(whole.sum(), "tile"))
    if not whole.all():
        picture.legend(PARTIAL, f"{counted((~whole).sum(), 'tile')} partly outside the imagery")
    if at_corner.any():
        picture.legend(MARKER, f"{counted(at_corner.sum(), 'marker')} at corners", "dot")
    if not seen.all():
        picture.legend(FILLED_IN, f"{counted(len(_distinct(corners[~seen])), 'corner')} filled in", "ring")
    if not at_corner.all():
        picture.legend(STRAY, counted((~at_corner).sum(), "other marker"), "dot")
    picture.save(path)


def _around(found: SitePlots, grid: PixelGrid) -> Window:
    """Return the part of an image that plots lie in, with half a plot around them."""
    cols, rows = grid.to_pixel(*np.concatenate([plot.corners for plot in found.plots]).T)
    margin = max(np.ptp(grid.to_pixel(*np.transpose(plot.corners)), axis=1).max() for plot in found.plots) / 2
    left, top = int(cols.min() - margin), int(rows.min() - margin)
    window = Window(left, top, int(cols.max() + margin) - left, int(rows.max() + margin) - top)
    return window & grid.window or grid.window


def _distinct(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places without those that two plots share."""
    return np.unique(np.round(places, 3), axis=0)
