"""Splits by place for cross-validation, as scikit-learn has its splitters: ``split(X, y, groups)`` yields row numbers.

They need no files of spurgekit's: places are coordinates in metres, or footprints. Any of them goes to
:func:`sklearn.model_selection.cross_val_score` as ``cv``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike, NDArray

from spurgekit.dataset.dataset_options import Splitter
from spurgekit.dataset.splits import block_numbers, close_pairs, draw_test_groups
from spurgekit.errors import InputError

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class LeaveClustersOut:
    """Each fold holds out one cluster, or those that are named together.

    Parameters
    ----------
    folds : sequence of sequences, optional
        The clusters of each fold. Default: each cluster is a fold. Clusters that are in none are always trained on.
    buffer_m : float, optional
        Leave out training rows within this distance of a test row; X then has to hold places (see :class:`SpatialBlocks`).

    Examples
    --------
    >>> clusters = [0, 0, 1, 2]
    >>> for train, test in LeaveClustersOut(folds=[[0], [1, 2]]).split(range(4), groups=clusters):
    ...     print(train, test)
    [2 3] [0 1]
    [0 1] [2 3]
    """

    folds: Sequence[Sequence[Any]] | None = None
    buffer_m: float | None = None

    def split(self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002, N803
        """Yield (training rows, test rows).

        Parameters
        ----------
        X : array_like, shape (n, ...)
            Only its places are looked at, and only with a buffer.
        y : ignored
        groups : array_like, shape (n,)
            The cluster of each row.

        Raises
        ------
        InputError
            If there are no groups, a fold names one that there is not, or a fold leaves nothing to train on.
        """
        clusters = _groups(groups)
        for fold in self._folds(clusters):
            is_test = np.isin(clusters, fold)
            if is_test.all():
                raise InputError(f"the fold of clusters {_listed(fold)} leaves nothing to train on")
            yield _with_buffer(is_test, X, self.buffer_m)

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:  # noqa: ARG002, N803
        """Return the number of folds."""
        return len(self.folds) if self.folds is not None else len(np.unique(_groups(groups)))

    def _folds(self, clusters: NDArray[np.generic]) -> list[list[Any]]:
        names = np.unique(clusters)
        if self.folds is None:
            return [[name] for name in names]
        if unknown := [name for fold in self.folds for name in fold if name not in names]:
            raise InputError(f"there is no cluster {unknown[0]!r}; there are {_listed(names)}")
        return [list(fold) for fold in self.folds]


@dataclass(frozen=True)
class SpatialBlocks:
    """Square blocks of ground, dealt out to folds; each row is tested in one of them.

    Parameters
    ----------
    block_m : float
        Side of a block in metres. Blocks lie on round coordinates, so that they do not depend on the extent of the data.
    n_splits : int
        Number of folds. Blocks are dealt out at random, the next always to the fold with the fewest rows.
    buffer_m : float
        Leave out training rows within this distance of a test row: of coordinates between the points, of footprints between
        their edges. Footprints that touch are left out with 0, too.
    seed : int

    Examples
    --------
    Ten places a metre apart, in blocks of two: where a block is held out, its neighbours within a metre are not trained on.

    >>> places = np.column_stack([np.arange(10) + 0.5, np.zeros(10)])
    >>> for train, test in SpatialBlocks(block_m=2, n_splits=2, buffer_m=1.0).split(places):
    ...     print("".join("T" if i in test else "." if i in train else " " for i in range(10)))
    . TTTTTT .
    TT .... TT
    """

    block_m: float
    n_splits: int = 5
    buffer_m: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.block_m > 0:
            raise InputError(f"blocks of {self.block_m} m cannot be; pass a positive size")
        if not self.buffer_m >= 0:
            raise InputError(f"a buffer of {self.buffer_m} m cannot be; pass 0 or more")
        if self.n_splits < 2:
            raise InputError(f"{self.n_splits} folds are no cross-validation; pass 2 or more")

    def split(self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002, N803
        """Yield (training rows, test rows).

        Parameters
        ----------
        X : array_like, shape (n, 2), or GeoSeries or GeoDataFrame of length n
            Coordinates or footprints, in a projected CRS in metres.
        y, groups : ignored

        Raises
        ------
        InputError
            If there are fewer blocks than folds.
        """
        fold = self.folds(X)
        for number in range(self.n_splits):
            yield _with_buffer(fold == number, X, self.buffer_m)

    def folds(self, X: Any) -> Rows:  # noqa: N803
        """Return the fold in which each row is tested, shape (n,)."""
        centres = shapely.get_coordinates(shapely.centroid(_shapes(X)))
        block = block_numbers(centres[:, 0], centres[:, 1], self.block_m)
        counts = np.bincount(block)
        if len(counts) < self.n_splits:
            raise InputError(
                f"all places lie in {len(counts)} block{'s' if len(counts) != 1 else ''} of {self.block_m:g} m, "
                f"too few for {self.n_splits} folds; pass smaller blocks or fewer folds"
            )
        fold_of_block = np.empty(len(counts), np.intp)
        rows = np.zeros(self.n_splits, np.intp)
        for number in np.random.default_rng(self.seed).permutation(len(counts)):
            fold_of_block[number] = rows.argmin()
            rows[fold_of_block[number]] += counts[number]
        return fold_of_block[block]

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:  # noqa: ARG002, N803
        """Return the number of folds."""
        return self.n_splits


@dataclass(frozen=True)
class NewSites:
    """Tests on sites that nothing is trained on, as a model meets them in the next field season.

    Parameters
    ----------
    test_share : float
        Share of the rows to hold out, about; of each class as nearly as the sites allow.
    n_splits : int
        How many times sites are drawn.
    seed : int

    Examples
    --------
    >>> sites = ["north", "north", "south", "south", "ranch", "ranch"]
    >>> for train, test in NewSites(test_share=1 / 3, n_splits=2).split(range(6), [0, 1, 0, 1, 0, 1], sites):
    ...     print(sorted({sites[i] for i in train}), sorted({sites[i] for i in test}))
    ['north', 'ranch'] ['south']
    ['ranch', 'south'] ['north']
    """

    test_share: float = 0.2
    n_splits: int = 1
    seed: int = 0

    def split(self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: N803
        """Yield (training rows, test rows).

        Parameters
        ----------
        X : array_like, shape (n, ...)
            Only its length is looked at.
        y : array_like, shape (n,), optional
            Classes to balance.
        groups : array_like, shape (n,)
            The site of each row.
        """
        sites = _groups(groups)
        labels = np.zeros(len(X), np.intp) if y is None else np.asarray(y)
        for number in range(self.n_splits):
            held_out = draw_test_groups(sites, labels, test_share=self.test_share, seed=self.seed + number)
            yield _with_buffer(np.isin(sites, held_out), X, None)

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:  # noqa: ARG002, N803
        """Return how many times sites are drawn."""
        return self.n_splits


def fold_balance(splitter: Splitter, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> pd.DataFrame:  # noqa: N803
    """Return how many rows of each class a splitter trains and tests on, fold by fold.

    Returns
    -------
    pandas.DataFrame
        A row for each ``fold`` (counted from 0) and ``side`` (train, test), with a column for each class and ``left_out``.

    Examples
    --------
    >>> print(fold_balance(LeaveClustersOut(), range(4), ["weed", "sand", "weed", "weed"], [0, 0, 1, 1]).to_string(index=False))
     fold  side  sand  weed  left_out
        0 train     0     2         0
        0  test     1     1         0
        1 train     1     1         0
        1  test     0     2         0
    """
    labels = np.asarray(y)
    classes = np.unique(labels)
    rows: list[dict[str, Any]] = []
    for number, (train, test) in enumerate(splitter.split(X, y, groups)):
        for side, mine in (("train", train), ("test", test)):
            counts = {str(name): int((labels[mine] == name).sum()) for name in classes}
            rows.append({"fold": number, "side": side, **counts, "left_out": len(labels) - len(train) - len(test)})
    return pd.DataFrame(rows)


def _with_buffer(is_test: NDArray[np.bool_], X: Any, buffer_m: float | None) -> tuple[Rows, Rows]:  # noqa: N803
    keep = ~is_test
    if buffer_m is not None:
        keep[close_pairs(_shapes(X), is_test, buffer_m)[:, 0]] = False
    return np.flatnonzero(keep), np.flatnonzero(is_test)


def _shapes(X: Any) -> NDArray[np.object_]:  # noqa: N803
    """Return places as shapely geometries, shape (n,)."""
    if hasattr(X, "geometry"):  # a GeoSeries is its own
        return np.asarray(X.geometry, dtype=object)
    places = np.asarray(X, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise InputError(f"places are x and y in metres, shape (n, 2), or footprints; not of shape {places.shape}")
    return np.asarray(shapely.points(places), dtype=object)


def _groups(groups: ArrayLike | None) -> NDArray[np.generic]:
    if groups is None:
        raise InputError("pass groups: the cluster or site of each row")
    return np.asarray(groups)


def _listed(names: Sequence[Any] | NDArray[np.generic]) -> str:
    return ", ".join(str(name) for name in names)
