"""Areas of maps: ground of tiles that hold some of a class, and ground that is covered, each corrected for errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import stdtrit

from spurgekit.classify.held_out import HeldOutCounts, HeldOutTiles
from spurgekit.classify.model_info import ModelInfo
from spurgekit.maps.place_rates import draw_rates

DRAWS = 4000
LEAST_DRAWS = 40
"""How many draws must be able to give what was counted."""

SITE_SHIFT = 0.5
"""Standard deviation of how far a whole site moves the log odds of being taken for the weed. From one simulated site to
another it is 0.2 where light and share of weed are the same, 0.5 where they differ."""

COVER_SHIFT = 0.1
"""Standard deviation of how far a whole site moves cover, as a share of it, beyond what its places do. Of simulated sites:
without it 86 % of intervals held where light and share of weed differ, with it 95 %."""

TELLS_NOTHING = 1e-3
"""Determinant of rates of error below which classes are hardly told apart."""

Floats = NDArray[np.float64]


class AreaEstimate(BaseModel):
    """An area, in square metres.

    Attributes
    ----------
    counted_m2 : float
        As the map has it.
    estimate_m2 : float
        The same, corrected for the errors seen in held-out places as far as these are known.
    low_m2, high_m2 : float
        95 % interval of the estimate, for a site whose places differ from the tested ones as these do from one another.
    """

    model_config = ConfigDict(frozen=True)

    counted_m2: float
    estimate_m2: float
    low_m2: float
    high_m2: float

    def corrected(self, *, interval: str = "", decimals: int = 1) -> str:
        """Return the estimate and its interval in words.

        Parameters
        ----------
        interval : str
            What the interval is called, where that is to be said.
        decimals : int

        Examples
        --------
        >>> AreaEstimate(counted_m2=900, estimate_m2=1200.25, low_m2=800, high_m2=1500).corrected(interval="95 % interval")
        'corrected for errors 1,200.2 m2 (95 % interval 800.0 to 1,500.0)'
        """
        estimate, low, high = (f"{m2:,.{decimals}f}" for m2 in (self.estimate_m2, self.low_m2, self.high_m2))
        return f"corrected for errors {estimate} m2 ({f'{interval} ' if interval else ''}{low} to {high})"


def occupied_areas(
    counted_m2: ArrayLike, tested: HeldOutCounts, *, site_places: float = 1.0, tile_m2: float = 0.0, seed: int = 0
) -> list[AreaEstimate]:
    """Correct the areas that a map gives to classes for the errors of its classifier, as far as these are known.

    The shares counted are the true shares times the rates at which each class is taken for another; solving for the true shares
    corrects them (Rogan and Gladen 1978, for two classes; Buonaccorsi 2010, section 3.4, for more). It does not assume that the
    classes are as common on the map as among the tested tiles. Ground that is of no class by the rule of the labels, since it
    holds some of the weed but too little, is taken off: there is as much of it to each square metre of the weed as there was in
    the tested places, and it is taken for the weed as often as there. It is background, in the end.

    Each rate is drawn for a new site from how it varied from place to place (:mod:`spurgekit.maps.place_rates`), since tiles of
    a place are not independent; and a site moves them all together (:data:`SITE_SHIFT`). Draws that would need a negative share
    for what was counted cannot be true, and are left out.

    Few tested places make such a correction unstable (Forman 2008), often worse than none. So the estimate goes from what was
    counted only a part of the way to the median of the draws: b^2 / (b^2 + v) of it, b being its length and v the variance of
    the draws (Thompson 1968, who shrinks an estimate towards a natural origin). The interval moves along, in proportion.

    Of a class that was not counted at all there may be as much as would be found in none of the tiles by chance (the exact
    interval of none of n, about 3 / n; Hanley and Lippman-Hand 1983), and more where it is easily missed.

    Parameters
    ----------
    counted_m2 : array_like of float, shape (k,)
        Ground of the tiles that the map gives to each class; the first is the background.
    tested : HeldOutCounts
        Held-out tiles by place.
    site_places : float
        How many places the site is as large as.
    tile_m2 : float
        Ground of a tile; by default so little that a class which was not counted is not there.
    seed : int
        Of the draws.

    Returns
    -------
    list of AreaEstimate, length k
        Together as much as what was counted. Where hardly any draw can be (:data:`LEAST_DRAWS`), since false alarms alone would
        have been more than what was counted, tested places do not speak of this site: the estimate is what was counted, and the
        interval goes from nothing to what there is if all of it is true and much was missed.
    """
    counted = np.asarray(counted_m2, dtype=np.float64)
    total = counted.sum()
    if total == 0:
        return [AreaEstimate(counted_m2=0, estimate_m2=0, low_m2=0, high_m2=0) for _ in counted]
    seen = counted / total
    rates, unclear, ratio = draw_errors(tested, site_places, np.random.default_rng(seed))
    shares = true_shares(seen, rates, unclear, ratio)
    possible = (shares >= 0).all(axis=1)
    found = np.percentile(np.diagonal(rates, axis1=1, axis2=2), 2.5, axis=0)
    if possible.sum() >= LEAST_DRAWS:
        best, low, high = part_of_the_way(seen, shares[possible])
    else:
        best, low, high = seen, np.zeros_like(seen), np.minimum(seen / found, 1)
    high = np.where(seen > 0, high, np.minimum((1 - 0.025 ** (tile_m2 / total)) / found, 1))
    return [
        AreaEstimate(counted_m2=m, estimate_m2=b * total, low_m2=min(lo, b) * total, high_m2=max(hi, b) * total)
        for m, b, lo, hi in zip(counted, best, low, high, strict=True)
    ]


def covered_area(
    ground_m2: Sequence[float],
    cover_m2: Sequence[float],
    tested: HeldOutTiles | None,
    model: ModelInfo,
    *,
    site_places: float = 1.0,
) -> AreaEstimate:
    """Correct the ground that a map says is covered by the errors in held-out places, as far as these are known.

    Cells that are taken for the plant, and cells that are not, are each off by the mean difference of true and predicted cover
    over the held-out tiles that are taken so (the difference estimator after stratification: Cochran 1977, sections 5A.9 and
    7.11). A model that was calibrated was right on average on other places, which were left out as well: the difference that
    the test saw counts by its tiles among those of both.

    How the difference varies goes by whole places (the linearised variance of a ratio over clusters), once for the places that
    were tested and once for those of the site, and a whole site moves it (:data:`COVER_SHIFT`). The interval is log-normal, as
    of animals counted along lines (Burnham et al. 1987), since no cover is negative; with few places Student's t widens it.

    Parameters
    ----------
    ground_m2, cover_m2 : sequence of float, length 2
        Ground of cells that are not and that are taken for the plant, and what the map says is covered of it.
    tested : HeldOutTiles or None
        None where nobody knows what the model said of held-out tiles.
    model : ModelInfo
    site_places : float
        How many places the site is as large as.
    """
    ground, counted, total = np.asarray(ground_m2, np.float64), float(sum(cover_m2)), float(sum(ground_m2))
    nothing_known = AreaEstimate(counted_m2=counted, estimate_m2=counted, low_m2=0, high_m2=total)
    if tested is None:
        return nothing_known
    known = np.isfinite(tested.cover)
    names, place = np.unique(tested.places[known].astype(str), return_inverse=True)
    if (places := len(names)) < 2:
        return nothing_known
    said = tested.probabilities[known]
    stratum, away = model.predicted(said), tested.cover[known] - said[:, 1]
    tiles = np.maximum(np.bincount(stratum, minlength=2), 1)
    mean = np.bincount(stratum, away, minlength=2) / tiles
    calibrated = 0 if model.calibration is None else model.calibration.tiles
    estimate = max(counted + float(ground @ mean) * len(away) / (len(away) + calibrated), 0.0)
    by_place = np.bincount(place, (ground / tiles)[stratum] * (away - mean[stratum]), minlength=places)
    variance = places / (places - 1) * float(by_place @ by_place) * (1 + places / max(site_places, 1.0))
    t = float(stdtrit(places - 1, 0.975))
    if estimate == 0:
        return AreaEstimate(counted_m2=counted, estimate_m2=0, low_m2=0, high_m2=min(t * variance**0.5, total))
    factor = np.exp(t * np.sqrt(np.log1p(variance / estimate**2 + COVER_SHIFT**2)))
    low, best, high = (min(float(value), total) for value in (estimate / factor, estimate, estimate * factor))
    return AreaEstimate(counted_m2=counted, estimate_m2=best, low_m2=low, high_m2=high)


def part_of_the_way(seen: Floats, shares: Floats) -> tuple[Floats, Floats, Floats]:
    """Return estimates between the shares counted [k] and those drawn [n, k], and their intervals."""
    middle = np.median(shares, axis=0)
    middle /= middle.sum()
    away, spread = ((middle - seen) ** 2).sum(), shares.var(axis=0).sum()
    best = seen + (middle - seen) * (away / (away + spread) if away else 0)
    scale = np.divide(best, middle, out=np.ones_like(best), where=middle > 0)
    low, high = np.clip(np.percentile(shares, (2.5, 97.5), axis=0) * scale, 0, 1)
    return best, low, high


def draw_errors(tested: HeldOutCounts, site_places: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return draws of the rates [n, true, predicted], of how often unclear ground is taken for weed, and of how much it is."""
    counts, k = tested.counts, tested.counts.shape[1]
    of_class = counts.sum(axis=2)
    rates = np.zeros((DRAWS, k, k))
    for true in range(k):
        others = np.arange(k) != true
        missed = draw_rates(
            of_class[:, true] - counts[:, true, true], of_class[:, true], rng, draws=DRAWS, site_places=site_places
        )
        taken_for = rng.dirichlet(counts[:, true, others].sum(axis=0) + 0.5, size=DRAWS)
        rates[:, true, others] = missed[:, None] * taken_for
        rates[:, true, true] = 1 - missed
    odds = np.exp(rng.normal(0, SITE_SHIFT, DRAWS))
    rates[:, :, 1:] *= odds[:, None, None]
    rates /= rates.sum(axis=2, keepdims=True)
    unclear = tested.unclear.sum(axis=1)
    if not unclear.any():
        return rates, np.zeros(DRAWS), np.zeros(DRAWS)
    taken = draw_rates(tested.unclear[:, 1:].sum(axis=1), unclear, rng, draws=DRAWS, site_places=site_places)
    part = draw_rates(unclear, unclear + of_class[:, 1:].sum(axis=1), rng, draws=DRAWS, site_places=site_places)
    return rates, taken * odds / (1 - taken + taken * odds), part / (1 - part)


