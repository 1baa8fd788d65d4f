"""Which tiles are tested on: whole groups, clusters or blocks of ground, and a gap between them and the training tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.dataset.clusters import cluster_by_distance
from spurgekit.dataset.options import DatasetOptions
from spurgekit.dataset.splits import block_numbers, check_leakage, choose_groups, close_pairs, draw_test_groups
from spurgekit.errors import InputError

TILES_PER_BLOCK = 4
"""Side of a block in tiles, where no size is given."""

LEAST_CLUSTER_DISTANCE_M = 10.0
"""Points farther apart than a plot is wide are of different clusters, where no distance is given."""

TOO_CLOSE = "training tiles too close to a test tile"


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """How a table of tiles is split.

    Attributes
    ----------
    is_test : ndarray of bool, shape (n,)
    keep : ndarray of bool, shape (n,)
        False for training tiles that lie too close to a test tile.
    cluster : ndarray, shape (n,), or None
        The cluster or block of each tile, where it was made here.
    how : dict
        In what way, for ``dataset.json``.
    notes : tuple of str
        What is to be said of it.
    """

    is_test: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    cluster: NDArray[np.generic] | None
    how: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sides:
    is_test: NDArray[np.bool_]
    cluster: NDArray[np.generic] | None = None
    how: dict[str, Any] = field(default_factory=dict)
    buffer_m: float | None = None
    """What is used where none is asked for."""

    notes: tuple[str, ...] = ()


def choose_split(index: gpd.GeoDataFrame, reach: gpd.GeoSeries, options: DatasetOptions, tile_m: float) -> Split:
    """Split tiles by place.

    Parameters
    ----------
    index : geopandas.GeoDataFrame
        Labelled tiles.
    reach : geopandas.GeoSeries
        The ground that each tile shows, its context included; missing where nobody knows.
    options : DatasetOptions
    tile_m : float
        Side of that ground.

    Raises
    ------
    InputError
        If the tiles cannot be split so.
    LeakageError
        If a test tile touches a training tile, and no buffer says to leave that out.
    """
    sides = _choose(index, reach, options, tile_m)
    buffer_m = sides.buffer_m if options.buffer_m is None else options.buffer_m
    keep = np.ones(len(index), np.bool_)
    if buffer_m is not None and index.crs is not None:
        keep[close_pairs(reach, sides.is_test, buffer_m / _metres_per_unit(index))[:, 0]] = False
    check_leakage(reach[keep], sides.is_test[keep], index["tile_id"][keep].tolist())
    return Split(sides.is_test, keep, sides.cluster, {**sides.how, "buffer_m": buffer_m}, sides.notes)


def _choose(index: gpd.GeoDataFrame, reach: gpd.GeoSeries, options: DatasetOptions, tile_m: float) -> _Sides:
    if options.split_column is not None:
        return _as_given(index, options.split_column)
    column = options.grouped_by
    if column is None and options.block_m is None and options.cluster_distance_m is None:
        column = "cluster" if _of_points(index) and "cluster" in index and index["cluster"].notna().all() else None
    if column is not None:
        return _by_groups(index, column, options)
    if reach.isna().any():
        raise InputError(
            f"{int(reach.isna().sum()):,} tiles do not say where they lie, so that nothing can be held out by place; "
            "pass --group-column (or --group-pattern) with what they have in common, such as the photo they were cut from"
        )
    if options.cluster_distance_m is not None or (options.block_m is None and _of_points(index)):
        return _by_clusters(index, options, tile_m)
    return _by_blocks(index, options, tile_m)


def _of_points(index: gpd.GeoDataFrame) -> bool:
    return "layout" in index and bool((index["layout"] == "points").all())


def _as_given(index: gpd.GeoDataFrame, column: str) -> _Sides:
    said = _column(index, column, "--split-column").astype(str).str.strip().str.lower()
    if unknown := sorted(set(said) - {"train", "test"}):
        raise InputError(f"column {column!r} says {unknown[0]!r}; it has to say train or test of each tile")
    is_test = (said == "test").to_numpy()
    sites = index["site"].astype(str) if "site" in index else pd.Series("", index.index)
    shared = sorted(set(sites[is_test]) & set(sites[~is_test])) if len(set(sites)) > 1 else []
    notes = [f"site {name} is in train and in test, so that this is no test on new sites" for name in shared]
    return _Sides(is_test, how={"by": column, "given": True}, notes=tuple(notes))


def _by_groups(index: gpd.GeoDataFrame, column: str, options: DatasetOptions) -> _Sides:
    groups = _column(index, column, "--group-column")
    if options.test_groups:
        is_test = choose_groups(groups, options.test_groups, column)
        return _Sides(is_test, how={"by": column, "test_groups": list(options.test_groups)})
    drawn = draw_test_groups(groups.to_numpy(), index["label"].to_numpy(), test_share=options.test_share, seed=options.seed)
    return _Sides(np.isin(groups.to_numpy(), drawn), how={"by": column, "test_groups": [str(name) for name in drawn]})


def _by_clusters(index: gpd.GeoDataFrame, options: DatasetOptions, tile_m: float) -> _Sides:
    distance_m = options.cluster_distance_m or max(LEAST_CLUSTER_DISTANCE_M, 2 * tile_m)
    x_m, y_m = _centres_m(index)
    clusters = cluster_by_distance(x_m, y_m, distance_m)
    if clusters.max() == 0:
        raise InputError(
            f"all points lie within {distance_m:g} m of another, in one cluster, so that none can be held out by place; "
            "pass a smaller --cluster-distance, or --block"
        )
    drawn = draw_test_groups(clusters, index["label"].to_numpy(), test_share=options.test_share, seed=options.seed)
    how = {"by": "cluster", "test_groups": [str(name) for name in drawn], "cluster_distance_m": distance_m}
    return _Sides(np.isin(clusters, drawn), clusters, how)


def _by_blocks(index: gpd.GeoDataFrame, options: DatasetOptions, tile_m: float) -> _Sides:
    block_m = options.block_m or TILES_PER_BLOCK * tile_m
    groups = block_numbers(*_centres_m(index), block_m)
    held_out = draw_test_groups(groups, index["label"].to_numpy(), test_share=options.test_share, seed=options.seed)
    how = {"by": "blocks", "block_m": block_m, "test_share": options.test_share, "seed": options.seed}
    return _Sides(np.isin(groups, held_out), groups, how, buffer_m=0.0)


def _column(index: gpd.GeoDataFrame, name: str, option: str) -> pd.Series:
    if name not in index:
        columns = ", ".join(str(c) for c in index.columns if c != index.geometry.name)
        raise InputError(f"the tiles have no column {name!r} ({columns}); pass another {option}")
    if index[name].isna().any():
        raise InputError(f"column {name!r} is empty for {int(index[name].isna().sum())} tiles; fill it, or split by blocks")
    return index[name]


def _centres_m(index: gpd.GeoDataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centres, unit_m = index.geometry.centroid, _metres_per_unit(index)
    return centres.x.to_numpy() * unit_m, centres.y.to_numpy() * unit_m


def _metres_per_unit(index: gpd.GeoDataFrame) -> float:
    return float(CRS.from_wkt(index.crs.to_wkt()).linear_units_factor[1])
