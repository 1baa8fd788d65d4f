"""The report of an evaluation: tables, curves, and a page that says what they show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from spurgekit.evaluate.analysis import Evaluation, analyse
from spurgekit.evaluate.bootstrap import REPLICATES
from spurgekit.evaluate.curves import write_curves
from spurgekit.evaluate.intervals import CONFIDENCE
from spurgekit.evaluate.power import RESOLVE
from spurgekit.evaluate.report_page import report_lines
from spurgekit.outputs import output_file

RESULTS, SUMMARY, DIFFERENCES, PLACES = "results.parquet", "summary.csv", "differences.csv", "places.csv"
REPORT, CURVES = "report.md", ("curves.png", "curves.svg")


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
