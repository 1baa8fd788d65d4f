"""Intervals of proportions from a stratified sample, which hold where errors are few.

An interval of plus and minus a multiple of the standard error says that a stratum without an error among fifty cells has none
at all, and so covers the area of a rare class a third as often as it claims. Here each stratum has Wilson's interval (1927),
which allows for what fifty cells cannot show, and those of the strata are put together as variances are (Zou and Donner 2008).
The variance of a share follows from the share itself, so that there are no degrees of freedom to count.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def wilson_limits(found: Floats, sampled: Floats, cells: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the interval of a share in each stratum.

    Wilson's (1927) score interval, with the sample as large as one without replacement counts for: n (N - 1) / (N - n). A
    stratum all of whose cells are in the sample is known.

    Parameters
    ----------
    found : ndarray of float64, shape (strata,)
        Cells of the sample that have what is counted.
    sampled : ndarray of float64, shape (strata,)
        Cells of the sample.
    cells : ndarray of float64, shape (strata,)
        Cells of the map.
    confidence : float
        For example 0.95.

    Returns
    -------
    low, high : ndarray of float64, shape (strata,)

    Examples
    --------
    >>> low, high = wilson_limits(np.array([0.0, 5.0]), np.array([50.0, 5.0]), np.array([1e9, 5.0]), 0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 1.0], [0.071, 1.0])
    """
    share = found / sampled
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    z2_n = z2 * (cells - sampled) / (sampled * np.maximum(cells - 1, 1))  # z^2 over the size that the sample counts for
    middle = (share + z2_n / 2) / (1 + z2_n)
    half = np.sqrt(share * (1 - share) * z2_n + z2_n**2 / 4) / (1 + z2_n)
    low, high = np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)
    return np.where(found == 0, 0.0, low), np.where(found == sampled, 1.0, high)


def sum_limits(weights: Floats, shares: Floats, low: Floats, high: Floats) -> tuple[float, float]:
    """Return the interval of a weighted sum of shares of strata, given the interval of each (Zou and Donner 2008).

    Parameters
    ----------
    weights : ndarray of float64, shape (strata,)
    shares, low, high : ndarray of float64, shape (strata,)

    Returns
    -------
    low, high : float
    """
    total = float(weights @ shares)
    below, above = (float(np.sqrt((weights**2 * (shares - end) ** 2).sum())) for end in (low, high))
    return total - below, total + above


def share_limits(part: tuple[float, float, float], rest: tuple[float, float, float], correlation: float) -> tuple[float, float]:
    """Return the interval of a part's share in the part and the rest, where both are estimated.

    Parameters
    ----------
    part, rest : tuple of float
        Estimate, and the ends of its interval.
    correlation : float
        Of the two estimates, not above 0.

    Returns
    -------
    low, high : float
        NaN where there is neither.

    Notes
    -----
    The least ratio x of part to rest that goes with the intervals solves
    ``part - x rest = sqrt(below^2 + x^2 above^2 - 2 x r below above)``, with what the part may be less and the rest more (Zou
    and Donner 2008, for a difference of correlated estimates); the share is x / (1 + x). The high end is one less the low end
    of the rest's share.
    """
    if part[0] + rest[0] == 0:
        return np.nan, np.nan
    return _least_share(part, rest, correlation), 1 - _least_share(rest, part, correlation)


def _least_share(part: tuple[float, float, float], rest: tuple[float, float, float], correlation: float) -> float:
    below, above = part[0] - part[1], rest[2] - rest[0]
    product = part[0] * rest[0] - correlation * below * above
    least = max(part[0] ** 2 - below**2, 0.0)
    if least == 0:
        return 0.0
    under_root = product**2 - least * (rest[0] ** 2 - above**2)
    divisor = product + np.sqrt(max(under_root, 0.0))
    return float(least / (least + divisor))
