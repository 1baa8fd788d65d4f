"""Cells of an evaluation that are done, kept on disk one by one, so that an evaluation goes on where it was stopped."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from spurgekit.errors import InputError
from spurgekit.outputs import check_begun, note_settings, output_file

PREDICTIONS = "predictions.parquet"


class Key(NamedTuple):
    """Which cell."""

    arm: str
    n: int
    trial: int
    fold: str


@dataclass(frozen=True)
class CellStore:
    """Predictions of cells in a folder beside the one that is to be made.

    Attributes
    ----------
    out : pathlib.Path
        The folder to be made. One that an evaluation with the same settings made is gone on with.
    settings : mapping
        What cells depend on beside their keys.
    """

    out: Path
    settings: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the cells are until all are done."""
        return self.out.parent / f".{self.out.name}.cells"

    def open(self, *, overwrite: bool) -> dict[Key, pd.DataFrame]:
        """Return the cells that are done.

        Raises
        ------
        OutputExistsError
            If there are cells of other settings, and they are not to be overwritten.
        InputError
            If cells are damaged.
        """
        if overwrite:
            self.close()
        done: dict[Key, pd.DataFrame] = {}
        for place in () if overwrite else (self.out, self.folder):
            if check_begun(place, self.settings, self.out):
                for file in [place / PREDICTIONS] if place == self.out else sorted(place.glob("[!.]*.parquet")):
                    done.update(_cells(file))
        note_settings(self.folder, self.settings)
        return done

    def put(self, key: Key, predictions: pd.DataFrame) -> pd.DataFrame:
        """Keep a cell's predictions (tile_id, place, target, p0, ...); returns them with the key's columns."""
        table = predictions.assign(**key._asdict())
        table = table[[*Key._fields, *predictions.columns]]
        name = hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:24]
        with output_file(self.folder / f"{name}.parquet") as partial:
            table.to_parquet(partial, index=False)
        return table

    def close(self) -> None:
        """Remove the cells, once all are in the folder that was made."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _cells(file: Path) -> dict[Key, pd.DataFrame]:
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError) as error:  # pyarrow's own are either
        raise InputError(f"{file} is damaged; delete it, and what it held is computed again") from error
    grouped = table.groupby(list(Key._fields), sort=False)
    return {Key(str(a), int(n), int(t), str(f)): rows.reset_index(drop=True) for (a, n, t, f), rows in grouped}
