"""Unlabelled tiles that may be learned from: as large as the labelled ones, and of no place that is held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from spurgekit.dataset.folds import Fold
from spurgekit.dataset.places import place_names, places
from spurgekit.dataset.reader import Dataset
from spurgekit.errors import InputError
from spurgekit.text import counted
from spurgekit.tiles.index import read_tiles

GSD_TOLERANCE = 0.01
"""By which share the ground sample distances of tiles may differ that are compared with each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Retrievable:
    """Unlabelled tiles beside a fold.

    Attributes
    ----------
    rows : pandas.DataFrame
        Those that are of no place that is held out.
    held_out : int
        How many are of one, and left out.
    unknown : int
        Of how many nobody can tell; they are among the rows.
    """

    rows: pd.DataFrame
    held_out: int
    unknown: int


def read_unlabelled(folder: Path, data: Dataset) -> pd.DataFrame:
    """Return the rows of a tiles folder as unlabelled tiles of a dataset: tile_id, path, sizes, places and centres.

    Parameters
    ----------
    folder : pathlib.Path
        That :func:`spurgekit.tile_images` made.
    data : Dataset

    Raises
    ------
    InputError
        If it is no such folder, or holds no tile.
    """
    index, labelled = read_tiles(folder), data.index()
    rows = pd.DataFrame(index.drop(columns=index.geometry.name)).assign(path=[folder / name for name in index["file_name"]])
    if rows.empty:
        raise InputError(f"{folder} holds no tiles; name another folder as `unlabelled`")
    if labelled is not None and index.crs is not None and index.crs == labelled.crs:
        centres = index.geometry.centroid
        rows = rows.assign(easting=centres.x, northing=centres.y)
    return rows


def check_ground(data: Dataset, unlabelled: pd.DataFrame, folder: Path | None = None) -> None:
    """Make sure that unlabelled tiles show as much ground as labelled ones, in as many pixels.

    Parameters
    ----------
    data : Dataset
    unlabelled : pandas.DataFrame
        Rows of its unlabelled tiles.
    folder : pathlib.Path, optional
        That holds them, where they are not the dataset's own.

    Raises
    ------
    InputError
        If they do not: a network is shown both in one size, and would compare things of different scales or sharpness. Where
        nobody knows what a pixel measures, pixels count.
    """
    side_px, gsd_m = data.info.size_px, data.info.gsd_m
    sides_px = _column(unlabelled, "size_px").fillna(data.info.unlabelled.size_px if data.info.unlabelled else side_px)
    scales = _column(unlabelled, "gsd_m").fillna(gsd_m) / gsd_m if gsd_m else pd.Series(1.0, unlabelled.index)
    is_rescaled = np.abs(np.log(scales)) > np.log1p(GSD_TOLERANCE)
    is_other = ((sides_px != side_px) | is_rescaled).to_numpy()
    if not is_other.any():
        return
    first = int(np.argmax(is_other))
    sizes = [f"{side_px} px", f"{sides_px.iloc[first]:.0f} px"]
    if gsd_m:
        sizes = [f"{px} of {100 * scale * gsd_m:.3g} cm" for px, scale in zip(sizes, (1.0, scales.iloc[first]), strict=True)]
    how = f"`{'unlabelled_px' if folder is None else 'size_px'}={side_px}`"
    how += f" and `gsd_m={gsd_m:.6g}`" if is_rescaled.iloc[first] else ""
    raise InputError(
        f"labelled tiles of {data.path} are {sizes[0]} wide, unlabelled ones {'' if folder is None else f'in {folder} '}"
        f"{sizes[1]}, and what is to be compared has to show as much ground in as many pixels; tile with {how}"
        + (", and build the dataset again" if folder is None else "")
    )


def retrievable(data: Dataset, unlabelled: pd.DataFrame, fold: Fold) -> Retrievable:
    """Return the unlabelled tiles that are of no place that a fold holds out.

    Where an unlabelled tile says its place, that counts. Of another, it is the ground: it is of the place of the labelled tile
    whose centre is nearest. Where neither is known, nobody can tell.

    Parameters
    ----------
    data : Dataset
    unlabelled : pandas.DataFrame
        Rows of its unlabelled tiles.
    fold : Fold

    Raises
    ------
    InputError
        If all are of places that are held out.
    """
    said = place_names(unlabelled[fold.column]) if fold.column in unlabelled else pd.Series(None, unlabelled.index)
    says = unlabelled[fold.column].notna().to_numpy() if fold.column in unlabelled else np.zeros(len(unlabelled), np.bool_)
    is_held_out = says & said.isin(set(places(data, fold.test, fold.column))).to_numpy()
    nearer = _nearer_to(unlabelled, fold)
    unknown = ~says & np.isnan(nearer)
    is_held_out |= ~says & (nearer == 1)
    if is_held_out.all():
        raise InputError(
            f"all {counted(len(unlabelled), 'unlabelled tile')} of {data.path} are of places that are held out "
            f"({fold.name}), so that none can be retrieved; hold out other places, or leave the arm out"
        )
    return Retrievable(unlabelled[~is_held_out].reset_index(drop=True), int(is_held_out.sum()), int(unknown.sum()))


def describe(found: dict[str, Retrievable]) -> list[str]:
    """Return what is to be said of the unlabelled tiles of some folds, by their names: lines with counts.

    Examples
    --------
    >>> rows = pd.DataFrame({"tile_id": range(7)})
    >>> describe({"6": Retrievable(rows, 3, 0), "7": Retrievable(rows[1:], 4, 2)})[0]
    'unlabelled tiles of places that are held out are never retrieved: 3 to 4 of 10 in each fold'
    """
    if not found:
        return []
    total = max(len(one.rows) + one.held_out for one in found.values())
    held_out, unknown = ([getattr(one, name) for one in found.values()] for name in ("held_out", "unknown"))
    span = f"{min(held_out):,}" + (f" to {max(held_out):,}" if max(held_out) > min(held_out) else "")
    lines = [
        f"unlabelled tiles of places that are held out are never retrieved: {span} of {total:,}"
        + (" in each fold" if len(found) > 1 else "")
    ]
    if max(unknown):
        lines.append(
            f"{max(unknown):,} of {total:,} unlabelled tiles say neither their place nor where they lie, so that some that are "
            "retrieved may be of places that are held out; tile with `unlabelled_px`"
        )
    return lines


def _nearer_to(unlabelled: pd.DataFrame, fold: Fold) -> NDArray[np.float64]:
    """Return whether each tile lies nearer to tested tiles (1) than to those that are learned from (0); NaN: unknown."""
    found = np.full(len(unlabelled), np.nan)
    here, train, test = (_centres(rows) for rows in (unlabelled, fold.train, fold.test))
    lies = np.isfinite(here).all(axis=1)
    train, test = (centres[np.isfinite(centres).all(axis=1)] for centres in (train, test))
    if lies.any() and len(train) and len(test):
        to_train, to_test = (cKDTree(centres).query(here[lies])[0] for centres in (train, test))
        found[lies] = to_test <= to_train
    return found


def _centres(rows: pd.DataFrame) -> NDArray[np.float64]:
    return np.column_stack([_column(rows, name).to_numpy() for name in ("easting", "northing")])


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of numbers, NaN where the table has none."""
    return rows[name].astype(np.float64) if name in rows else pd.Series(np.nan, rows.index)
