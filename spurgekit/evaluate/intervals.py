"""Means and paired differences with their intervals, from redrawn trials and places.

How an interval is made
-----------------------
A replicate is the mean over its trials of the metric at its places. The percentiles of replicates alone are no good interval
here: drawing two crossed factors counts what is peculiar to a trial *and* a place three times (McCullagh, Bernoulli 6, 2000;
Owen, 2007), and they are too narrow for few places or trials (Hesterberg, The American Statistician 69, 2015). So they give an
interval its shape, and its size comes from the two parts of the variance of a mean over T support sets at P places,

- V_t = s^2 / T, with s the standard deviation of the support sets' values: it shrinks with more of them;
- V_p = the covariance of two support sets over redrawn places, averaged over all pairs, times P / (P - 1): what the test places
  have in common for all, which stays however many support sets there are.

The distances of the replicates' percentiles from their mean are stretched by t / z * sqrt((V_t + V_p) / their variance), with
t of min(T, P) - 1 degrees of freedom, as for errors that are clustered in two ways (Cameron, Gelbach and Miller, Journal of
Business & Economic Statistics 29, 2011), and laid about the value itself: resampling shifts metrics such as ECE, which chance
can only raise. Satterthwaite's degrees of freedom, weighed by the two parts as they are estimated, are too many where V_p is
small by chance. P is the effective number of places (:meth:`~spurgekit.evaluate.bootstrap.Bootstrap.effective_places`), of the
class that is in the fewest where a metric averages classes: places have different numbers of tiles.

How often intervals hold and what is called real, ``python -m tests.benchmarks.bench_evaluate`` simulates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from spurgekit.classify.metrics import METRICS
from spurgekit.classify.place_sums import Floats
from spurgekit.errors import InputError
from spurgekit.evaluate.bootstrap import Bootstrap

CONFIDENCE = 0.95
LEAST = 5
"""Support sets, and places that hold tiles of each class, with fewer of which no difference is called real: a standard error is
itself known too badly then for the tails that many comparisons ask for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over support sets and how sure it is.

    Attributes
    ----------
    mean : float
    support_sets : int
        That it averages.
    sd_trials : float
        Standard deviation of the support sets' values; NaN for one.
    se : float
        Standard error, for other support sets and other places.
    places_share : float
        Share of the squared standard error that more trials cannot remove; NaN for one support set, or without an error.
    degrees_of_freedom : float
        Of t; 0 where there is no interval.
    below, above : float
        How far the percentiles of the replicates lie from their mean, sized as if degrees of freedom were without end.
    confidence : float
        Of these percentiles.
    """

    mean: float
    support_sets: int
    sd_trials: float
    se: float
    places_share: float
    degrees_of_freedom: float
    below: float
    above: float
    confidence: float

    def interval(self, comparisons: int = 1) -> tuple[float, float]:
        """Return low and high; of several comparisons those that hold for all of them together (Bonferroni)."""
        tail = (1 - self.confidence) / 2
        if not self.se > 0:  # nothing varies, or nothing is known of it
            return self.mean - self.below, self.mean + self.above
        stretch = stats.t.isf(tail / comparisons, self.degrees_of_freedom) / stats.norm.isf(tail)
        return self.mean - stretch * self.below, self.mean + stretch * self.above


def estimate(
    values: Floats, redrawn: Floats, draws: Floats, places: float, *, confidence: float = CONFIDENCE
) -> Estimate | None:
    """Estimate a mean over the support sets of trials.

    Parameters
    ----------
    values : numpy.ndarray, shape (trials,)
        Of trials of different support sets, with all places; those that are NaN are left out.
    redrawn : numpy.ndarray, shape (trials, replicates)
        The same with redrawn places.
    draws : numpy.ndarray, shape (replicates, trials)
        How often each replicate draws each trial.
    places : float
        Effective number of them; 1 where they were not drawn.
    confidence : float

    Returns
    -------
    Estimate or None
        None where there is no trial.
    """
    there = np.isfinite(values)
    values, redrawn, draws = values[there], redrawn[there], draws[:, there]
    trials = len(values)
    if not trials:
        return None
    usable = (draws.sum(axis=1) > 0) & np.isfinite(redrawn).all(axis=0)
    redrawn, draws = redrawn[:, usable], draws[usable]
    of_trials = float(values.var(ddof=1) / trials) if trials > 1 else 0.0
    of_places = max(_common_variance(redrawn), 0.0) * places / (places - 1) if places > 1 and usable.sum() > 1 else 0.0
    variance = of_trials + of_places
    sd_trials = float(values.std(ddof=1)) if trials > 1 else np.nan
    unknown = (trials == 1 and places == 1) or usable.sum() < 2
    se = np.nan if unknown else float(np.sqrt(variance))
    freedom = 0.0 if unknown else float(min(count for count in (trials, places) if count > 1) - 1)
    if unknown or variance == 0:
        return Estimate(float(values.mean()), trials, sd_trials, se, np.nan, freedom, se, se, confidence)
    replicates = (draws * redrawn.T).sum(axis=1) / draws.sum(axis=1)
    tail = (1 - confidence) / 2
    reach = np.array([1.0, 1.0]) * stats.norm.isf(tail)
    if (spread := replicates.std(ddof=1)) > 0:  # a handful of replicates may be all the same
        reach = np.abs(np.quantile(replicates, [tail, 1 - tail]) - replicates.mean()) / spread
    below, above = se * reach
    share = of_places / variance if trials > 1 else np.nan
    return Estimate(float(values.mean()), trials, sd_trials, se, share, freedom, float(below), float(above), confidence)


def summarise(bootstrap: Bootstrap, *, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return the mean over trials of each metric with its interval.

    Returns
    -------
    pandas.DataFrame
        Columns arm, n, metric, mean, low, high, se, sd_trials, support_sets, trials and places.

    Raises
    ------
    InputError
        If the confidence does not lie between 0 and 1.
    """
    rows = []
    for arm, n, metric, one, trials in _estimates(bootstrap, confidence):
        low, high = np.clip(one.interval(), METRICS[metric].low, METRICS[metric].high)
        sizes = one.support_sets, trials, bootstrap.places
        rows.append((arm, n, metric, one.mean, low, high, one.se, one.sd_trials, *sizes))
    columns = ["arm", "n", "metric", "mean", "low", "high", "se", "sd_trials", "support_sets", "trials", "places"]
    return pd.DataFrame(rows, columns=columns)


