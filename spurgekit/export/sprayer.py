"""Files for a sprayer: a prescription map of few zones with one rate, and the boundary that they lie in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from spurgekit.errors import InputError
from spurgekit.export.archives import write_shapefile
from spurgekit.export.export_options import ExportOptions
from spurgekit.export.kml import Placemark, kml_of
from spurgekit.export.linking import nearest_links
from spurgekit.export.patches import DECIMALS, Patches, measured
from spurgekit.imagery.crs import EARTH

PRESCRIPTION, BOUNDARY = "prescription", "boundary.kml"
RATE = "Rate"
FOLDER = "Rx/"
"""Where displays of John Deere look for prescriptions."""

M2_PER_HA = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Ground to spray.

    Attributes
    ----------
    shapes : geopandas.GeoSeries
        A polygon for each zone, none of which share ground, in the CRS of the patches.
    treated_m2 : float
        Their area.
    joining_m2 : float
        The part of it that only joins zones.
    """

    shapes: gpd.GeoSeries
    treated_m2: float
    joining_m2: float


def spray_zones(patches: Patches, swath_m: float, most: int) -> Zones:
    """Return the zones to spray for some patches.

    Cells are widened by half of the swath on each side, so that a pass along the edge of a cell covers what its other half
    sprays. What overlaps then is one zone. While there are more zones than a display takes, the two nearest are joined by a
    strip as wide as the swath along the shortest line between them.

    Parameters
    ----------
    patches : Patches
    swath_m : float
        Width of the swath, in metres.
    most : int
        Zones that there may be.

    Returns
    -------
    Zones
        Largest first.
    """
    on_ground, unit_m = measured(patches.cells)
    half = swath_m / unit_m / 2
    apart = shapely.get_parts(shapely.union_all(shapely.buffer(on_ground.to_numpy(), half)))
    strips = shapely.buffer(nearest_links(apart, most, reach=2 * half), half)
    zones = shapely.get_parts(shapely.union_all([*apart, *strips])) if len(strips) else apart
    zones = zones[np.argsort(-shapely.area(zones).round(DECIMALS), kind="stable")]
    own_m2, treated_m2 = (float(shapely.area(shapes).sum()) * unit_m**2 for shapes in (apart, zones))
    placed = gpd.GeoSeries(zones, crs=on_ground.crs)
    return Zones(
        placed if placed.crs == patches.cells.crs else placed.to_crs(patches.cells.crs), treated_m2, treated_m2 - own_m2
    )


def write_for_sprayer(folder: Path, name: str, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    """Write ``prescription.zip``, a shapefile with the rate of each zone, and ``boundary.kml``, in WGS 84.

    The boundary is the convex hull of all zones.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
        Of the map, which the boundary has, too.
    patches : Patches
    options : ExportOptions
        With a swath and a rate.

    Returns
    -------
    dict
        For the summary: what is treated, and with how much.
    """
    assert options.swath_m is not None and options.rate_l_ha is not None  # else the options would have refused
    zones = spray_zones(patches, options.swath_m, options.zones)
    placed = zones.shapes.to_crs(EARTH.to_wkt())
    if not np.isfinite(placed.total_bounds).all():
        raise InputError(f"zones of {name} reach beyond where its CRS has places on Earth; pass a smaller `swath_m`")
    rates = gpd.GeoDataFrame({RATE: np.full(len(placed), options.rate_l_ha)}, geometry=placed)
    write_shapefile(rates, folder / f"{PRESCRIPTION}.zip", PRESCRIPTION, folder=FOLDER if options.rx_folder else "")
    hull = gpd.GeoSeries([zones.shapes.union_all().convex_hull], crs=zones.shapes.crs).to_crs(placed.crs).iloc[0]
    (folder / BOUNDARY).write_bytes(kml_of(name, [Placemark(name, "", hull)]))
    hectares = zones.treated_m2 / M2_PER_HA
    return {
        "swath_m": options.swath_m,
        "rate_l_ha": options.rate_l_ha,
        "zones": len(placed),
        "treated_m2": round(zones.treated_m2, DECIMALS),
        "treated_ha": round(hectares, 6),
        "joining_m2": round(zones.joining_m2, DECIMALS),
        "litres": round(hectares * options.rate_l_ha, DECIMALS),
    }
