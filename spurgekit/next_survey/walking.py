"""A short way past some places: from the nearest to the next nearest, then no two legs that cross (2-opt).

Nearest neighbour and 2-opt as in Croes, Operations Research 6 (1958); on places in the plane such tours are some 5 % longer
than the shortest (Johnson and McGeoch, The Traveling Salesman Problem: A Case Study in Local Optimization, 1997).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHORTER_M = 1e-9
"""What a change of the tour gains at least: so that rounding does not turn it to and fro."""

Floats = NDArray[np.float64]
Order = list[int]


def distances(places: Floats, start: Floats | None) -> Floats:
    """Return how far apart places are as stops of a tour, the first stop being its start.

    Parameters
    ----------
    places : ndarray of float64, shape (n, 2)
        In metres.
    start : ndarray of float64, shape (2,), or None
        None of a walk that may begin and end anywhere: its start is as near as can be to all places.

    Returns
    -------
    ndarray of float64, shape (n + 1, n + 1)
        In metres.

    Examples
    --------
    >>> distances(np.array([[0.0, 0.0], [3.0, 4.0]]), None).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 5.0], [0.0, 5.0, 0.0]]
    """
    apart = np.zeros((len(places) + 1, len(places) + 1))
    apart[1:, 1:] = np.linalg.norm(places[:, None] - places, axis=2)
    if start is not None:
        apart[0, 1:] = apart[1:, 0] = np.linalg.norm(places - start, axis=1)
    return apart


def length_of(order: Order, apart: Floats) -> float:
    """Return the length of a closed tour in metres."""
    return float(apart[order, np.roll(order, -1)].sum())


def shortest_tour(apart: Floats) -> Order:
    """Return a short closed tour of all stops that begins at the first.

    Parameters
    ----------
    apart : ndarray of float64, shape (n + 1, n + 1)
        See :func:`distances`.

    Returns
    -------
    list of int
        All stops, 0 ahead of the others.

    Examples
    --------
    >>> line = np.array([[2.0, 0.0], [9.0, 0.0], [1.0, 0.0], [5.0, 0.0]])
    >>> shortest_tour(distances(line, np.array([0.0, 0.0])))
    [0, 2, 4, 1, 3]
    >>> shortest_tour(distances(line, None))
    [0, 2, 4, 1, 3]
    """
    tours = [_nearest_first(apart, second) for second in range(1, len(apart))] or [[0]]
    return without_crossings(min(tours, key=lambda tour: length_of(tour, apart)), apart)


def _nearest_first(apart: Floats, second: int) -> Order:
    tour, left = [0, second], np.ones(len(apart), np.bool_)
    left[tour] = False
    while left.any():
        tour.append(int(np.where(left, apart[tour[-1]], np.inf).argmin()))
        left[tour[-1]] = False
    return tour


def without_crossings(order: Order, apart: Floats) -> Order:
    """Return a closed tour that no turning round of a stretch of it makes shorter (2-opt)."""
    tour = np.array(order)
    while len(tour) > 3:
        ahead = np.roll(tour, -1)
        legs = apart[tour, ahead]
        # Turning the stops after i up to j round makes legs i to j and i + 1 to j + 1 of those after i and after j.
        gains = legs[:, None] + legs - apart[np.ix_(tour, tour)] - apart[np.ix_(ahead, ahead)]
        i, j = divmod(int(np.triu(gains, 1).argmax()), len(tour))
        if gains[i, j] <= SHORTER_M or i >= j:
            break
        tour[i + 1 : j + 1] = tour[i + 1 : j + 1][::-1]
    return [int(stop) for stop in tour]


def put_in(order: Order, apart: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return where each stop is put into a closed tour at the least cost, and that cost.

    Parameters
    ----------
    order : list of int
        Some of the stops.
    apart : ndarray of float64, shape (n, n)

    Returns
    -------
    after : ndarray of int, shape (n,)
        The place in the tour behind which it is put.
    metres : ndarray of float64, shape (n,)
        By which the tour gets longer.

    Examples
    --------
    >>> after, metres = put_in([0, 1], distances(np.array([[4.0, 0.0], [2.0, 0.0], [5.0, 0.0]]), np.zeros(2)))
    >>> metres[2:].tolist()
    [0.0, 2.0]
    """
    here, ahead = np.array(order), np.roll(order, -1)
    costs = apart[here] + apart[ahead] - apart[here, ahead][:, None]
    after = costs.argmin(axis=0)
    return after, costs[after, np.arange(len(apart))]
