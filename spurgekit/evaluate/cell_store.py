"""Cells of an evaluation that are done, kept on disk one by one, so that an evaluation goes on where it was stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from spurgekit.errors import InputError
from spurgekit.outputs import MARK, SETTINGS, check_begun, clear, hidden_beside, note_settings, output_file, resolved

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
        return hidden_beside(resolved(self.out), "cells")

    def open(self, *, overwrite: bool) -> dict[Key, pd.DataFrame]:
        """Return the cells that are done.

        Raises
        ------
        OutputExistsError
            If there are cells of other settings, and they are not to be overwritten.
        InputError
            If cells are damaged.
        """
        done: dict[Key, pd.DataFrame] = {}
        kept = sorted(self.folder.glob("[!.]*.parquet"))
        if not overwrite:
            if check_begun(self.out / SETTINGS, self.settings, self.out):
                done.update(_cells(self.out / PREDICTIONS))
            if kept and check_begun(self.folder / MARK, self.settings, self.out):
                for file in kept:
                    done.update(_cells(file))
        if overwrite or not kept or not (self.folder / MARK).is_file():
            self.close()
            note_settings(self.folder / MARK, self.settings)
        return done

    def put(self, key: Key, predictions: pd.DataFrame) -> pd.DataFrame:
        """Keep a cell's predictions (tile_id, place, target, p0, ...); returns them with the key's columns."""
        table = pd.DataFrame({**key._asdict(), **predictions}, index=predictions.index)
        name = hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:24]
        with output_file(self.folder / f"{name}.parquet") as partial:
            table.to_parquet(partial, index=False)
        return table

    def close(self) -> None:
        """Remove the cells, once all are in the folder that was made."""
        clear(self.folder)


def _cells(file: Path) -> dict[Key, pd.DataFrame]:
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError) as error:  # pyarrow's own are either
        raise InputError(f"{file} is damaged; delete it, and what it held is computed again") from error
    grouped = table.groupby(list(Key._fields), sort=False)
    return {Key(str(a), int(n), int(t), str(f)): rows.reset_index(drop=True) for (a, n, t, f), rows in grouped}
