"""The survey's lattice of plots among detected markers, some of which are missing and some false.

Pure geometry in metres on the ground, x east and y north. A pair of detections that stand as far apart as two nodes proposes
where the lattice could lie; proposals that many detections agree with are refined; what is left must be far beyond chance
(:mod:`spurgekit.plots.significance`) and must not fit as well in another place. Nothing depends on the order of detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely import MultiPoint

from spurgekit.errors import InputError
from spurgekit.plots.lattice_placement import (
    FIXED,
    LatticeModel,
    LatticePlacement,
    LatticeSearch,
    alike,
    bending_of,
    evidence,
    log_odds,
    refine,
    residuals_of,
    settle,
)
from spurgekit.plots.lattice_proposals import propose, quarter_turn, symmetries, upright
from spurgekit.plots.lattice_transform import Array, apply, similarity_matrix
from spurgekit.plots.protocol import PlotProtocol

__all__ = ["AmbiguousLatticeError", "LatticeFit", "LatticeModel", "fewest_markers", "fit_lattices"]

TOLERANCE_M = {"similarity": 0.35, "projective": 0.5}
"""How far a marker may be from its node: a stake, a tape measure, and a mosaic that bends by decimetres."""

SCALE_ERROR = {"similarity": 0.04, "projective": 0.12}
"""By how much the ground sample distance may be wrong: a frame's comes from the altitude above the take-off point."""

PROJECTIVE_NODES = 8
"""A smaller lattice says too little about perspective to be told from chance if it may have any."""

MAX_LOG10_FALSE_ALARMS = -3.0
"""Lattices that chance would give more often than this, per image, are none."""

MIN_VISIBLE = 0.375
"""The least share of a lattice's markers that fixes it: 6 of 16."""

FEWEST = 4
"""Two markers are met by any similarity, and one may be wrong."""

MIN_LOG_ODDS = np.log(100.0)
"""By how much a placement must be likelier than any other of the same markers."""

RIVAL_MARKERS = 3
"""A placement with so many markers less than another cannot be as likely."""

LIKELY = 0.5
"""Score of a detection that is as likely a marker as not."""

REFINED = 40
"""How many of the best proposals are looked at closely."""


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


