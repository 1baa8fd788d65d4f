"""Where the tiles of a dataset are from: what is held out together, and what intervals are drawn over."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.dataset.columns import PLACES
from spurgekit.dataset.reader import Dataset
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.errors import InputError
from spurgekit.imagery.crs import unit_m

BLOCK = "block"


def place_column(data: Dataset) -> str:
    """Return the column whose groups a dataset was split by.

    Blocks of ground are its clusters, or where its points have clusters of their own, ``block`` of ``tiles.parquet``.
    """
    split = data.info.split
    if not split.given and not split.of_blocks:
        return split.by
    index = data.index() if split.of_blocks else None
    rows = index if index is not None else pd.concat([data.split("train"), data.split("test")])
    return place_column_in(rows, split)


def place_column_in(rows: pd.DataFrame, split: SplitInfo) -> str:
    """Return the same of a table of tiles and the way that they were split in."""
    if split.of_blocks:
        return BLOCK if BLOCK in rows else "cluster"
    if not split.given:
        return split.by
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
    return place_names(values)


def place_names(values: pd.Series) -> pd.Series:
    """Return places as text; whole numbers lose the decimals that missing values have given them."""
    return values.map(lambda value: str(int(value)) if isinstance(value, float) and value.is_integer() else str(value))


def footprints(data: Dataset, rows: pd.DataFrame) -> NDArray[np.object_]:
    """Return the ground that each tile shows, in the CRS of the dataset; None where nobody knows."""
    index = data.index()
    if index is None:
        return np.full(len(rows), None, dtype=object)
    return np.asarray(index.set_index("tile_id").geometry.reindex(rows["tile_id"]), dtype=object)


def place_ground_m2(data: Dataset, rows: pd.DataFrame) -> float | None:
    """Return how large a place is: the median, over places, of the convex hull of its tiles; None where nobody knows.

    Parameters
    ----------
    data : Dataset
    rows : pandas.DataFrame
        Tiles with their place in ``group``.
    """
    ground = footprints(data, rows)
    if not len(rows) or any(shape is None for shape in ground):
        return None
    index = data.index()
    assert index is not None  # it has the footprints
    hulls = gpd.GeoSeries(ground).groupby(rows["group"].to_numpy()).apply(lambda of: of.union_all().convex_hull.area)
    return float(hulls.median()) * unit_m(index.crs) ** 2


def _from_index(data: Dataset, rows: pd.DataFrame, column: str) -> pd.Series:
    index = data.index()
    if index is None or column not in index:
        known = [name for name in PLACES if name in rows and rows[name].notna().any()]
        raise InputError(f"{data.path} has no column {column!r}; places are in {', '.join(known) or 'none'}")
    return pd.Series(index.set_index("tile_id")[column].reindex(rows["tile_id"]).to_numpy(), rows.index)
