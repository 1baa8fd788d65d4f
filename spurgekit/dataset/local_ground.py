"""Ground without a place on Earth: what of it lies where beside other ground.

Photos that have no place all lie at the origin of one CRS, each along its own sides: they are laid side by side. A local CRS
of a site, as surveyors and mosaics have it, is another matter: what is in one of the same name is in common coordinates, so
that tiles that touch there do so on the ground.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import geopandas as gpd
from shapely.affinity import translate

from spurgekit.dataset.columns import SITE
from spurgekit.imagery import name_crs, parse_crs
from spurgekit.imagery.crs import has_place
from spurgekit.imagery.nadir_frame import LOCAL_CRS

PHOTO = name_crs(parse_crs(LOCAL_CRS))
"""Name of the CRS of photos that have no place."""

SET_APART = 1000.0
"""Ground is laid whole multiples of this apart, in the unit of its CRS."""

LocalGround = tuple[int | str, str]
"""What has coordinates of its own: a source and a site of it that is one photo, or the name of a CRS."""


def set_apart(sources: Sequence[Sequence[gpd.GeoDataFrame]]) -> dict[LocalGround, float]:
    """Return by how much ground without a place on Earth is to be moved so that none lies on other, in the unit of its CRS.

    Parameters
    ----------
    sources : sequence of sequences of geopandas.GeoDataFrame
        The tables of tiles of each source; those in a CRS with a place on Earth stay where they are.
    """
    tables = [
        (number, table)
        for number, of_source in enumerate(sources)
        for table in of_source
        if table.crs is not None and not has_place(table.crs)
    ]
    grounds = dict.fromkeys(ground for number, table in tables for ground in _grounds(table, number))
    if len(grounds) < 2:
        return {}
    widest = max(table.total_bounds[2] - table.total_bounds[0] for _, table in tables)
    step = SET_APART * math.ceil(widest / SET_APART + 1)
    return {key: count * step for count, key in enumerate(grounds)}


def _grounds(table: gpd.GeoDataFrame, number: int) -> list[LocalGround]:
    """Return the ground that each tile of a source in a local CRS lies on."""
    name = name_crs(table.crs)  # PROJ takes local CRSs for equal whatever they are called
    return [(number, site) for site in sites_of(table)] if name == PHOTO else [(name, "")] * len(table)


def moved(frame: gpd.GeoDataFrame, offsets: Mapping[LocalGround, float], number: int) -> gpd.GeoDataFrame:
    """Return tiles of a source where :func:`set_apart` has them."""
    if not offsets or frame.crs is None or has_place(frame.crs):
        return frame
    east = [offsets[ground] for ground in _grounds(frame, number)]
    return frame.set_geometry([translate(shape, by) for shape, by in zip(frame.geometry, east, strict=True)], crs=frame.crs)


def sites_of(frame: gpd.GeoDataFrame) -> list[str]:
    """Return the site of each tile, as text."""
    return frame[SITE].astype(str).tolist() if SITE in frame else [""] * len(frame)
