"""Tiles: squares of an image, cut, encoded and indexed with the ground that they cover."""

from spurgekit.tiles.grid_layout import Tile, grid_layout, points_layout
from spurgekit.tiles.index import read_index
from spurgekit.tiles.tile_options import PlotOptions, TileOptions
from spurgekit.tiles.tiling import TiledSite, TilesReport, make_tiles

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
