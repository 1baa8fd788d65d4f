"""Test predictions of several arms over the same support sets: checked, paired, and cut into cells.

An arm is one way to train (a recipe with its augmentation). A cell is one arm at one number of shots, trained on one trial's
support set and tested on one fold; the arms of a comparison share support sets and test tiles, so that they differ in nothing
but themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.classify.scores import ROUNDING
from spurgekit.dataset.shots import ALL_SHOTS, ascending
from spurgekit.errors import InputError

COLUMNS = ("arm", "n", "trial", "fold", "tile_id", "place", "target")
"""Of a table of predictions, before the probabilities ``p0``, ``p1``, ..."""

ALL = "all"
"""The fold that stands for all of a trial's folds together."""

SUM_TOLERANCE = 1e-3
"""How far the probabilities of a tile may add up to something else than 1: half floats are off by less."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm at one number of shots, trial and fold, and its rows of the predictions."""

    arm: str
    n: int
    trial: int
    fold: str
    rows: slice

    def __str__(self) -> str:
        return f"arm {self.arm!r} at n = {self.n}, trial {self.trial}, fold {self.fold}"


@dataclass(frozen=True, slots=True)
class Predictions:
    """Paired predictions; made by :func:`pair_predictions`.

    Attributes
    ----------
    classes : tuple of str
        In the order of their numbers, absence first.
    arms : tuple of str
        In the order of the table.
    shots : tuple of int
        Ascending, :data:`~spurgekit.dataset.shots.ALL_SHOTS` last.
    folds, places : tuple of str
        Sorted.
    cells : tuple of Cell
        Sorted by arm, shots, trial and fold; rows of the folds of a trial follow each other.
    missing : tuple of Cell
        Cells that other arms have, with no rows.
    place : numpy.ndarray of int, shape (rows,)
        Number of the place in ``places``.
    target : numpy.ndarray of int, shape (rows,)
    probabilities : numpy.ndarray of float32, shape (rows, classes)
    """

    classes: tuple[str, ...]
    arms: tuple[str, ...]
    shots: tuple[int, ...]
    folds: tuple[str, ...]
    places: tuple[str, ...]
    cells: tuple[Cell, ...]
    missing: tuple[Cell, ...]
    place: NDArray[np.intp]
    target: NDArray[np.intp]
    probabilities: NDArray[np.float32]

    def whole_trials(self) -> Iterator[Cell]:
        """Yield each trial of each arm with the rows of all its folds; those that lack a fold are left out."""
        broken = {(cell.arm, cell.n, cell.trial) for cell in self.missing}
        for key, found in groupby(self.cells, key=lambda cell: (cell.arm, cell.n, cell.trial)):
            if key not in broken:
                folds = list(found)
                yield Cell(*key, ALL, slice(folds[0].rows.start, folds[-1].rows.stop))

    def notes(self) -> list[str]:
        """Return what a reader must know of the cells that there are, a sentence each."""
        notes = []
        for (arm, n), cells in groupby(self.missing, key=lambda cell: (cell.arm, cell.n)):
            lacking = list(cells)
            if not any(cell.arm == arm and cell.n == n for cell in self.cells):
                notes.append(f"{arm} has no predictions at n = {shots_name(n)}.")
                continue
            trials = sorted({cell.trial for cell in lacking})
            folds = sorted({cell.fold for cell in lacking})
            of = f" (fold{'s' if len(folds) > 1 else ''} {', '.join(folds)})" if len(self.folds) > 1 else ""
            notes.append(
                f"{arm} at n = {shots_name(n)} lacks trial{'s' if len(trials) > 1 else ''} {', '.join(map(str, trials))}{of}; "
                f"{'they are' if len(trials) > 1 else 'it is'} left out of its mean and of its differences."
            )
        folds_of = {n: {cell.fold for cell in self.cells if cell.n == n} for n in self.shots}
        for n, folds_here in folds_of.items():
            if lacking_folds := sorted(set(self.folds) - folds_here):
                notes.append(
                    f"n = {shots_name(n)} was not tested on {', '.join(lacking_folds)}: "
                    "its means are of less ground than others."
                )
        return notes


def shots_name(n: int) -> str:
    """Return a number of shots as people read it."""
    return ALL if n == ALL_SHOTS else str(n)


