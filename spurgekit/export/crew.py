"""Files for a crew: patches to go to, for GPS, phones, GIS and spreadsheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio

from spurgekit.export.archives import write_shapefile
from spurgekit.export.export_options import ExportOptions
from spurgekit.export.kml import DECIMALS, Placemark, kml_of, write_kmz
from spurgekit.export.patches import Patches
from spurgekit.export.reviewed import COLUMNS as FILLED_IN
from spurgekit.imagery.crs import EARTH
from spurgekit.tables import csv_of
from spurgekit.vector_formats import VECTOR_FORMATS
from spurgekit.vectors import writing

NAME = "patches"
SYMBOL = "Flag, Red"
"""As Garmin's devices call it."""

COLUMNS = ("name", "class", "area_m2", "gross_m2", "mean_probability", "longitude", "latitude", *FILLED_IN)
"""Of the table; the shapefile cuts those of more than 10 letters off."""


def write_for_crew(folder: Path, name: str, patches: Patches, options: ExportOptions) -> dict[str, Any]:  # noqa: ARG001
    """Write ``patches.gpx``, ``.kml``, ``.kmz``, ``.geojson``, ``.zip`` (a shapefile) and ``.csv``, in WGS 84.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
        Of the map.
    patches : Patches
    options : ExportOptions

    Returns
    -------
    dict
        Nothing to add to the summary.
    """
    placed = patches.to_crs(EARTH.to_wkt())
    rows, points = placed.rows, placed.centres
    described = [
        f"{kind}: {area:,.1f} m2 mapped on {gross:,.1f} m2 of ground, {patches.mean.replace('_', ' ')} {mean:.2f}"
        for kind, area, gross, mean in rows[["class", "area_m2", "gross_m2", patches.mean]].itertuples(index=False)
    ]
    waypoints = gpd.GeoDataFrame({"name": rows["name"], "desc": described, "sym": SYMBOL}, geometry=points)
    VECTOR_FORMATS[".gpx"].write(waypoints, folder / f"{NAME}.gpx", NAME)
    marks = [Placemark(*one) for one in zip(rows["name"], described, rows.geometry, strict=True)]
    kml = kml_of(f"{name}: {' and '.join(dict.fromkeys(rows['class']))}", marks)
    (folder / f"{NAME}.kml").write_bytes(kml)
    write_kmz(folder / f"{NAME}.kmz", kml)
    table = pd.DataFrame(rows.drop(columns="geometry")).assign(
        longitude=points.x.round(DECIMALS), latitude=points.y.round(DECIMALS), **dict.fromkeys(FILLED_IN, "")
    )
    shapes = gpd.GeoDataFrame(table, geometry=rows.geometry)
    with writing(f"{NAME}.geojson"):
        # RFC 7946 has longitude and latitude of 7 decimals, outer rings counter-clockwise, and no CRS.
        pyogrio.write_dataframe(shapes, folder / f"{NAME}.geojson", driver="GeoJSON", layer=NAME, RFC7946="YES")
    short = {column: column[:10].rstrip("_") if column != "mean_probability" else "mean_prob" for column in table}
    write_shapefile(shapes.rename(columns=short), folder / f"{NAME}.zip", NAME)
    (folder / f"{NAME}.csv").write_text(csv_of(table, f"the list of {NAME}"), encoding="utf-8", newline="\n")
    return {}
