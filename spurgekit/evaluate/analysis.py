"""What predictions of several arms say: means, paired differences, and what the design can find."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from spurgekit.classify.metrics import METRICS
from spurgekit.errors import InputError
from spurgekit.evaluate.bootstrap import REPLICATES, resample
from spurgekit.evaluate.by_place import by_place
from spurgekit.evaluate.cell_metrics import tidy
from spurgekit.evaluate.intervals import CONFIDENCE, paired_differences, summarise
from spurgekit.evaluate.power import RESOLVE, power_warnings, resolvable
from spurgekit.evaluate.predictions import pair_predictions


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What predictions of several arms say.

    Attributes
    ----------
    baseline, metric : str
        What the report compares with, and by which metric.
    resolve, confidence : float
        The difference asked for, and of the intervals.
    results : pandas.DataFrame
        Metrics of each cell; see :func:`spurgekit.evaluate.cell_metrics.tidy`.
    summary : pandas.DataFrame
        Means; see :func:`spurgekit.evaluate.intervals.summarise`.
    differences : pandas.DataFrame
        See :func:`spurgekit.evaluate.intervals.paired_differences`, with resolvable, resolvable_alone, sets_needed and
        places_needed of :func:`spurgekit.evaluate.power.resolvable`.
    places, folds : pandas.DataFrame
        See :func:`spurgekit.evaluate.by_place.by_place`.
    warnings : tuple of str
        What the design cannot resolve, and what is missing, a sentence each.
    """

    baseline: str
    metric: str
    resolve: float
    confidence: float
    results: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    places: pd.DataFrame
    folds: pd.DataFrame
    warnings: tuple[str, ...]


def analyse(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    support: Mapping[tuple[int, int], Hashable] | None = None,
    *,
    baseline: str,
    metric: str = "balanced_accuracy",
    resolve: float = RESOLVE,
    confidence: float = CONFIDENCE,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Evaluation:
    """Evaluate predictions of several arms over the same support sets.

    Parameters
    ----------
    predictions : pandas.DataFrame
        See :func:`spurgekit.evaluate.predictions.pair_predictions`.
    classes : sequence of str
        In the order of their numbers, absence first.
    support : mapping, optional
        What tells support sets apart, by shots and trial: those of one support set count as one. Default: each trial has its
        own.
    baseline : str
        The arm that others are compared with.
    metric : str
        That the report is about; all are in the tables.
    resolve : float
        The difference in it that the design should find.
    confidence : float
        Of intervals.
    replicates, seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If the predictions are damaged or not paired, an option cannot be, or the metric is defined for no trial.
    """
    title = METRICS[metric].title
    paired = pair_predictions(predictions, classes)
    bootstrap = resample(paired, support, replicates=replicates, seed=seed)
    differences = paired_differences(bootstrap, baseline, confidence=confidence)
    differences = resolvable(differences, resolve=resolve, confidence=confidence)
    summary = summarise(bootstrap, confidence=confidence)
    if not (summary["metric"] == metric).any():
        raise InputError(f"{title} is defined for no trial: test tiles of every class are needed")
    return Evaluation(
        baseline=baseline,
        metric=metric,
        resolve=resolve,
        confidence=confidence,
        results=tidy(paired),
        summary=summary,
        differences=differences,
        places=by_place(paired),
        folds=by_place(paired, by="fold"),
        warnings=(*power_warnings(differences, metric=metric, resolve=resolve), *bootstrap.notes),
    )
