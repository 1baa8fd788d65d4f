"""Train and test by place: whole groups, clusters or blocks of ground are held out, never single tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from spurgekit.dataset.columns import SITE
from spurgekit.dataset.dataset_options import DatasetOptions, Splitter
from spurgekit.dataset.split_info import BLOCKS, SplitInfo
from spurgekit.errors import InputError, LeakageError
from spurgekit.imagery.crs import unit_m
from spurgekit.seeds import seed_of

DRAWS = 200

TILES_PER_BLOCK = 4
"""Side of a block in tiles, where no size is given."""

LEAST_CLUSTER_DISTANCE_M = 10.0
"""Points farther apart than a plot is wide are of different clusters, where no distance is given."""

NEAR_ENOUGH = 0.5
"""A draw is taken whose classes' shares on the test side are this near to the share asked for, as a part of it."""

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
    info : SplitInfo
        In what way, for ``dataset.json``.
    notes : tuple of str
        What is to be said of it.
    """

    is_test: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    cluster: NDArray[np.generic] | None
    info: SplitInfo
    notes: tuple[str, ...] = ()

    def of_context(self, reach: gpd.GeoSeries, options: DatasetOptions) -> Split:
        """Return the same test side for the context of tiles: training tiles whose context is too close to one are left out.

        Parameters
        ----------
        reach : geopandas.GeoSeries
            The ground that each tile's context shows.
        options : DatasetOptions
        """
        buffer_m = options.buffer_m or 0.0
        keep = self.keep & _kept(reach, self.is_test, buffer_m)
        return replace(self, keep=keep, info=self.info.model_copy(update={"buffer_m": buffer_m}))


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What ways of splitting know of tiles.

    Attributes
    ----------
    index : geopandas.GeoDataFrame
        Tiles with their class, whether or not it is known after a review: places do not depend on what was decided there.
    kept : pandas.Series of str
        The class of those that come into the dataset, None of others.
    tile_m : float
        Side of the ground that a tile shows, its context included.
    """

    index: gpd.GeoDataFrame
    kept: pd.Series
    tile_m: float

    def of_dataset(self) -> Places:
        """Return those tiles alone that come into the dataset."""
        kept = self.kept.notna()
        return replace(self, index=self.index[kept].assign(**{"class": self.kept[kept]}), kept=self.kept[kept])

    @property
    def labels(self) -> NDArray[np.generic]:
        """The class of each tile."""
        return np.asarray(self.index["class"].to_numpy())

    def column(self, name: str, option: str) -> pd.Series:
        """Return a column that says something of every tile; refuse another, naming the option that asked for it."""
        if name not in self.index:
            columns = ", ".join(str(c) for c in self.index.columns if c != self.index.geometry.name)
            raise InputError(f"the tiles have no column {name!r} ({columns}); pass another `{option}`")
        if self.index[name].isna().any():
            count = int(self.index[name].isna().sum())
            raise InputError(f"column {name!r} is empty for {count} tiles; fill it, or split by blocks")
        return self.index[name]

    def centres_m(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y of the tiles' centres in metres; refuse tiles that do not say where they lie."""
        if (nowhere := self.index.geometry.isna()).any():
            raise InputError(
                f"{int(nowhere.sum()):,} tiles do not say where they lie, so that nothing can be held out by place; "
                "pass `group_column` (or `group_pattern`) with what they have in common, such as the photo they were cut from"
            )
        centres, unit_m = self.index.geometry.centroid, _metres_per_unit(self.index)
        return centres.x.to_numpy() * unit_m, centres.y.to_numpy() * unit_m

    def draw(self, groups: NDArray[np.generic], options: DatasetOptions, buffer_m: float | None = None) -> NDArray[np.generic]:
        """Return the groups to hold out; with a buffer of the way's own, unless options have another."""
        kept, of_dataset = self.kept.notna().to_numpy(), self.of_dataset()
        buffer_m = buffer_m if options.buffer_m is None else options.buffer_m

        def serves(held_out: NDArray[np.generic]) -> bool:
            is_test = np.isin(groups[kept], held_out)
            keep = _kept(of_dataset.index.geometry, is_test, buffer_m)
            return all(set(of_dataset.kept[side]) == set(of_dataset.kept) for side in (is_test, keep & ~is_test))

        first_tile = pd.Series(self.index["tile_id"].to_numpy()).groupby(groups).min()
        return draw_test_groups(
            groups,
            self.labels,
            test_share=options.test_share,
            seed=options.seed,
            serves=serves,
            keys=dict(zip(first_tile.index, first_tile, strict=True)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Which tiles are tested on, and how that was chosen."""

    is_test: NDArray[np.bool_]
    info: SplitInfo
    cluster: NDArray[np.generic] | None = None
    left_out: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()

    def of(self, rows: NDArray[np.bool_]) -> _Sides:
        """Return the sides of some of the tiles."""
        return replace(self, is_test=self.is_test[rows], cluster=None if self.cluster is None else self.cluster[rows])


class _Way(Protocol):
    """A way of splitting."""

    @property
    def draws(self) -> bool:
        """Whether places are drawn, which they are of all tiles that may come into the dataset."""
        ...

    def sides(self, places: Places, options: DatasetOptions) -> _Sides:
        """Choose the test side."""
        ...


def choose_split(index: gpd.GeoDataFrame, kept: pd.Series, options: DatasetOptions, tile_m: float) -> Split:
    """Split tiles by place.

    Which places are drawn follows from the names of tiles and from what labels they came with: it stays as it is when a review
    changes labels, or leaves tiles out, unless a class would be missing on a side.

    Parameters
    ----------
    index : geopandas.GeoDataFrame
        Tiles with the ``class`` that they came with.
    kept : pandas.Series of str
        Their class in the dataset, None of tiles that do not come into it.
    options : DatasetOptions
    tile_m : float
        Side of the ground that a tile shows, its context included.

    Returns
    -------
    Split
        Of the tiles that come into the dataset.

    Raises
    ------
    InputError
        If the tiles cannot be split so.
    LeakageError
        If a test tile touches a training tile, and no buffer says to leave that out.
    """
    places = Places(index, kept, tile_m)
    of_dataset = places.of_dataset()
    way = _way(of_dataset, options)
    sides = way.sides(places, options).of(kept.notna().to_numpy()) if way.draws else way.sides(of_dataset, options)
    index = of_dataset.index
    reach = index.geometry
    buffer_m = sides.info.buffer_m if options.buffer_m is None else options.buffer_m
    keep = _kept(reach, sides.is_test, buffer_m)
    if sides.left_out is not None:
        keep &= ~sides.left_out
    check_leakage(reach[keep], sides.is_test[keep], index["tile_id"][keep].tolist())
    return Split(sides.is_test, keep, sides.cluster, sides.info.model_copy(update={"buffer_m": buffer_m}), sides.notes)


def _way(places: Places, options: DatasetOptions) -> _Way:
    """Return the way that options ask for, else the one that suits the tiles."""
    index = places.index
    if options.split_column is not None:
        return _Given(options.split_column)
    if options.splitter is not None:
        return _FirstFold(options.splitter, options.grouped_by)
    if options.grouped_by is not None:
        return _Groups(options.grouped_by, draws=not options.test_groups)
    if options.block_m is not None:
        return _Blocks()
    if options.cluster_distance_m is None and _is_of(index, "plots") and "plot" in index and _is_known(index["plot"], least=2):
        return _Groups("plot", buffer_m=0.0)
    of_points = _is_of(index, "points")
    if options.cluster_distance_m is None and of_points and "cluster" in index and _is_known(index["cluster"]):
        return _Groups("cluster")
    return _Clusters() if options.cluster_distance_m is not None or of_points else _Blocks()


def _is_of(index: gpd.GeoDataFrame, layout: str) -> bool:
    return "layout" in index and bool((index["layout"] == layout).all())


def _is_known(column: pd.Series, least: int = 1) -> bool:
    return bool(column.notna().all()) and len(column.unique()) >= least


@dataclass(frozen=True, slots=True)
class _Given:
    """A column says train or test."""

    column: str
    draws: bool = False

    def sides(self, places: Places, options: DatasetOptions) -> _Sides:  # noqa: ARG002
        """Take the test side as it is."""
        said = places.column(self.column, "split_column").astype(str).str.strip().str.lower()
        if unknown := sorted(set(said) - {"train", "test"}):
            raise InputError(f"column {self.column!r} says {unknown[0]!r}; it has to say train or test of each tile")
        is_test = (said == "test").to_numpy()
        sites = places.index[SITE].astype(str) if SITE in places.index else pd.Series("", places.index.index)
        shared = sorted(set(sites[is_test]) & set(sites[~is_test])) if len(set(sites)) > 1 else []
        notes = tuple(f"site {name} is in train and in test, so that this is no test on new sites" for name in shared)
        return _Sides(is_test, SplitInfo(by=self.column, given=True), notes=notes)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Whole groups of a column are held out."""

    column: str
    draws: bool = True
    buffer_m: float | None = None

    def sides(self, places: Places, options: DatasetOptions) -> _Sides:
        """Hold out the groups that are named, else some that are drawn."""
        groups = places.column(self.column, "group_column")
        if options.test_groups:
            is_test = choose_groups(groups, options.test_groups, self.column)
            return _Sides(is_test, SplitInfo(by=self.column, test_groups=options.test_groups))
        drawn = places.draw(groups.to_numpy(), options, self.buffer_m)
        return _Sides(
            np.isin(groups.to_numpy(), drawn),
            SplitInfo(by=self.column, test_groups=tuple(str(name) for name in drawn), buffer_m=self.buffer_m),
        )


@dataclass(frozen=True, slots=True)
class _Clusters:
    """Clusters of points are held out."""

    draws: bool = True

    def sides(self, places: Places, options: DatasetOptions) -> _Sides:
        """Hold out some clusters that are drawn."""
        distance_m = options.cluster_distance_m or max(LEAST_CLUSTER_DISTANCE_M, 2 * places.tile_m)
        clusters = cluster_by_distance(*places.centres_m(), distance_m)
        if clusters.max() == 0:
            raise InputError(
                f"all points lie within {distance_m:g} m of another, in one cluster, so that none can be held out by place; "
                "pass a smaller `cluster_distance_m`, or `block_m`"
            )
        drawn = places.draw(clusters, options)
        names = tuple(str(name) for name in drawn)
        info = SplitInfo(by="cluster", test_groups=names, cluster_distance_m=distance_m)
        return _Sides(np.isin(clusters, drawn), info, clusters)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Blocks of ground are held out; they touch, so that training tiles at their edges are left out."""

    draws: bool = True

    def sides(self, places: Places, options: DatasetOptions) -> _Sides:
        """Hold out some blocks that are drawn."""
        block_m = options.block_m or TILES_PER_BLOCK * places.tile_m
        groups = block_numbers(*places.centres_m(), block_m)
        info = SplitInfo(by=BLOCKS, block_m=block_m, test_share=options.test_share, seed=options.seed, buffer_m=0.0)
        return _Sides(np.isin(groups, places.draw(groups, options, 0.0)), info, groups)


@dataclass(frozen=True, slots=True)
class _FirstFold:
    """The first fold of a splitter of scikit-learn's kind."""

    splitter: Splitter
    column: str | None
    draws: bool = False

    def sides(self, places: Places, options: DatasetOptions) -> _Sides:  # noqa: ARG002
        """Take the sides of the fold; what is in neither is left out."""
        rows = np.arange(len(places.index))
        groups = None if self.column is None else places.column(self.column, "group_column").to_numpy()
        ground = np.column_stack(places.centres_m()) if places.index.crs is not None else np.zeros((len(rows), 2))
        folds = list(self.splitter.split(ground, places.labels, groups))
        if not folds:
            raise InputError(f"{type(self.splitter).__name__} has no fold; pass a `splitter` that holds something out")
        is_train, is_test = (np.isin(rows, side) for side in folds[0])
        left_out = ~is_train & ~is_test
        if groups is not None:
            if parted := set(groups[is_train]) & set(groups[is_test]):
                raise LeakageError(
                    f"{type(self.splitter).__name__} puts {self.column} {min(map(str, parted))} into train and into test; "
                    "pass a `splitter` that keeps groups together, such as GroupKFold"
                )
            names = tuple(sorted({str(name) for name in groups[is_test]}))
            return _Sides(is_test, self._info(self.column or "", names), left_out=left_out)
        fold = np.full(len(rows), len(folds))
        for number, (_, tested) in reversed(list(enumerate(folds))):
            fold[tested] = number
        return _Sides(is_test, self._info("cluster", ("0",)), fold, left_out)

    def _info(self, by: str, test_groups: tuple[str, ...]) -> SplitInfo:
        return SplitInfo(by=by, test_groups=test_groups, splitter=repr(self.splitter), buffer_m=0.0)


def _kept(reach: gpd.GeoSeries, is_test: NDArray[np.bool_], buffer_m: float | None) -> NDArray[np.bool_]:
    """Return which tiles are not left out for being training tiles within a distance of a test tile, if there is one."""
    keep = np.ones(len(reach), np.bool_)
    if buffer_m is not None and reach.crs is not None:
        keep[close_pairs(reach, is_test, buffer_m / _metres_per_unit(reach))[:, 0]] = False
    return keep


def _metres_per_unit(index: gpd.GeoDataFrame | gpd.GeoSeries) -> float:
    return unit_m(index.crs)


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
    groups: NDArray[np.generic],
    labels: NDArray[np.generic],
    *,
    test_share: float,
    seed: int,
    serves: Callable[[NDArray[np.generic]], bool] | None = None,
    keys: Mapping[Any, str] | None = None,
) -> NDArray[np.generic]:
    """Draw whole groups for the test side so that each class has close to a given share of its tiles there.

    Of many random draws, the one whose worst class comes closest to the share is taken. With keys it is the first that is near
    enough and serves: what is drawn then follows from the keys, as long as labels allow it.

    Parameters
    ----------
    groups, labels : ndarray, shape (n,)
    test_share : float
        Between 0 and 1.
    seed : int
    serves : callable, optional
        Whether groups will do; those that do not are taken only if no others are drawn.
    keys : mapping of group to str, optional
        What the order of groups follows from.

    Returns
    -------
    ndarray
        The names of the groups held out.
    """
    names, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError("all tiles lie in one place, so none can be held out by place; use smaller blocks or other groups")
    per_class = pd.crosstab(group, labels).to_numpy()
    rng = np.random.default_rng(seed)
    best: tuple[float, NDArray[np.generic]] | None = None
    for draw in range(DRAWS):
        order = rng.permutation(len(names)) if keys is None else _in_order_of(names, keys, seed, draw)
        total = np.cumsum(counts[order])
        take = 1 + int(np.argmin(np.abs(total[:-1] - test_share * total[-1])))
        share = per_class[order[:take]].sum(axis=0) / per_class.sum(axis=0)
        error = float(np.abs(share - test_share).max()) + float(((share == 0) | (share == 1)).sum())
        if best is not None and error >= best[0]:
            continue
        held_out = np.sort(names[order[:take]])
        if serves is not None and not serves(held_out):
            error += len(names)
        if best is None or error < best[0]:
            best = error, held_out
        if keys is not None and error <= NEAR_ENOUGH * min(test_share, 1 - test_share):
            break
    assert best is not None
    return best[1]


def _in_order_of(names: NDArray[np.generic], keys: Mapping[Any, str], seed: int, draw: int) -> NDArray[np.intp]:
    return np.argsort([seed_of(seed, draw, keys[name]) for name in names], kind="stable")


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
        raise InputError(f"`test_groups` holds out all groups of {column!r}; leave some to train on")
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
            f"pass `buffer_m=0` to leave such training tiles out"
        )
