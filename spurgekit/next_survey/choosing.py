"""Which tiles teach most, and by which way to walk past them.

A tile is worth its uncertainty times how much of the ground it stands for that nothing known stands for yet: information
density (Settles and Craven, EMNLP 2008), where density is what a tile adds to the cover of all candidates by training tiles
and tiles chosen before (facility location; Wei, Iyer and Bilmes, ICML 2015). So a tile that is like a training tile is worth
little, and so is the twentieth of one shrub, however unsure the model is of them; and so is an oddity that stands for itself
alone, which k-centre greedy (Sener and Savarese, ICLR 2018) goes for first. Tiles are taken one by one, the best first; cover
is submodular, so that this comes near the best set there is (Nemhauser, Wolsey and Fisher, 1978).

Where a walk may be so long and no longer, each is worth that by the metre by which it makes the walk longer (cost-benefit
greedy; Zhang and Vorobeychik, AAAI 2016), as far as it can still be reached.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from spurgekit.next_survey.walking import distances, length_of, put_in, shortest_tour, without_crossings

LEAST_UNCERTAINTY = 1e-6
"""So that of tiles that the model is sure of, those are taken that stand for most."""

LOOK_M = 20.0
"""What it takes to look at a tile, in metres that could be walked instead: one that lies on the way is not for nothing. Of 0.5,
2, 5, 20 and no end it did best on the sites ``dev`` of ``tests/benchmarks/bench_next_survey.py``."""

Floats = NDArray[np.float64]


class Worth:
    """What each tile is worth, beside what is known and what was taken before.

    Parameters
    ----------
    features, uncertainty, known
        See :func:`choose_tiles`.
    """

    def __init__(self, features: NDArray[np.floating], uncertainty: NDArray[np.floating], known: NDArray[np.floating]) -> None:
        self._apart = cdist(features, features)
        self._uncovered = cdist(features, known).min(axis=1)
        self._doubt = np.maximum(uncertainty, LEAST_UNCERTAINTY)

    def of_each(self) -> Floats:
        """Return the worth of each tile, shape (n,)."""
        return np.asarray(self._doubt * np.maximum(self._uncovered[:, None] - self._apart, 0).sum(axis=0))

    def take(self, tile: int) -> None:
        """Count a tile among what is known."""
        self._uncovered = np.minimum(self._uncovered, self._apart[tile])


def choose_tiles(
    features: NDArray[np.floating],
    uncertainty: NDArray[np.floating],
    known: NDArray[np.floating],
    places: Floats,
    *,
    tiles: int,
    start: Floats | None = None,
    walk_m: float = math.inf,
) -> list[int]:
    """Choose tiles, in the order in which to walk past them.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Of tiles to choose from.
    uncertainty : ndarray, shape (n,)
        Of what the map says of them, from 0 to 1.
    known : ndarray, shape (m, d)
        Features of training tiles.
    places : ndarray, shape (n, 2)
        In metres.
    tiles : int
        How many, at most.
    start : ndarray, shape (2,), optional
        Where the walk begins and ends; by default at whichever tiles make it short.
    walk_m : float
        How long it may be.

    Returns
    -------
    list of int
        Fewer where the walk reaches no more.

    Examples
    --------
    >>> features = np.array([[0.0, 1.0], [0.0, 0.9], [1.0, 0.0], [1.0, 0.1]])
    >>> places = np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 0.0], [51.0, 0.0]])
    >>> choose_tiles(features, np.array([0.9, 0.8, 0.2, 0.3]), features[:1], places, tiles=1)
    [3]
    >>> choose_tiles(features, np.array([0.9, 0.8, 0.2, 0.3]), features[:1], places, tiles=2, start=places[0], walk_m=10)
    [0, 1]
    """
    apart = distances(places, start)
    worth, limited = Worth(features, uncertainty, known), math.isfinite(walk_m)
    tour, left_m = [0], walk_m
    while len(tour) <= min(tiles, len(features)):
        gains = worth.of_each()
        gains[np.array(tour[1:], int) - 1] = -np.inf
        if limited:
            after, metres = (part[1:] for part in put_in(tour, apart))
            gains = np.where(metres <= left_m, gains / (LOOK_M + metres), -np.inf)
        best = int(gains.argmax())
        if gains[best] == -np.inf:
            break
        worth.take(best)
        if limited:
            tour.insert(int(after[best]) + 1, best + 1)
            tour = without_crossings(tour, apart)
            left_m = walk_m - length_of(tour, apart)
        else:
            tour.append(best + 1)
    stops = sorted(tour)
    if not limited:
        tour = [stops[stop] for stop in shortest_tour(apart[np.ix_(stops, stops)])]
    return [stop - 1 for stop in tour[tour.index(0) + 1 :] + tour[: tour.index(0)]]
