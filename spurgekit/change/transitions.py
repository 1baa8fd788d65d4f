"""What became of each cell between two dates, by what both maps say of it: compound classification.

The probabilities of two dates are not of two coins. Ground that bore the weed mostly still does, so to multiply 0.4 by 0.6
would make change of every doubt; and what a model takes for the weed at one date, lush grass say, it takes for it at the next
one as well, so that two maps that agree say less than two witnesses. Both are allowed for. By Bayes' rule, the probability that
a cell is i at the first date and j at the second goes as

    p(i | old) p(j | new) share(i, j) / (share(i) share(j)) c(i, j)

(Swain 1978, who calls it compound classification), where share(i, j) is how much of the ground made that transition, learned
from the maps themselves by expectation maximisation (Bruzzone and Serpico, IEEE TGRS 35, 1997). These assume that errors of two
dates are independent once the truth is known, c = 1; of one model on one ground they are not, and all that agrees would then
be taken for ground that stayed. So c is the density of a Gaussian copula: on cells that stayed what they were, the log odds of
both dates, each seen from the middle of its class, have a correlation r, which is the one that makes both maps likeliest. It
shows in how little the bulk of cells moves between the dates against how far classes lie apart. Classes lie where calibrated
log odds that are normal in each class have them: D apart and of variance D, one D for both dates, so that whatever r is, cells
that are likelier to be of the class at a date are likelier to be of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

TRANSITIONS = ("absent", "gain", "loss", "present")
"""What can become of a class on a cell: absent at both dates, there at the second alone, at the first alone, at both."""

ABSENT, GAIN, LOSS, PRESENT = range(4)

MOST_CELLS = 20_000
"""Cells that shares are learned from; of more, every so manieth."""

CORRELATIONS = np.arange(20) / 20
"""Of errors, those that are tried."""

STEPS = 200
SETTLED = 1e-6
PRIOR_CELLS = 0.5
"""Cells of each transition that are taken to have been seen before (Jeffreys): no transition is impossible."""

MOST_LOG_ODDS = 12.0
"""Log odds beyond which a cell is as certain as can be: a probability of 0.999994."""

LEAST_DISTANCE = 1.0
"""Of classes in log odds: maps that say the same of all cells are not to be taken for precise."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TransitionModel:
    """How two dates of a map go together, for one class.

    Attributes
    ----------
    shares : ndarray of float64, shape (2, 2)
        Share of the ground that made each transition. Row: whether the class was there at the first date, column: at the
        second.
    correlation : float
        Of the errors of both dates on ground that stayed what it was.
    distance : float
        Of the classes in log odds, and the variance of these in each class.
    middles : tuple of float
        Log odds half way between the classes, at each date.
    """

    shares: Floats
    correlation: float
    distance: float
    middles: tuple[float, float]

    def probabilities(self, old: Floats, new: Floats) -> Floats:
        """Return the probability of each transition of cells.

        Parameters
        ----------
        old, new : ndarray of float64, shape (n,)
            Probability of the class at each date, calibrated.

        Returns
        -------
        ndarray of float64, shape (n, 4)
            In the order of :data:`TRANSITIONS`, adding up to 1.

        Examples
        --------
        >>> doubt = np.array([0.4])
        >>> coins = TransitionModel(np.full((2, 2), 0.25), 0.0, 4.0, (0.0, 0.0))
        >>> coins.probabilities(doubt, doubt).round(2).tolist()
        [[0.36, 0.24, 0.24, 0.16]]
        >>> ground = TransitionModel(np.array([[0.45, 0.05], [0.05, 0.45]]), 0.0, 4.0, (0.0, 0.0))
        >>> ground.probabilities(doubt, doubt).round(2).tolist()
        [[0.63, 0.05, 0.05, 0.28]]
        """
        joint = self.weights(old, new) * self.shares.ravel()
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    def weights(self, old: Floats, new: Floats) -> Floats:
        """Return what the maps say of each transition of cells beside how common it is, shape (n, 4)."""
        margins = np.outer(self.shares.sum(axis=1), self.shares.sum(axis=0))
        first, second = (np.stack([1 - one, one], axis=1) for one in (old, new))
        joint = first[:, :, None] * second[:, None, :] / margins
        r, (x, y) = self.correlation, (self._away(date, one) for date, one in enumerate((old, new)))
        for i in range(2):
            squares, product = x[:, i] ** 2 + y[:, i] ** 2, x[:, i] * y[:, i]
            joint[:, i, i] *= np.exp((r * product - r * r * squares / 2) / (1 - r * r)) / np.sqrt(1 - r * r)
        return joint.reshape(-1, 4)

    def _away(self, date: int, said: Floats) -> Floats:
        """Return how far log odds are from the middle of either class, in standard deviations, shape (n, 2)."""
        apart = np.array([-0.5, 0.5]) * self.distance
        return np.asarray((log_odds(said)[:, None] - self.middles[date] - apart) / self.distance**0.5)


def fit_transitions(old: Floats, new: Floats) -> TransitionModel:
    """Learn how two dates go together from calibrated probabilities of both.

    How common the class is at either date is what its probabilities say, the mean of them.

    Parameters
    ----------
    old, new : ndarray of float64, shape (n,)
        Probability of the class at each date.

    Examples
    --------
    >>> same = np.repeat([0.1, 0.9], 500)
    >>> fit_transitions(same, same).shares.round(2).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    step = -(-len(old) // MOST_CELLS)
    p, q = (np.clip(one[::step], 1e-12, 1 - 1e-12) for one in (old, new))
    common = [np.array([1 - one.mean(), one.mean()]) for one in (p, q)]
    said = [np.stack([1 - one, one], axis=1) for one in (p, q)]
    means = np.array([log_odds(one) @ part / part.sum(axis=0) for one, part in zip((p, q), said, strict=True)])
    distance = max(float((means[:, 1] - means[:, 0]).mean()), LEAST_DISTANCE)
    middles = (float(means[0].mean()), float(means[1].mean()))
    best, found = -np.inf, None
    for correlation in CORRELATIONS:
        start = TransitionModel(np.outer(*common), float(correlation), distance, middles)
        weights, shares = start.weights(p, q), start.shares
        for _ in range(STEPS):
            joint, before = weights * shares.ravel(), shares
            sums = (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0) + PRIOR_CELLS
            shares = _with_margins((sums / sums.sum()).reshape(2, 2), *common)
            if np.abs(shares - before).max() < SETTLED:
                break
        likelihood = float(np.log(weights @ shares.ravel()).sum())
        if likelihood > best:
            best, found = likelihood, TransitionModel(shares, float(correlation), distance, middles)
    assert found is not None
    return found


def log_odds(probabilities: Floats) -> Floats:
    """Return log odds, as certain at most as :data:`MOST_LOG_ODDS`."""
    return np.asarray(np.clip(logit(np.clip(probabilities, 1e-12, 1 - 1e-12)), -MOST_LOG_ODDS, MOST_LOG_ODDS))


def _with_margins(shares: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the table of given margins whose odds ratio is that of a table (iterative proportional fitting)."""
    for _ in range(100):
        shares = shares * (rows / shares.sum(axis=1))[:, None]
        shares = shares * (columns / shares.sum(axis=0))
        if np.abs(shares.sum(axis=1) - rows).max() < SETTLED / 10:
            break
    return shares
