"""A dataset folder: an imagefolder that Hugging Face ``datasets`` and timm read, and ``dataset.json`` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spurgekit.dataset.few_shot import FILE_NAME as FEW_SHOT
from spurgekit.dataset.few_shot import check_sets
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.errors import ImageryError, InputError, LeakageError, first_line
from spurgekit.imagery import parse_crs, slug
from spurgekit.imagery.limits import open_picture
from spurgekit.reading import (
    MOST_ROWS,
    ClassNames,
    Columns,
    Count,
    Described,
    Gsd,
    Line,
    Numbers,
    Share,
    Side,
    Texts,
    known_version,
    read_described,
    read_parquet,
    take_columns,
)
from spurgekit.tables import check_texts, numbers, read_table, whole_numbers
from spurgekit.text import counted, shown
from spurgekit.tiles.index import PARQUET, SIZES

DATASET = "dataset.json"
UNCLEAR = "unclear"
"""Folder of tiles that hold some of a class and too little to be of it."""

MASKS = "masks"
"""Folder of the masks of tiles, ``{tile_id}.png``, whose pixels are numbers of classes."""

UNKNOWN = 255
"""Pixel of a mask of which nobody knows the class."""

METADATA = "metadata.csv"
CROP = "crop"
"""Folder of the labelled tiles themselves, where their context is a dataset beside them."""

SPLITS = ("train", "test")
FIELDS = (
    "file_name", "label", "idx", "longitude", "latitude", "easting", "northing", "elevation", "time", "cluster", "class",
    "site", "plot", "quarter", "group", "tile_id", "survey", "date", "source", "label_from", "reviewers", "accuracy_m",
    "size_px", "gsd_m", "valid_fraction", "cover",
)  # fmt: skip
"""Columns of ``metadata.csv``: those of the Leafy Spurge Dataset first (its label is the number of the class), then the class's
name, and where tile and label came from."""

COLUMNS: Columns = {
    "file_name": Texts(paths=True, unique=True),
    "tile_id": Texts(unique=True),
    "class": Texts(optional=True),
    "site": Texts(gaps=True, optional=True),
    "label": Numbers(least=0, whole=True, optional=True),
    **SIZES,
    "cover": Numbers(least=0, most=1, gaps=True, optional=True),
    "longitude": Numbers(least=-180, most=180, gaps=True, optional=True),
    "latitude": Numbers(least=-90, most=90, gaps=True, optional=True),
}
"""Of ``metadata.csv``, as far as something is made of them."""

INDEX_COLUMNS: Columns = {"tile_id": Texts(unique=True), "split": Texts(), "class": Texts(), **SIZES}
"""Of ``tiles.parquet`` of a dataset."""

UNCLEAR_COLUMNS: Columns = {"split": Texts(), "place": Texts(), "cover": Numbers(least=0, most=1)}
"""Of ``metadata.csv`` of unclear tiles."""

MORE_NUMBERS = ("easting", "northing", "elevation", "accuracy_m", "valid_fraction", "cover")
"""Other columns of numbers; what is left is text."""

REMEDY = "build the dataset again, or get it again"


class SurveyInfo(Described):
    """A survey that tiles of a dataset are from.

    Attributes
    ----------
    name : str
        Of the survey.
    date : str or None
        Day of the flight.
    tiles : int
        How many are from it.
    """

    name: Line
    date: Line | None = None
    tiles: Count


class Unlabelled(Described):
    """Tiles without labels that touch no labelled tile.

    Attributes
    ----------
    folder : str
        Relative to the dataset's.
    tiles : int
        How many there are.
    size_px : int
        Side of one.
    """

    folder: Literal["unlabelled", "../unlabelled"]
    tiles: Count
    size_px: Side


class UnclearInfo(Described):
    """Tiles that hold some of a class and too little to be of it, which are of neither split but on the side of one.

    Attributes
    ----------
    train, test : int
        How many lie among the training and among the test tiles.
    """

    train: Count
    test: Count


class DatasetInfo(Described):
    """What ``dataset.json`` says.

    Attributes
    ----------
    schema_version : int
        Version of the file's layout.
    name : str
        Of the dataset.
    classes : tuple of str
        Names in the order of their numbers.
    size_px : int
        Side of a tile.
    gsd_m : float or None
        Ground sample distance of the tiles, in metres; None where nobody knows.
    crs : str or None
        Of easting and northing: the authority's code, or WKT where there is none; None where nobody knows where tiles lie.
    split : dict
        How train and test were told apart.
    counts : dict
        Tiles per split and class.
    left_out : dict
        Tiles that are in neither split, and why.
    examples : dict
        One of them for each reason.
    label_from : dict
        Tiles by where their label came from.
    surveys : tuple of SurveyInfo
        That the tiles are from.
    shots : tuple of int
        Numbers of shots that there are support sets of.
    trials : int
        Support sets of each.
    unlabelled : Unlabelled or None
        Tiles without labels beside them.
    unclear : UnclearInfo or None
        Tiles of too little cover beside them, in the folder ``unclear``; None where there are none.
    min_cover : float or None
        Share of a tile from which on it is of a class; None where the cover of tiles is not known.
    masks : bool
        Whether tiles have masks, in the folder ``masks``.
    context : bool
        Whether the tiles are the context of points, of which the label is that of the middle alone.
    licence : str or None
        As the Hugging Face Hub names it.
    notes : tuple of str
        What is to be said of the labels and of the split.
    """

    schema_version: known_version(1) = 1  # type: ignore[valid-type]
    name: Line
    classes: ClassNames
    size_px: Side
    gsd_m: Gsd | None
    crs: str | None
    split: SplitInfo
    counts: dict[str, dict[str, Count]]
    left_out: dict[Line, Count]
    examples: dict[Line, str] = Field(default_factory=dict)
    label_from: dict[Line, Count] = Field(default_factory=dict)
    surveys: tuple[SurveyInfo, ...] = ()
    shots: tuple[Annotated[int, Field(ge=1, le=MOST_ROWS)], ...] = ()
    trials: Annotated[int, Field(ge=0, le=MOST_ROWS)] = 0
    unlabelled: Unlabelled | None = None
    unclear: UnclearInfo | None = None
    min_cover: Share | None = None
    masks: bool = False
    context: bool = False
    licence: Line | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _counts_what_there_is(self) -> DatasetInfo:
        if sorted(self.counts) != sorted(SPLITS) or any(sorted(of) != sorted(self.classes) for of in self.counts.values()):
            raise ValueError(f"counts is not of train and test and of the classes {', '.join(map(shown, self.classes))}")
        if self.crs is not None:
            parse_crs(self.crs)
        if bool(self.shots) != bool(self.trials) or sorted(set(self.shots)) != list(self.shots):
            raise ValueError("shots and trials do not go together, or shots do not ascend")
        return self


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset folder."""

    path: Path
    info: DatasetInfo

    def split(self, name: str) -> pd.DataFrame:
        """Return the rows of a split, in the order of its ``metadata.csv``.

        Returns
        -------
        pandas.DataFrame
            With ``path`` (of the image), ``class`` and ``target`` (its number, which the file has as ``label``).

        Raises
        ------
        InputError
            If the table is missing or damaged, or names a class that the dataset does not have.
        LeakageError
            If tiles are in both splits.
        """
        folder = self.path / name
        rows = read_metadata(folder)
        rows = take_columns(rows, {"class": Texts(), "label": Numbers(least=0, whole=True)}, folder / METADATA, REMEDY)
        rows = rows.rename(columns={"label": "target"})
        number = {name: i for i, name in enumerate(self.info.classes)}
        if (wrong := rows["class"].map(number) != rows["target"]).any():
            row = rows[wrong].iloc[0]
            raise InputError(
                f"{folder / METADATA}: class {row['class']!r} of number {row['target']} is none of the classes "
                f"{', '.join(f'{i}: {name}' for i, name in enumerate(self.info.classes))}"
            )
        other = self.path / next(side for side in SPLITS if side != name)
        if (other / METADATA).is_file() and (both := sorted(set(rows["tile_id"]) & set(read_metadata(other)["tile_id"]))):
            raise LeakageError(
                f"{self.path}: {counted(len(both), 'tile')} in train and in test, such as {shown(both[0])}; {REMEDY}"
            )
        return rows

    def index(self) -> gpd.GeoDataFrame | None:
        """Return ``tiles.parquet``, with the ground that each tile covers; None where there is none.

        Raises
        ------
        InputError
            If it is damaged.
        """
        path = self.path / PARQUET
        if not path.is_file():
            return None
        return take_columns(read_parquet(path, REMEDY, places=True), INDEX_COLUMNS, path, REMEDY)

    def unlabelled(self) -> pd.DataFrame:
        """Return the rows of the unlabelled tiles, with ``path``.

        Raises
        ------
        InputError
            If there are none.
        """
        if self.info.unlabelled is None:
            raise InputError(f"{self.path} has no unlabelled tiles; tile with `unlabelled_px`, and build it again")
        return read_metadata(self.path / self.info.unlabelled.folder)

    def unclear(self, side: str) -> pd.DataFrame:
        """Return the rows of the unclear tiles on the side of a split, with ``path`` and ``cover``; empty where there are none.

        Raises
        ------
        InputError
            If their table is missing or damaged.
        """
        if self.info.unclear is None:
            return pd.DataFrame({"tile_id": [], "path": [], "cover": [], "split": [], "place": []})
        folder = self.path / UNCLEAR
        rows = take_columns(read_metadata(folder), UNCLEAR_COLUMNS, folder / METADATA, REMEDY)
        return rows[rows["split"] == side].reset_index(drop=True)

    def masks(self, rows: pd.DataFrame) -> list[Path | None]:
        """Return the masks of tiles, None where one has none; see :func:`read_mask`.

        Parameters
        ----------
        rows : pandas.DataFrame
            With ``tile_id``, such as those of a split or of unclear tiles.

        Raises
        ------
        InputError
            If the dataset has no masks.
        """
        if not self.info.masks:
            raise InputError(f"{self.path} has no masks; label its tiles by polygons or a mask, and build it again")
        folder = self.path / MASKS
        names = {path.stem for path in folder.glob("*.png")}
        return [folder / f"{tile}.png" if tile in names else None for tile in rows["tile_id"]]

    def support_sets(self) -> pd.DataFrame:
        """Return the few-shot support sets: columns trial, n, class and tile_id.

        Raises
        ------
        InputError
            If there is no ``few_shot.parquet``, or it is damaged.
        """
        path = self.path / FEW_SHOT
        if not path.is_file():
            raise InputError(f"{path}: no such file; build the dataset again")
        sets = read_parquet(path, REMEDY)
        return check_sets(sets, self.info.classes, self.info.shots, self.info.trials, path, REMEDY)


