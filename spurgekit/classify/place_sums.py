"""Metrics from sums over the tiles of each place: reweighting places costs no second look at the tiles.

The bootstrap draws places with replacement, which gives each of them a weight. Every metric here is a function of sums over
places and those weights, for many sets of weights at a time. A weight of 1 for each place gives the metric of all tiles. A draw
that lacks a class which the tiles have gives NaN: what it says of the others is not the same metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 15
"""Bins of confidence, as in Guo et al. 2017."""


@dataclass(frozen=True, slots=True)
class PlaceSums:
    """What the metrics need to know of the tiles of each place.

    Attributes
    ----------
    confusion : numpy.ndarray, shape (places, classes, classes)
        Tiles by true and predicted class.
    wins : numpy.ndarray, shape (rests, places, places)
        For each class against the rest (for two classes of the second alone): of the pairs of a tile of the class in one place
        and a tile of the rest in another, how many give the first the higher probability; ties count half.
    squares : numpy.ndarray, shape (places,)
        Sum of half the squared differences between probabilities and truth.
    gaps : numpy.ndarray, shape (places, bins)
        Sum of confidence less correctness, of the tiles in each bin of confidence.
    """

    confusion: Floats
    wins: Floats
    squares: Floats
    gaps: Floats

    @classmethod
    def of(
        cls,
        place: NDArray[np.intp],
        target: NDArray[np.intp],
        probabilities: NDArray[np.floating[Any]],
        places: int,
        *,
        bins: int = BINS,
    ) -> PlaceSums:
        """Sum predictions of tiles over places.

        Parameters
        ----------
        place, target : numpy.ndarray of int, shape (tiles,)
        probabilities : numpy.ndarray, shape (tiles, classes)
        places : int
            How many there are; some may have no tile here.
        bins : int
            Of confidence.
        """
        classes = probabilities.shape[1]
        predicted = probabilities.argmax(axis=1)
        confusion = np.bincount((place * classes + target) * classes + predicted, minlength=places * classes**2)
        exact = probabilities.astype(np.float64)
        squares = 0.5 * ((exact - np.eye(classes)[target]) ** 2).sum(axis=1)
        confidence = exact.max(axis=1)
        # A confidence on the edge of two bins belongs to the lower, as in Guo et al.: bin m is ((m - 1) / M, m / M].
        number = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
        gaps = np.bincount(place * bins + number, confidence - (predicted == target), places * bins)
        against_rest = (1,) if classes == 2 else range(classes)
        return cls(
            confusion.reshape(places, classes, classes).astype(np.float64),
            np.stack([_pair_wins(place, target == number, probabilities[:, number], places) for number in against_rest]),
            np.bincount(place, squares, places).astype(np.float64),
            gaps.reshape(places, bins).astype(np.float64),
        )

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether there are tiles of each class, shape (classes,)."""
        return np.asarray(self.confusion.sum(axis=(0, 2)) > 0)


def balanced_accuracy(sums: PlaceSums, weights: Floats) -> Floats:
    """Return the mean recall over the classes that there are tiles of."""
    confusion = _confusion(sums, weights)
    recall = _ratio(np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2))
    return np.asarray(recall[:, sums.present].mean(axis=1))


def auroc(sums: PlaceSums, weights: Floats) -> Floats:
    """Return the area under the ROC curve: the mean over classes of one against the rest, for two classes of the second.

    It is the share of pairs (a tile of the class, one of the rest) that are in the right order, so that for weights of places w
    and wins U it is w' U w over the number of pairs (Hanley and McNeil, Radiology 143, 1982). NaN where a class has no tiles.
    """
    tiles = weights @ sums.confusion.sum(axis=2)
    mine = tiles[:, 1:] if tiles.shape[1] == 2 else tiles
    wins = np.stack([np.einsum("rp,rp->r", weights @ of, weights) for of in sums.wins], axis=1)
    return np.asarray(_ratio(wins, mine * (tiles.sum(axis=1, keepdims=True) - mine)).mean(axis=1))


def f1(sums: PlaceSums, weights: Floats) -> Floats:
    """Return the mean F1 over the classes after the first, which is absence.

    A class that is neither present nor predicted is left out of the mean; NaN where all are.
    """
    confusion = _confusion(sums, weights)
    true, predicted = confusion.sum(axis=2)[:, 1:], confusion.sum(axis=1)[:, 1:]
    values = _ratio(2 * np.diagonal(confusion, axis1=1, axis2=2)[:, 1:], true + predicted)
    # A class without tiles in this draw would get a 0 for a single false alarm; one that has none at all gets that 0 always.
    values = np.where(true > 0, values, np.where(sums.present[1:], np.nan, 0.0))
    counted = sums.present[1:] | (sums.confusion.sum(axis=(0, 1))[1:] > 0)
    return np.asarray(values[:, counted].mean(axis=1)) if counted.any() else np.full(len(weights), np.nan)


def brier(sums: PlaceSums, weights: Floats) -> Floats:
    """Return the mean over tiles of half the sum over classes of squared differences, from 0 to 1 (Brier, 1950)."""
    return _ratio(weights @ sums.squares, _tiles(sums, weights))


def ece(sums: PlaceSums, weights: Floats) -> Floats:
    """Return the expected calibration error of the predicted class, in equal bins (Guo et al., ICML 2017, eq. 3)."""
    return _ratio(np.abs(weights @ sums.gaps).sum(axis=1), _tiles(sums, weights))


def _pair_wins(place: NDArray[np.intp], positive: NDArray[np.bool_], score: NDArray[np.floating[Any]], places: int) -> Floats:
    """Count pairs of a positive of one place above a negative of another, shape (places, places)."""
    order = np.argsort(score[~positive], kind="stable")
    negatives = score[~positive][order]
    below = np.zeros((len(negatives) + 1, places))
    below[np.arange(1, len(negatives) + 1), place[~positive][order]] = 1
    below = below.cumsum(axis=0)  # row i: how many of the i lowest negatives are in each place
    wins = np.zeros((places, places))
    low, high = (np.searchsorted(negatives, score[positive], side=side) for side in ("left", "right"))
    np.add.at(wins, place[positive], 0.5 * (below[low] + below[high]))
    return wins


def _confusion(sums: PlaceSums, weights: Floats) -> Floats:
    classes = sums.confusion.shape[1]
    return np.asarray(weights @ sums.confusion.reshape(len(sums.confusion), -1)).reshape(len(weights), classes, classes)


def _tiles(sums: PlaceSums, weights: Floats) -> Floats:
    return np.asarray(weights @ sums.confusion.sum(axis=(1, 2)))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divide; NaN where the whole is nothing."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0))
