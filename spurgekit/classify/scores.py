"""Scores of class probabilities: how often they are right, how well they rank, and whether they mean what they say."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spurgekit.errors import InputError

BINS = 15
"""Bins of confidence, as in Guo et al. 2017."""

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
    """Return all scores by name.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n, classes)
    targets : ndarray of int, shape (n,)
        Class numbers.

    Returns
    -------
    dict
        balanced_accuracy, auroc, f1, brier, ece.

    Raises
    ------
    InputError
        If there are no tiles, a probability is not a number from 0 to 1, or a target is no class.
    """
    functions = (balanced_accuracy, auroc, f1, brier, ece)
    return {function.__name__: function(probabilities, targets) for function in functions}


def confusion(probabilities: Probabilities, targets: Targets) -> NDArray[np.int64]:
    """Return tiles by true class (row) and predicted class (column), shape (classes, classes)."""
    probabilities, targets = _checked(probabilities, targets)
    from sklearn.metrics import confusion_matrix

    labels = np.arange(probabilities.shape[1])
    return np.asarray(confusion_matrix(targets, probabilities.argmax(axis=1), labels=labels), np.int64)


def balanced_accuracy(probabilities: Probabilities, targets: Targets) -> float:
    """Return the mean recall over the classes that are present among the targets."""
    matrix = confusion(probabilities, targets)
    tiles = matrix.sum(axis=1)
    return float((np.diag(matrix)[tiles > 0] / tiles[tiles > 0]).mean())


def auroc(probabilities: Probabilities, targets: Targets) -> float:
    """Return the area under the ROC curve.

    Of two classes it is that of the second one's probability; of more, the mean over the classes of each against the rest
    (Provost & Domingos 2000, every class counting alike). NaN where a class is missing among the targets.
    """
    probabilities, targets = _checked(probabilities, targets)
    from sklearn.metrics import roc_auc_score

    classes = probabilities.shape[1]
    if len(np.unique(targets)) < classes:
        return float("nan")
    ranked = range(1, 2) if classes == 2 else range(classes)
    return float(np.mean([roc_auc_score(targets == number, probabilities[:, number]) for number in ranked]))


def f1(probabilities: Probabilities, targets: Targets) -> float:
    """Return the mean F1 over the classes after the first, which is absence.

    A class that is neither present nor predicted is left out of the mean; NaN where all are.
    """
    probabilities, targets = _checked(probabilities, targets)
    from sklearn.metrics import f1_score

    labels = np.arange(1, probabilities.shape[1])
    each = f1_score(targets, probabilities.argmax(axis=1), labels=labels, average=None, zero_division=np.nan)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def brier(probabilities: Probabilities, targets: Targets) -> float:
    """Return the Brier score: the mean over tiles of half the squared differences from the truth, 0 (best) to 1.

    For two classes it is the mean squared difference of the second one's probability (Brier 1950, halved).
    """
    probabilities, targets = _checked(probabilities, targets)
    truth = np.eye(probabilities.shape[1])[targets]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean() / 2)


def ece(probabilities: Probabilities, targets: Targets, *, bins: int = BINS) -> float:
    """Return the expected calibration error of the predicted class, 0 (best) to 1.

    The mean over tiles of the gap between confidence and share of right predictions in their bin (Guo et al. 2017, eq. 3).
    Few tiles make it too large: bins of a few tiles stray from their confidence by chance.
    """
    found = confidence_bins(probabilities, targets, bins=bins)
    filled = found.counts > 0
    gaps = np.abs(found.right[filled] - found.counts[filled] * found.confidence[filled])
    return float(gaps.sum() / found.counts.sum())


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
