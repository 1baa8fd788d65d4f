"""Maps: a classifier slid over a whole site, as a COG, polygons and areas."""

from spurgekit.maps.mapping import MapOptions, MapReport, make_map
from spurgekit.maps.sliding_window import Cells, Sliding, slide

__all__ = ["Cells", "MapOptions", "MapReport", "Sliding", "make_map", "slide"]
