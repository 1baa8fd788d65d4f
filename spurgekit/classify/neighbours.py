"""Support tiles drawn towards their nearest unlabelled tiles.

One tile of a class is as odd as it happens to be; what it has in common with the unlabelled tiles nearest to it is more of the
class than what it has not. So its features become a weighted mean of them and of those tiles' mean, as prototypes are rectified
by unlabelled samples in few-shot learning (Liu, Song and Qin, Prototype Rectification for Few-Shot Learning, ECCV 2020). With
more tiles a class there is less to gain, and the weight falls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.features import unit

NEIGHBOURS = 10
"""Unlabelled tiles that a tile is drawn to; with 5 to 20, results are the same. See the table "unlabelled" of
``tests/benchmarks/bench_shift.py``."""

MOST_SHOTS = 16
"""Tiles a class up to which tiles are drawn: beyond them the weight would be 1/34 and less, and nothing changes."""

MOST_TILES = 512
"""Unlabelled tiles that are looked at: as many say what the ground is like as thousands do."""

Array = NDArray[np.float64]


def weight_of(shots: int) -> float:
    """Return the weight of the neighbours where there are so many tiles of the rarest class.

    >>> [round(weight_of(n), 3) for n in (1, 4, 16, 17)]
    [0.5, 0.125, 0.031, 0.0]
    """
    return 0.5 / shots if shots <= MOST_SHOTS else 0.0


def toward_neighbours(features: Array, unlabelled: Array, weight: float, neighbours: int = NEIGHBOURS) -> Array:
    """Return features drawn towards the mean of their nearest unlabelled ones.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    unlabelled : ndarray, shape (m, d)
        Of which ``neighbours`` are taken, or all where there are fewer; nearest by the angle between features.
    weight : float
        Of their mean, from 0 to 1.
    neighbours : int

    Returns
    -------
    ndarray, shape (n, d)
        As they are where there are no unlabelled ones.
    """
    if not len(unlabelled) or weight == 0:
        return features
    order = np.argsort(-(unit(features) @ unit(unlabelled).T), axis=1, kind="stable")[:, :neighbours]
    return np.asarray((1 - weight) * features + weight * unlabelled[order].mean(axis=1))
