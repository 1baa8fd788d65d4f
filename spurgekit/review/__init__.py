"""Review: a local page on which people verify tiles, and a report of how far they are and how far they agree."""

from spurgekit.review.agreement import Report, format_report, summarise
from spurgekit.review.review_folder import ReviewFolder, ReviewTile, open_folder
from spurgekit.review.serve import ServeOptions, serve_review

__all__ = [
    "Report",
    "ReviewFolder",
    "ReviewTile",
    "ServeOptions",
    "format_report",
    "open_folder",
    "serve_review",
    "summarise",
]
