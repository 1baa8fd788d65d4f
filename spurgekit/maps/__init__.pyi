from .areas import AreaEstimate
from .bands import BANDS, BandLayout, MapBand
from .map_model import load_map_model
from .map_options import MapOptions
from .mapping import MapReport, map_site, sites_to_map
from .sliding_window import Cells, Sliding, slide
from .zones import ZoneAreas

__all__ = [
    "BANDS",
    "AreaEstimate",
    "BandLayout",
    "Cells",
    "MapBand",
    "MapOptions",
    "MapReport",
    "Sliding",
    "ZoneAreas",
    "load_map_model",
    "map_site",
    "sites_to_map",
    "slide",
]
