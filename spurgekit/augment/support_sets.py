"""Support sets that synthetic tiles are made for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from spurgekit.dataset import Dataset
from spurgekit.dataset.few_shot import support_rows
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.errors import InputError


class SupportSetKey(NamedTuple):
    """A support set: one of those of n tiles a class, or of ``ALL_SHOTS``, the whole training split, the only one."""

    trial: int
    n: int

    @property
    def name(self) -> str:
        """As folders are called: ``t03-n04`` or ``all``."""
        return "all" if self.n == ALL_SHOTS else f"t{self.trial:02d}-n{self.n:02d}"


ALL_TILES = SupportSetKey(0, ALL_SHOTS)


def choose_sets(dataset: Dataset, shots: Sequence[int], trials: int) -> list[SupportSetKey]:
    """Return the support sets of some numbers of shots, of each the first ``trials``.

    Raises
    ------
    InputError
        If the dataset has no such sets.
    """
    whole = [ALL_TILES] if ALL_SHOTS in shots else []
    shots = [n for n in shots if n != ALL_SHOTS]
    if not shots:
        return whole
    if trials < 1:
        raise InputError(f"{trials} trials are none; pass `trials=1` or more")
    known = dataset.support_sets()[["trial", "n"]].drop_duplicates()
    if missing := [n for n in shots if n not in set(known["n"])]:
        has = ", ".join(str(n) for n in sorted(set(known["n"]))) or "none"
        raise InputError(f"{dataset.path} has no support sets of {missing[0]} shots, only of {has}; pass `shots` accordingly")
    chosen = known[known["n"].isin(shots) & (known["trial"] < trials)].sort_values(["trial", "n"])
    return whole + [SupportSetKey(int(trial), int(n)) for trial, n in zip(chosen["trial"], chosen["n"], strict=True)]


def tiles_of(
    dataset: Dataset, sets: Sequence[SupportSetKey], train: pd.DataFrame | None = None
) -> Iterator[tuple[SupportSetKey, pd.DataFrame]]:
    """Yield support sets with the rows of their real tiles, of ``train`` where the caller has read the training split.

    Raises
    ------
    InputError
        If a class has none.
    """
    train = dataset.split("train") if train is None else train
    if missing := [name for name in dataset.info.classes if name not in set(train["class"])]:
        raise InputError(f"the class {missing[0]!r} has no tiles in the training split of {dataset.path}; label some")
    listed = dataset.support_sets() if any(key.n != ALL_SHOTS for key in sets) else pd.DataFrame()
    for key in sets:
        yield key, train if key.n == ALL_SHOTS else support_rows(train, listed, key.n, key.trial)
