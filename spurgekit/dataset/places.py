"""Where the tiles of a dataset are from: what is held out together, and what intervals are drawn over."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.dataset.columns import PLACES
from spurgekit.dataset.reader import Dataset
from spurgekit.errors import InputError

BLOCK = "block"


def place_column(data: Dataset) -> str:
    """Return the column whose groups a dataset was split by.

    Blocks of ground are its clusters, or where its points have clusters of their own, ``block`` of ``tiles.parquet``.
    """
    split = data.info.split
    if not split.given:
        if not split.of_blocks:
            return split.by
        index = data.index()
        return BLOCK if index is not None and BLOCK in index else "cluster"
    rows = pd.concat([data.split("train"), data.split("test")])
    return next((name for name in PLACES if name in rows and rows[name].notna().all()), split.by)


def places(data: Dataset, rows: pd.DataFrame, column: str | None = None) -> pd.Series:
    """Return the place that each tile is from, as text.

    Parameters
    ----------
    data : Dataset
    rows : pandas.DataFrame
        Of its splits.
    column : str, optional
        Of ``metadata.csv`` or ``tiles.parquet``. Default: what the dataset was split by.

    Raises
    ------
    InputError
        If there is no such column, or it is empty for some tile.
    """
    column = column or place_column(data)
    values = rows[column] if column in rows else _from_index(data, rows, column)
    if values.isna().any():
        raise InputError(f"{data.path}: tile {rows['tile_id'][values.isna()].iloc[0]} has no {column!r}; pass another column")
    return values.map(lambda value: str(int(value)) if isinstance(value, float) and value.is_integer() else str(value))


def footprints(data: Dataset, rows: pd.DataFrame) -> NDArray[np.object_]:
    """Return the ground that each tile shows, in the CRS of the dataset; None where nobody knows."""
    index = data.index()
    if index is None:
        return np.full(len(rows), None, dtype=object)
    return np.asarray(index.set_index("tile_id").geometry.reindex(rows["tile_id"]), dtype=object)


def _from_index(data: Dataset, rows: pd.DataFrame, column: str) -> pd.Series:
    index = data.index()
    if index is None or column not in index:
        known = [name for name in PLACES if name in rows and rows[name].notna().any()]
        raise InputError(f"{data.path} has no column {column!r}; places are in {', '.join(known) or 'none'}")
    return pd.Series(index.set_index("tile_id")[column].reindex(rows["tile_id"]).to_numpy(), rows.index)
