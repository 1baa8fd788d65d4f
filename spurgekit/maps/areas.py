"""Areas per class, corrected for the classifier's errors, with an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from scipy.optimize import nnls

DRAWS = 2000
SUM_WEIGHT = 1e3
"""Weight of the equation that shares add up to 1, against those of the confusion matrix."""


class ClassArea(BaseModel):
    """The area of a class, in square metres.

    Attributes
    ----------
    mapped_m2 : float
        Area of the cells that the map gives to the class.
    corrected_m2 : float
        The same, corrected for the errors seen on the held-out tiles.
    low_m2, high_m2 : float
        95 % interval of the corrected area, from the finite number of held-out tiles.
    """

    model_config = ConfigDict(frozen=True)

    mapped_m2: float
    corrected_m2: float
    low_m2: float
    high_m2: float


def class_areas(mapped_m2: Sequence[float], confusion: ArrayLike, *, seed: int = 0) -> list[ClassArea]:
    """Correct mapped areas for a classifier's errors.

    The shares mapped are the true shares times the rates at which each class is taken for another. The rates are those of the
    confusion matrix; solving for the true shares gives the correction (Rogan and Gladen 1978, for two classes; Buonaccorsi
    2010, section 3.4, for more), here by non-negative least squares so that no area is negative. It does not assume that the
    classes are as common on the map as among the tested tiles. For the interval each row of the matrix is drawn from its
    posterior (Dirichlet, Jeffreys' prior). A class that no tile tested is taken as mapped; its interval says that little is
    known.

    Parameters
    ----------
    mapped_m2 : sequence of float, length k
        Mapped area of each class.
    confusion : array_like of int, shape (k, k)
        Row: true class, column: predicted class.
    seed : int
        Of the draws.
    """
    mapped = np.asarray(mapped_m2, dtype=np.float64)
    matrix = np.asarray(confusion, dtype=np.float64)
    total = mapped.sum()
    if total == 0:
        return [ClassArea(mapped_m2=0, corrected_m2=0, low_m2=0, high_m2=0) for _ in mapped]
    rng = np.random.default_rng(seed)
    draws = np.stack([rng.dirichlet(row + 0.5, size=DRAWS) for row in matrix], axis=1)
    shares = np.array([_true_shares(mapped / total, rates) for rates in draws])
    tested = matrix.sum(axis=1, keepdims=True)
    best = _true_shares(mapped / total, np.where(tested > 0, matrix / np.maximum(tested, 1), np.eye(len(matrix))))
    low, high = np.percentile(shares, (2.5, 97.5), axis=0)
    return [
        ClassArea(mapped_m2=m, corrected_m2=b * total, low_m2=min(lo, b) * total, high_m2=max(hi, b) * total)
        for m, b, lo, hi in zip(mapped, best, low, high, strict=True)
    ]


def _true_shares(mapped: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares p >= 0, adding up to 1, for which rates.T @ p is closest to the mapped shares."""
    system = np.vstack([rates.T, np.full((1, len(mapped)), SUM_WEIGHT)])
    shares = nnls(system, np.append(mapped, SUM_WEIGHT))[0]
    return np.asarray(shares / shares.sum())
