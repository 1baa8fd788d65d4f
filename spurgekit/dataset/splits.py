"""Train and test by place: whole groups, clusters or blocks of ground are held out, never single tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.errors import InputError, LeakageError

DRAWS = 200

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
    drawn = draw_test_groups(groups.to_numpy(), index["class"].to_numpy(), test_share=options.test_share, seed=options.seed)
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
    drawn = draw_test_groups(clusters, index["class"].to_numpy(), test_share=options.test_share, seed=options.seed)
    how = {"by": "cluster", "test_groups": [str(name) for name in drawn], "cluster_distance_m": distance_m}
    return _Sides(np.isin(clusters, drawn), clusters, how)


def _by_blocks(index: gpd.GeoDataFrame, options: DatasetOptions, tile_m: float) -> _Sides:
    block_m = options.block_m or TILES_PER_BLOCK * tile_m
    groups = block_numbers(*_centres_m(index), block_m)
    held_out = draw_test_groups(groups, index["class"].to_numpy(), test_share=options.test_share, seed=options.seed)
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


def block_numbers(x_m: NDArray[np.float64], y_m: NDArray[np.float64], block_m: float) -> NDArray[np.int64]:
    """Return the number of the square block of ground that each place lies in.

    Blocks lie on round coordinates (multiples of ``block_m``), so they do not depend on the extent of the data; they are
    numbered from 0 in rows from the south-west.

    Parameters
    ----------
    x_m, y_m : ndarray, shape (n,)
        Projected coordinates in metres.
    block_m : float
        Side of a block in metres.

    Examples
    --------
    >>> block_numbers(np.array([1.0, 9.0, 11.0, 1.0]), np.array([1.0, 9.0, 1.0, 11.0]), 10.0)
    array([0, 0, 1, 2])
    """
    cells = np.column_stack([np.floor(y_m / block_m), np.floor(x_m / block_m)])
    return np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)


def cluster_by_distance(x_m: NDArray[np.float64], y_m: NDArray[np.float64], distance_m: float) -> NDArray[np.int64]:
    """Return the number of the cluster that each point belongs to.

    Two points are of one cluster if one can walk from one to the other over points without a step of more than a distance
    (single linkage). Clusters are numbered from the west, whatever the order of the points.

    Parameters
    ----------
    x_m, y_m : ndarray, shape (n,)
        Projected coordinates in metres.
    distance_m : float

    Returns
    -------
    ndarray of int64, shape (n,)

    Examples
    --------
    >>> cluster_by_distance(np.array([20.0, 0.0, 3.0, 6.0]), np.zeros(4), 5.0)
    array([1, 0, 0, 0])
    """
    places = np.column_stack([x_m, y_m])
    near = cKDTree(places).sparse_distance_matrix(cKDTree(places), distance_m, output_type="coo_matrix")
    near.data[:] = 1.0  # points in one place are 0 apart, which a sparse matrix takes for "not near"
    _, cluster = connected_components(near, directed=False)
    order = np.lexsort([places[:, 1], places[:, 0]])
    _, first = np.unique(cluster[order], return_index=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[cluster], np.int64)


def draw_test_groups(
    groups: NDArray[np.generic], labels: NDArray[np.generic], *, test_share: float, seed: int
) -> NDArray[np.generic]:
    """Draw whole groups for the test side so that each class has close to a given share of its tiles there.

    Of many random draws, the one whose worst class comes closest to the share is taken.

    Parameters
    ----------
    groups, labels : ndarray, shape (n,)
    test_share : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    ndarray
        The names of the groups held out.
    """
    names, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError("all tiles lie in one place, so none can be held out by place; use smaller blocks or other groups")
    classes, label = np.unique(labels, return_inverse=True)
    per_class = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(per_class, (group, label), 1)
    rng = np.random.default_rng(seed)
    best: tuple[float, NDArray[np.generic]] | None = None
    for _ in range(DRAWS):
        order = rng.permutation(len(names))
        total = np.cumsum(counts[order])
        take = 1 + int(np.argmin(np.abs(total[:-1] - test_share * total[-1])))
        share = per_class[order[:take]].sum(axis=0) / per_class.sum(axis=0)
        error = float(np.abs(share - test_share).max()) + float(((share == 0) | (share == 1)).sum())
        if best is None or error < best[0]:
            best = error, np.sort(names[order[:take]])
    assert best is not None
    return best[1]


def choose_groups(groups: pd.Series, wanted: Sequence[str], column: str) -> NDArray[np.bool_]:
    """Return which tiles belong to the groups named.

    Raises
    ------
    InputError
        If a name is not among the groups.
    """
    text = groups.map(lambda value: str(int(value)) if isinstance(value, float) and value.is_integer() else str(value))
    known = sorted(set(text))
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"column {column!r} has no group {unknown[0]!r}; it has {', '.join(known[:20])}")
    held_out = text.isin(list(wanted)).to_numpy()
    if held_out.all():
        raise InputError(f"--test-groups holds out all groups of {column!r}; leave some to train on")
    return np.asarray(held_out, dtype=np.bool_)


def close_pairs(
    footprints: gpd.GeoSeries | NDArray[np.object_], is_test: NDArray[np.bool_], buffer_units: float = 0.0
) -> NDArray[np.int64]:
    """Return pairs of (training tile, test tile) whose footprints touch, or lie within a distance of each other.

    Parameters
    ----------
    footprints : geopandas.GeoSeries or array of geometries, length n
        Those that are missing touch nothing.
    is_test : ndarray of bool, shape (n,)
    buffer_units : float
        Distance in the units of the CRS; 0 finds what shares area, an edge or a corner.

    Returns
    -------
    ndarray of int, shape (pairs, 2)
        Row numbers.
    """
    shapes = np.asarray(footprints, dtype=object)
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    # Neighbours of a grid share an edge up to rounding; with a micrometre "touch" and "within" mean what they say.
    i, j = shapely.STRtree(shapes[test]).query(shapes[train], predicate="dwithin", distance=buffer_units + 1e-6)
    return np.column_stack([train[i], test[j]])


def check_leakage(footprints: gpd.GeoSeries, is_test: NDArray[np.bool_], names: Sequence[str]) -> None:
    """Raise a :class:`LeakageError` if a training tile's footprint touches a test tile's."""
    pairs = close_pairs(footprints, is_test)
    if len(pairs):
        count = len(set(pairs[:, 0]))
        one, other = (names[i] for i in pairs[0])
        raise LeakageError(
            f"test tiles touch {count} training tile{'s' if count > 1 else ''}, e.g. {other} and {one}; "
            f"pass --buffer 0 to leave such training tiles out"
        )
