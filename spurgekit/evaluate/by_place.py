"""How arms do place by place: a mean over places hides one where a classifier fails."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from spurgekit.classify.place_sums import Floats
from spurgekit.evaluate.predictions import Predictions


def by_place(predictions: Predictions, *, by: Literal["place", "fold"] = "place") -> pd.DataFrame:
    """Return the recall of each class at each place, or on each fold.

    Returns
    -------
    pandas.DataFrame
        Columns arm, n, fold, place (not by fold), tiles, a column ``recall of NAME`` for each class (NaN where there are no
        tiles of it), balanced_accuracy (mean recall over the classes that there are tiles of) and trials, which recalls are
        averaged over.
    """
    places = predictions.places if by == "place" else ("",)
    confusions: dict[tuple[str, int, str], list[Floats]] = {}
    classes = len(predictions.classes)
    for cell in predictions.cells:
        place = predictions.place[cell.rows] if by == "place" else np.zeros(cell.rows.stop - cell.rows.start, np.intp)
        predicted = predictions.probabilities[cell.rows].argmax(axis=1)
        flat = (place * classes + predictions.target[cell.rows]) * classes + predicted
        confusion = np.bincount(flat, minlength=len(places) * classes**2).reshape(len(places), classes, classes)
        confusions.setdefault((cell.arm, cell.n, cell.fold), []).append(confusion.astype(np.float64))
    rows = []
    for (arm, n, fold), of_trials in confusions.items():
        trials = np.stack(of_trials)
        tiles = trials.sum(axis=3)
        right = np.diagonal(trials, axis1=2, axis2=3)
        recall = np.ma.masked_array(right / np.maximum(tiles, 1), mask=tiles == 0)
        mean = recall.mean(axis=0).filled(np.nan)
        balanced = recall.mean(axis=2).mean(axis=0).filled(np.nan)
        count = tiles.sum(axis=2)
        rows += [
            (arm, n, fold, name, int(count[:, i].max()), *mean[i], balanced[i], int((count[:, i] > 0).sum()))
            for i, name in enumerate(places)
            if count[:, i].any()
        ]
    recalls = [f"recall of {name}" for name in predictions.classes]
    table = pd.DataFrame(rows, columns=["arm", "n", "fold", "place", "tiles", *recalls, "balanced_accuracy", "trials"])
    return table if by == "place" else table.drop(columns="place")
