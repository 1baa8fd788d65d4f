"""Folders of images that spurgekit did not make: a folder for each class, or a table beside the images, or both.

``metadata.csv``, ``metadata.jsonl`` or ``metadata.parquet`` beside the images (as Hugging Face's imagefolder has them, with a
column ``file_name``) adds columns, a label among them; else the class of an image is the name of its folder. Folders called
train and test on the way to it say its split.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from PIL import Image

from spurgekit.dataset.centre_crop import plan_squares, read_head
from spurgekit.dataset.dataset_options import GROUP
from spurgekit.errors import InputError, first_line
from spurgekit.imagery import parse_crs, slug
from spurgekit.imagery.crs import utm_code
from spurgekit.reading import read_parquet
from spurgekit.tables import Table, read_table, read_text
from spurgekit.text import counted
from spurgekit.tiles.tile_formats import TILE_FORMATS
from spurgekit.vectors import DEGREE_COLUMNS, MAP_COLUMNS, Shapes, coordinate_columns, coordinates

OTHER_SPELLINGS = {"jpg": (".jpeg",), "tif": (".tiff",)}
"""Suffixes of formats of tiles beside their own."""

SPLITS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}

SQUARE = "square_px"
"""The column of an index, if squares are made of images, that holds their side; NaN of images that are one already."""

UPPER_LEFT_FIRST = np.array([(-1, 1), (1, 1), (1, -1), (-1, -1)])
"""Corners of an image with north up, in the order of footprints of tiles."""


def read_imagefolder(
    folder: Path,
    *,
    gsd_m: float | None = None,
    crs: str | None = None,
    group_pattern: str | None = None,
    crop_px: int | None = None,
) -> Shapes:
    """Return an index of the images in a folder, like that of a tiles folder.

    Parameters
    ----------
    folder : pathlib.Path
    gsd_m : float, optional
        What a pixel measures on the ground, in metres. With it and coordinates in the table (easting and northing, or longitude
        and latitude) of an image's centre, images have footprints.
    crs : str, optional
        CRS of easting and northing. Default: the UTM zone of longitude and latitude.
    group_pattern : str, optional
        Regular expression; the column ``group`` is the part of a file's name that it matches (its first parentheses, if it has
        some), such as the flight or the photo that a tile was cut from.
    crop_px : int, optional
        Side of the squares that are made of images that are not squares of one size; see
        :func:`spurgekit.dataset.centre_crop.plan_squares`.

    Returns
    -------
    Shapes
        Columns tile_id, file_name (relative to the folder), label, split (missing where a folder does not say it), size_px,
        gsd_m, square_px (see :data:`SQUARE`), the table's own; the geometry is missing where nothing says where an image lies.

    Raises
    ------
    InputError
        If there are no images, one cannot be read or made a square, or the table does not fit them.
    """
    suffixes = _suffixes()
    files = _files(folder, suffixes)
    if not files and (others := other_images(folder)):
        raise InputError(
            f"{folder} holds {counted(len(others), 'image')} such as {others[0]}, and none of {', '.join(suffixes)}; "
            "make them PNG"
        )
    if not files:
        raise InputError(f"{folder} holds neither {', '.join(suffixes)} images nor tiles.parquet; pass a folder of tiles")
    squares = plan_squares([read_head(folder / path) for path in files], crop_px, is_placed=gsd_m is not None)
    index = pd.DataFrame(
        {
            "tile_id": _ids(files),
            "file_name": [path.as_posix() for path in files],
            "label": [_class_of(path) for path in files],
            "split": [next((SPLITS[part] for part in path.parts[:-1] if part in SPLITS), None) for path in files],
            "size_px": squares.side_px,
            "gsd_m": gsd_m,
        }
    )
    if any(squares.is_made):
        index[SQUARE] = np.where(squares.is_made, float(squares.side_px), np.nan)
    index, notes = _with_table(index, folder)
    if group_pattern is not None:
        index[GROUP] = [_match(group_pattern, path.stem) for path in files]
    return Shapes(_placed(index, folder, gsd_m, crs), (*squares.notes, *notes))


def other_images(folder: Path) -> list[Path]:
    """Return the images in a folder that :func:`read_imagefolder` passes over, of kinds that are no formats of tiles."""
    Image.init()
    return _files(folder, {suffix for suffix, kind in Image.EXTENSION.items() if kind in Image.OPEN} - set(_suffixes()))


def _suffixes() -> list[str]:
    return [suffix for name in TILE_FORMATS for suffix in (f".{name}", *OTHER_SPELLINGS.get(name, ()))]


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files of some suffixes in a folder, relative to it; none that is hidden."""
    inside = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in suffixes]
    return sorted(path for path in inside if not any(part.startswith(".") for part in path.parts))


def _class_of(path: Path) -> str | None:
    parents = [part for part in path.parts[:-1] if part not in SPLITS]
    return parents[-1] if parents else None


def _ids(files: list[Path]) -> list[str]:
    """Return ids: the names of files where they differ, else with the folders before them."""
    names = [slug(path.stem) for path in files]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [
        slug("_".join(path.with_suffix("").parts)) if name in twice else name for path, name in zip(files, names, strict=True)
    ]


