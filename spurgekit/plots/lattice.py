"""The survey's lattice of plots among detected markers, some of which are missing and some false.

Pure geometry in metres on the ground, x east and y north. A pair of detections that stand as far apart as two nodes proposes
where the lattice could lie; proposals that many detections agree with are refined; what is left must be far beyond chance
(:mod:`spurgekit.plots.support`) and must not fit equally well in another place. Nothing depends on the order of detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from shapely import MultiPoint

from spurgekit.errors import InputError
from spurgekit.plots.alignment import Array, Bending, apply, fit_projective, fit_similarity, similarity_matrix
from spurgekit.plots.proposals import propose, quarter_turn, symmetries, turned_nodes, upright
from spurgekit.plots.protocol import PlotProtocol
from spurgekit.plots.support import background, log10_false_alarms, log_odds

Model = Literal["similarity", "projective"]

TOLERANCE_M = {"similarity": 0.35, "projective": 0.5}
"""How far a marker may be from its node: a stake, a tape measure, and a mosaic that bends by decimetres."""

SCALE_ERROR = {"similarity": 0.04, "projective": 0.12}
"""By how much the ground sample distance may be wrong: a frame's comes from the altitude above the take-off point."""

FIXED = {"similarity": 2, "projective": 4}
"""Markers that a transform meets exactly, whatever they are."""

MAX_LOG10_FALSE_ALARMS = -3.0
"""Lattices that chance would give more often than this, per image, are none."""

MIN_LOG_ODDS = np.log(100.0)
"""By how much a placement must be likelier than any other of the same markers."""

REFINED = 40
"""How many of the best proposals are looked at closely."""


REACHES = (2.0, 1.5, 1.0, 1.0, 1.0, 1.0)
"""Tolerances within which markers are taken from one least-squares fit to the next."""

FINISHING_ROUNDS = 5
"""A corner is won or lost in each, and seldom more than one."""

FEWEST_TO_JUDGE = 6
"""Markers among which one can be told to be false by the others."""

MISFIT_SDS, MISFIT_M = 4.0, 0.12
"""A marker is false that is so far from where the others have its node, in standard deviations and in metres."""


class AmbiguousLatticeError(InputError):
    """The markers fit the lattice in more than one place."""


@dataclass(frozen=True, slots=True, eq=False)
class LatticeFit:
    """A lattice that was found.

    Attributes
    ----------
    nodes_m : ndarray of float64, shape (nodes, 2)
        Where the corners are, in metres, in the order of :attr:`PlotProtocol.nodes_m`: the detections themselves, and where
        there is none, where the lattice and the bending of the markers around have it.
    detections : ndarray of intp, shape (nodes,)
        Which detection is at each node, -1 where the corner was filled in.
    transform : ndarray of float64, shape (3, 3)
        From the protocol's frame to the ground, homogeneous.
    residuals_m : ndarray of float64, shape (nodes,)
        Distance of each detection from where the transform has its node; NaN where there is none.
    log10_false_alarms : float
        Decimal logarithm of how many lattices as good as this chance would give.
    """

    nodes_m: Array
    detections: NDArray[np.intp]
    transform: Array
    residuals_m: Array
    log10_false_alarms: float

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which corners are detections; shape (nodes,)."""
        return self.detections >= 0

    @property
    def rms_m(self) -> float:
        """Root mean square of the residuals, in metres."""
        return float(np.sqrt(np.nanmean(self.residuals_m**2)))


@dataclass(frozen=True, slots=True, eq=False)
class _Placement:
    """A transform, and the detection at each node."""

    transform: Array
    matched: NDArray[np.intp]
    residuals_m: Array
    density: Array

    @property
    def count(self) -> int:
        return int((self.matched >= 0).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What is looked for, and among which detections."""

    nodes: Array
    positions: Array
    cost: Array  # a detection's own, in place of a distance: the better scored of two is taken
    may_match: NDArray[np.bool_] | None
    turns: tuple[int, ...]  # quarter turns that leave the lattice as it is
    size_m: float
    tolerance_m: float
    scale_error: float
    model: Model
    tree: cKDTree

    def fit(self, nodes: Array, points: Array) -> Array:
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
        if len(node) == 0:
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


