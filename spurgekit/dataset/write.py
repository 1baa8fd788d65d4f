"""Writing the images of a dataset and the tables beside them, so that every usual reader understands them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import pandas as pd

from spurgekit.dataset.centre_crop import centre_square
from spurgekit.dataset.columns import CENTRES
from spurgekit.dataset.imagefolder import SQUARE
from spurgekit.dataset.reader import FIELDS, METADATA, MORE_NUMBERS, class_folder
from spurgekit.dataset.sources import IMAGE
from spurgekit.errors import ImageryError, InputError, LeakageError
from spurgekit.imagery import open_tile_image
from spurgekit.imagery.crs import has_place
from spurgekit.imagery.limits import open_picture
from spurgekit.parallel import cores, stream_map
from spurgekit.tables import csv_of, numbers


def metadata_rows(index: gpd.GeoDataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return the rows of ``metadata.csv`` of labelled tiles, in their order."""
    number = {name: i for i, name in enumerate(classes)}
    rows = pd.DataFrame(index.drop(columns=index.geometry.name))
    rows["label"] = rows["class"].map(number)
    folders = [class_folder(label, name) for label, name in zip(rows["label"], rows["class"], strict=True)]
    rows["file_name"] = [f"{folder}/{name}" for folder, name in zip(folders, _file_names(rows), strict=True)]
    rows = rows.assign(**{name: numbers(rows[name]) for name in MORE_NUMBERS if name in rows})
    return _with_places(rows, index).reindex(columns=list(FIELDS))


def unlabelled_rows(index: gpd.GeoDataFrame, *more: str) -> pd.DataFrame:
    """Return the rows of ``metadata.csv`` of tiles without labels, in their order, with the usual columns and some more."""
    rows = pd.DataFrame(index.drop(columns=index.geometry.name))
    rows["file_name"] = _file_names(rows)
    fields = [name for name in FIELDS if name not in ("label", "class", "label_from", "reviewers", "cover")] + list(more)
    return _with_places(rows, index).reindex(columns=fields)


def _file_names(rows: pd.DataFrame) -> list[str]:
    suffixes = [".png" if side else Path(image).suffix.lower() for image, side in zip(rows[IMAGE], _sides(rows), strict=True)]
    return [f"{tile}{suffix}" for tile, suffix in zip(rows["tile_id"], suffixes, strict=True)]


def _sides(rows: pd.DataFrame) -> list[int | None]:
    """Return the sides of the squares that are made of images; None of those that stay as they are."""
    return [int(side) if side == side else None for side in rows[SQUARE]] if SQUARE in rows else [None] * len(rows)


