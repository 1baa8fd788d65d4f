"""What is learned from and tested on: the split of a dataset, or each of its places left out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.dataset.few_shot import COLUMNS, support_rows, support_sets
from spurgekit.dataset.fold_options import JOIN, FoldOptions
from spurgekit.dataset.places import footprints, place_column, places
from spurgekit.dataset.reader import Dataset
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.dataset.splitters import LeaveClustersOut
from spurgekit.errors import InputError
from spurgekit.text import listed, shown

TEST = "test"
"""Name of the fold that is the dataset's own test split."""

MOST_NAMES = 20
"""Places that a message names."""


@dataclass(frozen=True)
class Fold:
    """Tiles to learn from and to be tested on, and the support sets of the former.

    Attributes
    ----------
    left_out : str
        The place that is tested on; empty where that is the dataset's own test split.
    column : str
        That says the place of a tile.
    train, test : pandas.DataFrame
        With tile_id, path, target, label and group (the place; of places that are held out together, all of them).
    sets : pandas.DataFrame
        Columns trial, n, class and tile_id.
    """

    left_out: str
    column: str
    train: pd.DataFrame
    test: pd.DataFrame
    sets: pd.DataFrame
    _drawn: dict[tuple[int, int], pd.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What tables of results call it."""
        return self.left_out or TEST

    def support(self, n: int, trial: int) -> pd.DataFrame:
        """Return the rows of a support set; of ``ALL_SHOTS`` shots all training tiles."""
        if n == ALL_SHOTS:
            return self.train
        if (n, trial) not in self._drawn:
            self._drawn[n, trial] = support_rows(self.train, self.sets, n, trial)
        return self._drawn[n, trial]


def folds_of(data: Dataset, options: FoldOptions, shots: Sequence[int], trials: int) -> list[Fold]:
    """Return the folds that options ask for; see :func:`held_out_split` and :func:`leave_out`."""
    return held_out_split(data, shots, trials) if options.leave_out is None else leave_out(data, options, shots, trials)


def own_split(data: Dataset) -> Fold:
    """Return a dataset's own split, without support sets."""
    column = place_column(data)
    train, test = (rows.assign(group=places(data, rows, column)) for rows in (data.split("train"), data.split("test")))
    return Fold("", column, train, test, pd.DataFrame(columns=list(COLUMNS)))


def held_out_split(data: Dataset, shots: Sequence[int], trials: int) -> list[Fold]:
    """Return the dataset's own test split, with the support sets that every method shares.

    Raises
    ------
    InputError
        If the dataset has no such support sets.
    """
    split, sets = own_split(data), data.support_sets()
    few = [n for n in shots if n != ALL_SHOTS]
    if missing := [n for n in few if not (sets["n"] == n).any()]:
        counts = split.train["class"].value_counts()
        raise InputError(
            f"{data.path} has no support sets of {missing[0]} shots (its rarest class has {counts.min()} training tiles); "
            f"pass `shots={sorted(set(sets['n']))}`, or build it again with other `shots`"
        )
    if few and trials > (most := int(sets["trial"].max()) + 1):
        raise InputError(
            f"{data.path} has support sets of {most} trials; pass `trials={most}`, or build it again with more `trials`"
        )
    return [replace(split, sets=sets)]


def leave_out(data: Dataset, options: FoldOptions, shots: Sequence[int], trials: int) -> list[Fold]:
    """Return a fold for each place of a dataset, train and test split together; its support sets are drawn from the others.

    Training tiles whose footprint touches one of the place that is held out are left out.

    Parameters
    ----------
    data : Dataset
    options : FoldOptions
        With a column.
    shots : sequence of int
    trials : int

    Raises
    ------
    InputError
        If there is one place only, the others have too few tiles of some class, or a place that is named is none.
    """
    column = options.leave_out
    if column is None:
        raise ValueError("no column says which places are left out")
    rows = pd.concat([data.split("train"), data.split("test")], ignore_index=True)
    rows = rows.assign(group=_joined(data, places(data, rows, column), column, options.together))
    names = sorted(set(rows["group"]), key=lambda name: (len(name), name))
    if len(names) < 2:
        less = "pass fewer of them as `together`" if options.together else "pass another `leave_out`"
        raise InputError(f"all tiles of {data.path} are of {column} {names[0]}, so that nothing is left to learn from; {less}")
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
        folds.append(Fold(name, column, train, test, sets))
    return folds


def _joined(data: Dataset, groups: pd.Series, column: str, together: Sequence[Sequence[str]]) -> pd.Series:
    """Return the place of each tile, where some that are held out together are one."""
    known = sorted(set(groups), key=lambda name: (len(name), name))
    joined = {name: JOIN.join(named) for named in together for name in named}
    if unknown := [name for name in joined if name not in known]:
        raise InputError(
            f"{data.path} has no {column} {shown(unknown[0])} to be held out `together` with others; "
            f"there are {listed(known, MOST_NAMES)}"
        )
    if taken := [name for name in joined.values() if name in known]:
        raise InputError(
            f"{data.path} has a {column} {shown(taken[0])}, as those held out `together` would be called; rename it"
        )
    return groups.map(lambda name: joined.get(name, name))


def check_classes(folds: Sequence[Fold], classes: Sequence[str]) -> None:
    """Raise an :class:`InputError` where a class is nowhere to learn from, or nowhere to be tested on."""
    for fold in folds:
        if missing := [name for name in classes if name not in set(fold.train["class"])]:
            raise InputError(f"fold {fold.name} has no tile of class {missing[0]!r} to learn from; hold out other places")
    tested = set(np.concatenate([fold.test["class"].to_numpy() for fold in folds]))
    if missing := [name for name in classes if name not in tested]:
        raise InputError(f"no tile of class {missing[0]!r} is tested on; hold out other places")
