"""Power: which differences a design can find, and what would find smaller ones.

A difference is called real where it lies beyond t standard errors, with t for all comparisons together (Bonferroni). If the
true difference is d, that happens with the probability that noncentral t of noncentrality d / se exceeds it (the other tail is
negligible); the d for which that is 80 % is the minimum detectable effect (Bloom, Evaluation Review 19, 1995), here of an
estimated standard error with few degrees of freedom. As half of all estimates of it are smaller than
se * sqrt(median of chi square / degrees of freedom), it is divided by that root.

The squared standard error is V_p + V_t (see :mod:`spurgekit.evaluate.intervals`): V_t = s^2 / T shrinks with the number of
support sets T, V_p with the number of places P, and both give degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from spurgekit.classify.metrics import METRICS
from spurgekit.errors import InputError
from spurgekit.evaluate.intervals import CONFIDENCE, LEAST
from spurgekit.evaluate.predictions import shots_name

RESOLVE = 0.02
POWER = 0.8
MOST = 1000
"""Support sets, or places, that are worth thinking of."""


@lru_cache(maxsize=4096)
def detectable_in_standard_errors(
    degrees_of_freedom: float, comparisons: int = 1, *, power: float = POWER, confidence: float = CONFIDENCE
) -> float:
    """Return how many estimated standard errors a true difference must have to be found.

    Parameters
    ----------
    degrees_of_freedom : float
        Of the standard error.
    comparisons : int
        That are made together.
    power : float
        Probability with which it is to be found.
    confidence : float
        Of the two-sided interval that is to exclude 0.

    Returns
    -------
    float

    Examples
    --------
    >>> round(detectable_in_standard_errors(1000), 2)
    2.81
    >>> round(detectable_in_standard_errors(9, 25), 2)
    5.57
    """
    beyond = stats.t.isf((1 - confidence) / 2 / comparisons, degrees_of_freedom)

    def missed(noncentrality: float) -> float:
        return float(stats.nct.sf(beyond, degrees_of_freedom, noncentrality)) - power

    high = beyond
    while missed(high) < 0:
        high *= 2
    found = optimize.brentq(missed, 0, high)
    return float(found / np.sqrt(stats.chi2.median(degrees_of_freedom) / degrees_of_freedom))


def resolvable(
    differences: pd.DataFrame, *, resolve: float = RESOLVE, power: float = POWER, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Return the smallest true difference that a design finds, and which design would find the one asked for.

    Parameters
    ----------
    differences : pandas.DataFrame
        From :func:`spurgekit.evaluate.intervals.paired_differences`.
    resolve : float
        The difference asked for.
    power : float
        Probability with which a difference is to be found.
    confidence : float
        Of intervals.

    Returns
    -------
    pandas.DataFrame
        The differences with more columns: resolvable (to be called real among all comparisons), resolvable_alone (by its own
        interval), which are NaN where nothing is known of the error; sets_needed and places_needed (to call the difference
        asked for real, with as many of the other as there are; missing where up to ``MOST`` would not do, or where there is
        one support set, or one place, which does not say).

    Raises
    ------
    InputError
        If the difference asked for is not positive.
    """
    if not resolve > 0:
        raise InputError(f"a difference of {resolve:g} cannot be resolved; pass a positive one, such as 0.02")

    def of(row: Any) -> tuple[float, float, float, float]:
        def factor(freedom: float, comparisons: int = row.comparisons) -> float:
            return detectable_in_standard_errors(round(freedom, 2), comparisons, power=power, confidence=confidence)

        if not (row.se >= 0 and row.degrees_of_freedom > 0):
            return np.nan, np.nan, np.nan, np.nan
        found = factor(row.degrees_of_freedom) * row.se, factor(row.degrees_of_freedom, 1) * row.se
        if min(row.support_sets, row.places) < 2:
            return *found, np.nan, np.nan
        # The share is of 0 / 0 where arms do not differ at all.
        of_places = row.places_share * row.se**2 if row.se else 0.0
        of_sets = row.se**2 - of_places

        def finds(sets: int, places: int) -> bool:
            variance = of_sets * row.support_sets / sets + of_places * row.places / places
            return bool(factor(min(sets, row.effective_places * places / row.places) - 1) * np.sqrt(variance) <= resolve)

        return (
            *found,
            _fewest(lambda sets: finds(sets, row.places)) if row.places >= LEAST else np.nan,
            _fewest(lambda places: finds(row.support_sets, places)) if row.support_sets >= LEAST else np.nan,
        )

    names = ["resolvable", "resolvable_alone", "sets_needed", "places_needed"]
    rows = [of(row) for row in differences.itertuples(index=False)]
    table = pd.DataFrame(rows, columns=names, index=differences.index)
    return pd.concat([differences, table.astype({"sets_needed": "Int64", "places_needed": "Int64"})], axis=1)


