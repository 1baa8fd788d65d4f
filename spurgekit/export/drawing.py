"""Patches drawn on pictures."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from spurgekit.export.picture import Pixels
from spurgekit.imagery import PixelGrid
from spurgekit.imagery.site_picture import PAPER, SUBPIXEL_BITS, Colour

SHADE = 0.25
"""Share of the colour of a class over its cells: the plant is to be seen below it."""

LINE_PX, RIM_PX = 2, 4
"""Of an outline, and of the white below it, without which it is lost on some grounds."""


def draw_cells(
    rgb: Pixels, grid: PixelGrid, cells: gpd.GeoSeries, classes: gpd.GeoSeries, colours: Mapping[str, Colour]
) -> None:
    """Draw the cells of patches: shaded, with outlines.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
        Is drawn on.
    grid : PixelGrid
        Where its pixels lie, in the CRS of the cells.
    cells : geopandas.GeoSeries
        Of each patch.
    classes : pandas.Series
        Of each patch.
    colours : mapping of colour by class
    """
    for name, colour in colours.items():
        rings = [_for_opencv(ring, grid) for ring in rings_of(cells[(classes == name).to_numpy()].to_numpy())]
        if not rings:
            continue
        inside = np.zeros(rgb.shape[:2], np.uint8)
        cv2.fillPoly(inside, rings, 1, cv2.LINE_8, SUBPIXEL_BITS)
        shaded = inside > 0
        rgb[shaded] = (rgb[shaded] * (1 - SHADE) + np.array(colour) * SHADE + 0.5).astype(np.uint8)
        for ink, width in ((PAPER, RIM_PX), (colour, LINE_PX)):
            cv2.polylines(rgb, rings, True, ink, width, cv2.LINE_AA, SUBPIXEL_BITS)


def rings_of(shapes: NDArray[np.object_]) -> list[NDArray[np.float64]]:
    """Return the rings of polygons, of outlines and of holes, each of shape (points, 2), the first point not repeated."""
    return [shapely.get_coordinates(ring)[:-1] for ring in shapely.get_rings(shapely.get_parts(shapes))]


def _for_opencv(places: NDArray[np.float64], grid: PixelGrid) -> NDArray[np.int32]:
    """Return places as OpenCV draws them, whose (0, 0) is the centre of the first pixel: in fractions of pixels."""
    points = np.column_stack(grid.to_pixel(*places.T)) - 0.5
    return np.asarray(np.round(points * 2**SUBPIXEL_BITS), np.int32)
