"""Choosing how edits are made and mixed in, on the training side of a dataset alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spurgekit.dataset import Dataset, DatasetInfo, DatasetOptions, build_dataset
from spurgekit.dataset.dataset_options import GROUP
from spurgekit.dataset.folds import own_split
from spurgekit.errors import InputError
from spurgekit.outputs import output_file
from spurgekit.tables import csv_of

TEST_SHARE = 0.5
"""Of the places of the training side: left out to choose by."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for some numbers of shots.

    Attributes
    ----------
    strength : str
    guidance : float
    mixing : float
    shots : tuple of int
    """

    strength: str
    guidance: float
    mixing: float
    shots: tuple[int, ...]


CANDIDATE = ["strength", "guidance", "mixing"]
"""Columns that say which candidate a row is of."""


def build_training_side(
    data: Dataset, folder: Path, *, shots: Sequence[int], trials: int, seed: int = 0, overwrite: bool = False
) -> DatasetInfo:
    """Make a dataset of the training tiles of another, half of whose places are left out to choose by.

    No file of the test side is read, so that nothing can be chosen by it.

    Parameters
    ----------
    data : Dataset
    folder : pathlib.Path
        To make: ``images`` and ``dataset``.
    shots : sequence of int
        Those that half of the training side has too few tiles for are left out.
    trials : int
    seed : int
    overwrite : bool

    Raises
    ------
    InputError
        If the training side has one place only.
    """
    rows = own_split(data).train
    if rows["group"].nunique() < 2:
        raise InputError(
            f"all training tiles of {data.path} are of one place, {rows['group'].iloc[0]}, so that none can be left out to "
            "choose by; pass one of `strengths`, `guidances` and `mixings`, or build it again with smaller places"
        )
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    names = [f"{tile_id}{Path(path).suffix}" for tile_id, path in zip(rows["tile_id"], rows["path"], strict=True)]
    for name, path in zip(names, rows["path"], strict=True):
        with output_file(images / name) as partial:
            shutil.copyfile(path, partial)
    table = pd.DataFrame({"file_name": names, "label": rows["class"].to_numpy(), GROUP: rows["group"].to_numpy()})
    with output_file(images / "metadata.csv") as partial:
        partial.write_text(csv_of(table, partial), encoding="utf-8", newline="\n")
    options = DatasetOptions(
        classes=data.info.classes, group_column=GROUP, test_share=TEST_SHARE, shots=tuple(shots), trials=trials, seed=seed
    )
    return build_dataset(images, folder / "dataset", options, overwrite=overwrite)


def gains_of(differences: Mapping[tuple[str, float, float], pd.DataFrame]) -> pd.DataFrame:
    """Return what each candidate gained on places that were left out of the training side.

    Parameters
    ----------
    differences : mapping
        Strength, guidance and mixing to the paired differences of its arm in balanced accuracy, by n.

    Returns
    -------
    pandas.DataFrame
        Columns strength, guidance, mixing, n, difference, low, high; in the order of the candidates.
    """
    found = ["n", "difference", "low", "high"]
    tables = [rows[found].assign(**dict(zip(CANDIDATE, candidate, strict=True))) for candidate, rows in differences.items()]
    return pd.concat(tables, ignore_index=True)[[*CANDIDATE, *found]]


def choose(gains: pd.DataFrame, shots: Sequence[int]) -> tuple[Choice, ...]:
    """Return what gained most at each number of shots, numbers that agree together.

    A number of shots that nothing is known of has the choice of the next smaller one that something is known of; of those that
    gain as much the first is taken.

    Parameters
    ----------
    gains : pandas.DataFrame
        See :func:`gains_of`.
    shots : sequence of int

    Raises
    ------
    InputError
        If nothing is known of the smallest number of shots.

    Examples
    --------
    >>> gains = pd.DataFrame({"strength": ["0.1", "0.3"] * 2, "n": [1, 1, 4, 4], "difference": [0, 0.1, 0.2, 0]})
    >>> [(one.strength, one.shots) for one in choose(gains.assign(guidance=2.0, mixing=0.1), (1, 4, 8))]
    [('0.3', (1,)), ('0.1', (4, 8))]
    """
    known = sorted(set(gains["n"]))
    chosen: dict[tuple[str, float, float], list[int]] = {}
    for n in sorted(shots):
        below = [one for one in known if one <= n]
        if not below:
            raise InputError(
                f"half of the training side has too few tiles to choose by for {n} tiles a class; pass larger `shots`, or one "
                "of `strengths`, `guidances` and `mixings`"
            )
        rows = gains[gains["n"] == below[-1]]
        best = rows.loc[rows["difference"].fillna(float("-inf")).idxmax()]
        chosen.setdefault((str(best["strength"]), float(best["guidance"]), float(best["mixing"])), []).append(n)
    return tuple(Choice(*candidate, tuple(of)) for candidate, of in chosen.items())
