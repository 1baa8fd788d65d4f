"""Ground that plants are pasted onto: unlabelled tiles of no place that is held out, or tiles of the first class."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from spurgekit.dataset import Dataset
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.folds import leave_out, own_split
from spurgekit.dataset.reader import SPLITS
from spurgekit.dataset.retrievable import check_ground, read_unlabelled, retrievable
from spurgekit.errors import InputError
from spurgekit.text import counted


@dataclass(frozen=True, slots=True, eq=False)
class Grounds:
    """Tiles to paste onto.

    Attributes
    ----------
    rows : dict of str to pandas.DataFrame
        By place that is left out, empty where the dataset's own split is meant: unlabelled tiles, with tile_id and path. None:
        there are none, and tiles of the first class of each support set are the ground.
    folder : pathlib.Path or None
        That the unlabelled ones lie in.
    note : str
        What is to be said of them.
    """

    rows: dict[str, pd.DataFrame] = field(default_factory=dict)
    folder: Path | None = None
    note: str = ""


def find_grounds(dataset: Dataset, folds: FoldOptions, unlabelled: Path | None = None) -> Grounds:
    """Return the tiles that plants are pasted onto.

    Unlabelled ground may hold some of a class itself. So it says nothing of the absence of one, and a tile is labelled by what
    is pasted onto it alone.

    Parameters
    ----------
    dataset : Dataset
    folds : FoldOptions
        Whose places are left out; by default those of the dataset's own test split.
    unlabelled : pathlib.Path, optional
        A folder of tiles, in place of the dataset's own unlabelled ones.

    Raises
    ------
    InputError
        If the tiles of the folder are not as large as the dataset's, or all labelled, or of places that are held out.
    """
    first = dataset.info.classes[0]
    instead = f"plants are pasted onto the tiles of {first!r} of their support set"
    if unlabelled is None and dataset.info.unlabelled is None:
        return Grounds(note=f"there are no unlabelled tiles: {instead}")
    found: dict[str, pd.DataFrame] = {}
    try:
        rows = dataset.unlabelled() if unlabelled is None else read_unlabelled(unlabelled, dataset)
        check_ground(dataset, rows, unlabelled)
        labelled = set().union(*(dataset.split(side)["tile_id"] for side in SPLITS))
        free = rows[~rows["tile_id"].isin(labelled)]
        if free.empty:
            where = dataset.path if unlabelled is None else unlabelled
            raise InputError(f"all tiles in {where} are labelled ones; name another folder as `unlabelled`, or none")
        places = [own_split(dataset)] if folds.leave_out is None else leave_out(dataset, folds, (1,), 1)
        for fold in places:
            found[fold.left_out] = retrievable(dataset, free, fold).rows
    except InputError as error:
        if unlabelled is not None:
            raise
        return Grounds(note=f"{str(error).partition(';')[0]}: {instead}")
    fewest = min(len(one) for one in found.values())
    each = " or more for each place that is left out" if len(found) > 1 else ""
    held_out, labels = len(free) - fewest, len(rows) - len(free)
    less = [f"without {counted(held_out, 'tile')} of places that are held out"] if held_out else []
    less += [f"without {counted(labels, 'labelled one')}"] if labels else []
    onto = ", ".join([f"plants are pasted onto {counted(fewest, 'unlabelled tile')}{each}", *less])
    note = f"{onto}; some may hold plants of their own"
    folder = unlabelled if dataset.info.unlabelled is None or unlabelled else dataset.path / dataset.info.unlabelled.folder
    return Grounds(found, folder, note)
