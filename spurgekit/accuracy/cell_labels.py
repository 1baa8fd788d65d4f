"""What people found the cells of a sample to be: in a table that they filled in, or on the review page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spurgekit.accuracy.cell_lists import CELLS, LAYER
from spurgekit.accuracy.sample import Sample
from spurgekit.dataset.labels import UNKNOWN_WORDS, as_classes, as_text
from spurgekit.errors import InputError, known_names
from spurgekit.text import counted, shown
from spurgekit.tiles.review_log import LOG, read_outcomes
from spurgekit.vectors import read_attributes


@dataclass(frozen=True, slots=True)
class CellLabels:
    """The classes that cells were found to be of.

    Attributes
    ----------
    classes : mapping of str to str
        Class by cell; cells that nobody could tell, or looked at, are not in it.
    notes : tuple of str
        Where they are from, and what was said of cells that have none.
    """

    classes: Mapping[str, str]
    notes: tuple[str, ...]


def read_labels(folder: Path, sample: Sample, labels: Path | None) -> CellLabels:
    """Read the labels of a sample: of a table, or of the sample's own table and its review.

    Parameters
    ----------
    folder : pathlib.Path
        Of the sample.
    sample : Sample
    labels : pathlib.Path, optional
        A table, in place of what is in the folder.

    Raises
    ------
    InputError
        If the table is none, names a cell twice or one that is not in the sample, or a label is no class; if table and review
        say different things of a cell.
    """
    if labels is not None:
        return _from_table(labels, sample)
    table = _from_table(folder / CELLS, sample) if (folder / CELLS).is_file() else CellLabels({}, ())
    review = _from_review(folder, sample)
    for cell, name in review.classes.items():
        if table.classes.get(cell, name) != name:
            raise InputError(
                f"{folder / CELLS} says that {cell} is {table.classes[cell]}, and {LOG} that it is {name}; correct one, or "
                "name the table to take by `labels`"
            )
    return CellLabels({**table.classes, **review.classes}, (*table.notes, *review.notes))


def _from_table(path: Path, sample: Sample) -> CellLabels:
    table = read_attributes(path, usual_layer=LAYER)
    rows = table.rows
    if missing := [name for name in ("cell", "label") if name not in rows]:
        raise InputError(f"{path} has no column {missing[0]!r}; it needs cell and label, as {CELLS} of the sample has them")
    ids, words = as_text(rows["cell"]), as_text(rows["label"])
    if ids.isna().any():
        raise InputError(
            f"{path}: row {int(ids.isna().to_numpy().argmax()) + 1:,} names no cell; write its id, or take the row out"
        )
    if ids.duplicated().any():
        raise InputError(f"{path} names the cell {shown(ids[ids.duplicated()].iloc[0])} twice; keep one row of each cell")
    known = {one.cell for one in sample.cells}
    if strange := [cell for cell in ids if cell not in known]:
        raise InputError(
            f"{path} names {counted(len(strange), 'cell')} not of this sample, {shown(strange[0])} for one; pass the labels of "
            "the sample's own cells"
        )
    found: dict[str, str] = {}
    unsure: list[str] = []
    for cell, word in zip(ids, words, strict=True):
        name = as_classes(pd.Series([word]), sample.classes).iloc[0]
        if name in sample.classes:
            found[cell] = name
        elif word is not None and word.lower() in UNKNOWN_WORDS:
            unsure.append(word)
        elif word is not None:
            raise InputError(f"{path}: {cell} is labelled {shown(word)}{known_names(word, sample.classes)}")
    notes = [*table.notes, *([f"{counted(len(found), 'label')} of {path.name}"] if found else [])]
    if unsure:
        notes.append(f"{counted(len(unsure), 'cell')} of {path.name} labelled {unsure[0]!r}, which is no class")
    return CellLabels(found, tuple(notes))


def _from_review(folder: Path, sample: Sample) -> CellLabels:
    known = {one.cell for one in sample.cells}
    outcomes = {cell: found for cell, found in read_outcomes(folder).items() if cell in known}
    found = {cell: one.label for cell, one in outcomes.items() if one.label is not None}
    for cell, name in found.items():
        if name not in sample.classes:
            raise InputError(f"{folder / LOG}: {cell} is labelled {shown(name)}{known_names(name, sample.classes)}")
    notes = [f"{counted(len(found), 'label')} of {LOG}"] if found else []
    others = Counter(one.status for one in outcomes.values() if one.label is None)
    if others:
        words = ", ".join(f"{count:,} {status}" for status, count in sorted(others.items()))
        notes.append(f"{counted(others.total(), 'cell')} of {LOG} without a label: {words}")
    return CellLabels(found, tuple(notes))
