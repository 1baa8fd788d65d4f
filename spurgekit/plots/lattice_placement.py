"""One placement of a lattice among detections: refined, bent as the mosaic is, and weighed against another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from spurgekit.plots.lattice_transform import Array, Bending, apply, fit_projective, fit_similarity
from spurgekit.plots.significance import background, log10_false_alarms, log_evidence

LatticeModel = Literal["similarity", "projective"]

FIXED = {"similarity": 2, "projective": 4}
"""Markers that a transform meets exactly, whatever they are."""

REACHES = (2.0, 1.5, 1.0, 1.0, 1.0, 1.0)
"""Tolerances within which markers are taken from one least-squares fit to the next."""

SETTLING_ROUNDS = 5
"""A corner is won or lost in each, and seldom more than one."""

FEWEST_TO_JUDGE = 6
"""Markers among which one can be told to be false by the others."""

MISFIT_SDS, MISFIT_M = 4.0, 0.12
"""A marker is false that is so far from where the others have its node, in standard deviations and in metres.

It has to be off by more than its own half, too: a false marker seldom lies on a corner, a true one often askew.
"""


@dataclass(frozen=True, slots=True, eq=False)
class LatticePlacement:
    """A transform, and the detection at each node."""

    transform: Array
    matched: NDArray[np.intp]
    log10_false_alarms: float

    @property
    def count(self) -> int:
        """How many nodes have a detection."""
        return int((self.matched >= 0).sum())

    @property
    def visible(self) -> float:
        """The share of markers that are found, never quite all or none (Laplace's rule of succession)."""
        return (self.count + 1) / (len(self.matched) + 2)


@dataclass(frozen=True, slots=True, eq=False)
class LatticeSearch:
    """What is looked for, and among which detections."""

    shape: str
    nodes: Array
    positions: Array
    cost: Array  # a detection's own, in place of a distance: the better scored of two is taken
    own_m: Array  # how far from a corner a detection still covers it
    may_match: NDArray[np.bool_] | None
    turns: dict[int, NDArray[np.intp]]  # quarter turns that leave the lattice as it is, and what they do to its nodes
    size_m: float
    fewest: int
    tolerance_m: float
    scale_error: float
    model: LatticeModel
    tree: cKDTree

    def fit(self, nodes: Array, points: Array) -> Array:
        """Return the transform that takes nodes closest to points, homogeneous."""
        solve = fit_projective if self.model == "projective" else fit_similarity
        return solve(nodes, points, self.scale_error)

    def match(self, predicted: Array, reach_m: float) -> NDArray[np.intp]:
        """Return the detection at each node, -1 where none is within reach; each at one node only."""
        matched = np.full(len(predicted), -1, np.intp)
        near = self.tree.query_ball_point(predicted, reach_m)
        node = np.repeat(np.arange(len(near)), [len(found) for found in near])
        detection = np.fromiter((i for found in near for i in found), np.intp, len(node))
        if self.may_match is not None:
            allowed = self.may_match[node, detection]
            node, detection = node[allowed], detection[allowed]
        if len(set(node)) == len(set(detection)) == len(node):  # nothing to choose between, as mostly
            matched[node] = detection
            return matched
        columns, column = np.unique(detection, return_inverse=True)
        price = np.zeros((len(predicted), len(columns)))
        # Far below zero, so that as many nodes as can be are matched; then by distance and score.
        apart = np.hypot(*(predicted[node] - self.positions[detection]).T) / reach_m
        price[node, column] = 4.5 * apart**2 + self.cost[detection] - 100.0
        rows, chosen = linear_sum_assignment(price)
        real = price[rows, chosen] < 0
        matched[rows[real]] = columns[chosen[real]]
        return matched


def refine(search: LatticeSearch, transform: Array, tests: int) -> LatticePlacement | None:
    """Return where least squares takes a proposal, or None if too few detections come of it."""
    before = np.full(len(search.nodes), -2, np.intp)
    for reach in REACHES:
        matched = search.match(apply(transform, search.nodes), reach * search.tolerance_m)
        hit = matched >= 0
        if hit.sum() <= FIXED[search.model]:
            return None
        if reach == 1 and np.array_equal(matched, before):
            break
        before = matched
        transform = search.fit(search.nodes[hit], search.positions[matched[hit]])
    predicted = apply(transform, search.nodes)
    density = background(predicted, matched, search.positions, search.size_m, search.may_match)
    residuals = residuals_of(search, transform, matched)
    false_alarms = log10_false_alarms(residuals, density, search.tolerance_m, tests, FIXED[search.model])
    return LatticePlacement(transform, matched, false_alarms)


def residuals_of(search: LatticeSearch, transform: Array, matched: NDArray[np.intp]) -> Array:
    """Return how far the detection at each node is from where a transform has it, NaN where there is none; shape (nodes,)."""
    offsets = search.positions[matched] - apply(transform, search.nodes)
    return np.where(matched >= 0, np.hypot(*offsets.T), np.nan)


def settle(search: LatticeSearch, placement: LatticePlacement) -> LatticePlacement:
    """Return a placement with the markers that its bending reaches, and without those that their neighbours speak against."""
    transform, matched = placement.transform, placement.matched
    for _ in range(SETTLING_ROUNDS):
        transform, bending = bending_of(search, matched)
        bent = apply(transform, search.nodes) + bending.at(search.nodes)
        again = _without_misfit(search, search.match(bent, search.tolerance_m))
        if np.array_equal(again, matched):
            break
        matched = again
    return replace(placement, transform=bending_of(search, matched)[0], matched=matched)


def bending_of(search: LatticeSearch, matched: NDArray[np.intp]) -> tuple[Array, Bending]:
    """Return the transform that fits matched markers, and how the mosaic bends around it."""
    hit = matched >= 0
    nodes, points = search.nodes[hit], search.positions[matched[hit]]
    transform = search.fit(nodes, points)
    return transform, Bending(nodes, points - apply(transform, nodes), search.size_m)


def _without_misfit(search: LatticeSearch, matched: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the matches without the worst one, if all the others speak against it."""
    nodes = np.flatnonzero(matched >= 0)
    if len(nodes) < FEWEST_TO_JUDGE:
        return matched
    distance, sd = bending_of(search, matched)[1].left_out()
    worst = nodes[np.argmax(distance / sd)]
    others = matched.copy()
    others[worst] = -1
    transform, bending = bending_of(search, others)
    node = search.nodes[[worst]]
    off = search.positions[matched[worst]] - apply(transform, node)[0] - bending.at(node)[0]
    misfit = np.hypot(*off) > max(MISFIT_SDS * bending.sd_at(node)[0], MISFIT_M, search.own_m[matched[worst]])
    return others if misfit else matched


def evidence(search: LatticeSearch, placement: LatticePlacement, visible: float) -> Array:
    """Return how much each node speaks for a placement, given the share of markers that are seen; shape (nodes,)."""
    transform, bending = bending_of(search, placement.matched)
    hit = placement.matched >= 0
    distances, sds = np.full((2, len(hit)), np.nan)
    distances[hit], sds[hit] = bending.left_out()
    predicted = apply(transform, search.nodes)
    density = background(predicted, placement.matched, search.positions, search.size_m, search.may_match)
    return log_evidence(distances, sds, density, visible, search.tolerance_m)


def log_odds(search: LatticeSearch, one: LatticePlacement, other: LatticePlacement) -> float:
    """Return how much likelier one placement is than another, by the nodes and markers that they do not share.

    What a marker weighs that has a node in both is left out: a lattice that is moved by a cell fits it the same.
    """
    visible = max(one.visible, other.visible)
    odds = [
        evidence(search, placement, visible)[(placement.matched < 0) | ~np.isin(placement.matched, against.matched)].sum()
        for placement, against in ((one, other), (other, one))
    ]
    return float(odds[0] - odds[1])


def alike(search: LatticeSearch, one: LatticePlacement, other: LatticePlacement) -> bool:
    """Whether two placements are the same up to symmetry: most of their markers stand at the same nodes."""
    for onto in search.turns.values():
        same = (one.matched >= 0) & (one.matched == other.matched[onto])
        if same.sum() * 2 > min(one.count, other.count):
            return True
    return False
