"""MBTiles: a picture as square tiles in Web Mercator, which apps for phones open without a network."""

from __future__ import annotations

import io
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from spurgekit.export.picture import Picture, Pixels, halved
from spurgekit.imagery import PixelGrid
from spurgekit.imagery.crs import EARTH, points_in
from spurgekit.maps.colours import PLAIN

WEB_MERCATOR = CRS.from_epsg(3857)
HALF_WORLD_M = math.pi * 6_378_137.0
"""From the middle of the map of the world to its edge, in the metres of Web Mercator, which are longer than the ground's."""

TILE_PX = 256
MOST_ZOOM = 22
"""Many apps go no further: 2.6 cm a pixel at 45 degrees."""

MARGIN: tuple[int, int, int] = PLAIN
"""Ground without data; JPEG has no transparency."""

Draw = Callable[[Pixels, PixelGrid], None]
"""Draws on RGB, shape (height, width, 3), whose pixels lie on a grid."""


@dataclass(frozen=True, slots=True)
class TileSet:
    """What was written.

    Attributes
    ----------
    tiles : int
    zooms : tuple of two ints
        The coarsest and the finest level.
    """

    tiles: int
    zooms: tuple[int, int]


def write_mbtiles(path: Path, picture: Picture, *, name: str, description: str, draw: Draw, quality: int) -> TileSet:
    """Write a picture as MBTiles 1.3 with JPEG tiles: one map with all drawn on it, since apps show one at a time.

    The finest level has the pixels nearest in size to the picture's, up to zoom 22; on the coarsest the site is no larger than
    a tile.

    Parameters
    ----------
    path : pathlib.Path
    picture : Picture
    name, description : str
        For its metadata; what is said of the source goes with the description.
    draw : callable
        ``draw(rgb, grid)`` draws the map on each level.
    quality : int
        Of the JPEGs, of 100.

    Returns
    -------
    TileSet
    """
    finest, written = _finest(picture), 0
    rgba, grid, (left, top) = _warped(picture, finest)
    west, south, east, north = _bounds(picture, EARTH)
    coarsest = _coarsest(picture, finest)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA application_id = 0x4d504258")  # as the specification names it
        database.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
        database.execute("CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB)")
        database.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
        for zoom in range(finest, coarsest - 1, -1):
            if zoom < finest:
                rgba, grid, (left, top) = _coarser(rgba, grid, left, top)
            rgb = np.where(rgba[..., 3:] > 0, rgba[..., :3], np.array(MARGIN, np.uint8))
            draw(rgb, grid)
            for row, col, jpeg in _jpegs(rgb, rgba[..., 3] > 0, quality):
                flipped = 2**zoom - 1 - (top + row)  # rows are counted from the south, as in TMS
                database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (zoom, left + col, flipped, jpeg))
                written += 1
        database.executemany(
            "INSERT INTO metadata VALUES (?, ?)",
            {
                "name": name,
                "format": "jpg",
                "bounds": f"{west:.7f},{south:.7f},{east:.7f},{north:.7f}",
                "center": f"{(west + east) / 2:.7f},{(south + north) / 2:.7f},{min(finest, coarsest + 1)}",
                "minzoom": str(coarsest),
                "maxzoom": str(finest),
                "type": "baselayer",
                "version": "1",
                "description": description,
                "attribution": f"mapped with spurgekit{f' on {picture.image}' if picture.image else ''}",
            }.items(),
        )
    return TileSet(written, (coarsest, finest))


def _finest(picture: Picture) -> int:
    """Return the zoom whose pixels are nearest in size to the picture's on the ground."""
    middle = picture.grid.to_world(picture.grid.width / 2, picture.grid.height / 2)
    latitude = points_in(np.array([middle]), picture.grid.crs, EARTH)[0, 1]
    world_px = 2 * HALF_WORLD_M * math.cos(math.radians(latitude)) / picture.grid.gsd_m
    return min(MOST_ZOOM, max(0, round(math.log2(world_px / TILE_PX))))