def pair_predictions(table: pd.DataFrame, classes: Sequence[str]) -> Predictions:
    """Check a table of test predictions, and that its arms are paired.

    Parameters
    ----------
    table : pandas.DataFrame
        A row for each tile of each cell: arm (str), n (int, shots of each class, 0 = the whole training split), trial (int),
        fold (str), tile_id, place (str; tiles of one place are not independent), target (int, number of the true class) and
        p0, p1, ... (probability of each class).
    classes : sequence of str
        In the order of their numbers, absence first.

    Raises
    ------
    InputError
        If a column is missing, probabilities are none, a tile is of two places or classes or is tested twice in a trial, or two
        arms were tested on different tiles in the same trial and fold.
    """
    probabilities = _checked(table, classes)
    arms, shots = (
        tuple(dict.fromkeys(table["arm"])),
        ascending(table["n"].astype(int)),
    )
    folds, places = (tuple(sorted(set(table[column]))) for column in ("fold", "place"))
    if len(folds) > 1 and ALL in folds:
        raise InputError(f"fold {ALL!r} stands for all folds of a trial together; give that fold another name")
    tile, ids = pd.factorize(table["tile_id"])
    place, target = _codes(table["place"], places), table["target"].to_numpy(np.intp)
    for what, of in (("place", place), ("class", target)):
        first = np.empty(len(ids), np.intp)
        first[tile[::-1]] = of[::-1]
        if (wrong := np.flatnonzero(first[tile] != of)).size:
            raise InputError(f"tile {ids[tile[wrong[0]]]} is of more than one {what} in the predictions")
    keys = np.column_stack(
        [_codes(table["arm"], arms), _codes(table["n"], shots), table["trial"].to_numpy(np.intp), _codes(table["fold"], folds)]
    )
    order = np.lexsort((tile, *keys.T[::-1]))
    keys, tile = keys[order], tile[order]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    cells = tuple(
        Cell(arms[arm], shots[n], int(trial), folds[fold], slice(int(start), int(stop)))
        for (arm, n, trial, fold), start, stop in zip(keys[starts], starts, [*starts[1:], len(order)], strict=True)
    )
    _check_tested_once(cells, tile, ids)
    _check_paired(cells, tile)
    return Predictions(
        classes=tuple(classes),
        arms=arms,
        shots=shots,
        folds=folds,
        places=places,
        cells=cells,
        missing=_missing(cells, arms, shots),
        place=place[order],
        target=target[order],
        probabilities=probabilities[order],
    )


def _codes(column: pd.Series, names: Sequence[object]) -> NDArray[np.intp]:
    """Return where the values of a column stand among names."""
    return np.asarray(pd.Categorical(column, categories=list(names)).codes, np.intp)


def _checked(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float32]:
    """Return the probabilities of a table of the right columns and values, shape (rows, classes)."""
    columns = [f"p{number}" for number in range(len(classes))]
    if absent := [column for column in (*COLUMNS, *columns) if column not in table]:
        raise InputError(f"the predictions have no column {', '.join(absent)}")
    if f"p{len(classes)}" in table:
        raise InputError(f"the predictions are of more classes than {', '.join(classes)}")
    if table.empty:
        raise InputError("there are no predictions to evaluate")
    if empty := [column for column in COLUMNS if table[column].isna().any()]:
        raise InputError(f"column {empty[0]} of the predictions has rows without a value")
    probabilities = table[columns].to_numpy(np.float32)
    # A comparison with NaN is false, so what is wanted is asked for rather than what is not.
    good = ((probabilities >= -ROUNDING) & (probabilities <= 1 + ROUNDING)).all(axis=1)
    good &= np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1) <= SUM_TOLERANCE
    if not good.all():
        worst = int(np.argmin(good))
        row, values = table.iloc[worst], ", ".join(f"{value:g}" for value in probabilities[worst])
        cell = Cell(row["arm"], row["n"], row["trial"], row["fold"], slice(worst, worst + 1))
        raise InputError(f"{cell} says {values} of tile {row['tile_id']}; probabilities lie from 0 to 1 and add up to 1")
    outside = ~table["target"].isin(range(len(classes)))
    if outside.any():
        row = table[outside].iloc[0]
        raise InputError(f"tile {row['tile_id']} is of class number {row['target']}; there are {len(classes)} classes, from 0")
    return np.asarray(probabilities, np.float32)


def _missing(cells: Sequence[Cell], arms: Sequence[str], shots: Sequence[int]) -> tuple[Cell, ...]:
    """Return the cells that an arm lacks of those that any arm's trials and folds of the same shots make up."""
    have = {(cell.arm, cell.n, cell.trial, cell.fold) for cell in cells}
    trials = {n: sorted({cell.trial for cell in cells if cell.n == n}) for n in shots}
    folds = {n: sorted({cell.fold for cell in cells if cell.n == n}) for n in shots}
    return tuple(
        Cell(arm, int(n), trial, fold, slice(0, 0))
        for arm in arms
        for n in shots
        for trial in trials[n]
        for fold in folds[n]
        if (arm, n, trial, fold) not in have
    )


def _check_tested_once(cells: Sequence[Cell], tile: NDArray[np.intp], ids: Sequence[str]) -> None:
    for (arm, n, trial), found in groupby(cells, key=lambda cell: (cell.arm, cell.n, cell.trial)):
        folds = list(found)
        tiles = np.sort(tile[folds[0].rows.start : folds[-1].rows.stop])
        if (twice := tiles[1:][tiles[1:] == tiles[:-1]]).size:
            raise InputError(f"arm {arm!r} at n = {n} tests tile {ids[twice[0]]} more than once in trial {trial}")


def _check_paired(cells: Sequence[Cell], tile: NDArray[np.intp]) -> None:
    first: dict[tuple[int, int, str], Cell] = {}
    for cell in cells:
        other = first.setdefault((cell.n, cell.trial, cell.fold), cell)
        if not np.array_equal(tile[cell.rows], tile[other.rows]):
            count = len(np.setxor1d(tile[cell.rows], tile[other.rows]))
            raise InputError(
                f"{cell} was tested on other tiles than arm {other.arm!r} (only one of them has {count} "
                f"tile{'s' if count > 1 else ''}); arms are compared on the same test tiles"
            )