def _match(pattern: str, stem: str) -> str:
    try:
        found = re.search(pattern, stem)
    except re.error as error:
        raise InputError(f"`group_pattern={pattern!r}` is no regular expression: {error}") from error
    if found is None:
        raise InputError(f"`group_pattern={pattern!r}` matches nothing in {stem!r}; change it")
    return found[1] if found.re.groups else found[0]


def _with_table(index: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Add the columns of the tables beside the images; return what is to be said of that, too."""
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    for path in sorted(path for path in folder.rglob("metadata.*") if path.suffix in READERS):
        read = READERS[path.suffix](path)
        table = read.rows
        if "file_name" not in table:
            raise InputError(f"{path} has no column file_name, which says which image a row is of; add it")
        inside = path.parent.relative_to(folder)
        table["file_name"] = [(inside / str(name)).as_posix() for name in table["file_name"]]
        tables.append(table)
        notes += read.notes
    if not tables:
        return index, ()
    known = pd.concat(tables, ignore_index=True)
    if (twice := known["file_name"].duplicated()).any():
        raise InputError(f"{folder}: its metadata names {known['file_name'][twice].iloc[0]} twice; take one of them out")
    if absent := sorted(set(known["file_name"]) - set(index["file_name"])):
        raise InputError(
            f"{folder}: its metadata has {counted(len(absent), 'row')} of images that are not there, {absent[0]} for one; "
            "put the images back, or take the rows out"
        )
    own = [SQUARE, *(name for name in index.columns if name not in ("file_name", "label"))]
    if "label" not in known and index["label"].nunique() < 2:  # a folder of all images is no class
        index = index.drop(columns="label")
    joined = index.merge(known.drop(columns=own, errors="ignore"), on="file_name", how="left", suffixes=("_of_folder", ""))
    if "label_of_folder" in joined:
        of_folder = joined["label_of_folder"]
        if len(of_folder.dropna().unique()) > 1 and (count := int((joined["label"].isna() & of_folder.notna()).sum())):
            notes.append(f"{counted(count, 'image')} without a label in the metadata of {folder.name} labelled by folder")
            joined["label"] = joined["label"].where(joined["label"].notna(), of_folder)
    return joined.drop(columns="label_of_folder", errors="ignore"), tuple(notes)


def _read_lines(path: Path) -> Table:
    """Read a table whose rows are lines of JSON."""
    text, notes = read_text(path)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
            json.dumps(rows[-1], ensure_ascii=False).encode()  # halves of characters are none
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number} is not JSON: {first_line(error)}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path} is not a JSON object in each line; write one, with its file_name, for each image")
    return Table(pd.DataFrame(rows), notes)


def _read_parquet(path: Path) -> Table:
    return Table(read_parquet(path, "save it again, or as metadata.csv"))


READERS: Mapping[str, Callable[[Path], Table]] = {".csv": read_table, ".jsonl": _read_lines, ".parquet": _read_parquet}
"""Of the tables, by suffix."""


def _placed(index: pd.DataFrame, folder: Path, gsd_m: float | None, crs: str | None) -> gpd.GeoDataFrame:
    """Return the index with footprints, where there are coordinates and a ground sample distance."""
    degrees, metres = (next(iter(coordinate_columns(index.columns, pairs)), None) for pairs in (DEGREE_COLUMNS, MAP_COLUMNS))
    if gsd_m is None or (degrees is None and (metres is None or crs is None)):
        if gsd_m is not None and metres is not None and crs is None:
            raise InputError(f"{folder}: pass the CRS of {' and '.join(metres)} with `crs`, e.g. `crs=EPSG:32612`")
        return gpd.GeoDataFrame(index, geometry=gpd.GeoSeries([None] * len(index)), crs=None)
    target = crs
    if degrees is not None:
        lon, lat = coordinates(index, degrees, folder, in_degrees=True)
        if not (lon.abs().max() <= 360 and lat.abs().max() <= 90):
            raise InputError(f"{folder}: {' and '.join(degrees)} are no degrees, or swapped; correct its metadata")
        target = crs or utm_code(float(np.nanmean(lon)), float(np.nanmean(lat)))
    assert target is not None
    if metres is not None:
        centres = gpd.points_from_xy(*coordinates(index, metres, folder, in_degrees=False), crs=parse_crs(target).to_wkt())
    else:
        centres = gpd.GeoSeries.from_xy(lon, lat, crs="EPSG:4326").to_crs(parse_crs(target).to_wkt()).array
    half = index["size_px"].to_numpy() * gsd_m / 2
    x, y = np.asarray(centres.x), np.asarray(centres.y)
    places = np.stack([x, y], axis=-1)[:, None] + half[:, None, None] * UPPER_LEFT_FIRST
    footprints = np.full(len(index), None, object)
    known = np.isfinite(places).all(axis=(1, 2))
    footprints[known] = shapely.polygons(places[known])
    return gpd.GeoDataFrame(index, geometry=footprints, crs=centres.crs)