def true_shares(counted: Floats, rates: Floats, unclear: Floats, ratio: Floats) -> Floats:
    """Return the shares of the classes of which what was counted would be seen, for each of several rates of error.

    Parameters
    ----------
    counted : ndarray of float64, shape (k,)
        Adding up to 1; a class that was not counted is not there.
    rates : ndarray of float64, shape (n, k, k)
        Of each true class, how often it is taken for each.
    unclear, ratio : ndarray of float64, shape (n,)
        With each square metre of a class other than the background come ``ratio`` of unclear ground, of which a share
        ``unclear`` is taken for that class.

    Returns
    -------
    ndarray of float64, shape (n, k)
        Adding up to 1, unclear ground being background. Negative where rates cannot be, and where they tell nothing.
    """
    there = np.flatnonzero((counted > 0) | (np.arange(len(counted)) == 0))
    k = len(there)
    seen = rates[:, there][:, :, there]
    seen /= seen.sum(axis=2, keepdims=True)
    seen[:, 1:, 0] += (ratio * (1 - unclear))[:, None]
    seen[:, np.arange(1, k), np.arange(1, k)] += (ratio * unclear)[:, None]
    shares = np.full((len(rates), len(counted)), -1.0)
    solved = np.abs(np.linalg.det(seen)) > TELLS_NOTHING
    shares[solved] = 0
    shares[np.ix_(solved, there)] = np.linalg.solve(seen[solved].swapaxes(1, 2), counted[there, None])[:, :, 0]
    shares[:, 0] = np.where((shares >= 0).all(axis=1), 1 - shares[:, 1:].sum(axis=1), -1)
    return shares
