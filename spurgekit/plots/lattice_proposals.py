"""Where a lattice could lie: what pairs of detections propose, and how many others agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from spurgekit.plots.lattice_transform import Array, apply, similarity_matrix
from spurgekit.similarity import Complex, to_complex

SEEDS = 300
"""Of more detections than these, pairs are made of the best scored ones only; all of them have a vote."""

MAX_TRIED = 20_000_000
"""Pairs of detections times pairs of nodes that are compared; where there would be more, every k-th pair is taken."""

VOTE_REACH = 1.5
"""Within how many tolerances of a node a detection agrees: a short pair says little about the far end of a lattice."""

CHUNK = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Similarities z -> a * z + b of the complex plane, those first with which most detections agree.

    Attributes
    ----------
    a, b : ndarray of complex128, shape (n,)
    tests : int
        How many were tried.
    """

    a: Complex
    b: Complex
    tests: int

    @property
    def transforms(self) -> list[Array]:
        """The proposals as homogeneous matrices."""
        return [similarity_matrix(a, b) for a, b in zip(self.a, self.b, strict=True)]


def quarter_turn(nodes: Array, turns: int) -> Array:
    """Return the rotation by quarter turns about the middle of a lattice, as a homogeneous matrix, shape (3, 3)."""
    low, high = nodes.min(axis=0), nodes.max(axis=0)
    middle = complex(*(low + high) / 2)
    a = (1, 1j, -1, -1j)[turns % 4]
    return similarity_matrix(complex(a), middle - a * middle)


def turned_nodes(nodes: Array, turns: int) -> NDArray[np.intp] | None:
    """Return the node that each node comes to lie on when a lattice is turned, or None if it does not fit itself.

    A lattice laid by ``transform`` with detections ``matched`` lies the same by ``transform @ quarter_turn(nodes, turns)``
    with detections ``matched[turned_nodes(nodes, turns)]``.
    """
    apart, onto = cKDTree(nodes).query(apply(quarter_turn(nodes, turns), nodes))
    return np.asarray(onto, np.intp) if apart.max() < 1e-6 else None


def symmetries(nodes: Array, *, turned: bool = True) -> dict[int, NDArray[np.intp]]:
    """Return the quarter turns that leave a lattice as it is, with the :func:`turned_nodes` of each.

    With ``turned=False`` only that by none, as for a lattice whose markers say which they are.
    """
    found = {turn: turned_nodes(nodes, turn) for turn in (range(4) if turned else (0,))}
    return {turn: onto for turn, onto in found.items() if onto is not None}


def upright(transform: Array, nodes: Array, turns: dict[int, NDArray[np.intp]]) -> int:
    """Return by how many quarter turns a lattice is to be turned for its rows to run nearest to east.

    A lattice with two ways to lie is turned as a page is read: its rows run east, or south if they run within 10 degrees of
    north-south, where the smallest error would otherwise decide which end comes first.
    """
    middle = nodes.mean(axis=0)
    (x0, y0), (x1, y1) = apply(transform, middle + np.array([[0, 0], [1e-3, 0]]))
    along = np.degrees(np.arctan2(y1 - y0, x1 - x0)) + (10.0 if len(turns) == 2 else 0.0)
    return min(turns, key=lambda turn: abs((along + 90 * turn + 180) % 360 - 180))


def propose(
    nodes: Array,
    positions: Array,
    turns: dict[int, NDArray[np.intp]],
    *,
    may_match: NDArray[np.bool_] | None,
    cost: Array,
    tolerance_m: float,
    scale_error: float,
    size_m: float,
    keep: int,
) -> Proposals:
    """Return the placements of a lattice that most detections agree with, each place once.

    Parameters
    ----------
    nodes : ndarray of float64, shape (nodes, 2)
    positions : ndarray of float64, shape (n, 2)
        Detections, in metres.
    turns : dict of int to ndarray
        The lattice's symmetries, as :func:`symmetries` returns them; only one of such placements is proposed.
    may_match : ndarray of bool, shape (nodes, n) or None
        Which detections could be at which node.
    cost : ndarray of float64, shape (n,)
        The lower, the better a detection.
    tolerance_m, scale_error, size_m : float
    keep : int
        How many to return at most.
    """
    first, second, start, end = _pairs(nodes, positions, turns, may_match, cost, tolerance_m, scale_error)
    u, z = to_complex(*nodes.T), to_complex(*positions.T)
    a = (z[second] - z[first]) / (u[end] - u[start])
    a /= abs(a)  # the scale of a short pair is worse than none
    b = (z[first] + z[second]) / 2 - a * (u[start] + u[end]) / 2
    votes = _votes(u, a, b, z, VOTE_REACH * tolerance_m)
    order = np.lexsort([b.imag, b.real, -abs(u[end] - u[start]), -votes])  # of as many votes, the longest pair
    order = order[votes[order] >= max(3, votes.max(initial=0) / 2)]
    # One for each place: symmetric placements have their middle and, up to symmetry, their angle in common.
    middle = a[order] * u.mean() + b[order]
    angle = np.angle(a[order] ** len(turns)) / len(turns)
    cells = np.column_stack([middle.real / (size_m / 5), middle.imag / (size_m / 5), angle / 0.05]).round()
    kept = order[np.sort(np.unique(cells, axis=0, return_index=True)[1])[:keep]]
    return Proposals(a[kept], b[kept], max(1, len(a)))


