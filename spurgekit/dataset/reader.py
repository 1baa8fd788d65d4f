"""A dataset folder: an imagefolder that Hugging Face ``datasets`` and timm read, and ``dataset.json`` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from spurgekit.dataset.columns import CENTRES
from spurgekit.dataset.few_shot import FILE_NAME as FEW_SHOT
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.errors import InputError, first_line
from spurgekit.imagery import slug
from spurgekit.tables import numbers, read_table, whole_numbers

DATASET = "dataset.json"
METADATA = "metadata.csv"
CROP = "crop"
"""Folder of the labelled tiles themselves, where their context is a dataset beside them."""

SPLITS = ("train", "test")
FIELDS = (
    "file_name", "label", "idx", "longitude", "latitude", "easting", "northing", "elevation", "time", "cluster", "class",
    "site", "plot", "quarter", "group", "tile_id", "survey", "date", "source", "label_from", "reviewers", "accuracy_m",
    "size_px", "gsd_m", "valid_fraction",
)  # fmt: skip
"""Columns of ``metadata.csv``: those of the Leafy Spurge Dataset first (its label is the number of the class), then the class's
name, and where tile and label came from."""

WHOLE = ("label", "idx")
NUMBERS = (*CENTRES, "elevation", "accuracy_m", "size_px", "gsd_m", "valid_fraction")
"""Columns of whole numbers and of others; what is left is text."""


class SurveyInfo(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    date: str | None = None
    tiles: int


class Unlabelled(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    tiles: int
    size_px: int


class DatasetInfo(BaseModel):
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
    context : bool
        Whether the tiles are the context of points, of which the label is that of the middle alone.
    licence : str or None
        As the Hugging Face Hub names it.
    notes : tuple of str
        What is to be said of the labels and of the split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    name: str
    classes: tuple[str, ...]
    size_px: int
    gsd_m: float | None
    crs: str | None
    split: SplitInfo
    counts: dict[str, dict[str, int]]
    left_out: dict[str, int]
    examples: dict[str, str] = {}
    label_from: dict[str, int] = {}
    surveys: tuple[SurveyInfo, ...] = ()
    shots: tuple[int, ...] = ()
    trials: int = 0
    unlabelled: Unlabelled | None = None
    context: bool = False
    licence: str | None = None
    notes: tuple[str, ...] = ()


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
        """
        folder = self.path / name
        rows = read_metadata(folder).rename(columns={"label": "target"})
        number = {name: i for i, name in enumerate(self.info.classes)}
        if (wrong := rows["class"].map(number) != rows["target"]).any():
            row = rows[wrong].iloc[0]
            raise InputError(
                f"{folder / METADATA}: class {row['class']!r} of number {row['target']} is none of the classes "
                f"{', '.join(f'{i}: {name}' for i, name in enumerate(self.info.classes))}"
            )
        return rows

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

    def support_sets(self) -> pd.DataFrame:
        """Return the few-shot support sets: columns trial, n, class and tile_id.

        Raises
        ------
        InputError
            If there is no ``few_shot.parquet``.
        """
        path = self.path / FEW_SHOT
        if not path.is_file():
            raise InputError(f"{path}: no such file; build the dataset again")
        return pd.read_parquet(path)


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
        found = {name: numbers(rows[name], name) for name in NUMBERS if name in rows}
        found |= {name: whole_numbers(rows[name], name) for name in WHOLE if name in rows}
        images = [folder / file_name for file_name in rows["file_name"]]
    except (ValueError, KeyError, TypeError) as error:  # the last of a name that is missing
        raise InputError(f"{path} is missing or damaged ({first_line(error)}); build the dataset again") from error
    return rows.assign(**found, path=images)


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
    try:
        return Dataset(path, DatasetInfo.model_validate_json(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{file}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from error


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
