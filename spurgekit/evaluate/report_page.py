"""The page of a report, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spurgekit.classify.metrics import METRICS
from spurgekit.dataset.shots import ALL_SHOTS, ascending
from spurgekit.evaluate.analysis import Evaluation
from spurgekit.evaluate.intervals import LEAST
from spurgekit.evaluate.predictions import shots_name
from spurgekit.text import counted

NOTHING = "–"
MOST_RECALLS = 3
"""Classes whose recalls are shown beside a balanced accuracy."""

HOW_TO_READ = (
    "The interval of a mean says where it would lie with other support sets of the same training tiles and other places to "
    "test on; that two of them overlap says little, as arms share what is hard about a trial and a place. Differences are "
    "paired by trial and place, and called real where the interval that holds for all comparisons together excludes 0, and "
    f"there are {LEAST} different support sets and {LEAST} places with tiles of each class, or more; one that is not real has "
    "not been shown to be nothing. What counts is support sets and places, not tiles: those of one place are not independent, "
    "and no number of them makes up for few places."
)
FILES = "`results.parquet` has every cell; `summary.csv`, `differences.csv` and `places.csv` have all metrics and places."


def report_lines(found: Evaluation) -> list[str]:
    """Return the lines of ``report.md``."""
    metric = METRICS[found.metric]
    summary = found.summary[found.summary["metric"] == found.metric]
    differences = found.differences[found.differences["metric"] == found.metric]
    lines = [f"# {metric.title} of {counted(summary['arm'].nunique(), 'arm')} on the same support sets", ""]
    lines += [_what_means_are(summary, found.confidence), "", *_arms_by_shots(summary, _mean), ""]
    lines += ["![Few-shot curves](curves.png)", ""]
    if len(differences):
        lines += [f"## Differences from {found.baseline}", "", _what_differs(differences, found), ""]
        lines += [*_arms_by_shots(differences, _difference), ""]
        lines += ["## What the design can find", "", _what_is_found(found), ""]
        lines += [*_arms_by_shots(differences, lambda row: _resolvable(row, found.resolve)), ""]
    if found.warnings:
        lines += ["## To keep in mind", "", *(f"- {warning}" for warning in found.warnings), ""]
    if len(set(found.folds["fold"])) > 1:
        lines += ["## Fold by fold", "", *_folds(found), ""]
    lines += ["## Other metrics", "", *_other_metrics(found), ""]
    lines += ["## How to read it", "", HOW_TO_READ, ""]
    return [*lines, FILES]


def _what_means_are(summary: pd.DataFrame, confidence: float) -> str:
    few = summary[summary["n"] != ALL_SHOTS]
    trials = sorted(set((few if len(few) else summary)["trials"]))
    of = counted(trials[0], "trial") if len(trials) == 1 else f"{trials[0]} to {trials[-1]} trials"
    whole = "; all: the whole training split" if (summary["n"] == ALL_SHOTS).any() else ""
    over = f"{confidence:.0%} intervals over trials and {counted(int(summary['places'].max()), 'place')}"
    return f"Means of {of} with {over}, by training tiles of each class (n{whole})."


def _what_differs(differences: pd.DataFrame, found: Evaluation) -> str:
    count = int(differences["replicated"].sum())
    if not count:
        return f"Over the same trials and places, with {found.confidence:.0%} intervals. None is called real: see below."
    real = int(differences["real"].sum())
    among = "" if count == 1 else f" when all {count} comparisons are allowed for"
    verdict = "none is" if not real else "one is" if real == 1 else "all are" if real == count else f"{real} are"
    better = "" if METRICS[found.metric].higher_is_better else " Below 0 is better."
    return f"Over the same trials and places, with {found.confidence:.0%} intervals; bold where real{among}: {verdict}.{better}"


def _what_is_found(found: Evaluation) -> str:
    return (
        "The smallest true difference that is called real with 80 % probability, and in brackets that which its own interval "
        f"would show if it were the only comparison; where the first is more than {found.resolve:g}, what would find one of "
        f"{found.resolve:g}."
    )


def _mean(row: Any) -> str:
    return f"{row.mean:.3f} {_interval(row.low, row.high, '.3f')}"


def _difference(row: Any) -> str:
    text = f"{_signed(row.difference)} {_interval(row.low, row.high, '+.3f')}"
    return f"**{text}**" if row.real else text


def _resolvable(row: Any, resolve: float) -> str:
    if not row.replicated or np.isnan(row.resolvable):
        return NOTHING
    text = f"{row.resolvable:.3f} ({row.resolvable_alone:.3f})"
    if row.resolvable <= resolve:
        return text
    needed = ((row.sets_needed, "trials"), (row.places_needed, "places"))
    ways = [f"{count:,} {what}" for count, what in needed if not pd.isna(count)]
    return f"{text}: {' or '.join(ways) or 'more trials and places'}"


def _folds(found: Evaluation) -> list[str]:
    """Return a table of each fold, at the most shots."""
    folds = found.folds
    n = ALL_SHOTS if (folds["n"] == ALL_SHOTS).any() else int(folds["n"].max())
    folds = folds[folds["n"] == n]
    recalls = [column for column in folds.columns if column.startswith("recall of ")]
    shown = recalls if len(recalls) <= MOST_RECALLS else []
    arms = list(dict.fromkeys(folds["arm"]))
    rows = []
    for fold in sorted(set(folds["fold"])):
        here = folds[folds["fold"] == fold].set_index("arm")
        cells = [_recalls(here.loc[arm], shown) if arm in here.index else NOTHING for arm in arms]
        rows.append([fold, f"{here['tiles'].max():,}", *cells])
    beside = f" ({', '.join(shown)})" if shown else ""
    return [f"Balanced accuracy{beside} at n = {shots_name(n)}.", "", *_table(["fold", "tiles", *arms], rows)]


def _recalls(row: pd.Series, shown: Sequence[str]) -> str:
    beside = ", ".join(NOTHING if np.isnan(row[column]) else f"{row[column]:.2f}" for column in shown)
    return f"{row['balanced_accuracy']:.3f}" + (f" ({beside})" if shown else "")


def _other_metrics(found: Evaluation) -> list[str]:
    """Return a table of the means of the other metrics, at the most shots."""
    summary = found.summary
    n = ALL_SHOTS if (summary["n"] == ALL_SHOTS).any() else int(summary["n"].max())
    means = summary[summary["n"] == n].set_index(["arm", "metric"])["mean"]
    others = [name for name in METRICS if name != found.metric]
    arms = list(dict.fromkeys(summary.loc[summary["n"] == n, "arm"]))
    rows = [[arm, *(f"{means[arm, name]:.3f}" if (arm, name) in means.index else NOTHING for name in others)] for arm in arms]
    heads = [METRICS[name].title + (" ↓" if not METRICS[name].higher_is_better else "") for name in others]
    return [f"Means at n = {shots_name(n)}; ↓ marks those of which less is better.", "", *_table(["arm", *heads], rows)]


def _arms_by_shots(table: pd.DataFrame, cell: Callable[[Any], str]) -> list[str]:
    """Return a Markdown table with a row for each arm and a column for each number of shots."""
    arms = list(dict.fromkeys(table["arm"]))
    shots = ascending(table["n"])
    cells = {(row.arm, row.n): cell(row) for row in table.itertuples(index=False)}
    rows = [[arm, *(cells.get((arm, n), NOTHING) for n in shots)] for arm in arms]
    return _table(["arm", *(f"n = {shots_name(n)}" for n in shots)], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(text.replace("|", r"\|") for text in row) + " |" for row in (head, *rows)]
    return [lines[0], "| --- |" + " ---: |" * (len(head) - 1), *lines[1:]]


def _interval(low: float, high: float, form: str) -> str:
    if np.isnan(low):
        return "[no interval]"
    show = _signed if form.startswith("+") else lambda value: format(value, form)
    return f"[{show(low)}, {show(high)}]"


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text
