"""Areas of gain and loss, corrected for the errors of both dates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from spurgekit.change.transitions import ABSENT, GAIN, LOSS, PRESENT, TRANSITIONS
from spurgekit.classify.held_out import HeldOutCounts
from spurgekit.maps.areas import LEAST_DRAWS, TELLS_NOTHING, AreaEstimate, draw_errors, part_of_the_way

NET = "net"
"""What the class gained beyond what it lost."""

MISSED_BY = 0.01
"""Negative shares of the ground down to which a draw may be true: what was counted is of tiles, as many as a site has."""

HARDER = 1.5
"""Most that changed ground may be harder to tell than tested ground, in log odds of being right, at either date. On simulated
sites, where young patches are small, it was 0.4 to 1.5."""

Floats = NDArray[np.float64]


def change_areas(
    expected_m2: ArrayLike,
    counted_m2: ArrayLike,
    tested: tuple[HeldOutCounts, HeldOutCounts],
    *,
    site_places: tuple[float, float] = (1.0, 1.0),
    tile_m2: float = 0.0,
    seed: int = 0,
) -> dict[str, AreaEstimate]:
    """Correct the ground that two maps give to each transition of a class for the errors of both.

    Ground counted by its class at both dates is the true transitions, mixed by the rates of error of two classifiers; solving
    for these corrects it, as it does for one date (:func:`spurgekit.maps.areas.occupied_areas`, whose draws of the rates it
    takes, by place and with what a site does to them; see there). Unclear ground comes with each square metre of the weed: it
    appears where the weed did, and goes where it went.

    Where the ground stayed what it was, errors of the two dates may coincide, from not at all to wherever they can. No test of
    one date tells how far they do, so the part of what can coincide is drawn evenly from 0 to 1, once for ground with the weed
    and once for ground without it. Draws that would need a negative area of a transition for what was counted cannot be true,
    and are left out, which is what the maps themselves say of it.

    Ground that changed is harder to tell than tested ground: young patches and rims have less of the weed in a tile. How much
    harder is not known either, and is drawn evenly up to :data:`HARDER`.

    As of one date, the estimate goes a part of the way from what the map of change has, the sum of the probabilities of its
    cells, to the median of the draws, the less the less is known. The rates of both dates are drawn each for itself, though one
    model may have made both: its errors would partly cancel in the net change, of which the interval is rather too wide.

    Parameters
    ----------
    expected_m2 : array_like of float, shape (4,)
        Ground of each transition by the probabilities of the cells, in the order of
        :data:`~spurgekit.change.transitions.TRANSITIONS`.
    counted_m2 : array_like of float, shape (4,)
        The same ground by whether its tile is of the class on either map.
    tested : tuple of two HeldOutCounts
        Held-out tiles of each date's model, of the class against all others.
    site_places : tuple of float
        How many of the places of each test the site is as large as.
    tile_m2 : float
        Ground of a tile.
    seed : int
        Of the draws.

    Returns
    -------
    dict of AreaEstimate
        By ``gain``, ``loss``, ``present``, ``absent`` and ``net``, which may be negative; ``counted_m2`` is by the
        probabilities of cells. Where hardly any draw can be, so is the estimate, and intervals are open: of gain up to all
        ground that the old map has without the weed, of loss up to all that it has with it.
    """
    expected, counted = np.asarray(expected_m2, np.float64), np.asarray(counted_m2, np.float64)
    total = counted.sum()
    if total == 0:
        return {name: AreaEstimate(counted_m2=0, estimate_m2=0, low_m2=0, high_m2=0) for name in (*TRANSITIONS, NET)}
    shares = true_transitions(counted / total, *draw_mixing(tested, site_places, np.random.default_rng(seed)))
    shares = np.clip(shares[(shares >= -MISSED_BY).all(axis=1)], 0, None)
    if len(shares) < LEAST_DRAWS:
        return _unknown(expected, counted)
    shares /= shares.sum(axis=1, keepdims=True)
    seen = expected / total
    best, low, high = part_of_the_way(seen, shares)
    # Of what was seen nowhere there may be as much as none of the tiles would hold by chance.
    high = np.maximum(high, np.where(seen > 0, 0, min(1 - 0.025 ** (tile_m2 / total), 1)))
    low, high = np.minimum(low, best) * total, np.maximum(high, best) * total
    found = {
        name: AreaEstimate(counted_m2=expected[i], estimate_m2=best[i] * total, low_m2=low[i], high_m2=high[i])
        for i, name in enumerate(TRANSITIONS)
    }
    drawn = shares[:, GAIN] - shares[:, LOSS]
    net = best[GAIN] - best[LOSS]
    ends = np.percentile(drawn, (2.5, 97.5)) + net - np.median(drawn)
    found[NET] = AreaEstimate(
        counted_m2=expected[GAIN] - expected[LOSS],
        estimate_m2=net * total,
        low_m2=min(ends[0], net) * total,
        high_m2=max(ends[1], net) * total,
    )
    return found


def draw_mixing(
    tested: tuple[HeldOutCounts, HeldOutCounts], site_places: tuple[float, float], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw how true transitions are mixed in what is counted.

    Returns
    -------
    mixing : ndarray of float64, shape (n, 4, 4)
        For each true transition, how much ground is counted as each.
    extra : ndarray of float64, shape (n, 4)
        How much unclear ground comes with each; it is of the first transition.
    """
    (old, old_unclear, old_ratio), (new, new_unclear, new_ratio) = (
        draw_errors(one, places, rng) for one, places in zip(tested, site_places, strict=True)
    )
    shared, harder = rng.uniform(size=(2, len(old))), rng.uniform(0, HARDER, len(old))
    false_old, false_new, hit_old, hit_new = old[:, 0, 1], new[:, 0, 1], old[:, 1, 1], new[:, 1, 1]
    mixing = np.stack(
        [
            _pairs(false_old, false_new, shared[0]),
            _pairs(_likelier(false_old, harder), _likelier(hit_new, -harder)),
            _pairs(_likelier(hit_old, -harder), _likelier(false_new, harder)),
            _pairs(hit_old, hit_new, shared[1]),
        ],
        axis=1,
    )
    both = (old_ratio + new_ratio) / 2
    extra = np.stack([np.zeros_like(both), new_ratio, old_ratio, both], axis=1)
    fringes = np.stack(
        [
            np.zeros_like(mixing[:, 0]),
            _pairs(false_old, new_unclear),
            _pairs(old_unclear, false_new),
            _pairs(old_unclear, new_unclear, shared[1]),
        ],
        axis=1,
    )
    return mixing + extra[:, :, None] * fringes, extra


