"""Points and polygons from whatever file the field team has: GeoPackage, GeoJSON, Shapefile, CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyarrow.lib import ArrowException
from pyproj.exceptions import CRSError, ProjError
from rasterio.crs import CRS
from shapely.errors import ShapelyError

from spurgekit.errors import InputError, first_line
from spurgekit.imagery import name_crs, parse_crs
from spurgekit.imagery.crs import doubtful_shift, has_place, misplaced, to_pyproj
from spurgekit.tables import Table, degrees, metres, read_table
from spurgekit.text import counted

DEGREE_COLUMNS = (("longitude", "latitude"), ("lon", "lat"), ("long", "lat"), ("lng", "lat"))
FIXED_DATE = "2000-01-01T00:00:00.000Z"
MAP_COLUMNS = (
    ("easting", "northing"),
    ("x", "y"),
    ("e", "n"),
    ("east", "north"),
    ("utm_e", "utm_n"),
    ("utm_x", "utm_y"),
    ("utm_easting", "utm_northing"),
    ("point_x", "point_y"),
    ("x_coord", "y_coord"),
    ("xcoord", "ycoord"),
    ("coord_x", "coord_y"),
    ("rechtswert", "hochwert"),
    ("ostwert", "nordwert"),
    ("ost", "nord"),
)
"""How people and programs call columns of coordinates; see :func:`coordinate_columns`."""

_UNIT = re.compile(r"\s*[(\[][^)\]]*[)\]]$")
TABLES = (".csv", ".tsv", ".txt")
WORKBOOKS = (".xlsx", ".xls", ".ods")
GEOPARQUET = (".parquet", ".geoparquet")

DAMAGED = (RuntimeError, ValueError, OSError, ShapelyError, ArrowException, LookupError, TypeError, AttributeError, NameError)
"""What pyogrio, GEOS, PROJ, Arrow and geopandas raise over files that are not what they seem."""


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Rows that have a place, and what is to be said of where they are from.

    Attributes
    ----------
    rows : geopandas.GeoDataFrame
    notes : tuple of str
        What was assumed of the file, and what is left out.
    crs : pyproj.CRS or None
        The CRS that the file has them in, in whose unit its heights are, too.
    """

    rows: gpd.GeoDataFrame
    notes: tuple[str, ...] = ()
    crs: pyproj.CRS | None = None


def read_vector(
    path: Path,
    crs: CRS,
    *,
    declared_crs: str | None = None,
    usual_layer: str | None = None,
    pixel_m: float = 0.0,
) -> Shapes:
    """Read a vector file or a table with coordinates, and bring it into a CRS.

    Parameters
    ----------
    path : pathlib.Path
        Anything that OGR reads, or GeoParquet; of a file with several layers, ``FILE|layername=NAME`` names one, as QGIS writes
        it. A CSV needs columns longitude and latitude (taken as WGS 84), or easting and northing (with ``declared_crs``).
    crs : rasterio.crs.CRS
        The CRS to return.
    declared_crs : str, optional
        The CRS of the coordinates in the file, where the file does not say it or says it wrongly.
    usual_layer : str, optional
        The layer that is meant where a file has several and none is named.
    pixel_m : float
        How well places are to be known, in metres; what is worse is said.

    Returns
    -------
    Shapes
        The file's rows in its order, without those that have no place, which are counted; a MultiPoint of one point is a point.

    Raises
    ------
    InputError
        If the file cannot be read, is empty, has no CRS, has MultiPoints of several points, or has coordinates that its CRS
        cannot have.
    """
    file, layer = split_layer(path)
    if not file.exists():
        raise InputError(f"{file}: no such file")
    suffix = file.suffix.lower()
    if suffix in TABLES:
        found = _read_places(file, declared_crs, is_local=not has_place(crs))
    else:
        found = Shapes(_read_geoparquet(file) if suffix in GEOPARQUET else _read_layer(file, layer, usual_layer))
    frame, notes = found.rows, found.notes
    if declared_crs:
        frame = frame.set_crs(parse_crs(declared_crs).to_wkt(), allow_override=True)
    if frame.crs is None and has_place(crs):
        raise InputError(f"{file} does not say its CRS; pass `declared_crs`, e.g. `declared_crs=EPSG:4326`")
    nowhere = ~_are_placed(frame)
    if nowhere.all():
        raise InputError(f"{file} holds no geometries")
    if nowhere.any():
        rows = counted(int(nowhere.sum()), "row")
        notes = (*notes, f"{rows} of {file.name} without a place left out, the first of them row {int(nowhere.argmax()) + 1}")
    frame = _single_points(frame[~nowhere], file).reset_index(drop=True)
    if has_place(frame.crs):
        _check_places(file, frame)
    is_nowhere = has_place(frame.crs) and not has_place(crs)
    remedy = "georeference the image first, e.g. by `gcp`" if is_nowhere else "pass `declared_crs`, the CRS of its coordinates"
    placed = brought(frame, crs, what=str(file), remedy=remedy, pixel_m=pixel_m)
    return Shapes(placed.rows, (*notes, *placed.notes), frame.crs)