def _fewest(finds: Callable[[int], bool]) -> float:
    """Return the smallest number that finds it; what finds it with a number does with a larger one."""
    if not finds(MOST):
        return np.nan
    low, high = LEAST - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if finds(middle) else (middle, high)
    return high


def power_warnings(table: pd.DataFrame, *, metric: str, resolve: float = RESOLVE) -> list[str]:
    """Return a sentence for each number of shots at which the design cannot resolve the difference asked for.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`resolvable`, with the same ``resolve``.
    metric : str
        That is compared.
    resolve : float
    """
    words = METRICS[metric].words
    found = []
    mine = table[table["metric"] == metric]
    together = int(mine["replicated"].sum())
    among = f" among {together} comparisons" if together > 1 else ""
    for n, rows in mine.groupby("n", sort=False):
        at = f"At n = {shots_name(int(str(n)))}"
        if len(few := rows[~rows["replicated"]]):
            found.append(f"{at} nothing is called real{_of(few, rows)}: {_too_few(few)}.")
        short = rows[rows["replicated"] & (rows["resolvable"] > resolve)]
        if len(short):
            arms = _of(short, rows) or " for any arm"
            found.append(
                f"{at} this design may well miss a true difference of {resolve:g} in {words}{arms}: "
                f"with 80 % probability it calls one of {_range(short['resolvable'])} real{among}. {_what_helps(short)}"
            )
    return found


def _of(some: pd.DataFrame, rows: pd.DataFrame) -> str:
    return f" for {', '.join(some['arm'])}" if len(some) < len(rows) or len(rows) == 1 else ""


def _too_few(few: pd.DataFrame) -> str:
    """Say what there is too little of, and what to do about it."""
    sets, places = int(few["support_sets"].min()), int(few["places"].min())
    have, do = [], []
    if sets < LEAST:
        have.append("one support set" if sets == 1 else f"{sets} different support sets")
        do.append("more trials, or fewer shots where trials have the same tiles")
    if places < LEAST:
        have.append("one place" if places == 1 else f"{places} places")
        do.append("more places to test on that hold tiles of each class, as by leaving out each place in turn")
    return f"it takes {LEAST} support sets and {LEAST} places, and there {_is(have)}; what helps is {' and '.join(do)}"


def _is(have: list[str]) -> str:
    return f"{'is' if len(have) == 1 and have[0].startswith('one') else 'are'} {' and '.join(have)}"


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low} to {high}, by arm,"


def _what_helps(short: pd.DataFrame) -> str:
    """Say whether more trials or more places would do for all arms, for some or for none."""
    ways = []
    for column, now, words in (("sets_needed", "support_sets", "trials"), ("places_needed", "places", "places to test on")):
        needed = short[column]
        if needed.notna().any():
            but = "" if needed.notna().all() else f" for {', '.join(short['arm'][needed.notna()])}"
            ways.append(f"{needed.max():,} {words}{but} (now {int(short[now].max())})")
    if not ways:
        return "Only more trials and more places would."
    return f"About {' or '.join(ways)} would do."
