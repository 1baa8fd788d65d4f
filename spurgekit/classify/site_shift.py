"""The threshold of a model on a site that it was not trained on, from the site's own tiles.

On other ground, and in other light, the order of tiles by a model's log odds is much better than where they part: all of them
lie higher or lower than in training. What a site's tiles say of that, without labels or with a few, is one number, which is
added to the log odds of the second class. It is transductive: it holds for the tiles that it was found from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 64
"""Tiles without labels that are needed to see two humps."""

SAMPLE = 256
"""The most tiles of a site that are looked at."""

EVIDENCE = 10.0
"""By how much two humps must describe the log odds better than one, as a difference of BIC: very strong (Raftery 1995)."""

APART = 2.0
"""How many standard deviations two humps must lie apart, for there to be a valley between them (Ashman et al. 1994)."""

DEPTH = 0.25
"""The most tiles at the floor of the valley, as a share of those at the top of the lower hump."""

SMALLEST = 0.03
"""Least share of tiles in a hump."""

NARROWEST = 0.01
"""Of the variance of all log odds, what is added to that of a hump: without it a few like tiles would make one."""

WAY = 0.5
"""How much of the way to the valley the threshold moves."""

PRIOR_SD = 2.0
"""Standard deviation of shifts between sites, in log odds, as labels are weighed against it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiteShift:
    """How a model is moved to a site.

    Attributes
    ----------
    log_odds : float
        Added to those of the second class; 0 where the site gives no reason to move.
    source : str
        What it was found from.
    tiles : int
        How many tiles that were.
    """

    log_odds: float
    source: str
    tiles: int

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return probabilities of two classes [n, 2] with the shift; NaN stays NaN."""
        if self.log_odds == 0:
            return np.asarray(probabilities, np.float32)
        second = 1 / (1 + np.exp(-(log_odds_of(probabilities) + self.log_odds)))
        return np.column_stack([1 - second, second]).astype(np.float32)


def log_odds_of(probabilities: NDArray[np.floating]) -> Floats:
    """Return the log odds of the second of two classes, shape (n,)."""
    exact = np.maximum(probabilities.astype(np.float64), 1e-9)
    return np.asarray(np.log(exact[:, 1]) - np.log(exact[:, 0]))


def shift_without_labels(log_odds: Floats) -> float:
    """Return what to add to log odds, from those of a site's tiles alone.

    Two normal distributions are fitted. Only where they are two humps (a difference of BIC of ``EVIDENCE``, ``APART``
    standard deviations apart, a valley of ``DEPTH``, none below ``SMALLEST``), one on either side of the threshold as it is,
    does it move, half of the way to where the humps cross at equal weights. So a site without the weed keeps its threshold,
    though its tiles be of two kinds, and so does one that is full of it: the threshold moves within a valley, and never over
    a hump.

    Parameters
    ----------
    log_odds : ndarray, shape (n,)

    Returns
    -------
    float
        0 where there is no reason to move.
    """
    from sklearn.mixture import GaussianMixture  # other maps have no use for it

    x = log_odds[:, None]
    if len(x) < FEWEST or not (variance := float(x.var())) > 0:
        return 0.0
    one, two = (GaussianMixture(humps, random_state=0, reg_covar=NARROWEST * variance).fit(x) for humps in (1, 2))
    order = two.means_[:, 0].argsort()
    low, high = two.means_[order, 0]
    sds, shares = np.sqrt(two.covariances_[order, 0, 0]), two.weights_[order]
    apart = (high - low) / np.sqrt((sds**2).mean())
    if one.bic(x) - two.bic(x) < EVIDENCE or apart < APART or shares.min() < SMALLEST or not low < 0 < high:
        return 0.0
    between = np.linspace(low, high, 201)
    densities = [np.exp(-0.5 * ((between - mean) / sd) ** 2) / sd for mean, sd in zip((low, high), sds, strict=True)]
    tiles = shares @ densities
    if tiles.min() > DEPTH * min(tiles[0], tiles[-1]):
        return 0.0
    return -WAY * float(between[np.argmax(densities[1] > densities[0])])


def shift_by_labels(log_odds: Floats, targets: NDArray[np.integer], sd: float = PRIOR_SD) -> float:
    """Return what to add to log odds so that they agree with labels, drawn to none by a normal prior.

    Classes weigh alike, as many tiles as there are; the shares of the classes in a sample that was picked say nothing.

    Parameters
    ----------
    log_odds : ndarray, shape (n,)
    targets : ndarray of int, shape (n,)
        0 or 1; both occur.
    sd : float
        Standard deviation of the prior.
    """
    from scipy.optimize import minimize_scalar

    counts = np.bincount(targets, minlength=2)
    weights = len(targets) / 2 / counts[targets]
    signs = 2 * targets - 1

    def loss(shift: float) -> float:
        return float((weights * np.logaddexp(0, -signs * (log_odds + shift))).sum() + 0.5 * (shift / sd) ** 2)

    reach = float(np.abs(log_odds).max()) + 1
    return float(minimize_scalar(loss, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-6}).x)
