"""Points and polygons from whatever file the field team has: GeoPackage, GeoJSON, Shapefile, CSV."""

from __future__ import annotations

import io
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from pyogrio.errors import DataSourceError
from rasterio.crs import CRS

from spurgekit.errors import InputError
from spurgekit.imagery import name_crs, parse_crs

DEGREE_COLUMNS = (("longitude", "latitude"), ("lon", "lat"), ("long", "lat"), ("lng", "lat"))
FIXED_DATE = "2000-01-01T00:00:00.000Z"
SEPARATORS = (",", ";", "\t", "|")
"""What may part the columns of a table, the first of those that its header has most of."""
MAP_COLUMNS = (("easting", "northing"), ("x", "y"))


def read_vector(
    path: Path,
    crs: CRS,
    *,
    declared_crs: str | None = None,
    usual_layer: str | None = None,
) -> gpd.GeoDataFrame:
    """Read a vector file or a table with coordinates, and bring it into a CRS.

    Parameters
    ----------
    path : pathlib.Path
        Anything that OGR reads; of a file with several layers, ``FILE|layername=NAME`` names one, as QGIS writes it. A CSV
        needs columns longitude and latitude (taken as WGS 84), or easting and northing (with ``declared_crs``).
    crs : rasterio.crs.CRS
        The CRS to return.
    declared_crs : str, optional
        The CRS of the coordinates in the file, where the file does not say it or says it wrongly.
    usual_layer : str, optional
        The layer that is meant where a file has several and none is named.

    Returns
    -------
    geopandas.GeoDataFrame
        Its rows in the file's order, without those that have no geometry.

    Raises
    ------
    InputError
        If the file cannot be read, is empty, has no CRS, or has coordinates that its CRS cannot have.
    """
    file, layer = split_layer(path)
    if not file.exists():
        raise InputError(f"{file}: no such file")
    is_table = file.suffix.lower() in (".csv", ".tsv", ".txt")
    frame = _read_places(file, declared_crs) if is_table else _read_layer(file, layer, usual_layer)
    if declared_crs:
        frame = frame.set_crs(parse_crs(declared_crs).to_wkt(), allow_override=True)
    if frame.crs is None:
        raise InputError(f"{file} does not say its CRS; pass `declared_crs`, e.g. `declared_crs=EPSG:4326`")
    frame = frame[frame.bounds.notna().all(axis=1)].reset_index(drop=True)  # neither missing nor empty nor of NaN
    if frame.empty:
        raise InputError(f"{file} holds no geometries")
    _check_degrees(file, frame)
    target = crs.to_wkt()
    if not frame.crs.equals(target):
        frame = frame.to_crs(target)
    if not np.isfinite(frame.total_bounds).all():
        raise InputError(f"{file} has coordinates that cannot be brought into {name_crs(crs)}; check its CRS")
    return frame


def split_layer(path: Path) -> tuple[Path, str | None]:
    """Return the file and the layer that ``FILE|layername=NAME`` names; the layer is None where it names a file alone."""
    name, _, layer = str(path).partition("|layername=")
    return Path(name), layer or None


def read_table(file: Path) -> pd.DataFrame:
    """Read a table of text: columns parted by commas, semicolons or tabs, under their names.

    Raises
    ------
    InputError
        If it is missing or not such a table.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        with file.open(encoding="utf-8-sig") as text:  # Excel puts a mark first
            header = text.readline()
            separator = max(SEPARATORS, key=header.count)
            return pd.read_csv(io.StringIO(header + text.read()), sep=separator, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise InputError(f"{file} is not a table that can be read: {str(error).splitlines()[0]}") from error


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
        frame.to_file(path, layer=layer, driver="GPKG", engine="pyogrio", geometry_type=geometry_type)
    except RuntimeError as error:  # what pyogrio's own errors are
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _read_layer(file: Path, layer: str | None, usual: str | None) -> gpd.GeoDataFrame:
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(file) if row[1] is not None]
        if layer is None and usual in layers:
            layer = usual
        if layer is None and len(layers) > 1:
            raise InputError(
                f"{file} has several layers ({', '.join(layers)}); name one as '{file.name}|layername={layers[0]}'"
            )
        if layer is not None and layer not in layers:
            raise InputError(f"{file} has no layer {layer!r} with geometries; it has {', '.join(layers) or 'none'}")
        frame = gpd.read_file(file, layer=layer or next(iter(layers), None))
    except DataSourceError as error:
        raise InputError(f"{file} is not a vector file that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError(f"{file} has no geometries; pass a file of points or polygons")
    return frame


def _read_places(file: Path, declared_crs: str | None) -> gpd.GeoDataFrame:
    table = read_table(file)
    columns = {str(name).strip().lower(): name for name in table.columns}
    pairs = (*MAP_COLUMNS, *DEGREE_COLUMNS) if declared_crs else DEGREE_COLUMNS
    pair = next((p for p in pairs if p[0] in columns and p[1] in columns), None)
    if pair is None:
        hint = (
            "pass `declared_crs` for its easting and northing" if any(p[0] in columns for p in MAP_COLUMNS) else "name them so"
        )
        raise InputError(f"{file} has no columns longitude and latitude ({', '.join(map(str, table.columns))}); {hint}")
    try:
        x, y = (pd.to_numeric(table[columns[c]]) for c in pair)
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: columns {pair[0]} and {pair[1]} are not all numbers: {error}") from error
    crs = parse_crs(declared_crs or "EPSG:4326").to_wkt()
    return gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(x, y), crs=crs)


def _check_degrees(file: Path, frame: gpd.GeoDataFrame) -> None:
    if not frame.crs.is_geographic:
        return
    west, south, east, north = frame.total_bounds
    if west < -360 or east > 360 or south < -90 or north > 90:
        swapped = west >= -90 and east <= 90 and south >= -360 and north <= 360
        hint = "are longitude and latitude swapped?" if swapped else "pass `declared_crs`, the CRS that they are in"
        raise InputError(
            f"{file} declares degrees but reaches from ({west:.5g}, {south:.5g}) to ({east:.5g}, {north:.5g}); {hint}"
        )
