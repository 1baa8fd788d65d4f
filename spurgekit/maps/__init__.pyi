from .areas import AreaEstimate
from .bands import BANDS, BandLayout, MapBand
from .map_options import MapOptions
from .mapping import MapReport, map_site
from .sliding_window import Cells, Sliding, slide

__all__ = [
    "BANDS",
    "AreaEstimate",
    "BandLayout",
    "Cells",
    "MapBand",
    "MapOptions",
    "MapReport",
    "Sliding",
    "map_site",
    "slide",
]
