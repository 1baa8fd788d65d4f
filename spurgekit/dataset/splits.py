"""Train and test by place: whole groups or blocks of ground are held out, never single tiles."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from spurgekit.errors import InputError, LeakageError

DRAWS = 200


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
