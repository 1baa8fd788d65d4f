"""What unlabelled tiles say of classes: labels are spread among tiles that look alike, and each class gets a mean of them.

One tile of a class is as odd as it happens to be. Its label is spread over the graph of nearest neighbours that it makes with
the unlabelled tiles (Zhou et al., Learning with Local and Global Consistency, NIPS 2003), edges by the distance to the
neighbours of both ends (Zelnik-Manor and Perona, Self-Tuning Spectral Clustering, NIPS 2004). The mean of the unlabelled tiles,
each as far as it has come to be of a class, is then learned from as one more tile of that class, as prototypes are refined in
semi-supervised few-shot learning (Ren et al., ICLR 2018). With more tiles a class there is less to gain, and more to lose.

Where a class hardly grows among the unlabelled tiles, as the weed on most ground, they say nothing of it, and what is taken for
it is another. It shows: hardly any tile is then surely of one class. So means weigh less as tiles are less sure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.features import unit

NEIGHBOURS, FEWEST_NEIGHBOURS = 40, 5
"""Of each tile in the graph, where there are two classes, and at least; see the choice "unlabelled" of
``tests/benchmarks/bench_choices.py``. Of more classes each has a smaller part of the tiles, and of these, in proportion; see
``tests/benchmarks/bench_classes.py``."""

ALPHA = 0.9
"""Share of what a tile becomes that its neighbours say."""

STRENGTH = 2.0
"""Weight of a class's mean of unlabelled tiles beside each of its labelled ones, in tiles, where tiles are sure."""

SURE = 0.4
"""Mean margin between two classes of unlabelled tiles, below which a mean weighs less, by its square. Of more classes each has
a smaller share of a tile, and margins between the two likeliest are smaller in proportion."""

MOST_SHOTS = 1
"""Tiles a class up to which labels are spread. With two there is less than a point to gain, and up to two to lose; more where
places choose a weak penalty, since a regression then takes its threshold from what lies between the classes, as such means do.
See the table "unlabelled" of ``tests/benchmarks/bench_shift.py``."""

MOST_TILES = 512
"""Unlabelled tiles that are looked at: as many say what the ground is like as thousands do."""

Array = NDArray[np.float64]


def class_means(
    labelled: Array,
    labels: Array,
    unlabelled: Array,
    *,
    neighbours: int = NEIGHBOURS,
    alpha: float = ALPHA,
    sure: float = SURE,
) -> tuple[Array, Array]:
    """Return the mean features of unlabelled tiles, each as far as it is of a class, and what they weigh, in tiles.

    Parameters
    ----------
    labelled, labels, unlabelled, alpha
        See :func:`spread_labels`.
    neighbours : int
        See ``NEIGHBOURS``.
    sure : float
        See ``SURE``; 0 weighs means alike however sure tiles are.

    Returns
    -------
    means : ndarray, shape (classes, d)
    weights : ndarray, shape (classes,)
        0 of all where a class has no labelled tile, or reaches no unlabelled one.
    """
    total = labels.sum(axis=0)
    of_one = np.divide(labels, total, out=np.zeros(labels.shape), where=total > 0)
    of_two = 2 / len(total)
    near = max(min(neighbours, FEWEST_NEIGHBOURS), round(neighbours * of_two))
    share = spread_labels(labelled, of_one, unlabelled, neighbours=near, alpha=alpha)
    sums = share.sum(axis=0)
    if not (total.min() > 0 and sums.min() > 0):
        return np.zeros((len(total), unlabelled.shape[1])), np.zeros(len(total))
    second, first = np.sort(share, axis=1)[:, -2:].T
    margin = float((first - second).mean())
    evidence = 1.0 if margin >= sure * of_two else (margin / (sure * of_two)) ** 2
    return share.T @ unlabelled / sums[:, None], STRENGTH * evidence * total


def spread_labels(
    labelled: Array, labels: Array, unlabelled: Array, *, neighbours: int = NEIGHBOURS, alpha: float = ALPHA
) -> Array:
    """Return how far unlabelled tiles are of each class, shape (m, classes): rows have the sum 1, or 0 where no label comes.

    Parameters
    ----------
    labelled : ndarray, shape (n, d)
        Features.
    labels : ndarray, shape (n, classes)
        How much each tile is of each class.
    unlabelled : ndarray, shape (m, d)
    neighbours : int
        Of each tile, or all where there are fewer; nearest by the angle between features.
    alpha : float
        See ``ALPHA``.
    """
    affinity = _affinity(np.concatenate([labelled, unlabelled]), neighbours)
    degree = affinity.sum(axis=1)
    scale = np.divide(1, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0)
    system = np.eye(len(affinity)) - alpha * affinity * scale[:, None] * scale
    known = np.zeros((len(affinity), labels.shape[1]))
    known[: len(labels)] = labels
    reached = np.maximum(np.linalg.solve(system, known)[len(labels) :], 0)
    total = reached.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(reached, total, out=np.zeros(reached.shape), where=total > 0))


def _affinity(features: Array, neighbours: int) -> Array:
    """Return how alike tiles are, where one is among the nearest of the other; 0 elsewhere. Shape (tiles, tiles)."""
    vectors = unit(features)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    near = np.argsort(-cosine, axis=1, kind="stable")[:, : min(neighbours, len(features) - 1)]
    squared = np.maximum(2 - 2 * np.take_along_axis(cosine, near, axis=1), 0)
    scale = np.sqrt(squared[:, -1])
    both = scale[:, None] * scale[near]
    far = np.divide(squared, both, out=np.where(squared > 0, np.inf, 0.0), where=both > 0)  # 0 / 0 of tiles that are the same
    found = np.zeros_like(cosine)
    np.put_along_axis(found, near, np.exp(-far), axis=1)
    return np.asarray(np.maximum(found, found.T))
