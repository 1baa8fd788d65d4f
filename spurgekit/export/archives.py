"""ZIP archives of which the same content gives the same bytes, and shapefiles in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import geopandas as gpd
import pyogrio

from spurgekit.errors import InputError
from spurgekit.text import shown
from spurgekit.vectors import FIXED_DATE, writing

LONGEST_TEXT = 254
"""Bytes of a text in a DBF table."""

LONGEST_COLUMN = 10
"""Bytes of the name of a column of one."""

FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP archive can say."""


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write an archive of files by their names in it, without the time of day."""
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = ZipInfo(name, FIRST_DATE)
            info.compress_type, info.external_attr = ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, content)


def write_shapefile(frame: gpd.GeoDataFrame, path: Path, name: str, *, folder: str = "") -> None:
    """Write polygons as a zipped shapefile: ``.shp``, ``.shx``, ``.dbf``, ``.prj`` and ``.cpg`` (UTF-8).

    Parameters
    ----------
    frame : geopandas.GeoDataFrame
        Its columns have names of 10 bytes or fewer.
    path : pathlib.Path
        The archive.
    name : str
        Of the files in it, without suffix.
    folder : str
        That they lie in, in the archive, with a slash at its end.

    Raises
    ------
    InputError
        If a text or the name of a column is longer than a shapefile can hold.
    OSError
        If it cannot be written.
    """
    for column in frame.columns.drop(frame.geometry.name):
        if len(str(column).encode()) > LONGEST_COLUMN:
            raise InputError(f"the column {column} is longer than the {LONGEST_COLUMN} bytes that a shapefile takes")
        for value in frame[column].unique():
            if isinstance(value, str) and len(value.encode()) > LONGEST_TEXT:
                raise InputError(
                    f"the {column} {shown(value)} is longer than the {LONGEST_TEXT} bytes that a shapefile holds; "
                    "give it a shorter name in presence.gpkg and summary.json, or in the dataset"
                )
    with TemporaryDirectory() as work:
        with writing(path):
            pyogrio.write_dataframe(
                frame, Path(work, f"{name}.shp"), driver="ESRI Shapefile", geometry_type="Polygon",
                layer_options={"ENCODING": "UTF-8", "DBF_DATE_LAST_UPDATE": FIXED_DATE[:10]},
            )  # fmt: skip
        files = {f"{folder}{file.name}": file.read_bytes() for file in sorted(Path(work).iterdir())}
    write_zip(path, files)