def read_attributes(path: Path, *, usual_layer: str | None = None) -> Table:
    """Read a table, or what a vector file says of its shapes.

    Parameters
    ----------
    path : pathlib.Path
        A table of text, or anything that OGR reads.
    usual_layer : str, optional
        The layer that is meant where a file has several and none is named.

    Raises
    ------
    InputError
        If it is missing or neither.
    """
    file, layer = split_layer(path)
    if file.suffix.lower() in (*TABLES, *WORKBOOKS) or not file.is_file():
        return read_table(file)  # which says what to do about a workbook
    frame = _read_layer(file, layer, usual_layer)
    return Table(pd.DataFrame(frame.drop(columns=frame.geometry.name)))


def brought(frame: gpd.GeoDataFrame, crs: CRS, *, what: str, remedy: str, pixel_m: float = 0.0) -> Shapes:
    """Return rows in another CRS, and what is to be said of how well they are known there.

    Where neither CRS has a place on Earth, as those of drawings and of photos have none, coordinates are taken for the same.

    Parameters
    ----------
    frame : geopandas.GeoDataFrame
    crs : rasterio.crs.CRS
    what : str
        What the rows are, for messages.
    remedy : str
        What to do where they cannot be brought there, for messages.
    pixel_m : float
        How well places are to be known, in metres; what is worse is said.

    Raises
    ------
    InputError
        If one of the two CRSs has no place on Earth and the other has, or a row cannot be brought there.
    """
    target = to_pyproj(crs)
    if frame.crs is not None and frame.crs.equals(target):
        return Shapes(frame)
    mine, theirs = name_crs(frame.crs), name_crs(target)
    here, there = has_place(frame.crs), has_place(crs)
    if not here and not there:
        moved = frame.set_crs(target, allow_override=True)
        note = f"{what} is in {mine}: taken for coordinates in {theirs}, which has no place on Earth either"
        return Shapes(moved, () if mine == theirs else (note,))
    if here != there:
        nowhere, other = (theirs, mine) if here else (mine, theirs)
        raise InputError(f"{what}: {nowhere} has no place on Earth, so nothing says where it lies in {other}; {remedy}")
    try:
        moved = frame.to_crs(target)
    except (ProjError, CRSError) as error:
        raise InputError(f"{what} is in {mine} and cannot be brought into {theirs}; {remedy}") from error
    if not np.isfinite(moved.total_bounds).all():
        raise InputError(f"{what} has coordinates that cannot be brought into {theirs}; {remedy}")
    shift = doubtful_shift(frame.crs, crs, *median_place(frame), pixel_m=pixel_m)
    return Shapes(moved, (f"{what}: {shift}",) if shift else ())


def split_layer(path: Path) -> tuple[Path, str | None]:
    """Return the file and the layer that ``FILE|layername=NAME`` names; the layer is None where it names a file alone."""
    name, _, layer = str(path).partition("|layername=")
    return Path(name), layer or None


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Raise an OSError that names the file where pyogrio cannot write it."""
    try:
        yield
    except RuntimeError as error:  # what pyogrio's own errors are
        raise OSError(f"{path} cannot be written: {error}") from error


def write_geopackage(
    frame: gpd.GeoDataFrame, path: Path, *, layer: str, geometry_type: str | None = None, add: bool = False
) -> None:
    """Write a layer of a GeoPackage; the same rows give the same bytes.

    Parameters
    ----------
    frame : geopandas.GeoDataFrame
    path : pathlib.Path
        A file that is there is replaced.
    layer : str
    geometry_type : str, optional
        What its geometries are, for a layer that may be empty.
    add : bool
        Add the layer to the file that is there instead.

    Raises
    ------
    OSError
        If it cannot be written, on a full disk for one.
    """
    # A GeoPackage records when it was written, unless GDAL is told a date.
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_DATE})
    try:
        if not add:
            path.unlink(missing_ok=True)
        with writing(path):
            frame.to_file(path, layer=layer, driver="GPKG", engine="pyogrio", geometry_type=geometry_type)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _read_layer(file: Path, layer: str | None, usual: str | None) -> gpd.GeoDataFrame:
    with _intact(file, "a vector file"):
        layers = [str(row[0]) for row in pyogrio.list_layers(file) if row[1] is not None]
    if layer is None and usual in layers:
        layer = usual
    if layer is None and len(layers) > 1:
        raise InputError(f"{file} has several layers ({', '.join(layers)}); name one as '{file.name}|layername={layers[0]}'")
    if layer is not None and layer not in layers:
        raise InputError(f"{file} has no layer {layer!r} with geometries; it has {', '.join(layers) or 'none'}")
    with _intact(file, "a vector file"):
        frame = gpd.read_file(file, layer=layer or next(iter(layers), None))
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError(f"{file} has no geometries; pass a file of points or polygons")
    return frame


def _read_geoparquet(file: Path) -> gpd.GeoDataFrame:
    with _intact(file, "GeoParquet"):
        return gpd.read_parquet(file)


@contextmanager
def _intact(file: Path, what: str) -> Iterator[None]:
    """Say in one line that a file is not what it seems to be."""
    try:
        yield
    except DAMAGED as error:
        raise InputError(f"{file} is not {what} that can be read: {first_line(error)}") from error


def _read_places(file: Path, declared_crs: str | None, *, is_local: bool) -> Shapes:
    table = read_table(file)
    rows = table.rows
    in_degrees, on_map = (coordinate_columns(rows.columns, pairs) for pairs in (DEGREE_COLUMNS, MAP_COLUMNS))
    pairs = [*on_map, *in_degrees] if declared_crs or is_local else in_degrees
    if not pairs:
        names = " and ".join(on_map[0] if on_map else MAP_COLUMNS[0])
        hint = f"pass `declared_crs` for its {names}" if on_map else f"name them so, or {names} with `declared_crs`"
        raise InputError(f"{file} has no columns longitude and latitude ({', '.join(map(str, rows.columns))}); {hint}")
    pair, notes = pairs[0], table.notes
    if pair in on_map[:1] and len(on_map) > 1:
        notes = (*notes, f"places of {file.name} are read from {' and '.join(pair)}, not from {' and '.join(on_map[1])}")
    x, y = coordinates(rows, pair, file, in_degrees=pair in in_degrees)
    crs = parse_crs(declared_crs or "EPSG:4326").to_wkt() if declared_crs or pair in in_degrees else None
    return Shapes(gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(x, y), crs=crs), notes)


def coordinate_columns(columns: Iterable[object], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs of columns that are called like pairs of coordinates, whatever their case, gaps and units in brackets.

    >>> coordinate_columns(["id", "POINT_X", "point y", "E [m]", "N [m]"], MAP_COLUMNS)
    [('E [m]', 'N [m]'), ('POINT_X', 'point y')]
    """
    names = {re.sub(r"[\s.-]+", "_", _UNIT.sub("", str(name).strip().lower())): str(name) for name in columns}
    return [(names[x], names[y]) for x, y in pairs if x in names and y in names]


