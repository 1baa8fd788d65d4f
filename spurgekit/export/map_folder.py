"""What an export takes from a map: its polygons as ``presence.gpkg`` has them now, which people may have edited in QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pyogrio

from spurgekit.errors import InputError, known_names
from spurgekit.export.patches import mean_of
from spurgekit.export.recipients import NothingToExportError
from spurgekit.imagery import PixelGrid
from spurgekit.imagery.crs import EARTH, has_place, name_crs, to_pyproj
from spurgekit.maps.map_folder import POLYGONS, RASTER, REMEDY, SUMMARY, MapSummary, check_map
from spurgekit.maps.mapped_cells import open_map
from spurgekit.maps.polygons import COLUMNS, LAYER
from spurgekit.reading import Columns, Numbers, Texts, read_described, take_columns
from spurgekit.vectors import brought, read_vector


@dataclass(frozen=True, slots=True, eq=False)
class MapPolygons:
    """The polygons of a map.

    Attributes
    ----------
    folder : pathlib.Path
        Of the map.
    name : str
        Of its folder.
    summary : MapSummary
    grid : PixelGrid
        Of its cells.
    rows : geopandas.GeoDataFrame
        All of them, in the CRS of the map.
    known : tuple of str
        All classes of the map but the background.
    classes : tuple of str
        Those of them that are asked for.
    background : str or None
        Name of the background; None where the map does not say it, as one of cover does not.
    notes : tuple of str
        What is to be said of where they lie.
    """

    folder: Path
    name: str
    summary: MapSummary
    grid: PixelGrid
    rows: gpd.GeoDataFrame
    known: tuple[str, ...]
    classes: tuple[str, ...]
    background: str | None
    notes: tuple[str, ...]


def read_map(folder: Path, classes: Sequence[str] = (), *, may_be_bare: bool = False) -> MapPolygons:
    """Read the polygons of a map that has a place on Earth.

    Parameters
    ----------
    folder : pathlib.Path
        That :func:`spurgekit.map_site` made.
    classes : sequence of str
        Classes that are asked for; all but the background where none is named.
    may_be_bare : bool
        Whether a map without polygons of these classes will do.

    Raises
    ------
    NothingToExportError
        If there are no polygons of these classes, and there have to be.
    InputError
        If the folder holds no map, the map has no such class, or nothing says where on Earth it lies.
    """
    check_map(folder)
    summary = read_described(folder / SUMMARY, MapSummary, REMEDY)
    known = tuple(summary.occupied)
    for name in classes:
        if name not in known:
            raise InputError(f"`classes={name}` is no class of {folder} but the background{known_names(name, known)}")
    grid, background = _grid(folder / RASTER, known)
    file, name = folder / POLYGONS, folder.resolve().name
    chosen = tuple(dict.fromkeys(classes)) or known
    nothing = f"{file} has no polygons of {' or '.join(chosen)}: nothing to export"
    if _is_empty(file):
        if not may_be_bare:
            raise NothingToExportError(nothing)
        bare = gpd.GeoDataFrame({name: [] for name in COLUMNS}, geometry=[], crs=to_pyproj(grid.crs))
        return MapPolygons(folder, name, summary, grid, bare, known, chosen, background, ())
    read = read_vector(file, grid.crs, usual_layer=LAYER, pixel_m=summary.cell_m)
    mean = mean_of(read.rows)
    columns: Columns = {"class": Texts(), "area_m2": Numbers(above=0, most=1e12), mean: Numbers(least=0, most=1)}
    rows = take_columns(read.rows, columns, file, "correct it in QGIS, or make the map again")
    if not rows.geom_type.isin(["Polygon", "MultiPolygon"]).all():
        raise InputError(f"{file} holds other shapes than polygons; take them out, or make the map again")
    if not rows["class"].isin(chosen).any() and not may_be_bare:
        raise NothingToExportError(nothing)
    remedy = "map the image in another CRS, by `crs`"
    placed = brought(rows[["geometry"]], EARTH, what=str(folder), remedy=remedy, pixel_m=summary.cell_m)
    notes = (*read.notes, *placed.notes)
    return MapPolygons(folder, name, summary, grid, rows, known, chosen, background, notes)


def _grid(path: Path, known: Sequence[str]) -> tuple[PixelGrid, str | None]:
    """Return the grid of a map, which has a place on Earth, and its class that is none of those known."""
    with open_map(path) as map_file:
        grid, crs = map_file.grid, map_file.grid.crs
    if crs is None or not has_place(crs):
        raise InputError(
            f"{path} is in {name_crs(crs)}, which has no place on Earth, so nothing can lead there; "
            "map an image that is georeferenced"
        )
    if to_pyproj(crs).is_geocentric:
        raise InputError(f"{path} is in {name_crs(crs)}, which counts from the earth's centre; map the image in UTM")
    return grid, next((name for name in map_file.classes if name not in known), None)


def _is_empty(path: Path) -> bool:
    """Whether the layer of polygons is there and has none; what else may be wrong with the file its reader says."""
    try:
        return bool(pyogrio.read_info(path, layer=LAYER)["features"] == 0)
    except (RuntimeError, ValueError, OSError):
        return False
