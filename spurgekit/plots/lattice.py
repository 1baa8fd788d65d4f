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
from spurgekit.plots.proposals import propose, quarter_turn, symmetries, upright
from spurgekit.plots.protocol import PlotProtocol
from spurgekit.plots.support import background, log10_false_alarms, log_evidence

Model = Literal["similarity", "projective"]

TOLERANCE_M = {"similarity": 0.35, "projective": 0.5}
"""How far a marker may be from its node: a stake, a tape measure, and a mosaic that bends by decimetres."""

SCALE_ERROR = {"similarity": 0.04, "projective": 0.12}
"""By how much the ground sample distance may be wrong: a frame's comes from the altitude above the take-off point."""

FIXED = {"similarity": 2, "projective": 4}
"""Markers that a transform meets exactly, whatever they are."""

PROJECTIVE_NODES = 8
"""A smaller lattice says too little about perspective to be told from chance if it may have any."""

MAX_LOG10_FALSE_ALARMS = -3.0
"""Lattices that chance would give more often than this, per image, are none."""

MIN_VISIBLE = 0.375
"""The least share of a lattice's markers that fixes it: 6 of 16."""

MIN_LOG_ODDS = np.log(100.0)
"""By how much a placement must be likelier than any other of the same markers."""

RIVAL_MARKERS = 3
"""A placement with so many markers less than another cannot be as likely."""

REFINED = 40
"""How many of the best proposals are looked at closely."""


REACHES = (2.0, 1.5, 1.0, 1.0, 1.0, 1.0)
"""Tolerances within which markers are taken from one least-squares fit to the next."""