def _with_places(rows: pd.DataFrame, index: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return rows with the centres of their tiles; what a table says of them stays where there are no footprints."""
    if index.crs is not None:
        centres = index.geometry.centroid
        metres = (centres.x.round(3), centres.y.round(3))
        if has_place(index.crs):
            on_earth = centres.to_crs("EPSG:4326")
            degrees = (on_earth.x.round(8), on_earth.y.round(8))
        else:
            degrees = (pd.Series(float("nan"), rows.index),) * 2
        for name, values in zip(CENTRES, (*degrees, *metres), strict=True):
            known = rows[name] if name in rows else pd.Series(float("nan"), rows.index)
            rows[name] = values.where(index.geometry.notna(), known)
    if "idx" not in rows or rows["idx"].isna().any() or rows["idx"].duplicated().any():
        rows["idx"] = range(len(rows))
    return rows


def write_tables(tables: Mapping[Path, pd.DataFrame]) -> None:
    """Write ``metadata.csv`` into folders, each column of one type in all of them.

    Readers such as Hugging Face's guess the type of a column from each file alone, and refuse files whose guesses differ. So
    columns without any value are left out, text that is missing throughout a file is called ``unknown``, and ids that look like
    numbers in one file alone get the name of their column put before them.
    """
    tables = dict(tables)
    together = pd.concat(tables.values(), ignore_index=True)
    columns = [name for name in together.columns if together[name].map(_is_said).any()]
    written = {folder: csv_of(rows[columns], folder / METADATA) for folder, rows in tables.items()}
    kinds = {folder: _guessed(text) for folder, text in written.items()}
    for name in columns:
        guesses = {kinds[folder][name] for folder, rows in tables.items() if len(rows)}
        if len(guesses) > 1:
            _make_alike(tables, name)
    for folder, rows in tables.items():
        (folder / METADATA).write_text(csv_of(rows[columns], folder / METADATA), encoding="utf-8", newline="\n")


def _guessed(text: str) -> dict[str, str]:
    """Return the type that a reader takes each column for."""
    return {str(name): kind.kind for name, kind in pd.read_csv(io.StringIO(text)).dtypes.items()}


def _make_alike(tables: dict[Path, pd.DataFrame], name: str) -> None:
    is_number = not any(isinstance(value, str) for rows in tables.values() for value in rows[name])  # 01 is a name
    for folder, rows in tables.items():
        if is_number:  # some are missing somewhere, which makes whole numbers fractions there
            tables[folder] = rows.assign(**{name: pd.to_numeric(rows[name]).astype(float)})
        else:
            named = [f"{name} {value}" if _looks_like_number(value) else value for value in rows[name]]
            tables[folder] = rows.assign(**{name: [value if _is_said(value) else "unknown" for value in named]})


def _looks_like_number(value: object) -> bool:
    return _is_said(value) and bool(pd.notna(pd.to_numeric(pd.Series([value]), errors="coerce").iloc[0]))


def _is_said(value: object) -> bool:
    return bool(pd.notna(value)) and value != ""


# -- images -----------------------------------------------------------------------------------------------------------


def copy_images(index: pd.DataFrame, targets: Sequence[Path], advance: Callable[[int], None]) -> list[str]:
    """Copy images, each looked at on the way, on all cores; return a digest of each that was written.

    Parameters
    ----------
    index : pandas.DataFrame
        With the column ``image``, and ``square_px`` where images are to become squares first
        (:func:`spurgekit.dataset.centre_crop.centre_square`).
    targets : sequence of pathlib.Path
        Of each image.
    advance : callable
        Told of each image.

    Raises
    ------
    InputError
        If one is missing or damaged; the message names it.
    """
    for folder in {target.parent for target in targets}:
        folder.mkdir(parents=True, exist_ok=True)

    def copy(one: tuple[Path, Path, int | None]) -> str:
        source, target, side_px = one
        try:
            data = source.read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"{source} is in the tiles' table, but is not there; make the tiles again") from error
        if side_px is None:
            check_image(source, data)
        else:
            try:
                data = centre_square(source, data, side_px)
            except ImageryError as error:
                raise InputError(f"{error}; take it out") from error
        target.write_bytes(data)
        return digest_of(data)

    digests = []
    with ThreadPoolExecutor(cores()) as threads:
        for digest in stream_map(threads, copy, zip(index[IMAGE], targets, _sides(index), strict=True), in_flight=8 * cores()):
            digests.append(digest)
            advance(1)
    return digests


def digest_of(data: bytes) -> str:
    """Return what tells the bytes of one image from those of any other."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def check_image(path: Path, data: bytes) -> tuple[int, int]:
    """Return width and height of an image file, after a look whether it is whole.

    Of a PNG all checksums are verified, which costs a fraction of decoding it; other kinds are decoded.

    Raises
    ------
    InputError
        If it is damaged, or too large for a tile.
    """
    try:
        if path.suffix.lower() in (".tif", ".tiff"):  # Pillow knows neither five bands nor floats of three
            with open_tile_image(path) as raster:
                raster.read(raster.grid.window)
                return raster.grid.width, raster.grid.height
        with open_picture(path, data) as image:
            size = image.size
            if image.format == "PNG":
                image.verify()
            else:
                image.load()
    except ImageryError as error:
        raise InputError(f"{error}; make the tiles again, or take it out of them") from error
    return size


def check_duplicates(digests: Sequence[str], index: gpd.GeoDataFrame) -> None:
    """Raise a :class:`LeakageError` if one image is both trained and tested on, byte for byte.

    Tiles of which it is known that they lie in different places may look the same.

    Parameters
    ----------
    digests : sequence of str
    index : geopandas.GeoDataFrame
        The tiles, with columns tile_id and split; the geometry is missing where nobody knows where they lie.
    """
    table = pd.DataFrame(
        {"digest": digests, "tile": index["tile_id"], "split": index["split"], "placed": index.geometry.notna()}
    )
    sides = table.groupby("digest").agg(splits=("split", "nunique"), placed=("placed", "all"))
    both = sides.index[(sides["splits"] > 1) & ~sides["placed"]]
    if len(both):
        one, other = (
            table["tile"][(table["digest"] == both[0]) & (table["split"] == side)].iloc[0] for side in ("train", "test")
        )
        raise LeakageError(
            f"{len(both)} image{'s are' if len(both) > 1 else ' is'} both in train and in test, e.g. {one} and {other}; "
            "take one of each out, or hold out other groups"
        )
