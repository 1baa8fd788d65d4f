"""Where tiles lie on a picture of their site: the overview that was drawn when they were cut, else one of their footprints."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spurgekit.errors import ImageryError
from spurgekit.imagery.crs import points_in
from spurgekit.imagery.site_picture import picture_grid
from spurgekit.review.review_folder import Point, ReviewFolder, ReviewTile

FOOTPRINTS_PX = 900
"""Longer side of a picture of footprints."""

MARGIN = 0.04
"""Room around footprints, in shares of that side."""

LINE = (128, 128, 128, 255)
FILL = (128, 128, 128, 70)
SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class SiteMap:
    """A picture of a site, and the places of its tiles on it.

    Attributes
    ----------
    site : str
    png : bytes
    width_px, height_px : int
    places : mapping
        By id of the tile: its centre from the upper left corner, in shares of the width and of the height.
    tile_share : float
        Side of a tile in shares of the width; 0 where that is not known.
    """

    site: str
    png: bytes
    width_px: int
    height_px: int
    places: dict[str, Point]
    tile_share: float


def draw_site_maps(folder: ReviewFolder) -> list[SiteMap | None]:
    """Return a map of each site of a folder; None for a site of whose tiles nobody knows where they lie."""
    return [_map_of(folder, site) for site in folder.sites]


def _map_of(folder: ReviewFolder, site: str) -> SiteMap | None:
    tiles = [tile for tile in folder.tiles if tile.site == site and tile.centre is not None]
    if not tiles:
        return None
    names = [f"overview_{site}.png", *(["overview.png"] if len(folder.sites) == 1 else [])]
    for name in names:
        path = (folder.path / name).resolve()
        if path.is_relative_to(folder.path) and os.path.isfile(path):  # noqa: PTH113 - of a name that can be none it is False
            try:
                return _on_overview(folder, site, tiles, path)
            except ImageryError:  # of an earlier version, or not ours: it does not say where its pixels lie
                continue
    return _of_footprints(site, tiles)


def _on_overview(folder: ReviewFolder, site: str, tiles: Sequence[ReviewTile], path: Path) -> SiteMap:
    grid = picture_grid(path)
    centres = np.array([tile.centre for tile in tiles])
    if grid.crs is not None and folder.crs is not None and grid.crs != folder.crs:
        centres = points_in(centres, folder.crs, grid.crs)
    cols, rows = grid.to_pixel(*centres.T)
    places = _shares(tiles, cols / grid.width, rows / grid.height)
    unit = abs(grid.transform.determinant) ** 0.5
    return SiteMap(site, path.read_bytes(), grid.width, grid.height, places, _side(tiles) / unit / grid.width)


def _of_footprints(site: str, tiles: Sequence[ReviewTile]) -> SiteMap:
    """Draw the ground that tiles cover, north up, on nothing."""
    points = np.array([point for tile in tiles for point in (tile.corners or [tile.centre])])
    west, south = points.min(axis=0)
    east, north = points.max(axis=0)
    span = max(east - west, north - south) or 1.0
    scale, room = FOOTPRINTS_PX / (span * (1 + 2 * MARGIN)), MARGIN * span
    width, height = (round(scale * (length + 2 * room)) for length in (east - west, north - south))

    def place(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return scale * np.column_stack([at[:, 0] - west + room, north + room - at[:, 1]])

    canvas = np.zeros((height, width, 4), np.uint8)
    shapes = [_for_opencv(place(np.array(tile.corners))) for tile in tiles if tile.corners is not None]
    for shape in shapes:
        cv2.fillConvexPoly(canvas, shape, FILL, cv2.LINE_8, SUBPIXEL_BITS)
    cv2.polylines(canvas, shapes, True, LINE, 1, cv2.LINE_8, SUBPIXEL_BITS)
    cols, rows = place(np.array([tile.centre for tile in tiles])).T
    places = _shares(tiles, cols / width, rows / height)
    file = io.BytesIO()
    Image.fromarray(canvas).save(file, "PNG", compress_level=1)
    return SiteMap(site, file.getvalue(), width, height, places, _side(tiles) * scale / width)


def _for_opencv(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.round((points - 0.5) * 2**SUBPIXEL_BITS), np.int32)


def _shares(tiles: Sequence[ReviewTile], across: NDArray[np.float64], down: NDArray[np.float64]) -> dict[str, Point]:
    return {tile.id: (float(u), float(v)) for tile, u, v in zip(tiles, across, down, strict=True)}


def _side(tiles: Sequence[ReviewTile]) -> float:
    """Return the side of the first tile whose corners are known, in the unit of the CRS."""
    corners = next((np.array(tile.corners) for tile in tiles if tile.corners is not None), None)
    return 0.0 if corners is None else float(np.linalg.norm(corners[1] - corners[0]))
