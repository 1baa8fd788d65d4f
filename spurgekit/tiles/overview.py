"""``overview.png``: the tiles drawn on their site, to be read at a glance."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import shapely

from spurgekit.imagery.pictures import Colour, SitePicture
from spurgekit.imagery.quicklook import QuickLook

WHOLE: Colour = (255, 225, 77)
PARTIAL: Colour = (255, 127, 14)


def draw_overview(path: Path, look: QuickLook, index: gpd.GeoDataFrame, *, title: str) -> None:
    """Draw the footprints of tiles on a quick look of their site.

    Whole tiles are yellow; tiles that reach outside the imagery are orange.
    """
    picture = SitePicture(look, title)
    corners = shapely.get_coordinates(index.geometry).reshape(len(index), -1, 2)
    whole = index["valid_fraction"].to_numpy() == 1
    for mine, colour, label in ((~whole, PARTIAL, "tiles partly outside the imagery"), (whole, WHOLE, "whole tiles")):
        if mine.any():
            picture.outline(corners[mine], colour)
            picture.legend(colour, f"{mine.sum():,} {label}")
    picture.save(path)
