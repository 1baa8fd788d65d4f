"""A dataset folder: an imagefolder that Hugging Face ``datasets`` and timm read, and ``dataset.json`` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from spurgekit.errors import InputError
from spurgekit.imagery import slug

DATASET = "dataset.json"
METADATA = "metadata.csv"
FIELDS = (
    "file_name", "label", "idx", "longitude", "latitude", "easting", "northing", "elevation", "time", "cluster", "site",
    "plot", "tile_id", "size_px", "gsd_m", "valid_fraction",
)  # fmt: skip
"""Columns of ``metadata.csv``: those of the Leafy Spurge Dataset first, then where the tile came from."""


class DatasetInfo(BaseModel):
    """What ``dataset.json`` says.

    Attributes
    ----------
    classes : tuple of str
        Names in the order of their numbers.
    size_px : int
        Side of a tile.
    gsd_m : float
        Ground sample distance of the tiles, in metres.
    crs : str
        Of easting and northing: the authority's code, or WKT where there is none.
    split : dict
        How train and test were told apart.
    counts : dict
        Tiles per split and class.
    left_out : dict
        Tiles that are in neither split, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    name: str
    classes: tuple[str, ...]
    size_px: int
    gsd_m: float
    crs: str
    split: dict[str, Any]
    counts: dict[str, dict[str, int]]
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset folder."""

    path: Path
    info: DatasetInfo

    def split(self, name: str) -> pd.DataFrame:
        """Return the rows of ``metadata.csv`` of a split, with ``path`` (of the image) and ``target`` (class number)."""
        folder = self.path / name
        rows = pd.read_csv(folder / METADATA, dtype={"label": str, "site": str, "plot": str, "tile_id": str})
        rows["path"] = [folder / file_name for file_name in rows["file_name"]]
        rows["target"] = rows["label"].map({label: i for i, label in enumerate(self.info.classes)})
        if rows["target"].isna().any():
            bad = rows.loc[rows["target"].isna(), "label"].iloc[0]
            raise InputError(f"{folder / METADATA}: label {bad!r} is none of the classes {', '.join(self.info.classes)}")
        return rows


def open_dataset(path: Path) -> Dataset:
    """Open a dataset folder.

    Raises
    ------
    InputError
        If it is not one.
    """
    path = Path(path)
    file = path / DATASET
    if not file.is_file():
        what = "holds no dataset.json" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; make a dataset with 'spurgekit build-dataset'")
    try:
        return Dataset(path, DatasetInfo.model_validate_json(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{file}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from error


def class_folder(number: int, name: str) -> str:
    """Return the folder of a class; the number keeps alphabetical readers (timm) in the order of the classes.

    >>> class_folder(1, "leafy spurge")
    '1-leafy-spurge'
    """
    return f"{number}-{slug(name)}"
