from .areas import ClassArea
from .bands import BANDS, BandLayout, MapBand
from .map_options import MapOptions
from .mapping import MapReport, map_site
from .sliding_window import Cells, Sliding, slide

__all__ = [
    "BANDS",
    "BandLayout",
    "Cells",
    "ClassArea",
    "MapBand",
    "MapOptions",
    "MapReport",
    "Sliding",
    "map_site",
    "slide",
]