def fit_lattices(
    positions_m: Array,
    protocol: PlotProtocol,
    *,
    scores: Sequence[float] | None = None,
    ids: Sequence[int | None] | None = None,
    sizes_m: Sequence[float] | None = None,
    tolerance_m: float | None = None,
    scale_error: float | None = None,
    model: LatticeModel = "similarity",
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
    sizes_m : sequence of float, optional
        How large each detection is. One that covers a corner and is more likely a marker than not (by its score) is taken for
        that corner's, however exactly the others lie.
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
    likelihood = np.clip(np.ones(len(positions)) if scores is None else np.asarray(scores), 0.01, 1)
    own_m = np.where(likelihood >= LIKELY, np.zeros(len(positions)) if sizes_m is None else np.asarray(sizes_m) / 2, 0.0)
    may_match = _by_id(protocol, ids)
    fits: list[LatticeFit] = []
    free = np.arange(len(positions))
    while len(free) >= fewest_markers(protocol):
        middle = positions[free].mean(axis=0)  # large coordinates would cost digits
        search = LatticeSearch(
            shape=_shape(protocol),
            nodes=protocol.nodes_m,
            positions=positions[free] - middle,
            cost=-np.log(likelihood[free]),
            own_m=own_m[free],
            may_match=None if may_match is None else may_match[:, free],
            turns=symmetries(protocol.nodes_m, turned=may_match is None),
            size_m=protocol.side_m,
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
    """Return how many markers fix a lattice at least: fewer where their codes say which node each stands at."""
    return FEWEST if protocol.marker_ids else max(FEWEST, int(np.ceil(MIN_VISIBLE * len(protocol.nodes_m))))


def _by_id(protocol: PlotProtocol, ids: Sequence[int | None] | None) -> NDArray[np.bool_] | None:
    """Return which detection could be at which node, shape (nodes, n); None where ids say nothing."""
    if not protocol.marker_ids or ids is None or all(found is None for found in ids):
        return None
    said = np.array([np.nan if found is None else found for found in ids])
    return np.asarray((np.array(protocol.marker_ids, float)[:, None] == said) | np.isnan(said), bool)


def _shape(protocol: PlotProtocol) -> str:
    return f"{protocol.rows} x {protocol.columns}"


# -- one lattice ----------------------------------------------------------------------------------------------------


def _best_fit(search: LatticeSearch) -> LatticeFit | None:
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
    refined = [refine(search, transform, proposals.tests) for transform in proposals.transforms]
    places = _places(search, [found for found in refined if found is not None and _is_supported(search, found)])
    settled = [found for found in (settle(search, place) for place in places) if found.count >= search.fewest]
    if not settled:
        return None
    best = _likeliest(search, settled)
    _refuse_rivals(search, best, [*settled, *_shifted(search, best, proposals.tests)])
    return _fit_of(search, best)


def _is_supported(search: LatticeSearch, placement: LatticePlacement) -> bool:
    return placement.count >= search.fewest and placement.log10_false_alarms <= MAX_LOG10_FALSE_ALARMS


def _places(search: LatticeSearch, placements: Sequence[LatticePlacement]) -> list[LatticePlacement]:
    """Return the best placement in each place, without those that are far from as good as the best of all."""
    places: list[LatticePlacement] = []
    for placement in sorted(placements, key=lambda found: found.log10_false_alarms):
        near = placement.count >= max(found.count for found in placements) - RIVAL_MARKERS
        if near and not any(alike(search, placement, place) for place in places):
            places.append(placement)
    return places


def _fit_of(search: LatticeSearch, best: LatticePlacement) -> LatticeFit:
    """Return a placement as people read it, with its missing corners filled in."""
    turn = upright(best.transform, search.nodes, search.turns)
    matched = best.matched[search.turns[turn]]
    transform, bending = bending_of(search, matched)
    bent = apply(transform, search.nodes) + bending.at(search.nodes)
    return LatticeFit(
        nodes_m=np.where((matched >= 0)[:, None], search.positions[matched], bent),
        detections=matched,
        transform=transform,
        residuals_m=residuals_of(search, transform, matched),
        log10_false_alarms=best.log10_false_alarms,
    )


# -- the same markers in another place ------------------------------------------------------------------------------


def _likeliest(search: LatticeSearch, placements: Sequence[LatticePlacement]) -> LatticePlacement:
    best = max(placements, key=lambda placement: evidence(search, placement, placement.visible).sum())
    for placement in placements:
        if log_odds(search, best, placement) < 0:
            best = placement
    return best


def _refuse_rivals(search: LatticeSearch, best: LatticePlacement, rivals: Sequence[LatticePlacement]) -> None:
    """Raise if the markers of a placement fit the lattice in another place about as well."""
    places = [best]
    for rival in rivals:
        shares = np.isin(rival.matched[rival.matched >= 0], best.matched).any()
        if not shares or any(alike(search, rival, place) for place in places):
            continue
        if log_odds(search, best, rival) < MIN_LOG_ODDS:
            places.append(rival)
    if len(places) > 1:
        raise AmbiguousLatticeError(
            f"{best.count} of {len(search.positions)} markers fit, but {len(places)} placements of the "
            f"{search.shape} lattice fit them about equally well; give the corners of the plots instead"
        )


def _shifted(search: LatticeSearch, best: LatticePlacement, tests: int) -> list[LatticePlacement]:
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
    found = [refine(search, best.transform @ move, tests) for move, count in zip(moves, hits, strict=True) if count >= enough]
    places = _places(search, [placement for placement in found if placement is not None])
    return [settle(search, place) for place in places if not alike(search, place, best)]


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
