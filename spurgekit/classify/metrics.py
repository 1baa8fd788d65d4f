"""Metrics of class probabilities, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spurgekit.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spurgekit.classify.place_sums import PlaceSums

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric.

    Attributes
    ----------
    name : str
    title : str
        At the head of a line.
    words : str
        Within a sentence.
    value : callable
        ``value(sums, weights)`` gives the values, shape (draws,), of sums over places
        (:class:`~spurgekit.classify.place_sums.PlaceSums`) and weights of the places, shape (draws, places): what reweights
        places costs no second look at the tiles. NaN where it is not defined.
    low, high : float
        Values that it can take.
    higher_is_better : bool
    by_class : bool
        Whether it needs tiles of each class.
    """

    name: str
    title: str
    words: str
    value: Callable[[PlaceSums, Floats], Floats]
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    by_class: bool = True


def _balanced_accuracy(sums: PlaceSums, weights: Floats) -> Floats:
    from spurgekit.classify.place_sums import balanced_accuracy

    return balanced_accuracy(sums, weights)


def _auroc(sums: PlaceSums, weights: Floats) -> Floats:
    from spurgekit.classify.place_sums import auroc

    return auroc(sums, weights)


def _f1(sums: PlaceSums, weights: Floats) -> Floats:
    from spurgekit.classify.place_sums import f1

    return f1(sums, weights)


def _brier(sums: PlaceSums, weights: Floats) -> Floats:
    from spurgekit.classify.place_sums import brier

    return brier(sums, weights)


def _ece(sums: PlaceSums, weights: Floats) -> Floats:
    from spurgekit.classify.place_sums import ece

    return ece(sums, weights)


METRICS = Registry(
    "metric",
    [
        Metric(name="balanced_accuracy", title="Balanced accuracy", words="balanced accuracy", value=_balanced_accuracy),
        Metric(name="auroc", title="AUROC", words="AUROC", value=_auroc),
        Metric(name="f1", title="F1", words="F1", value=_f1),
        Metric(name="brier", title="Brier score", words="Brier score", value=_brier, higher_is_better=False, by_class=False),
        Metric(
            name="ece",
            title="Calibration error (ECE)",
            words="calibration error (ECE)",
            value=_ece,
            higher_is_better=False,
            by_class=False,
        ),
    ],
)
"""All metrics, the one that is compared by default first; yours is one more: ``METRICS.register(Metric(...))``."""

DEFAULT_METRIC = "balanced_accuracy"