def paired_differences(bootstrap: Bootstrap, baseline: str, *, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return how each arm differs from a baseline in the same trials and places.

    Returns
    -------
    pandas.DataFrame
        Columns arm, baseline, n, metric, difference (arm less baseline, over the trials that both have), low, high,
        simultaneous_low and simultaneous_high (of the interval that holds for all arms and shots of the metric together), real
        (whether that excludes 0, and the comparison is replicated), replicated (whether there are ``LEAST`` support sets and
        ``LEAST`` places with tiles of each class, or more), comparisons (of the metric that are, which the interval allows
        for), se, places_share (of the squared standard error, what more trials cannot remove), degrees_of_freedom,
        support_sets, trials, places (of the class that is in the fewest, where the metric averages classes) and
        effective_places (of equal size, that would say as much).

    Raises
    ------
    InputError
        If there is no such arm, or the confidence does not lie between 0 and 1.
    """
    if baseline not in bootstrap.arms:
        raise InputError(f"there is no arm {baseline!r} to compare with; there are {', '.join(bootstrap.arms)}")
    found = list(_estimates(bootstrap, confidence, baseline))

    def replicated(metric: str, one: Estimate) -> bool:
        return min(one.support_sets, bootstrap.places_of(metric)) >= LEAST

    comparisons = Counter(metric for _, _, metric, one, _ in found if replicated(metric, one))
    rows = []
    for arm, n, metric, one, trials in found:
        together = max(comparisons[metric], 1)
        low, high = one.interval(together)
        enough = replicated(metric, one)
        real = enough and bool(low > 0 or high < 0)
        size = (
            one.se, one.places_share, one.degrees_of_freedom, one.support_sets, trials,
            bootstrap.places_of(metric), bootstrap.effective_places(metric),
        )  # fmt: skip
        rows.append((arm, baseline, n, metric, one.mean, *one.interval(), low, high, real, enough, together, *size))
    columns = ["arm", "baseline", "n", "metric", "difference", "low", "high", "simultaneous_low", "simultaneous_high", "real"]
    columns += ["replicated", "comparisons", "se", "places_share", "degrees_of_freedom", "support_sets", "trials", "places"]
    columns += ["effective_places"]
    return pd.DataFrame(rows, columns=columns).astype({"real": bool, "replicated": bool})


def _estimates(
    bootstrap: Bootstrap, confidence: float, baseline: str | None = None
) -> Iterator[tuple[str, int, str, Estimate, int]]:
    """Yield arm, shots, metric, the estimate of its mean or difference from a baseline, and how many trials that is of."""
    if not 0 < confidence < 1:
        raise InputError(f"a confidence of {confidence:g} cannot be; pass one between 0 and 1, such as 0.95")
    for a, s, m in product(*(range(len(of)) for of in (bootstrap.arms, bootstrap.shots, bootstrap.metrics))):
        if bootstrap.arms[a] == baseline:
            continue
        observed, redrawn, trials = bootstrap.observed[a, s, :, m], bootstrap.redrawn[a, s, :, m], bootstrap.trials[a, s]
        if baseline is not None:
            base = bootstrap.arms.index(baseline)
            observed, redrawn = observed - bootstrap.observed[base, s, :, m], redrawn - bootstrap.redrawn[base, s, :, m]
            trials = np.minimum(trials, bootstrap.trials[base, s])
        places = bootstrap.effective_places(bootstrap.metrics[m])
        one = estimate(observed, redrawn, bootstrap.trial_draws[s], places, confidence=confidence)
        if one is not None:
            count = int(trials[np.isfinite(observed)].sum())
            yield bootstrap.arms[a], bootstrap.shots[s], bootstrap.metrics[m], one, count


def _common_variance(redrawn: Floats) -> float:
    """Return the covariance of two trials over replicates of places, averaged over all pairs; of one trial its variance."""
    trials = len(redrawn)
    of_mean = redrawn.mean(axis=0).var(ddof=1)
    if trials == 1:
        return float(of_mean)
    return float((trials**2 * of_mean - redrawn.var(axis=1, ddof=1).sum()) / (trials * (trials - 1)))
