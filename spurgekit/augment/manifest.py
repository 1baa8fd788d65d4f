"""Synthetic tiles: reading an ``augmented/`` folder, choosing what belongs to a support set, keeping leaks out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.augment.augment_options import GAMMA
from spurgekit.errors import InputError, LeakageError
from spurgekit.reading import Columns, Numbers, Texts, read_parquet, take_columns
from spurgekit.text import listed, shown

MANIFEST = "manifest.parquet"
COLUMNS = (
    "id", "file_name", "tile_id", "method", "backbone", "strength", "prompt", "seed", "trial", "n", "fold", "class",
    "weight",
)  # fmt: skip
"""Columns of ``manifest.parquet``, a row for each image: ``tile_id`` is the real tile that it was made from, ``trial`` and
``n`` are those of the support set that it was made for (null: for any), ``fold`` is the place that is left out there (null:
none, it is of the dataset's own training split)."""

NEEDED: Columns = {
    "id": Texts(unique=True),
    "file_name": Texts(paths=True),
    "tile_id": Texts(),
    "trial": Numbers(least=0, whole=True, gaps=True),
    "n": Numbers(least=1, whole=True, gaps=True),
    "fold": Texts(gaps=True, optional=True),
    "class": Texts(),
    "weight": Numbers(least=0),
    "share": Numbers(least=0, most=1, gaps=True, optional=True),
    "source_class": Texts(gaps=True, optional=True),
    "ground": Texts(gaps=True, optional=True),
}
"""Columns without which images cannot be used; the others are the record of how they were made.

Two more say that an image is of two classes: ``share`` is how much of its label is ``class``, and the rest is ``source_class``,
the class of the real tile. Where ``share`` is 1, null or missing, the image is of ``class`` alone. ``ground`` is the tile that
what was cut out of the real tile was pasted onto. ``confidence`` and
``given_weight`` are those of :mod:`spurgekit.classify.synthetic_weights`. Any other columns are welcome.
"""

MOST_NAMES = 20
"""Places that a message names."""

REMEDY = "make the synthetic tiles again"

SCHEDULE = ((1, 0.7), (5, 0.5), (10, 0.3))
"""Shots per class, and the best probability of a synthetic sample that was reported for them (*second-hand*)."""


def read_manifest(folder: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Read the table of an ``augmented/`` folder.

    Parameters
    ----------
    folder : pathlib.Path
    classes : sequence of str
        Of the dataset, in order.

    Returns
    -------
    pandas.DataFrame
        A row for each image, in the order of the file: its columns, and ``path`` (of the image) and ``target`` (number of the
        class). ``trial`` and ``n`` are of pandas' Int64, ``fold`` is there in any case. Where there are soft labels,
        ``source_target`` is the number of the source's class, that of ``class`` where it is not said, and ``share`` is a number
        in each row: see :func:`labels`.

    Raises
    ------
    InputError
        If the folder, its table or an image is missing, or the table says what cannot be.
    """
    folder = Path(folder)
    file = folder / MANIFEST
    if not file.is_file():
        what = f"holds no {MANIFEST}" if folder.is_dir() else "does not exist"
        raise InputError(f"{folder} {what}; pass a folder of synthetic tiles")
    rows = take_columns(read_parquet(file, REMEDY).reset_index(drop=True), NEEDED, file, REMEDY)
    if rows.empty:
        raise InputError(f"{file} lists no images")
    _check_classes(file, rows, classes)
    number = {name: i for i, name in enumerate(classes)}
    rows = rows.assign(
        **{name: rows[name].astype("Int64") for name in ("trial", "n")},
        fold=(rows["fold"] if "fold" in rows else pd.Series(None, rows.index)).astype("string"),
        path=[folder / name for name in rows["file_name"]],
        target=[number[name] for name in rows["class"]],
    )
    if "share" in rows:
        rows = rows.assign(share=_shares(file, rows), source_target=rows["target"])
        if "source_class" in rows:
            source = rows["source_class"].where(rows["source_class"].notna(), rows["class"])
            rows["source_target"] = [number[name] for name in source]
    if absent := [path for path in rows["path"] if not path.is_file()]:
        more = f", nor {len(absent) - 1} more" if len(absent) > 1 else ""
        raise InputError(f"{absent[0]}: no such file{more}; {MANIFEST} lists it: make the synthetic tiles again")
    return rows


def labels(rows: pd.DataFrame, classes: int) -> NDArray[np.float64]:
    """Return how much each image is of each class, shape (n, classes); the rows sum to 1.

    Parameters
    ----------
    rows : pandas.DataFrame
        With ``target``, and for soft labels ``source_target`` and ``share``, as :func:`read_manifest` returns them. Where these
        are null, the image is of its target alone.
    classes : int

    Examples
    --------
    >>> labels(pd.DataFrame({"target": [0, 1], "source_target": [0, 0], "share": [1, 0.75]}), 2).tolist()
    [[1.0, 0.0], [0.25, 0.75]]
    """
    found = np.eye(classes)
    targets = rows["target"].to_numpy(np.int64)
    if "share" not in rows:
        return np.asarray(found[targets])
    sources = rows["source_target"].fillna(rows["target"]).to_numpy(np.int64)
    share = rows["share"].fillna(1.0).to_numpy(np.float64)[:, None]
    return np.asarray(share * found[targets] + (1 - share) * found[sources])


def soft_share(strength: float, gamma: float = GAMMA) -> float:
    """Return how much of the label of a cross-class edit is the class that it was painted towards.

    The label of Diff-Mix (Wang et al. 2024, arXiv:2403.19600): ``(1 - s**gamma) source + s**gamma target`` at strength s. Below
    1, gamma gives the new class more than the strength alone would: edits change what a tile shows faster than its pixels.

    Parameters
    ----------
    strength : float
        Of the edit, 0 to 1.
    gamma : float
        Positive.

    Raises
    ------
    InputError
        If these are not such numbers.

    Examples
    --------
    >>> soft_share(0.25), round(soft_share(0.5, gamma=0.8), 4), soft_share(1)
    (0.5, 0.5743, 1.0)
    """
    if not 0 <= strength <= 1 or not 0 < gamma < math.inf:
        raise InputError(f"strength {strength:g} and gamma {gamma:g} give no label; pass 0 to 1, and a positive number")
    return float(strength**gamma)


def of_fold(manifest: pd.DataFrame, fold: str) -> pd.DataFrame:
    """Return the synthetic tiles that were made with a place left out.

    Parameters
    ----------
    manifest : pandas.DataFrame
        From :func:`read_manifest`.
    fold : str
        The place; empty for what was made of the dataset's own training split.

    Raises
    ------
    InputError
        If there are none.

    Examples
    --------
    >>> tiles = pd.DataFrame({"id": list("abc"), "fold": ["6+7", None, "5"]})
    >>> of_fold(tiles, "6+7")["id"].tolist(), of_fold(tiles, "")["id"].tolist()
    (['a'], ['b'])
    """
    if "fold" not in manifest:
        manifest = manifest.assign(fold=pd.Series(None, manifest.index, dtype="string"))
    rows = manifest[manifest["fold"].eq(fold).fillna(False) if fold else manifest["fold"].isna()]
    if rows.empty:
        places = sorted(set(manifest["fold"].dropna()), key=lambda name: (len(name), name))
        made = f"with {listed(places, MOST_NAMES)} left out" if places else "of the dataset's own training split alone"
        wanted = f"with {fold} left out" if fold else "of the dataset's own training split"
        how = (
            "'spurgekit augment' with the same `leave_out` and `together`"
            if fold
            else "'spurgekit augment' without `leave_out`"
        )
        raise InputError(f"the synthetic tiles were made {made}, and none {wanted}; make some by {how}")
    return rows


def select_synthetic(manifest: pd.DataFrame, *, trial: int, n: int, fold: str = "") -> pd.DataFrame:
    """Return the synthetic tiles that were made for a support set.

    Rows whose trial or number of shots is null belong to every one of their fold; those of which both are, which were made for
    all tiles that may be learned from, only where there are no others.

    Parameters
    ----------
    manifest : pandas.DataFrame
        From :func:`read_manifest`.
    trial, n : int
        Of the support set.
    fold : str
        The place that is left out there; empty for support sets of the dataset's own training split.

    Raises
    ------
    InputError
        If there are none, or none of a positive weight; not where a filter by confidence or by cover left none.
    LeakageError
        If the weights were changed by what a classifier of the whole training split says of the images.

    Examples
    --------
    >>> tiles = pd.DataFrame({"id": list("abc"), "trial": [0, 1, None], "n": [4, 4, None], "weight": 1.0})
    >>> select_synthetic(tiles, trial=1, n=4)["id"].tolist()
    ['b']
    >>> select_synthetic(tiles, trial=2, n=4)["id"].tolist()
    ['c']
    """
    manifest = of_fold(manifest, fold)
    of_whole = (manifest["trial"].isna() & manifest["n"].isna()).to_numpy(dtype=bool)
    of_trial, of_n = (manifest[name].isna() | manifest[name].eq(value) for name, value in (("trial", trial), ("n", n)))
    own = (of_trial & of_n).to_numpy(dtype=bool) & ~of_whole
    rows = manifest[own if own.any() else of_whole]
    what = f"trial {trial} of {n} shot{'s' if n > 1 else ''}" + (f" with {fold} left out" if fold else "")
    if not own.any() and "given_weight" in rows and (told := rows["weight"] != rows["given_weight"]).any():
        raise LeakageError(
            f"{rows['id'][told].iloc[0]} was weighed by a classifier of the whole training split, and not of {what} alone; "
            "make synthetic tiles for that support set"
        )
    if not usable(rows):
        tiles = "synthetic tiles of a positive weight" if len(rows) else "synthetic tiles"
        raise InputError(f"there are no {tiles} for {what}; make some, or leave that support set out")
    return rows


def usable(rows: pd.DataFrame) -> bool:
    """Whether some of the rows weigh anything, or confidence or cover left none: then the real tiles are used alone."""
    filtered = any(name in rows and rows[name].notna().all() for name in ("confidence", "cover"))
    return bool((rows["weight"] > 0).any() or (len(rows) and filtered))


def check_sources(rows: pd.DataFrame, support_ids: Iterable[str], labelled_ids: Iterable[str] = ()) -> None:
    """Make sure that synthetic tiles know of no other labelled tiles than the ones that they are used with.

    Parameters
    ----------
    rows : pandas.DataFrame
        Synthetic tiles, from :func:`select_synthetic` or :func:`read_manifest`.
    support_ids : iterable of str
        Ids of the real tiles that are trained on.
    labelled_ids : iterable of str
        Ids of all labelled tiles, those that are tested on among them.

    Raises
    ------
    LeakageError
        If one was made from a tile that is not among those that are trained on, which may be a test tile, or was pasted onto
        another labelled one.
    """
    support = list(support_ids)
    foreign = rows[~rows["tile_id"].isin(support)]
    if len(foreign):
        first = foreign.iloc[0]
        what = "synthetic tiles were" if len(foreign) > 1 else "synthetic tile was"
        raise LeakageError(
            f"{len(foreign)} {what} made from tiles outside of the support set, e.g. {first['id']} from {first['tile_id']}; "
            "use those that were made for this support set"
        )
    if "ground" not in rows:
        return
    others = rows[rows["ground"].isin(set(labelled_ids) - set(support))]
    if len(others):
        first = others.iloc[0]
        what = "synthetic tiles were" if len(others) > 1 else "synthetic tile was"
        raise LeakageError(
            f"{len(others)} {what} pasted onto labelled tiles outside of the support set, e.g. {first['id']} onto "
            f"{first['ground']}; use those that were made for this support set"
        )


def mixing_probability(n: int) -> float:
    """Return how probable a synthetic sample should be at ``n`` shots per class, unless one knows better.

    0.7 / 0.5 / 0.3 at 1 / 5 / 10 shots, linear in the logarithm of n between them, constant beyond: the more real tiles there
    are, the less synthetic ones add.

    Examples
    --------
    >>> [round(mixing_probability(n), 3) for n in (1, 2, 4, 8, 16)]
    [0.7, 0.614, 0.528, 0.364, 0.3]
    """
    if n < 1:
        raise ValueError(f"there is no set of {n} shots")
    shots, probabilities = zip(*SCHEDULE, strict=True)
    return float(np.interp(math.log(n), np.log(shots), probabilities))


def _check_classes(file: Path, rows: pd.DataFrame, classes: Sequence[str]) -> None:
    """Raise an InputError if a class is none of the dataset's."""
    for name in ("class", "source_class"):
        said = rows[name].dropna() if name in rows else rows["class"]
        if unknown := sorted(set(said) - set(classes)):
            raise InputError(f"{file}: the {name} {shown(unknown[0])} is none of the dataset's: {', '.join(classes)}")


def _shares(file: Path, rows: pd.DataFrame) -> pd.Series:
    """Return how much of a label is the class; all of it where it is not said."""
    no_source = rows["source_class"].isna() if "source_class" in rows else pd.Series(True, rows.index)
    if (wrong := rows["share"].lt(1) & no_source).any():
        first = rows[wrong].iloc[0]
        raise InputError(f"{file}: {first['id']} has the share {first['share']}; name the class of the rest in source_class")
    return rows["share"].fillna(1.0)
