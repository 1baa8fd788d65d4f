"""What an evaluation trains and tests on: the held-out split of a dataset, or each of its places in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.dataset import Dataset
from spurgekit.dataset.few_shot import support_rows, support_sets
from spurgekit.dataset.places import footprints, places
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.dataset.splitters import LeaveClustersOut
from spurgekit.errors import InputError

TEST = "test"
"""Name of the fold that is the dataset's own test split."""


@dataclass(frozen=True)
class Fold:
    """Tiles to learn from and to be tested on, and the support sets of the former.

    Attributes
    ----------
    name : str
    train, test : pandas.DataFrame
        With tile_id, path, target, label and group (the place).
    sets : pandas.DataFrame
        Columns trial, n, class and tile_id.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    sets: pd.DataFrame

    def support(self, n: int, trial: int) -> pd.DataFrame:
        """Return the rows of a support set; of ``ALL_SHOTS`` shots all training tiles."""
        if n == ALL_SHOTS:
            return self.train
        return support_rows(self.train, self.sets, n, trial)


def held_out_split(data: Dataset, shots: Sequence[int], trials: int) -> list[Fold]:
    """Return the dataset's own test split, with the support sets that every method shares.

    Raises
    ------
    InputError
        If the dataset has no such support sets.
    """
    train, test = (rows.assign(group=places(data, rows)) for rows in (data.split("train"), data.split("test")))
    sets = data.support_sets()
    few = [n for n in shots if n != ALL_SHOTS]
    if missing := [n for n in few if not (sets["n"] == n).any()]:
        counts = train["class"].value_counts()
        raise InputError(
            f"{data.path} has no support sets of {missing[0]} shots (its rarest class has {counts.min()} training tiles); "
            f"pass `shots={sorted(set(sets['n']))}`, or build it again with other `shots`"
        )
    if few and trials > (most := int(sets["trial"].max()) + 1):
        raise InputError(
            f"{data.path} has support sets of {most} trials; pass `trials={most}`, or build it again with more `trials`"
        )
    return [Fold(TEST, train, test, sets)]


def leave_out(data: Dataset, column: str, shots: Sequence[int], trials: int) -> list[Fold]:
    """Return a fold for each place of a dataset, train and test split together; its support sets are drawn from the others.

    Training tiles whose footprint touches one of the place that is held out are left out.

    Raises
    ------
    InputError
        If there is one place only, or the others have too few tiles of some class.
    """
    rows = pd.concat([data.split("train"), data.split("test")], ignore_index=True)
    rows = rows.assign(group=places(data, rows, column))
    names = sorted(set(rows["group"]), key=lambda name: (len(name), name))
    if len(names) < 2:
        raise InputError(
            f"all tiles of {data.path} are of one {column}, so that none can be left out; pass another `leave_out`"
        )
    ground = gpd.GeoSeries(footprints(data, rows))
    few = [n for n in shots if n != ALL_SHOTS]
    folds = []
    splitter = LeaveClustersOut(folds=[[name] for name in names], buffer_m=0.0)
    for name, (trained, tested) in zip(names, splitter.split(ground, groups=rows["group"]), strict=True):
        train, test = rows.iloc[trained].reset_index(drop=True), rows.iloc[tested].reset_index(drop=True)
        counts = train["class"].value_counts().reindex(list(data.info.classes), fill_value=0)
        if counts.min() < (least := max([1, *few])):
            raise InputError(
                f"with {column} {name} left out there are {counts.min()} tiles of class {counts.idxmin()!r} to learn from, "
                f"fewer than {least}; pass fewer `shots`, or another `leave_out`"
            )
        sets = support_sets(
            train["tile_id"].tolist(), train["class"].tolist(),
            clusters=train["group"].tolist(), classes=data.info.classes, shots=few or (1,), trials=trials,
        )  # fmt: skip
        folds.append(Fold(name, train, test, sets))
    return folds


def check_classes(folds: Sequence[Fold], classes: Sequence[str]) -> None:
    """Raise an :class:`InputError` where a class is nowhere to learn from, or nowhere to be tested on."""
    for fold in folds:
        if missing := [name for name in classes if name not in set(fold.train["class"])]:
            raise InputError(f"fold {fold.name} has no tile of class {missing[0]!r} to learn from; hold out other places")
    tested = set(np.concatenate([fold.test["class"].to_numpy() for fold in folds]))
    if missing := [name for name in classes if name not in tested]:
        raise InputError(f"no tile of class {missing[0]!r} is tested on; hold out other places")
