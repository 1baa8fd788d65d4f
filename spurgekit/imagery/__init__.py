"""Images on the ground: grids of pixels, and one reader for orthomosaics and frames."""

from spurgekit.imagery.crs import name_crs, parse_crs
from spurgekit.imagery.pixel_grid import PixelGrid, Window
from spurgekit.imagery.raster import Raster, open_raster, slug

__all__ = ["PixelGrid", "Raster", "Window", "name_crs", "open_raster", "parse_crs", "slug"]
