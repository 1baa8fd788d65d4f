from .crs import name_crs, parse_crs
from .image_info import ImageInfo, format_info, read_image_info
from .mosaic import Mosaic, PixelSource, as_one, open_images
from .pixel_grid import PixelGrid, Window
from .raster import Raster, open_raster, open_tile_image, slug

__all__ = [
    "ImageInfo",
    "Mosaic",
    "PixelGrid",
    "PixelSource",
    "Raster",
    "Window",
    "as_one",
    "format_info",
    "name_crs",
    "open_images",
    "open_raster",
    "open_tile_image",
    "parse_crs",
    "read_image_info",
    "slug",
]
