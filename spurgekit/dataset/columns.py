"""Columns of tiles that say where they are from."""

from __future__ import annotations

SITE = "site"

WITHIN_SITE = ("cluster", "plot", "group")
"""Columns that say which tiles of a survey lie together, the finest first; what they say means something within it alone."""

PLACES = (*WITHIN_SITE, SITE)
"""Columns that say a place, the finest first."""

CENTRES = ("longitude", "latitude", "easting", "northing")
"""Columns that say where the middle of a tile lies."""