def fit_lattices(
    positions_m: Array,
    protocol: PlotProtocol,
    *,
    scores: Sequence[float] | None = None,
    ids: Sequence[int | None] | None = None,
    tolerance_m: float | None = None,
    scale_error: float | None = None,
    model: Model = "similarity",
) -> tuple[LatticeFit, ...]:
    """Find the lattices of a survey protocol among detections.

    A lattice that can be turned without a change is laid so that its rows run nearest to east (within 10 degrees of
    north-south, a single row of plots begins in the north).

    Parameters
    ----------
    positions_m : ndarray of float64, shape (n, 2)
        Where the detections are on the ground, x east and y north, in metres.
    protocol : PlotProtocol
        What the botanists laid out.
    scores : sequence of float, optional
        How good each detection is, from 0 to 1. Of two that fit one node as well the better one is taken.
    ids : sequence of int or None, optional
        What each coded marker says, None for one that could not be read. Only looked at where the protocol has ids: then a
        detection that says something else than a node is not matched with it.
    tolerance_m : float, optional
        How far a marker may be from its node. Default 0.35 m, and 0.5 m for frames.
    scale_error : float, optional
        By how much the ground sample distance may be wrong, as a share. Default 0.04, and 0.12 for frames.
    model : {"similarity", "projective"}
        How the lattice may lie: turned, moved and slightly scaled in orthomosaics; in frames with a mild perspective, too.

    Returns
    -------
    tuple of LatticeFit
        From the north-west to the south-east; empty where the detections support none. They share no marker and do not
        overlap.

    Raises
    ------
    AmbiguousLatticeError
        If the same markers fit the lattice in another place as well, or two lattices overlap.
    """
    positions = np.asarray(positions_m, np.float64).reshape(-1, 2)
    may_match = _by_id(protocol, ids)
    fits: list[LatticeFit] = []
    free = np.arange(len(positions))
    while len(free) > FIXED[model]:
        middle = positions[free].mean(axis=0)  # large coordinates would cost digits
        search = _Search(
            nodes=protocol.nodes_m,
            positions=positions[free] - middle,
            cost=-np.log(np.clip(np.ones(len(free)) if scores is None else np.asarray(scores)[free], 0.01, 1)),
            may_match=None if may_match is None else may_match[:, free],
            turns=symmetries(protocol.nodes_m) if may_match is None else (0,),
            size_m=protocol.size_m,
            tolerance_m=tolerance_m or TOLERANCE_M[model],
            scale_error=SCALE_ERROR[model] if scale_error is None else scale_error,
            model=model,
            tree=cKDTree(positions[free] - middle),
        )
        fit = _best_fit(search)
        if fit is None:
            break
        fit = _moved(fit, middle, free)
        if any(_overlap(fit, other) for other in fits):
            raise AmbiguousLatticeError(
                f"{len(positions)} markers hold two lattices of {_shape(protocol)} plots that overlap; "
                "the survey's plots may be laid out otherwise than the protocol says"
            )
        fits.append(fit)
        free = np.setdiff1d(free, fit.detections)
    return tuple(_in_reading_order(fits))


def _by_id(protocol: PlotProtocol, ids: Sequence[int | None] | None) -> NDArray[np.bool_] | None:
    """Return which detection could be at which node, shape (nodes, n); None where ids say nothing."""
    if not protocol.marker_ids or ids is None or all(found is None for found in ids):
        return None
    said = np.array([np.nan if found is None else found for found in ids])
    return np.asarray((np.array(protocol.marker_ids, float)[:, None] == said) | np.isnan(said), bool)


def _shape(protocol: PlotProtocol) -> str:
    return f"{protocol.rows} x {protocol.columns}"


# -- one lattice ----------------------------------------------------------------------------------------------------


