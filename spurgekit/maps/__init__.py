"""Maps: a classifier slid over a whole site, as a COG, polygons and areas."""

from spurgekit.maps.make import MapOptions, MapReport, make_map
from spurgekit.maps.slide import Cells, Sliding, slide

__all__ = ["Cells", "MapOptions", "MapReport", "Sliding", "make_map", "slide"]
