"""Tiles: squares of an image, cut, encoded and indexed with the ground that they cover."""

from spurgekit.tiles.index import read_index
from spurgekit.tiles.make import TiledSite, TilesReport, make_tiles
from spurgekit.tiles.options import PlotOptions, TileOptions
from spurgekit.tiles.tile import Tile, grid_layout, points_layout

__all__ = [
    "PlotOptions",
    "Tile",
    "TileOptions",
    "TiledSite",
    "TilesReport",
    "grid_layout",
    "make_tiles",
    "points_layout",
    "read_index",
]
