from .agreement import ReviewReport, format_report, summarise
from .review_folder import ReviewFolder, ReviewTile, open_folder
from .review_options import ReviewOptions
from .serve import review_report, review_tiles

__all__ = [
    "ReviewFolder",
    "ReviewOptions",
    "ReviewReport",
    "ReviewTile",
    "format_report",
    "open_folder",
    "review_report",
    "review_tiles",
    "summarise",
]