def read_metadata(folder: Path) -> pd.DataFrame:
    """Return the rows of the ``metadata.csv`` of a folder, with the ``path`` of each image.

    Raises
    ------
    InputError
        If it is missing or no such table.
    """
    path = folder / METADATA
    try:
        rows = read_table(path).rows
        found = {name: numbers(rows[name], f"{path}: {name}") for name in MORE_NUMBERS if name in rows}
        if "idx" in rows:
            found["idx"] = whole_numbers(rows["idx"], f"{path}: idx")
    except InputError as error:
        raise InputError(f"{error}; {REMEDY}") from error
    rows = take_columns(rows.assign(**found), COLUMNS, path, REMEDY)
    check_texts(rows[rows.columns.intersection(FIELDS)], path)
    return rows.assign(path=[folder / file_name for file_name in rows["file_name"]])


def read_mask(path: Path, size_px: int | None = None) -> NDArray[np.uint8]:
    """Read the mask of a tile.

    Parameters
    ----------
    path : pathlib.Path
        From :meth:`Dataset.masks`.
    size_px : int, optional
        Side of the tile, which the mask is to have, too.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        The number of the class of each pixel, :data:`UNKNOWN` where nobody knows it.

    Raises
    ------
    InputError
        If it is missing, damaged, no square of that side, or has other than one band of bytes.
    """
    try:
        data = path.read_bytes()
        with open_picture(path, data, ["PNG"]) as image:
            image.verify()  # all checksums, which decoding does not look at
        with open_picture(path, data, ["PNG"]) as image:
            if image.width != image.height or size_px not in (None, image.width):
                side = "a square" if size_px is None else f"{size_px} x {size_px} px"
                raise ImageryError(f"{path} is {image.width} x {image.height} px, not {side} as its tile")
            if image.mode != "L":
                raise ImageryError(f"{path} is no mask of one band of bytes ({image.mode})")
            return np.array(image)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or first_line(error)}); {REMEDY}") from error
    except ImageryError as error:
        raise InputError(f"{error}; {REMEDY}") from error


def open_dataset(path: str | Path) -> Dataset:
    """Open a dataset folder.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If it is not one.
    """
    path = Path(path)
    file = path / DATASET
    if not file.is_file():
        if configs := datasets_in(path):
            names = ", ".join(config.name for config in configs)
            raise InputError(f"{path} holds several datasets ({names}); name one of them, e.g. {configs[0]}")
        what = f"holds no {DATASET}" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; make a dataset with 'spurgekit build-dataset'")
    return Dataset(path, read_described(file, DatasetInfo, REMEDY))


def datasets_in(path: Path) -> list[Path]:
    """Return a folder itself where it is a dataset, else the datasets in it, its crops first; none where there are none."""
    path = Path(path)
    if (path / DATASET).is_file():
        return [path]
    return sorted((file.parent for file in path.glob(f"*/{DATASET}")), key=lambda config: (config.name != CROP, config.name))


def class_folder(number: int, name: str) -> str:
    """Return the folder of a class; the number keeps alphabetical readers (timm) in the order of the classes.

    >>> class_folder(1, "leafy spurge")
    '1-leafy-spurge'
    """
    return f"{number}-{slug(name)}"
