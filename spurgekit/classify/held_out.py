"""What a model said of held-out tiles, by the place that they are from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.model_files import PREDICTIONS
from spurgekit.classify.model_info import REMEDY, ModelInfo
from spurgekit.classify.prevalence import shift_prevalence
from spurgekit.errors import InputError, ModelError, first_line
from spurgekit.tables import numbers, read_table

UNCLEAR = -1
"""Class number of a tile that holds some of the weed, and too little to be of its class."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutCounts:
    """Held-out tiles by place, true class and predicted class.

    Attributes
    ----------
    counts : ndarray of int64, shape (places, classes, classes)
        By place, true class and predicted class.
    unclear : ndarray of int64, shape (places, classes)
        Tiles that are of no class by the rule of the labels, by place and predicted class.
    """

    counts: NDArray[np.int64]
    unclear: NDArray[np.int64]

    @classmethod
    def of_matrix(cls, confusion: Sequence[Sequence[int]] | NDArray[np.integer]) -> HeldOutCounts:
        """Return those of a confusion matrix, of which nothing more is known: all of one place."""
        counts = np.asarray(confusion, np.int64)[None]
        return cls(counts, np.zeros(counts.shape[:2], np.int64))

    def against_rest(self, number: int) -> HeldOutCounts:
        """Return those of one class against all others, which are the first of two classes then."""
        other = np.arange(self.counts.shape[1]) != number

        def parted(counts: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
            return np.stack([counts.compress(other, axis).sum(axis), counts.take(number, axis)], axis)

        return HeldOutCounts(parted(parted(self.counts, 1), 2), parted(self.unclear, 1))

    @property
    def matrix(self) -> NDArray[np.int64]:
        """The confusion matrix, shape (classes, classes)."""
        return np.asarray(self.counts.sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutTiles:
    """Held-out tiles, one by one.

    Attributes
    ----------
    probabilities : ndarray of float64, shape (n, classes)
    targets : ndarray of int64, shape (n,)
        Class numbers; :data:`UNCLEAR` of tiles that are of no class by the rule of the labels.
    places : ndarray of str, shape (n,)
    cover : ndarray of float64, shape (n,)
        Share of each that is covered; NaN where it is not known.
    """

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    places: NDArray[np.object_]
    cover: NDArray[np.float64]

    def at_prevalence(self, prior: Mapping[str, float], shares: Sequence[float]) -> HeldOutTiles:
        """Return them with probabilities for another prevalence; see :func:`spurgekit.classify.prevalence.shift_prevalence`."""
        return replace(self, probabilities=shift_prevalence(self.probabilities, prior, shares))

    @property
    def clear(self) -> HeldOutTiles:
        """Those that are of a class."""
        keep = self.targets != UNCLEAR
        return HeldOutTiles(self.probabilities[keep], self.targets[keep], self.places[keep], self.cover[keep])

    def counted(self, predicted: NDArray[np.intp]) -> HeldOutCounts:
        """Return how many there are, by place, true class and the class that is predicted of each."""
        k = self.probabilities.shape[1]
        names, place = np.unique(self.places.astype(str), return_inverse=True)
        counts = np.zeros((len(names), k + 1, k), np.int64)
        np.add.at(counts, (place, self.targets, predicted), 1)  # unclear ones are the last row
        return HeldOutCounts(counts[:, :k], counts[:, k])


def probability_columns(classes: Sequence[str], *, views: int | None = None) -> list[str]:
    """Return what the columns of probabilities are called in ``test_predictions.csv``.

    Parameters
    ----------
    classes : sequence of str
    views : int, optional
        Of those by fewer views of a tile than the model is made for.
    """
    return [f"p{views or ''}({name})" for name in classes]


def read_held_out(folder: Path, classes: Sequence[str], *, views: int | None = None) -> HeldOutTiles:
    """Read ``test_predictions.csv`` of a model folder.

    Parameters
    ----------
    folder : pathlib.Path
    classes : sequence of str
    views : int, optional
        Of the probabilities by fewer views of each tile, where the table has them.

    Raises
    ------
    ModelError
        If it is damaged.
    """
    file = folder / PREDICTIONS
    try:
        table = read_table(file).rows
        fewer = probability_columns(classes, views=views)
        columns = fewer if fewer[0] in table else probability_columns(classes)
        found = np.column_stack([numbers(table[name], name) for name in columns])
        number = {name: i for i, name in enumerate(classes)}
        if (unknown := table["class"][table["class"].notna() & ~table["class"].isin(classes)]).size:
            raise InputError(f"no class is called {unknown.iloc[0]!r}")
        targets = table["class"].map(number).fillna(UNCLEAR).to_numpy(np.int64)
        places = table["place"].to_numpy(object) if "place" in table else np.full(len(table), "", object)
        cover = numbers(table["cover"], "cover").to_numpy() if "cover" in table else np.full(len(table), np.nan)
        total = found.sum(axis=1, keepdims=True)
        if not (np.isfinite(total) & (total > 0) & (found >= 0).all(axis=1, keepdims=True)).all():
            raise InputError("its probabilities are not numbers from 0 to 1")
    except (ValueError, KeyError) as error:
        raise ModelError(f"{file} is damaged ({first_line(error)}); {REMEDY}") from error
    return HeldOutTiles(found / total, targets, places, cover)  # they were rounded


def held_out_as(folder: Path, info: ModelInfo, shares: Sequence[float] | None, views: int) -> HeldOutTiles | None:
    """Read what a model said of held-out tiles, as it was used; None where that is not in its folder.

    Parameters
    ----------
    folder : pathlib.Path
        Of the model.
    info : ModelInfo
        As its folder has it.
    shares : sequence of float or None
        The prevalence that its probabilities were for; None for that in training.
    views : int
        Of each tile.

    Raises
    ------
    ModelError
        If the table is damaged, or missing where a prevalence needs it.
    """
    if not (folder / PREDICTIONS).is_file():
        if shares is not None:
            raise ModelError(f"{folder / PREDICTIONS} is missing, and `prevalence` needs it; {REMEDY}")
        return None
    tested = read_held_out(folder, info.classes, views=views if views < info.views else None)
    return tested if shares is None else tested.at_prevalence(info.prior, shares)


def counts_of(tested: HeldOutTiles | None, info: ModelInfo) -> HeldOutCounts:
    """Return held-out tiles by place and class; all of one place where nothing is known but the confusion matrix."""
    if tested is None:
        return HeldOutCounts.of_matrix(info.held_out.confusion_matrix)
    return tested.counted(info.predicted(tested.probabilities))
