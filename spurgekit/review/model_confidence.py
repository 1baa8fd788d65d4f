"""How sure a model is of the tiles' labels, out of a table of its predictions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spurgekit.errors import InputError
from spurgekit.tables import numbers, read_table

PROBABILITY = re.compile(r"p\((.+)\)")
"""Name of the column with the probability of a class, as in the ``test_predictions.csv`` of a model folder."""


def read_confidence(path: Path, labels: Mapping[str, str | None]) -> dict[str, float]:
    """Return the probability that a model gives to the label of each tile; of one without a label, to its likeliest class.

    Parameters
    ----------
    path : pathlib.Path
        A table with columns ``tile_id`` and ``p(CLASS)`` for each class, as ``spurgekit train`` writes it.
    labels : mapping
        Label of each tile, by its id.

    Raises
    ------
    InputError
        If it is not such a table, or is one of other tiles.
    """
    table = read_table(path).rows
    columns = {match[1]: name for name in table if (match := PROBABILITY.fullmatch(str(name).strip()))}
    if "tile_id" not in table or not columns:
        raise InputError(
            f"{path} has no columns tile_id and p(CLASS) ({', '.join(map(str, table.columns))}); "
            "pass the test_predictions.csv of a model folder"
        )
    probabilities = table[[*columns.values()]].set_axis([*columns], axis=1).apply(numbers)
    wrong = probabilities.lt(0) | probabilities.gt(1)
    if (rows := wrong.any(axis=1)).any():
        row = int(rows.to_numpy().argmax())
        raise InputError(f"{path}: {columns[wrong.iloc[row].idxmax()]} in row {row + 1} is not from 0 to 1; correct it")
    found = {}
    for tile, of_classes in zip(table["tile_id"], probabilities.to_dict("records"), strict=True):
        if tile in labels:
            label = labels[tile]
            found[tile] = max(of_classes.values()) if label is None else of_classes.get(label, float("nan"))
    if not found:
        raise InputError(f"{path} is about none of these tiles; pass predictions of this folder's")
    return {tile: float(value) for tile, value in found.items() if not pd.isna(value)}