def coordinates(table: pd.DataFrame, pair: Sequence[str], file: Path, *, in_degrees: bool) -> tuple[pd.Series, pd.Series]:
    """Return the numbers in two columns of coordinates, x and y, NaN where a row has none.

    Raises
    ------
    InputError
        If one is no number, or no angle where they are degrees.
    """
    x, y = (f"{file}: {name}" for name in pair)
    if in_degrees:
        return degrees(table[pair[0]], "longitude", x), degrees(table[pair[1]], "latitude", y)
    return metres(table[pair[0]], x), metres(table[pair[1]], y)


def _are_placed(frame: gpd.GeoDataFrame) -> NDArray[np.bool_]:
    """Return which rows have a geometry that is not empty and all of whose coordinates are numbers."""
    places, row = shapely.get_coordinates(frame.geometry.to_numpy(), return_index=True)
    rows = np.arange(len(frame))
    return np.isin(rows, row) & ~np.isin(rows, row[~np.isfinite(places).all(axis=1)])


def _single_points(frame: gpd.GeoDataFrame, file: Path) -> gpd.GeoDataFrame:
    """Return a table with a point for each MultiPoint of one, as many a GIS stores points."""
    shapes = frame.geometry.to_numpy()
    multi = np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.MULTIPOINT)
    several = multi[shapely.get_num_geometries(shapes[multi]) > 1]
    if len(several):
        raise InputError(
            f"{file} holds {counted(len(several), 'MultiPoint')} of several points, the first of them in row "
            f"{frame.index[several[0]] + 1}; part them ('Multipart to singleparts' in QGIS)"
        )
    shapes = shapes.copy()
    shapes[multi] = shapely.get_geometry(shapes[multi], 0)
    return frame.set_geometry(gpd.GeoSeries(shapes, frame.index, crs=frame.crs))


def median_place(frame: gpd.GeoDataFrame | gpd.GeoSeries) -> tuple[float, float]:
    """Return the median of the middles of rows: one slip of the pen among many is not where they lie."""
    bounds = frame.bounds
    return float((bounds["minx"] + bounds["maxx"]).median() / 2), float((bounds["miny"] + bounds["maxy"]).median() / 2)


def _check_places(file: Path, frame: gpd.GeoDataFrame) -> None:
    """Refuse coordinates that are hardly meant in the CRS that they are said to be in."""
    if not frame.crs.is_geographic:
        x, y = median_place(frame)
        if (where := misplaced(frame.crs, x, y)) is not None:
            raise InputError(
                f"{file} would be in {name_crs(frame.crs)}, but its coordinates, about ({x:.10g}, {y:.10g}), lie {where}; "
                "pass `declared_crs`, the CRS that they are in"
            )
        return
    west, south, east, north = frame.total_bounds
    if west < -360 or east > 360 or south < -90 or north > 90:
        swapped = west >= -90 and east <= 90 and south >= -360 and north <= 360
        hint = "are longitude and latitude swapped?" if swapped else "pass `declared_crs`, the CRS that they are in"
        raise InputError(
            f"{file} declares degrees but reaches from ({west:.5g}, {south:.5g}) to ({east:.5g}, {north:.5g}); {hint}"
        )
