from .index import read_tiles
from .layouts import Tile, grid_layout, points_layout
from .site_tiling import TiledSite
from .tile_formats import TILE_FORMATS, TileFormat
from .tile_options import PlotOptions, TileOptions
from .tiling import TilesReport, tile_images

__all__ = [
    "TILE_FORMATS",
    "PlotOptions",
    "Tile",
    "TileFormat",
    "TileOptions",
    "TiledSite",
    "TilesReport",
    "grid_layout",
    "points_layout",
    "read_tiles",
    "tile_images",
]
