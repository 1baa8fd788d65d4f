"""Maps: a classifier slid over a whole site, as a COG, polygons and areas."""

from spurgekit.maps.areas import ClassArea, class_areas
from spurgekit.maps.make import MapOptions, MapReport, make_map
from spurgekit.maps.slide import Sliding, slide

__all__ = ["ClassArea", "MapOptions", "MapReport", "Sliding", "class_areas", "make_map", "slide"]