def _pairs(
    nodes: Array,
    positions: Array,
    turns: dict[int, NDArray[np.intp]],
    may_match: NDArray[np.bool_] | None,
    cost: Array,
    tolerance_m: float,
    scale_error: float,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs of detections and the pairs of nodes that stand as far apart: first, second, its node, the other's."""
    start, end = _node_pairs(nodes, turns)
    distance = np.hypot(*(nodes[end] - nodes[start]).T)
    slack = scale_error * distance + tolerance_m
    pairs = cKDTree(positions[_seeds(positions, cost)]).query_pairs(float((distance + slack).max()), output_type="ndarray")
    first, second = _seeds(positions, cost)[pairs.reshape(-1, 2)].T
    # In an order of their own, since every k-th is taken of too many.
    order = np.lexsort([*positions[second].T, *positions[first].T])
    order = order[:: 1 + len(order) * len(start) // MAX_TRIED]
    first, second = first[order], second[order]
    apart = np.hypot(*(positions[second] - positions[first]).T)
    pair, between = np.nonzero(abs(apart[:, None] - distance) <= slack)
    first, second, start, end = first[pair], second[pair], start[between], end[between]
    if may_match is not None:
        allowed = may_match[start, first] & may_match[end, second]
        first, second, start, end = first[allowed], second[allowed], start[allowed], end[allowed]
    return first, second, start, end


def _seeds(positions: Array, cost: Array) -> NDArray[np.intp]:
    """Return the best detections from west to east: a pair is looked at from one end, and it must always be the same."""
    best = np.lexsort([positions[:, 1], positions[:, 0], cost])[:SEEDS]
    return best[np.lexsort([positions[best, 1], positions[best, 0]])]


def _node_pairs(nodes: Array, turns: dict[int, NDArray[np.intp]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return all ordered pairs of nodes but those that a symmetry of the lattice takes to an earlier one."""
    count = len(nodes)
    start, end = np.nonzero(~np.eye(count, dtype=bool))
    number = start * count + end
    least = number.copy()
    for onto in turns.values():
        least = np.minimum(least, onto[start] * count + onto[end])
    return start[number == least], end[number == least]


def _votes(u: Complex, a: Complex, b: Complex, z: Complex, reach_m: float) -> NDArray[np.intp]:
    """Return for each placement how many nodes have a detection within about ``reach_m``; shape (placements,).

    The plane is cut into cells, and those within reach of a detection are kept as sorted numbers: a look-up among them takes
    a fraction of the time of a search for the nearest detection.
    """
    if len(a) == 0:
        return np.zeros(0, np.intp)
    cell = reach_m / 3
    steps = np.arange(-3, 4)
    disc = np.array([complex(i, j) for i in steps for j in steps if i * i + j * j <= 9])
    low = complex(z.real.min(), z.imag.min()) - 2 * reach_m * (1 + 1j)

    def number(points: Complex) -> NDArray[np.int64]:
        at = (points - low) / cell
        return np.floor(at.real).astype(np.int64) * 2**31 + np.floor(at.imag).astype(np.int64)

    taken = np.unique(number(z[:, None] + cell * disc))
    votes = np.zeros(len(a), np.intp)
    for i in range(0, len(a), CHUNK):
        asked = number(a[i : i + CHUNK, None] * u + b[i : i + CHUNK, None])
        at = np.minimum(np.searchsorted(taken, asked), len(taken) - 1)
        votes[i : i + CHUNK] = (taken[at] == asked).sum(axis=1)
    return votes