def _best_fit(search: _Search) -> LatticeFit | None:
    proposals = propose(
        search.nodes,
        search.positions,
        search.turns,
        may_match=search.may_match,
        cost=search.cost,
        tolerance_m=search.tolerance_m,
        scale_error=search.scale_error,
        size_m=search.size_m,
        keep=REFINED,
    )
    placements = []
    for transform in proposals.transforms:
        placement = _refine(search, transform)
        if placement is not None and _log10_false_alarms(search, placement, proposals.tests) <= MAX_LOG10_FALSE_ALARMS:
            placements.append(placement)
    if not placements:
        return None
    best = max(placements, key=lambda placement: _log_odds(placement, placement))
    _refuse_rivals(search, best, placements)
    return _finish(search, best, _log10_false_alarms(search, best, proposals.tests))


def _refine(search: _Search, transform: Array) -> _Placement | None:
    """Return where least squares takes a proposal, or None if too few detections or another scale come of it."""
    before = None
    for reach in REACHES:
        matched = search.match(apply(transform, search.nodes), reach * search.tolerance_m)
        hit = matched >= 0
        if hit.sum() <= FIXED[search.model]:
            return None
        if reach == 1 and np.array_equal(matched, before):
            break
        before = matched
        transform = search.fit(search.nodes[hit], search.positions[matched[hit]])
    return _place(search, transform, matched)


def _place(search: _Search, transform: Array, matched: NDArray[np.intp]) -> _Placement:
    predicted = apply(transform, search.nodes)
    offsets = search.positions[matched] - predicted
    residuals = np.where(matched >= 0, np.hypot(*offsets.T), np.nan)
    density = background(predicted, matched, search.positions, search.size_m, search.may_match)
    return _Placement(transform, matched, residuals, density)


def _log10_false_alarms(search: _Search, placement: _Placement, tests: int) -> float:
    return log10_false_alarms(placement.residuals_m, placement.density, search.tolerance_m, tests, FIXED[search.model])


def _log_odds(placement: _Placement, judge: _Placement) -> float:
    """Return the log odds of a placement, with the visibility and the spread of markers as another one has them."""
    count = judge.count
    spread = np.sqrt(np.nansum(judge.residuals_m**2) / max(2 * count - 4, 1))
    visible = (count + 1) / (len(judge.matched) + 2)
    return log_odds(placement.residuals_m, placement.density, visible, float(np.clip(spread, 0.03, 0.2)))


def _refuse_rivals(search: _Search, best: _Placement, placements: Sequence[_Placement]) -> None:
    """Raise if the markers of a placement fit the lattice in another place about as well."""
    likelihood = _log_odds(best, best)
    distinct: list[_Placement] = [best]
    for rival in [*placements, *_shifted(search, best)]:
        shares = len(np.intersect1d(rival.matched[rival.matched >= 0], best.matched))
        if not shares or any(_alike(search, rival, other) for other in distinct):
            continue
        if likelihood - _log_odds(rival, best) < MIN_LOG_ODDS:
            distinct.append(rival)
    if len(distinct) > 1:
        raise AmbiguousLatticeError(
            f"{best.count} of {len(search.positions)} markers fit, but {len(distinct)} placements of the lattice "
            "fit them about equally well"
        )


