"""Whether markers that fit a lattice do so by more than chance.

The support of a lattice is judged a contrario (Desolneux, Moisan and Morel, *From Gestalt Theory to Image Analysis*, 2008,
chapter 3): had the detections been thrown at random, how many lattices as good as this would the search have come upon? Two
placements of one lattice are weighed against each other by their likelihoods.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

NARROWINGS = (1.0, 0.5, 0.25)
"""Shares of the tolerance at which hits are counted; the most surprising count is taken, and paid for as three tests."""

NEIGHBOURHOODS = (0.8, 0.3, 0.1)
"""Radii, in plot sides, within which the detections about a node are counted: true neighbours stand one side away, so what
lies nearer is clutter, and clutter comes in clumps of many sizes."""


def background(
    predicted: Array, matched: NDArray[np.intp], positions: Array, size_m: float, may_match: NDArray[np.bool_] | None
) -> Array:
    """Return the density of detections that chance could put at each node, per square metre; shape (nodes,).

    It is the density about the lattice as a whole or that in the node's own neighbourhood, whichever is greater.

    Parameters
    ----------
    predicted : ndarray of float64, shape (nodes, 2)
        Where the lattice has its nodes.
    matched : ndarray of intp, shape (nodes,)
        The detection at each node, -1 where there is none. It does not count as its own neighbour.
    positions : ndarray of float64, shape (n, 2)
        All detections.
    size_m : float
        Side of a plot.
    may_match : ndarray of bool, shape (nodes, n) or None
        Which detections could be that node's marker, by their ids.
    """
    low, high = predicted.min(axis=0) - size_m / 2, predicted.max(axis=0) + size_m / 2
    near = np.flatnonzero(np.all((positions >= low) & (positions <= high), axis=1))
    apart = np.hypot(*(predicted[:, None] - positions[near]).transpose(2, 0, 1))
    others = near != matched[:, None]
    inside = np.ones_like(others)
    if may_match is not None:
        inside = may_match[:, near]
        others &= inside
    # At least one, since a lattice without any detection that could be a node's marker says nothing about their density.
    density = np.maximum(inside.sum(axis=1), 1) / np.prod(high - low)
    for share in NEIGHBOURHOODS:
        radius = share * size_m
        density = np.maximum(density, (np.sum(others & (apart < radius), axis=1) - 1) / (np.pi * radius**2))
    return np.asarray(density, np.float64)


def log10_false_alarms(residuals_m: Array, density: Array, tolerance_m: float, tests: int, fixed: int) -> float:
    """Return the decimal logarithm of the number of false alarms.

    Parameters
    ----------
    residuals_m : ndarray of float64, shape (nodes,)
        Distance of the marker at each node from where the lattice has it, NaN where there is none.
    density : ndarray of float64, shape (nodes,)
        As :func:`background` returns it.
    tolerance_m : float
    tests : int
        How many lattices the search tried.
    fixed : int
        How many markers the transform can meet exactly, whatever they are: two for a similarity, four for a homography. They
        are taken to be those that are hardest to meet by chance.
    """
    best = 0.0
    for share in NARROWINGS:
        hits = residuals_m <= share * tolerance_m
        if hits.sum() <= fixed:
            continue
        chance = -np.expm1(-density * np.pi * (share * tolerance_m) ** 2)
        order = np.argsort(np.where(hits, chance, np.inf), kind="stable")
        tail = tail_probability(chance[order[fixed:]], int(hits.sum()) - fixed)
        best = min(best, float(np.log10(max(tail, 1e-300) * tests * len(NARROWINGS))))
    return best


def tail_probability(chances: Array, count: int) -> float:
    """Return the probability of ``count`` or more successes in independent trials, each with a chance of its own."""
    exactly = np.zeros(len(chances) + 1)
    exactly[0] = 1.0
    for chance in chances:
        exactly[1:] = exactly[1:] * (1 - chance) + exactly[:-1] * chance
        exactly[0] *= 1 - chance
    return float(exactly[count:].sum())


def log_evidence(residuals_m: Array, sds_m: Array, density: Array, visible: float, tolerance_m: float) -> Array:
    """Return for each node how much likelier what is seen of it is under a placement than as background; shape (nodes,).

    Parameters
    ----------
    residuals_m : ndarray of float64, shape (nodes,)
        Distance of the marker at each node from where the others have it, NaN where there is none.
    sds_m : ndarray of float64, shape (nodes,)
        Standard deviation of that along an axis; NaN where there is none.
    density : ndarray of float64, shape (nodes,)
        As :func:`background` returns it.
    visible : float
        The share of markers that are found.
    tolerance_m : float

    Returns
    -------
    ndarray of float64, shape (nodes,)
        Logarithms of likelihood ratios.

    Notes
    -----
    Half of the markers are taken to be where the others have them, half anywhere within the tolerance: how a mosaic bends is
    known too little at its edge for the tails of a normal distribution to be believed.
    """
    anywhere = 1 / (np.pi * tolerance_m**2)
    expected = np.exp(-0.5 * (residuals_m / sds_m) ** 2) / (2 * np.pi * sds_m**2)
    ratio = np.where(np.isnan(residuals_m), 0.0, (expected + anywhere) / (2 * density))
    return np.asarray(np.log((1 - visible) + visible * ratio), np.float64)


def common_distance(positions: Array, longest_m: float) -> float | None:
    """Return the distance at which most pairs of detections stand, or None where none stands out.

    A hint for people: the side of the plots when it is not what the protocol says.

    Parameters
    ----------
    positions : ndarray of float64, shape (n, 2)
    longest_m : float
        Longer distances are not looked at.
    """
    pairs = cKDTree(positions).query_pairs(longest_m, output_type="ndarray")
    apart = np.sort(np.hypot(*(positions[pairs[:, 0]] - positions[pairs[:, 1]]).T))
    apart = apart[apart > 0]
    if len(apart) == 0:
        return None
    upto = np.searchsorted(apart, apart * 1.05, side="right")
    counts = upto - np.arange(len(apart))
    start = int(np.argmax(counts))
    # By chance as many pairs stand in a ring as its area says: of radius r and 5 % wide, 0.1 of all pairs within r.
    if counts[start] < max(4, 0.25 * upto[start]):
        return None
    return float(np.median(apart[start : upto[start]]))
