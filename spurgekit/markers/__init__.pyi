from .detection import find_markers
from .families import FAMILIES, MarkerFamily, ScoreWeights
from .marker import Marker, MarkerDetector
from .marker_list import MarkersReport, list_markers
from .marker_options import MarkerOptions, MarkerStyle
from .template import Template

__all__ = [
    "FAMILIES",
    "Marker",
    "MarkerDetector",
    "MarkerFamily",
    "MarkerOptions",
    "MarkerStyle",
    "MarkersReport",
    "ScoreWeights",
    "Template",
    "find_markers",
    "list_markers",
]