def true_transitions(counted: Floats, mixing: Floats, extra: Floats) -> Floats:
    """Return the shares of the true transitions of which what was counted would be seen, for each of several mixings.

    Parameters
    ----------
    counted : ndarray of float64, shape (4,)
        Adding up to 1.
    mixing : ndarray of float64, shape (n, 4, 4)
    extra : ndarray of float64, shape (n, 4)
        Of :func:`draw_mixing`.

    Returns
    -------
    ndarray of float64, shape (n, 4)
        Adding up to 1, unclear ground being absent. Below -1 where a mixing tells nothing.
    """
    shares = np.full((len(mixing), 4), -2.0)
    solved = np.abs(np.linalg.det(mixing)) > TELLS_NOTHING**2
    shares[solved] = np.linalg.solve(mixing[solved].swapaxes(1, 2), counted[None, :, None])[:, :, 0]
    shares[:, ABSENT] += (shares * extra).sum(axis=1)
    return shares


def _pairs(first: Floats, second: Floats, shared: Floats | float = 0.0) -> Floats:
    """Return how often neither, the second, the first and both are taken for the weed, shape (n, 4).

    Parameters
    ----------
    first, second : ndarray of float64, shape (n,)
        How often either is.
    shared : ndarray of float64, shape (n,) or float
        Part of what can coincide that does, beyond what does by chance (Cole's coefficient of association).
    """
    both = first * second
    both = both + shared * (np.minimum(first, second) - both)
    return np.stack([1 - first - second + both, second - both, first - both, both], axis=1)


def _likelier(rate: Floats, log_odds: Floats) -> Floats:
    return np.asarray(expit(logit(np.clip(rate, 1e-9, 1 - 1e-9)) + log_odds))


def _unknown(expected: Floats, counted: Floats) -> dict[str, AreaEstimate]:
    """Return what was counted, with intervals from nothing to all that could be, where the tests do not speak of the site."""
    total = counted.sum()
    most = {
        TRANSITIONS[GAIN]: counted[ABSENT] + counted[GAIN],
        TRANSITIONS[LOSS]: counted[LOSS] + counted[PRESENT],
        TRANSITIONS[PRESENT]: total,
        TRANSITIONS[ABSENT]: total,
    }
    found = {
        name: AreaEstimate(counted_m2=expected[i], estimate_m2=expected[i], low_m2=0, high_m2=max(most[name], expected[i]))
        for i, name in enumerate(TRANSITIONS)
    }
    net = expected[GAIN] - expected[LOSS]
    found[NET] = AreaEstimate(counted_m2=net, estimate_m2=net, low_m2=-total, high_m2=total)
    return found