def _shifted(search: _Search, best: _Placement) -> list[_Placement]:
    """Return the same lattice moved by whole cells, and turned where it is not symmetric, if it still meets the markers."""
    moves = []
    for turn in range(4 // len(search.turns)):
        turned = quarter_turn(search.nodes, turn)
        shifts = (search.nodes[:, None] - apply(turned, search.nodes)).reshape(-1, 2)
        moves += [similarity_matrix(1, complex(x, y)) @ turned for x, y in np.unique(shifts.round(6), axis=0)]
    predicted = np.array([apply(best.transform @ move, search.nodes) for move in moves])
    apart, _ = search.tree.query(predicted, distance_upper_bound=2 * search.tolerance_m)
    hits = np.isfinite(apart).sum(axis=1)
    enough = max(best.count - 4, FIXED[search.model] + 1)
    found = [_refine(search, best.transform @ move) for move, count in zip(moves, hits, strict=True) if count >= enough]
    return [placement for placement in found if placement is not None]


def _alike(search: _Search, one: _Placement, other: _Placement) -> bool:
    """Whether two placements are the same up to symmetry: most of their markers stand at the same nodes."""
    for turn in search.turns:
        onto = turned_nodes(search.nodes, turn)
        same = (one.matched >= 0) & (one.matched == other.matched[onto])
        if same.sum() * 2 > min(one.count, other.count):
            return True
    return False


def _finish(search: _Search, best: _Placement, false_alarms: float) -> LatticeFit:
    """Return the fit with its missing corners filled in, and without detections that their neighbours speak against.

    Around the transform the mosaic bends smoothly; what the markers show of it is added to corners without one, and brings
    markers within reach that the rigid lattice missed.
    """
    transform = upright(best.transform, search.nodes, search.turns)
    matched = search.match(apply(transform, search.nodes), search.tolerance_m)
    for _ in range(FINISHING_ROUNDS):
        transform, bending = _bent(search, matched)
        bent = apply(transform, search.nodes) + bending.at(search.nodes)
        again = _without_misfit(search, search.match(bent, search.tolerance_m))
        if np.array_equal(again, matched):
            break
        matched = again
    transform, bending = _bent(search, matched)
    rigid = apply(transform, search.nodes)
    found = (matched >= 0)[:, None]
    return LatticeFit(
        nodes_m=np.where(found, search.positions[matched], rigid + bending.at(search.nodes)),
        detections=matched,
        transform=transform,
        residuals_m=_place(search, transform, matched).residuals_m,
        log10_false_alarms=false_alarms,
    )


def _bent(search: _Search, matched: NDArray[np.intp]) -> tuple[Array, Bending]:
    """Return the transform that fits matched markers, and how the mosaic bends around it."""
    hit = matched >= 0
    nodes, points = search.nodes[hit], search.positions[matched[hit]]
    transform = search.fit(nodes, points)
    return transform, Bending(nodes, points - apply(transform, nodes), search.size_m)


def _without_misfit(search: _Search, matched: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the matches without the worst one, if all the others speak against it."""
    nodes = np.flatnonzero(matched >= 0)
    if len(nodes) < FEWEST_TO_JUDGE:
        return matched
    _, bending = _bent(search, matched)
    worst = nodes[np.argmax(bending.surprise())]
    others = matched.copy()
    others[worst] = -1
    transform, bending = _bent(search, others)
    node = search.nodes[[worst]]
    off = search.positions[matched[worst]] - apply(transform, node)[0] - bending.at(node)[0]
    misfit = np.hypot(*off) > max(MISFIT_SDS * bending.sd_at(node)[0], MISFIT_M)
    return others if misfit else matched


# -- several lattices -----------------------------------------------------------------------------------------------


def _moved(fit: LatticeFit, shift: Array, free: NDArray[np.intp]) -> LatticeFit:
    """Return a fit with the origin and the numbers of all detections, not those of a round of the search."""
    there = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    return replace(
        fit,
        nodes_m=fit.nodes_m + shift,
        detections=np.where(fit.found, free[fit.detections], -1),
        transform=there @ fit.transform,
    )


def _overlap(one: LatticeFit, other: LatticeFit) -> bool:
    """Whether two lattices cover common ground, beyond what their markers' places are uncertain by."""
    first, second = MultiPoint(one.nodes_m).convex_hull, MultiPoint(other.nodes_m).convex_hull
    return bool(first.intersection(second).area > 0.01 * min(first.area, second.area))


def _in_reading_order(fits: Sequence[LatticeFit]) -> list[LatticeFit]:
    """Return lattices from north to south, and those that lie side by side from west to east."""
    left = sorted(fits, key=lambda fit: -fit.nodes_m[:, 1].mean())
    ordered: list[LatticeFit] = []
    while left:
        # Those whose middle is north of the southernmost node of the first lie beside it.
        beside = [fit for fit in left if fit.nodes_m[:, 1].mean() >= left[0].nodes_m[:, 1].min()]
        ordered += sorted(beside, key=lambda fit: fit.nodes_m[:, 0].mean())
        left = left[len(beside) :]
    return ordered
