"""What a model's test says, of classes and of cover."""

from __future__ import annotations

from typing import Any

import numpy as np

from spurgekit.classify.cover import cover_scores
from spurgekit.classify.held_out import HeldOutTiles
from spurgekit.classify.model_info import ModelInfo
from spurgekit.classify.scores import confusion, score, value_of


def score_tiles(info: ModelInfo, tested: HeldOutTiles) -> dict[str, Any]:
    """Return entries of :class:`~spurgekit.classify.model_info.HeldOut`: balanced_accuracy, confusion_matrix and metrics.

    Parameters
    ----------
    info : ModelInfo
    tested : HeldOutTiles
        Unclear ones count for cover alone, as they are of no class.
    """
    clear = tested.clear
    predicted = info.predicted(clear.probabilities)
    metrics = score(clear.probabilities, clear.targets)
    if info.target == "cover":
        # Shares are no probabilities of classes, but put tiles in the same order.
        known = np.isfinite(tested.cover)
        metrics = {"auroc": metrics["auroc"], **cover_scores(tested.probabilities[known, 1], tested.cover[known])}
    certain = np.eye(len(info.classes))[predicted]
    metrics.pop("balanced_accuracy", None)
    return {
        "balanced_accuracy": value_of("balanced_accuracy", certain, clear.targets),
        "confusion_matrix": tuple(tuple(int(n) for n in row) for row in confusion(certain, clear.targets)),
        "metrics": metrics,
    }
