"""How often something happens on ground that was not tested, from how often it happened in places that were.

Tiles of a place stand or fall together: a classifier that takes one shrub for the weed takes its neighbours too. Counting
tiles as if each were drawn by itself gives intervals that are far too narrow. Here each place has a rate of its own, drawn from
a Beta distribution whose mean and spread are unknown (the beta-binomial model: Williams, Biometrics 31, 1975). Both are summed
over, on a grid, by Bayes' rule; few places say little of them, and widen what follows as Student's t does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

Floats = NDArray[np.float64]

_TAIL = np.geomspace(1e-4, 0.0025, 15)
_MEANS = np.sort(np.concatenate([(np.arange(200) + 0.5) / 200, _TAIL, 1 - _TAIL]))
_CORRELATIONS = (np.arange(30) + 0.5) / 30 * 0.9

MEAN_PRIOR = 0.5
"""Jeffreys' prior of the mean rate, Beta(1/2, 1/2)."""

CORRELATION_PRIOR = (1.0, 4.0)
"""Beta prior of the intraclass correlation, of mean 0.2: errors on a real dune had 0.17 to 0.28."""


def draw_rates(
    events: ArrayLike, tiles: ArrayLike, rng: np.random.Generator, *, draws: int, site_places: float = 1.0
) -> Floats:
    """Draw what the rate may be on a new site.

    Parameters
    ----------
    events : array_like of int, shape (places,)
        Tiles of each place to which it happened.
    tiles : array_like of int, shape (places,)
        Tiles of each place.
    rng : numpy.random.Generator
    draws : int
    site_places : float
        How many places the site is as large as: the rates of so many average out on it. At least 1.

    Returns
    -------
    ndarray of float64, shape (draws,)
        Between 0 and 1.
    """
    weights = _posterior(np.asarray(events, np.float64), np.asarray(tiles, np.float64)).ravel()
    cell = rng.choice(weights.size, draws, p=weights)
    mean, correlation = _MEANS[cell // len(_CORRELATIONS)], _CORRELATIONS[cell % len(_CORRELATIONS)]
    # The mean of several Beta variables is close to a Beta variable of the same mean and a variance that is so much smaller.
    size = np.maximum(max(site_places, 1.0) / correlation - 1, 1e-3)
    return np.clip(rng.beta(mean * size, (1 - mean) * size), 1e-9, 1 - 1e-9)


def _posterior(events: Floats, tiles: Floats) -> Floats:
    """Return the probability of each mean (row) and intraclass correlation (column)."""
    a, b = CORRELATION_PRIOR
    prior = (MEAN_PRIOR - 1) * np.log(_MEANS * (1 - _MEANS)) + np.log(np.gradient(_MEANS))
    logs = prior[:, None] + (a - 1) * np.log(_CORRELATIONS) + (b - 1) * np.log(1 - _CORRELATIONS)
    size = 1 / _CORRELATIONS - 1
    one, other = _MEANS[:, None] * size, (1 - _MEANS)[:, None] * size
    pairs, often = np.unique(np.stack([events, tiles - events])[:, tiles > 0], axis=1, return_counts=True)
    for (hit, miss), times in zip(pairs.T, often, strict=True):
        logs += times * (betaln(one + hit, other + miss) - betaln(one, other))
    found = np.exp(logs - logs.max())
    return np.asarray(found / found.sum())
