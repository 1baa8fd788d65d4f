"""How many cells to sample, and how many of each stratum."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]


def sample_size(cells: ArrayLike, spread: ArrayLike, half_width: float, *, confidence: float = 0.95) -> int:
    """Return how many cells give an interval of a wanted width, allocated as :func:`allocate` does.

    Parameters
    ----------
    cells : array_like of int, shape (strata,)
        Cells of the map in each stratum.
    spread : array_like of float, shape (strata,)
        Standard deviation that is expected in each: of a share p, sqrt(p (1 - p)).
    half_width : float
        Wanted half of the interval of a share of the map: of what is right, or of what is of a class.
    confidence : float
        Of the interval.

    Notes
    -----
    Cochran (1977, Sampling techniques, equation 5.25), as Olofsson et al. (2014, equation 13) quote it, with the correction for
    a map of few cells.

    Examples
    --------
    The example of Olofsson et al. (2014, section 5.1.1), whose standard error of 0.01 is half of an interval of 68.27 %:

    >>> cells = [200_000, 150_000, 3_200_000, 6_450_000]
    >>> expected = np.array([0.7, 0.6, 0.9, 0.95])
    >>> sample_size(cells, np.sqrt(expected * (1 - expected)), 0.01, confidence=0.6827)
    641
    """
    cells, spread = np.asarray(cells, dtype=np.float64), np.asarray(spread, dtype=np.float64)
    weights = cells / cells.sum()
    wanted = (half_width / NormalDist().inv_cdf(0.5 + confidence / 2)) ** 2
    return int(np.ceil((weights @ spread) ** 2 / (wanted + weights @ spread**2 / cells.sum())))


def allocate(cells: ArrayLike, spread: ArrayLike, sampled: int, *, least: int = 0) -> Counts:
    """Return how many cells to sample of each stratum.

    Neyman's allocation: as many as a stratum has cells times their standard deviation, but at least some, as Olofsson et al.
    (2014, section 5.1.2) advise for classes that are rare; of a stratum with fewer, all.

    Parameters
    ----------
    cells : array_like of int, shape (strata,)
        Cells of the map in each stratum.
    spread : array_like of float, shape (strata,)
        Standard deviation that is expected in each.
    sampled : int
        Cells to sample in all: no fewer than all strata take at least, no more than there are.
    least : int
        Cells of a stratum, unless it has fewer.

    Examples
    --------
    >>> allocate([900, 80, 20], [0.2, 0.5, 0.5], 120, least=30).tolist()
    [70, 30, 20]
    """
    cells, spread = np.asarray(cells, dtype=np.int64), np.asarray(spread, dtype=np.float64)
    low, high = np.minimum(least, cells), cells
    share = cells * np.maximum(spread, 1e-9)
    # Strata that would get too few or too many get their bound, the others share what is left.
    below, above = 0.0, sampled / (share / cells).min() + 1
    for _ in range(200):
        middle = (below + above) / 2
        if np.clip(middle * share / share.sum(), low, high).sum() < sampled:
            below = middle
        else:
            above = middle
    exact = np.clip(above * share / share.sum(), low, high)
    found = np.floor(exact + 1e-6).astype(np.int64)
    largest = np.argsort(found - exact, kind="stable")
    found[largest[: sampled - int(found.sum())]] += 1
    return np.asarray(found)
