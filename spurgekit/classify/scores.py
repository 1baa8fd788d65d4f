"""Scores of class probabilities: how often they are right, how well they rank, and whether they mean what they say."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.metrics import METRICS
from spurgekit.classify.place_sums import BINS, PlaceSums
from spurgekit.errors import InputError

ROUNDING = 1e-6
"""How far beyond 0 and 1 a softmax of float32 may lie."""

Probabilities = NDArray[np.floating[Any]]
Targets = NDArray[np.integer[Any]]


class Bins(NamedTuple):
    """Tiles by their confidence, the probability of the class that is predicted.

    Attributes
    ----------
    edges : ndarray of float64, shape (bins + 1,)
        From 0 to 1; a tile on an edge belongs to the bin below it.
    counts : ndarray of int64, shape (bins,)
        Tiles.
    right : ndarray of int64, shape (bins,)
        Tiles whose predicted class is the true one.
    confidence : ndarray of float64, shape (bins,)
        Mean confidence; NaN where there are no tiles.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]


def score(probabilities: Probabilities, targets: Targets) -> dict[str, float]:
    """Return all metrics by name.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n, classes)
    targets : ndarray of int, shape (n,)
        Class numbers.

    Returns
    -------
    dict
        Of each metric of :data:`~spurgekit.classify.metrics.METRICS`; NaN where it is not defined.

    Raises
    ------
    InputError
        If there are no tiles, a probability is not a number from 0 to 1, or a target is no class.
    """
    return {name: value_of(name, probabilities, targets) for name in METRICS}


def value_of(metric: str, probabilities: Probabilities, targets: Targets) -> float:
    """Return the value of one metric; see :func:`score`.

    Examples
    --------
    >>> value_of("brier", np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1]))
    0.125
    """
    probabilities, targets = _checked(probabilities, targets)
    sums = PlaceSums.of(np.zeros(len(targets), np.intp), targets, probabilities, 1)
    return float(METRICS[metric].value(sums, np.ones((1, 1)))[0])


def confusion(probabilities: Probabilities, targets: Targets) -> NDArray[np.int64]:
    """Return tiles by true class (row) and predicted class (column), shape (classes, classes)."""
    probabilities, targets = _checked(probabilities, targets)
    classes = probabilities.shape[1]
    pairs = targets * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def confidence_bins(probabilities: Probabilities, targets: Targets, *, bins: int = BINS) -> Bins:
    """Sort tiles into bins of equal width by the probability of the class that is predicted."""
    probabilities, targets = _checked(probabilities, targets)
    predicted = probabilities.argmax(axis=1)
    confidence = np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0]
    edges = np.linspace(0, 1, bins + 1)
    number = np.searchsorted(edges[1:-1], confidence, side="left")
    counts = np.bincount(number, minlength=bins)
    right = np.bincount(number[predicted == targets], minlength=bins)
    sums = np.bincount(number, weights=confidence, minlength=bins)
    mean = np.divide(sums, counts, out=np.full(bins, np.nan), where=counts > 0)
    return Bins(edges, counts, right, mean)


def _checked(probabilities: Probabilities, targets: Targets) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return both as arrays that the formulas can take."""
    p, t = np.asarray(probabilities, np.float64), np.asarray(targets)
    if p.ndim != 2 or p.shape[1] < 2 or t.shape != p.shape[:1]:
        raise InputError(f"probabilities {p.shape} and targets {t.shape} do not go together; pass (n, classes) and (n,)")
    if not len(p):
        raise InputError("there are no tiles to score")
    sound = ((p >= -ROUNDING) & (p <= 1 + ROUNDING)).all(axis=1)  # NaN fails both
    if not sound.all():
        row = int(np.flatnonzero(~sound)[0])
        raise InputError(f"the probabilities of tile {row} are not numbers from 0 to 1: {p[row].tolist()}")
    if not np.issubdtype(t.dtype, np.integer) or t.min() < 0 or t.max() >= p.shape[1]:
        raise InputError(f"targets are class numbers from 0 to {p.shape[1] - 1}; got {t.min()} to {t.max()} ({t.dtype})")
    return p, t.astype(np.int64)
