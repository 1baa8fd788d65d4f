"""The report of an evaluation: tables, curves, and a page that says what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spurgekit.errors import InputError
from spurgekit.evaluate.bootstrap import REPLICATES, resample
from spurgekit.evaluate.figure import write_curves
from spurgekit.evaluate.intervals import CONFIDENCE, paired_differences, summarise
from spurgekit.evaluate.markdown import report_lines
from spurgekit.evaluate.metrics import METRICS, tidy
from spurgekit.evaluate.places import by_place
from spurgekit.evaluate.power import RESOLVE, power_warnings, resolvable
from spurgekit.evaluate.predictions import pair_predictions
from spurgekit.outputs import output_file

RESULTS, SUMMARY, DIFFERENCES, PLACES = "results.parquet", "summary.csv", "differences.csv", "places.csv"
REPORT, CURVES = "report.md", ("curves.png", "curves.svg")


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
        Metrics of each cell; see :func:`spurgekit.evaluate.metrics.tidy`.
    summary : pandas.DataFrame
        Means; see :func:`spurgekit.evaluate.intervals.summarise`.
    differences : pandas.DataFrame
        See :func:`spurgekit.evaluate.intervals.paired_differences`, with resolvable and trials_needed of
        :func:`spurgekit.evaluate.power.resolvable`.
    places, folds : pandas.DataFrame
        See :func:`spurgekit.evaluate.places.by_place`.
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
    if metric not in METRICS:
        raise InputError(f"there is no metric {metric!r}; there are {', '.join(METRICS)}")
    paired = pair_predictions(predictions, classes)
    bootstrap = resample(paired, replicates=replicates, seed=seed)
    differences = paired_differences(bootstrap, baseline, confidence=confidence)
    power = resolvable(differences, resolve=resolve)
    summary = summarise(bootstrap, confidence=confidence)
    if not (summary["metric"] == metric).any():
        raise InputError(f"{METRICS[metric].title} is defined for no trial: test tiles of every class are needed")
    return Evaluation(
        baseline=baseline,
        metric=metric,
        resolve=resolve,
        confidence=confidence,
        results=tidy(paired),
        summary=summary,
        differences=differences.assign(resolvable=power["resolvable"], trials_needed=power["trials_needed"]),
        places=by_place(paired),
        folds=by_place(paired, by="fold"),
        warnings=(*power_warnings(power, metric=metric, resolve=resolve), *bootstrap.notes),
    )


def write_report(
    folder: Path,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    baseline: str,
    metric: str = "balanced_accuracy",
    resolve: float = RESOLVE,
    confidence: float = CONFIDENCE,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Evaluation:
    """Evaluate predictions and write tables, curves and ``report.md`` into a folder; see :func:`analyse`.

    The same predictions give the same bytes.
    """
    found = analyse(
        predictions,
        classes,
        baseline=baseline,
        metric=metric,
        resolve=resolve,
        confidence=confidence,
        replicates=replicates,
        seed=seed,
    )
    folder = Path(folder)
    with output_file(folder / RESULTS) as partial:
        found.results.to_parquet(partial, index=False)
    for name, table in ((SUMMARY, found.summary), (DIFFERENCES, found.differences), (PLACES, found.places)):
        with output_file(folder / name) as partial:
            table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    write_curves([folder / name for name in CURVES], found.summary, metric=metric, baseline=baseline, confidence=confidence)
    with output_file(folder / REPORT) as partial:
        partial.write_text("\n".join(report_lines(found)) + "\n", encoding="utf-8")
    return found
