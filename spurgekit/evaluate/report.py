"""The report of an evaluation: tables, curves, and a page that says what they show."""

from __future__ import annotations

from pathlib import Path

from spurgekit.evaluate.analysis import Evaluation
from spurgekit.evaluate.curves import write_curves
from spurgekit.evaluate.report_page import report_lines
from spurgekit.outputs import output_file
from spurgekit.tables import csv_of

RESULTS, SUMMARY, DIFFERENCES, PLACES = "results.parquet", "summary.csv", "differences.csv", "places.csv"
REPORT, CURVES = "report.md", ("curves.png", "curves.svg")


def write_report(folder: Path, found: Evaluation) -> None:
    """Write the tables, curves and ``report.md`` of an evaluation into a folder; the same evaluation gives the same bytes."""
    folder = Path(folder)
    with output_file(folder / RESULTS) as partial:
        found.results.to_parquet(partial, index=False)
    for name, table in ((SUMMARY, found.summary), (DIFFERENCES, found.differences), (PLACES, found.places)):
        with output_file(folder / name) as partial:
            partial.write_text(csv_of(table, folder / name, float_format="%.6g"), encoding="utf-8", newline="\n")
    write_curves(
        [folder / name for name in CURVES],
        found.summary,
        metric=found.metric,
        baseline=found.baseline,
        confidence=found.confidence,
    )
    with output_file(folder / REPORT) as partial:
        partial.write_text("\n".join(report_lines(found)) + "\n", encoding="utf-8", newline="\n")
