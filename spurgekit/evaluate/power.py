"""Power: which differences a design can find, and whether more trials would help.

An estimate with standard error se is told from 0 at the two-sided 5 % level where it lies beyond 1.96 se. If the true
difference is d, that happens with probability Phi(d / se - 1.96) (the other tail is negligible), which is 80 % for
d = (1.96 + 0.84) se = 2.80 se: the minimum detectable effect (Bloom, Evaluation Review 19, 1995; Gelman and Hill, Data Analysis
Using Regression and Multilevel/Hierarchical Models, 2007, section 20.2).

The squared standard error is V_p + V_t (see :mod:`spurgekit.evaluate.intervals`), of which V_t = s^2 / T shrinks with the
number of trials T. So d is found with T * V_t / ((d / 2.80)^2 - V_p) trials, and with no number of them if V_p alone is too
large: then only more places help.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from spurgekit.classify.metrics import METRICS
from spurgekit.errors import InputError
from spurgekit.evaluate.predictions import shots_name

RESOLVE = 0.02
POWER = 0.8
LEVEL = 0.05


def detectable_in_standard_errors(*, power: float = POWER, level: float = LEVEL) -> float:
    """Return how many standard errors a true difference must have to be found.

    >>> round(detectable_in_standard_errors(), 2)
    2.8
    """
    return float(stats.norm.isf(level / 2) + stats.norm.ppf(power))


def resolvable(
    differences: pd.DataFrame, *, resolve: float = RESOLVE, power: float = POWER, level: float = LEVEL
) -> pd.DataFrame:
    """Return the smallest true difference that a design finds, and how many trials would find the one asked for.

    It is of one comparison by itself; to be called real among many, a difference has to be larger.

    Parameters
    ----------
    differences : pandas.DataFrame
        From :func:`spurgekit.evaluate.intervals.paired_differences`.
    resolve : float
        The difference asked for.
    power : float
        Probability with which a difference is to be found.
    level : float
        Of the two-sided test.

    Returns
    -------
    pandas.DataFrame
        Columns arm, n, metric, resolvable (NaN where nothing is known of the error), places_share (of the squared standard
        error, what more trials cannot remove), trials, and trials_needed (missing where no number of trials would do, or where
        there is one trial, which does not say).

    Raises
    ------
    InputError
        If the difference asked for is not positive.
    """
    if not resolve > 0:
        raise InputError(f"a difference of {resolve:g} cannot be resolved; pass a positive one, such as 0.02")
    factor = detectable_in_standard_errors(power=power, level=level)
    variance = differences["se"].to_numpy() ** 2
    share = differences["places_share"].to_numpy()
    trials = differences["trials"].to_numpy()
    # The share is of 0 / 0 where arms do not differ at all: any number of trials shows that.
    of_places = np.where(variance == 0, 0, share * variance)
    room = (resolve / factor) ** 2 - of_places
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where((room > 0) & (trials > 1), np.ceil(trials * (variance - of_places) / room), np.nan)
    return pd.DataFrame(
        {
            "arm": differences["arm"],
            "n": differences["n"],
            "metric": differences["metric"],
            "resolvable": factor * differences["se"],
            "places_share": share,
            "trials": trials,
            "trials_needed": pd.array(np.maximum(needed, 2), dtype="Int64"),
        }
    )


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
    for n, rows in table[table["metric"] == metric].groupby("n", sort=False):
        short = rows[rows["resolvable"] > resolve]
        if len(short):
            arms = ", ".join(short["arm"]) if len(short) < len(rows) else "any arm" if len(rows) > 1 else rows["arm"].iloc[0]
            found.append(
                f"At n = {shots_name(int(str(n)))} this design may well miss a true difference of {resolve:g} in {words} for "
                f"{arms}: with 80 % probability it finds one of {_range(short['resolvable'])}. {_what_helps(short)}"
            )
    return found


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low} to {high}, by arm"


def _what_helps(short: pd.DataFrame) -> str:
    """Say whether more trials would do for all arms, for some or for none."""
    needed = short["trials_needed"]
    now = int(short["trials"].max())
    if now == 1:
        return "One trial does not say how many would do."
    if needed.isna().all():
        return "More trials would not do, only more places to test on."
    about = f"About {needed.max():,} trials would do (now {now})"
    if needed.isna().any():
        return f"{about}, but for {', '.join(short['arm'][needed.isna()])} only more places to test on."
    return f"{about}."
