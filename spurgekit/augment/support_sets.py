"""Support sets that synthetic tiles are made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from spurgekit.dataset import Dataset
from spurgekit.dataset.few_shot import support_rows
from spurgekit.dataset.fold_options import JOIN, FoldOptions
from spurgekit.dataset.folds import Fold, leave_out
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.errors import InputError
from spurgekit.imagery import slug


class SupportSetKey(NamedTuple):
    """A support set: one of those of n tiles a class, or of ``ALL_SHOTS``, all tiles that may be learned from, the only one.

    ``fold`` is the place that is left out; empty where the dataset's own training split is learned from.
    """

    trial: int
    n: int
    fold: str = ""

    @property
    def name(self) -> str:
        """As folders are called: ``t03-n04`` or ``all``, in a folder of the fold where a place is left out."""
        name = "all" if self.n == ALL_SHOTS else f"t{self.trial:02d}-n{self.n:02d}"
        return f"{fold_folder(self.fold)}/{name}" if self.fold else name


ALL_TILES = SupportSetKey(0, ALL_SHOTS)

SupportSets = Mapping[SupportSetKey, pd.DataFrame]
"""Support sets, each with the rows of its real tiles."""


def fold_folder(place: str) -> str:
    """Return what the folder is called of what is made with a place left out.

    >>> fold_folder("6+7"), fold_folder("north pasture")
    ('without-6+7', 'without-north-pasture')
    """
    return f"without-{JOIN.join(slug(name) for name in place.split(JOIN))}"


def choose_sets(
    dataset: Dataset, shots: Sequence[int], trials: int, folds: FoldOptions = FoldOptions()  # noqa: B008 - frozen
) -> SupportSets:  # fmt: skip
    """Return the support sets of some numbers of shots, of each the first ``trials``, of each fold.

    Parameters
    ----------
    dataset : Dataset
    shots : sequence of int
    trials : int
    folds : FoldOptions
        By default the dataset's own training split is the only one.

    Raises
    ------
    InputError
        If the dataset has no such sets, or a class has no tiles.
    """
    few = [n for n in shots if n != ALL_SHOTS]
    if few and trials < 1:
        raise InputError(f"{trials} trials are none; pass `trials=1` or more")
    whole = [ALL_TILES] if ALL_SHOTS in shots else []
    if folds.leave_out is not None:
        left_out = leave_out(dataset, folds, shots, max(trials, 1))
        check_folders(left_out)
        keys = [*whole, *(SupportSetKey(trial, n) for trial in range(trials) for n in sorted(set(few)))]
        return {key._replace(fold=fold.name): fold.support(key.n, key.trial) for fold in left_out for key in keys}
    if not few:
        return tiles_of(dataset, whole)
    known = dataset.support_sets()[["trial", "n"]].drop_duplicates()
    if missing := [n for n in few if n not in set(known["n"])]:
        has = ", ".join(str(n) for n in sorted(set(known["n"]))) or "none"
        raise InputError(f"{dataset.path} has no support sets of {missing[0]} shots, only of {has}; pass `shots` accordingly")
    chosen = known[known["n"].isin(few) & (known["trial"] < trials)].sort_values(["trial", "n"])
    return tiles_of(
        dataset, [*whole, *(SupportSetKey(int(trial), int(n)) for trial, n in zip(chosen["trial"], chosen["n"], strict=True))]
    )


def tiles_of(dataset: Dataset, keys: Sequence[SupportSetKey]) -> SupportSets:
    """Return support sets of a dataset's own training split.

    Raises
    ------
    InputError
        If a class has no tiles.
    """
    train = dataset.split("train")
    if missing := [name for name in dataset.info.classes if name not in set(train["class"])]:
        raise InputError(f"the class {missing[0]!r} has no tiles in the training split of {dataset.path}; label some")
    sets = dataset.support_sets() if any(key.n != ALL_SHOTS for key in keys) else pd.DataFrame()
    return {key: train if key.n == ALL_SHOTS else support_rows(train, sets, key.n, key.trial) for key in keys}


def check_folders(folds: Sequence[Fold]) -> None:
    """Raise an InputError if what is made for two folds would lie in one folder."""
    places: dict[str, str] = {}
    for fold in folds:
        folder = fold_folder(fold.name).casefold()
        if other := places.get(folder):
            raise InputError(
                f"what is made without {fold.column} {other!r} and without {fold.name!r} would lie in one folder; rename one"
            )
        places[folder] = fold.name
