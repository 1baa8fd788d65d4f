"""What an export takes from a map: its polygons as ``presence.gpkg`` has them now, which people may have edited in QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import rasterio
from pydantic import BaseModel, ConfigDict, Field
from rasterio.errors import RasterioError

from spurgekit.errors import InputError, first_line, known_names
from spurgekit.export.patches import mean_of
from spurgekit.export.recipients import NothingToExportError
from spurgekit.imagery import PixelGrid
from spurgekit.imagery.crs import EARTH, has_place, name_crs, to_pyproj
from spurgekit.maps.polygons import LAYER
from spurgekit.reading import Columns, Line, Numbers, Positive, Texts, known_version, read_described, take_columns
from spurgekit.vectors import brought, read_vector

RASTER, POLYGONS, SUMMARY = "presence.tif", "presence.gpkg", "summary.json"
REMEDY = "make the map again"


class MapSummary(BaseModel):
    """What of a map's ``summary.json`` is needed here."""

    model_config = ConfigDict(frozen=True)

    schema_version: known_version(2)  # type: ignore[valid-type]
    image: Line | None = None
    cell_m: Positive
    occupied: dict[Line, dict[str, Any]] = Field(min_length=1)
    cover: dict[Line, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class MapPolygons:
    """The polygons of a map.

    Attributes
    ----------
    folder : pathlib.Path
        Of the map.
    name : str
        Of the map's folder.
    summary : MapSummary
    grid : PixelGrid
        Its cells.
    rows : geopandas.GeoDataFrame
        All of them, in the CRS of the map.
    classes : tuple of str
        Those that are asked for.
    notes : tuple of str
        What is to be said of where they lie.
    """

    folder: Path
    name: str
    summary: MapSummary
    grid: PixelGrid
    rows: gpd.GeoDataFrame
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def read_map(folder: Path, classes: Sequence[str] = ()) -> MapPolygons:
    """Read the polygons of a map that has a place on Earth.

    Parameters
    ----------
    folder : pathlib.Path
        That :func:`spurgekit.map_site` made.
    classes : sequence of str
        Classes that are asked for; all but the background where none is named.

    Raises
    ------
    NothingToExportError
        If there are no polygons of these classes.
    InputError
        If the folder holds no map, the map has no such class, or nothing says where on Earth it lies.
    """
    for name in (RASTER, POLYGONS, SUMMARY):
        if not (folder / name).is_file():
            what = f"holds no {name}" if folder.is_dir() else "is no folder"
            raise InputError(f"{folder} {what}; name a folder that 'spurgekit map' made")
    summary = read_described(folder / SUMMARY, MapSummary, REMEDY)
    known = tuple(summary.occupied)
    for name in classes:
        if name not in known:
            raise InputError(f"`classes={name}` is no class of {folder} but the background{known_names(name, known)}")
    grid = _grid(folder / RASTER)
    file = folder / POLYGONS
    chosen = tuple(dict.fromkeys(classes)) or known
    nothing = f"{file} has no polygons of {' or '.join(chosen)}: nothing to export"
    if _is_empty(file):
        raise NothingToExportError(nothing)
    read = read_vector(file, grid.crs, usual_layer=LAYER, pixel_m=summary.cell_m)
    mean = mean_of(read.rows)
    columns: Columns = {"class": Texts(), "area_m2": Numbers(above=0, most=1e12), mean: Numbers(least=0, most=1)}
    rows = take_columns(read.rows, columns, file, "correct it in QGIS, or make the map again")
    if not rows.geom_type.isin(["Polygon", "MultiPolygon"]).all():
        raise InputError(f"{file} holds other shapes than polygons; take them out, or make the map again")
    if not rows["class"].isin(chosen).any():
        raise NothingToExportError(nothing)
    remedy = "map the image in another CRS, by `crs`"
    placed = brought(rows[["geometry"]], EARTH, what=str(folder), remedy=remedy, pixel_m=summary.cell_m)
    name, notes = folder.resolve().name, (*read.notes, *placed.notes)
    return MapPolygons(folder, name, summary, grid, rows, chosen, notes)


def _grid(path: Path) -> PixelGrid:
    """Return the cells of a map, which has a place on Earth."""
    try:
        with rasterio.open(path, driver="GTiff") as file:
            grid = PixelGrid(file.width, file.height, file.transform, file.crs)
    except RasterioError as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}); {REMEDY}") from error
    crs = grid.crs
    if not has_place(crs):
        raise InputError(
            f"{path} is in {name_crs(crs)}, which has no place on Earth, so nothing can lead there; "
            "map an image that is georeferenced"
        )
    if to_pyproj(crs).is_geocentric:
        raise InputError(f"{path} is in {name_crs(crs)}, which counts from the earth's centre; map the image in UTM")
    return grid


def _is_empty(path: Path) -> bool:
    """Whether the layer of polygons is there and has none; what else may be wrong with the file its reader says."""
    try:
        return bool(pyogrio.read_info(path, layer=LAYER)["features"] == 0)
    except (RuntimeError, ValueError, OSError):
        return False
