"""Formats of vector files, by the suffix of their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spurgekit.registry import Registry

if TYPE_CHECKING:
    import geopandas as gpd


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFormat:
    """A format of tables of shapes.

    Attributes
    ----------
    name : str
        The suffix: ``.gpkg``.
    description : str
        What it is called, and whom it is for.
    write : callable
        ``write(table, path, layer)`` writes a :class:`geopandas.GeoDataFrame` as that layer.
    in_degrees : bool
        Whether it holds places on Earth alone, by longitude and latitude.
    """

    name: str
    description: str
    write: Callable[[gpd.GeoDataFrame, Path, str], None]
    in_degrees: bool = False


def _geopackage(table: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    from spurgekit.vectors import write_geopackage

    write_geopackage(table, path, layer=layer, geometry_type="Point")


def _geojson(table: gpd.GeoDataFrame, path: Path, layer: str) -> None:  # noqa: ARG001 - it has none
    placed = table.to_crs("EPSG:4326") if table.crs is not None else table
    path.write_text(placed.to_json(drop_id=True) + "\n", encoding="utf-8", newline="\n")  # RFC 7946: in degrees


def _csv(table: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    import pandas as pd

    from spurgekit.tables import csv_of

    path.write_text(
        csv_of(pd.DataFrame(table.drop(columns="geometry")), f"the list of {layer}"), encoding="utf-8", newline="\n"
    )


def _gpx(table: gpd.GeoDataFrame, path: Path, layer: str) -> None:  # noqa: ARG001 - it has waypoints alone
    import pyogrio

    from spurgekit.vectors import writing

    names = table.iloc[:, 0].astype(str)
    more = [name for name in ("desc", "sym") if name in table]
    placed = (table.to_crs("EPSG:4326") if table.crs is not None else table)[[*more, table.geometry.name]].assign(name=names)
    with writing(path):
        pyogrio.write_dataframe(placed, path, layer="waypoints", driver="GPX")


def _json(table: gpd.GeoDataFrame, path: Path, layer: str) -> None:  # noqa: ARG001
    import json

    import pandas as pd

    rows = [{k: v for k, v in row.items() if not pd.isna(v)} for row in table.drop(columns="geometry").to_dict("records")]
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8", newline="\n")


VECTOR_FORMATS = Registry(
    "vector format",
    [
        VectorFormat(name=".gpkg", description="GeoPackage, for a GIS", write=_geopackage),
        VectorFormat(name=".geojson", description="GeoJSON, in degrees", write=_geojson, in_degrees=True),
        VectorFormat(name=".gpx", description="waypoints for GPS, by the first column", write=_gpx, in_degrees=True),
        VectorFormat(name=".csv", description="a table without shapes", write=_csv),
        VectorFormat(name=".json", description="rows for a program", write=_json),
    ],
)
"""All formats; yours is one more: ``VECTOR_FORMATS.register(VectorFormat(...))``."""