def _coarsest(picture: Picture, finest: int) -> int:
    """Return the zoom at which the site is no larger than a tile."""
    west, south, east, north = _bounds(picture, WEB_MERCATOR)
    return min(finest, max(0, math.floor(math.log2(2 * HALF_WORLD_M / max(east - west, north - south)))))


def _bounds(picture: Picture, crs: CRS) -> tuple[float, ...]:
    """Return west, south, east and north of a picture in a CRS."""
    outline = points_in(picture.grid.outline(), picture.grid.crs, crs)
    return (*outline.min(axis=0).tolist(), *outline.max(axis=0).tolist())


def _warped(picture: Picture, zoom: int) -> tuple[Pixels, PixelGrid, tuple[int, int]]:
    """Return the picture on whole tiles of a zoom, their grid, and the column and the row of the first, counted from north."""
    pixel = 2 * HALF_WORLD_M / TILE_PX / 2**zoom
    west, south, east, north = _bounds(picture, WEB_MERCATOR)
    side = pixel * TILE_PX
    left, right = math.floor((west + HALF_WORLD_M) / side), math.ceil((east + HALF_WORLD_M) / side)
    top, bottom = math.floor((HALF_WORLD_M - north) / side), math.ceil((HALF_WORLD_M - south) / side)
    corner = Affine(pixel, 0, left * side - HALF_WORLD_M, 0, -pixel, HALF_WORLD_M - top * side)
    grid = PixelGrid((right - left) * TILE_PX, (bottom - top) * TILE_PX, corner, WEB_MERCATOR)
    shrinks = picture.grid.gsd_m < _ground_px(grid)
    warped = np.zeros((4, grid.height, grid.width), np.uint8)
    reproject(
        np.ascontiguousarray(np.moveaxis(picture.rgba, -1, 0)), warped,
        src_transform=picture.grid.transform, src_crs=picture.grid.crs, dst_transform=grid.transform, dst_crs=grid.crs,
        src_alpha=4, dst_alpha=4, tolerance=0.01, resampling=Resampling.average if shrinks else Resampling.bilinear,
    )  # fmt: skip
    rgba = np.ascontiguousarray(np.moveaxis(warped, 0, -1))
    rgba[..., 3] = np.where(rgba[..., 3] > 127, 255, 0)
    return rgba, grid, (left, top)


def _ground_px(grid: PixelGrid) -> float:
    """Return the side of a pixel of Web Mercator on the ground, in metres."""
    y = float(grid.to_world(0, grid.height / 2)[1])
    return float(grid.transform.a) / math.cosh(y / 6_378_137.0)


def _coarser(rgba: Pixels, grid: PixelGrid, left: int, top: int) -> tuple[Pixels, PixelGrid, tuple[int, int]]:
    """Return the next level, on whole tiles of its own."""
    before = (top % 2 * TILE_PX, left % 2 * TILE_PX)
    after = [(-(side + gap)) % (2 * TILE_PX) for side, gap in zip(rgba.shape[:2], before, strict=True)]
    padded = np.pad(rgba, ((before[0], after[0]), (before[1], after[1]), (0, 0)))
    half = halved(padded)
    transform = grid.transform @ Affine.translation(-before[1], -before[0]) @ Affine.scale(2)
    return half, PixelGrid(half.shape[1], half.shape[0], transform, grid.crs), (left // 2, top // 2)


def _jpegs(rgb: Pixels, seen: np.ndarray, quality: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield row, column and JPEG of each tile that shows any ground."""
    for row in range(rgb.shape[0] // TILE_PX):
        for col in range(rgb.shape[1] // TILE_PX):
            part = np.s_[row * TILE_PX : (row + 1) * TILE_PX, col * TILE_PX : (col + 1) * TILE_PX]
            if seen[part].any():
                file = io.BytesIO()
                Image.fromarray(rgb[part]).save(file, "JPEG", quality=quality)
                yield row, col, file.getvalue()