SETTLING_ROUNDS = 5
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
    log10_false_alarms: float

    @property
    def count(self) -> int:
        return int((self.matched >= 0).sum())

    @property
    def visible(self) -> float:
        """The share of markers that are found, never quite all or none (Laplace's rule of succession)."""
        return (self.count + 1) / (len(self.matched) + 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What is looked for, and among which detections."""

    shape: str
    nodes: Array
    positions: Array
    cost: Array  # a detection's own, in place of a distance: the better scored of two is taken
    may_match: NDArray[np.bool_] | None
    turns: dict[int, NDArray[np.intp]]  # quarter turns that leave the lattice as it is, and what they do to its nodes
    size_m: float
    fewest: int
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
        How the lattice may lie: turned, moved and slightly scaled in orthomosaics; in frames with a mild perspective, too,
        if it has at least eight nodes.

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
    while len(free) >= fewest_markers(protocol):
        middle = positions[free].mean(axis=0)  # large coordinates would cost digits
        search = _Search(
            shape=_shape(protocol),
            nodes=protocol.nodes_m,
            positions=positions[free] - middle,
            cost=-np.log(np.clip(np.ones(len(free)) if scores is None else np.asarray(scores)[free], 0.01, 1)),
            may_match=None if may_match is None else may_match[:, free],
            turns=symmetries(protocol.nodes_m, turned=may_match is None),
            size_m=protocol.size_m,
            fewest=fewest_markers(protocol),
            tolerance_m=tolerance_m or TOLERANCE_M[model],
            scale_error=SCALE_ERROR[model] if scale_error is None else scale_error,
            model=model if len(protocol.nodes_m) >= PROJECTIVE_NODES else "similarity",
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


def fewest_markers(protocol: PlotProtocol) -> int:
    """Return how many markers fix a lattice at least."""
    return max(4, int(np.ceil(MIN_VISIBLE * len(protocol.nodes_m))))


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
    refined = [_refine(search, transform, proposals.tests) for transform in proposals.transforms]
    places = _places(search, [found for found in refined if found is not None and _is_supported(search, found)])
    if not places:
        return None
    settled = [_settle(search, place) for place in places]
    best = _likeliest(search, settled)
    _refuse_rivals(search, best, [*settled, *_shifted(search, best, proposals.tests)])
    return _fit_of(search, best)


def _is_supported(search: _Search, placement: _Placement) -> bool:
    return placement.count >= search.fewest and placement.log10_false_alarms <= MAX_LOG10_FALSE_ALARMS


def _places(search: _Search, placements: Sequence[_Placement]) -> list[_Placement]:
    """Return the best placement in each place, without those that are far from as good as the best of all."""
    places: list[_Placement] = []
    for placement in sorted(placements, key=lambda found: found.log10_false_alarms):
        near = placement.count >= max(found.count for found in placements) - RIVAL_MARKERS
        if near and not any(_alike(search, placement, place) for place in places):
            places.append(placement)
    return places


def _refine(search: _Search, transform: Array, tests: int) -> _Placement | None:
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
    residuals = _residuals(search, transform, matched)
    false_alarms = log10_false_alarms(residuals, density, search.tolerance_m, tests, FIXED[search.model])
    return _Placement(transform, matched, false_alarms)


def _residuals(search: _Search, transform: Array, matched: NDArray[np.intp]) -> Array:
    offsets = search.positions[matched] - apply(transform, search.nodes)
    return np.where(matched >= 0, np.hypot(*offsets.T), np.nan)


def _settle(search: _Search, placement: _Placement) -> _Placement:
    """Return a placement with the markers that its bending reaches, and without those that their neighbours speak against."""
    transform, matched = placement.transform, placement.matched
    for _ in range(SETTLING_ROUNDS):
        transform, bending = _bent(search, matched)
        bent = apply(transform, search.nodes) + bending.at(search.nodes)
        again = _without_misfit(search, search.match(bent, search.tolerance_m))
        if np.array_equal(again, matched):
            break
        matched = again
    return replace(
        placement, transform=search.fit(search.nodes[matched >= 0], search.positions[matched[matched >= 0]]), matched=matched
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
    distance, sd = _bent(search, matched)[1].left_out()
    worst = nodes[np.argmax(distance / sd)]
    others = matched.copy()
    others[worst] = -1
    transform, bending = _bent(search, others)
    node = search.nodes[[worst]]
    off = search.positions[matched[worst]] - apply(transform, node)[0] - bending.at(node)[0]
    misfit = np.hypot(*off) > max(MISFIT_SDS * bending.sd_at(node)[0], MISFIT_M)
    return others if misfit else matched


def _fit_of(search: _Search, best: _Placement) -> LatticeFit:
    """Return a placement as people read it, with its missing corners filled in."""
    turn = upright(best.transform, search.nodes, search.turns)
    matched = best.matched[search.turns[turn]]
    transform, bending = _bent(search, matched)
    bent = apply(transform, search.nodes) + bending.at(search.nodes)
    return LatticeFit(
        nodes_m=np.where((matched >= 0)[:, None], search.positions[matched], bent),
        detections=matched,
        transform=transform,
        residuals_m=_residuals(search, transform, matched),
        log10_false_alarms=best.log10_false_alarms,
    )


# -- the same markers in another place ------------------------------------------------------------------------------


def _evidence(search: _Search, placement: _Placement, visible: float) -> Array:
    """Return how much each node speaks for a placement, given the share of markers that are seen; shape (nodes,)."""
    transform, bending = _bent(search, placement.matched)
    hit = placement.matched >= 0
    distances, sds = np.full((2, len(hit)), np.nan)
    distances[hit], sds[hit] = bending.left_out()
    predicted = apply(transform, search.nodes)
    density = background(predicted, placement.matched, search.positions, search.size_m, search.may_match)
    return log_evidence(distances, sds, density, visible, search.tolerance_m)


def _log_odds(search: _Search, one: _Placement, other: _Placement) -> float:
    """Return how much likelier one placement is than another, by the nodes and markers that they do not share.

    What a marker weighs that has a node in both is left out: a lattice that is moved by a cell fits it the same.
    """
    visible = max(one.visible, other.visible)
    odds = [
        _evidence(search, placement, visible)[(placement.matched < 0) | ~np.isin(placement.matched, against.matched)].sum()
        for placement, against in ((one, other), (other, one))
    ]
    return float(odds[0] - odds[1])


def _likeliest(search: _Search, placements: Sequence[_Placement]) -> _Placement:
    best = max(placements, key=lambda placement: _evidence(search, placement, placement.visible).sum())
    for placement in placements:
        if _log_odds(search, best, placement) < 0:
            best = placement
    return best


def _refuse_rivals(search: _Search, best: _Placement, rivals: Sequence[_Placement]) -> None:
    """Raise if the markers of a placement fit the lattice in another place about as well."""
    places = [best]
    for rival in rivals:
        shares = np.isin(rival.matched[rival.matched >= 0], best.matched).any()
        if not shares or any(_alike(search, rival, place) for place in places):
            continue
        if _log_odds(search, best, rival) < MIN_LOG_ODDS:
            places.append(rival)
    if len(places) > 1:
        raise AmbiguousLatticeError(
            f"{best.count} of {len(search.positions)} markers fit, but {len(places)} placements of the "
            f"{search.shape} lattice fit them about equally well; give the corners of the plots instead"
        )


def _shifted(search: _Search, best: _Placement, tests: int) -> list[_Placement]:
    """Return the same lattice moved by whole cells, and turned where it is not symmetric, if it still meets the markers."""
    moves = []
    for turn in range(4 // len(search.turns)):
        turned = quarter_turn(search.nodes, turn)
        shifts = (search.nodes[:, None] - apply(turned, search.nodes)).reshape(-1, 2)
        moves += [similarity_matrix(1, complex(x, y)) @ turned for x, y in np.unique(shifts.round(6), axis=0)]
    predicted = np.array([apply(best.transform @ move, search.nodes) for move in moves])
    apart, _ = search.tree.query(predicted, distance_upper_bound=2 * search.tolerance_m)
    hits = np.isfinite(apart).sum(axis=1)
    enough = max(best.count - RIVAL_MARKERS, FIXED[search.model] + 1)
    found = [_refine(search, best.transform @ move, tests) for move, count in zip(moves, hits, strict=True) if count >= enough]
    places = _places(search, [placement for placement in found if placement is not None])
    return [_settle(search, place) for place in places if not _alike(search, place, best)]


def _alike(search: _Search, one: _Placement, other: _Placement) -> bool:
    """Whether two placements are the same up to symmetry: most of their markers stand at the same nodes."""
    for onto in search.turns.values():
        same = (one.matched >= 0) & (one.matched == other.matched[onto])
        if same.sum() * 2 > min(one.count, other.count):
            return True
    return False


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
