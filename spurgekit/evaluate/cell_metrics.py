"""The metrics of each cell of an evaluation, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spurgekit.classify.metrics import METRICS
from spurgekit.classify.place_sums import PlaceSums
from spurgekit.evaluate.predictions import Predictions


def tidy(predictions: Predictions) -> pd.DataFrame:
    """Return the metrics of each cell.

    Returns
    -------
    pandas.DataFrame
        Columns arm, n, trial, fold, metric and value, a row for each cell and metric; NaN where a metric is not defined, as
        AUROC on a fold that holds one class only. Where there are several folds, fold "all" has the metrics of a whole trial,
        over the tiles of all its folds together.
    """
    cells = [*predictions.cells, *(predictions.whole_trials() if len(predictions.folds) > 1 else ())]
    rows = []
    for cell in cells:
        target, probabilities = predictions.target[cell.rows], predictions.probabilities[cell.rows]
        sums = PlaceSums.of(np.zeros(len(target), np.intp), target, probabilities, 1)
        for name, metric in METRICS.items():
            rows.append((cell.arm, cell.n, cell.trial, cell.fold, name, float(metric.value(sums, np.ones((1, 1)))[0])))
    table = pd.DataFrame(rows, columns=["arm", "n", "trial", "fold", "metric", "value"])
    order = {arm: number for number, arm in enumerate(predictions.arms)}, {n: i for i, n in enumerate(predictions.shots)}
    return table.sort_values(
        ["arm", "n", "trial"],
        key=lambda column: {"arm": column.map(order[0]), "n": column.map(order[1])}.get(str(column.name), column),
        kind="stable",  # folds stay in their order, all of them together last
        ignore_index=True,
    )
