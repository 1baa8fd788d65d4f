"""How far painted tiles are from real ones, as sets: in features of a network that was trained on neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

GROUPS = 20
"""Parts of each set that are left out in turn, for the interval."""

NEIGHBOURS = 3
"""That the ground of a set reaches to."""

NEAR = 0.01
"""Share of real tiles that are nearer to a training tile than what passes for a copy."""

Z = 1.959964
"""Of an interval of 95 %."""


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """KID between two sets of tiles.

    Attributes
    ----------
    value : float
        Below 0 by chance where the sets are alike.
    low, high : float
        Of its interval of 95 %.
    """

    value: float
    low: float
    high: float


def kernel_distance(a: Features, b: Features, *, paired: bool = False) -> KernelDistance:
    """Return the kernel inception distance: the squared maximum mean discrepancy of a cubic kernel, without bias.

    With ``k(x, y) = (x . y / d + 1)**3`` it is the mean of k within the first set, plus that within the second, less twice that
    across; pairs of a tile with itself are left out, so that it is 0 on average where both sets are drawn from one population,
    however few they are. The interval is the jackknife's over 20 parts: the n-th twentieth of both sets is left out at a time.
    Rows are in the order of places, so that tiles of one place are left out together, as far as may be.

    Parameters
    ----------
    a, b : ndarray of float32, shapes (n, d) and (m, d)
    paired : bool
        The rows of both are of the same tiles, one by one; pairs of a tile with its own other are left out.

    References
    ----------
    Binkowski et al. (2018), Demystifying MMD GANs, arXiv:1801.01401, section 4; the estimate is that of Gretton et al. (2012),
    A Kernel Two-Sample Test, Journal of Machine Learning Research 13, lemma 6.
    """
    if min(len(a), len(b)) < 4:
        raise ValueError("a distance between sets takes four tiles of each")
    aa, bb, ab = _kernel(a, a), _kernel(b, b), _kernel(a, b)
    for own in (aa, bb, *([ab] if paired else [])):
        np.fill_diagonal(own, 0)

    def estimate(i: NDArray[np.bool_], j: NDArray[np.bool_]) -> float:
        n, m = int(i.sum()), int(j.sum())
        across = n * m - (int((i & j).sum()) if paired else 0)
        within = i @ aa @ i / (n * (n - 1)) + j @ bb @ j / (m * (m - 1))
        return float(within - 2 * (i @ ab @ j) / across)

    everything = np.ones(len(a), np.bool_), np.ones(len(b), np.bool_)
    value = estimate(*everything)
    groups = min(GROUPS, len(a) // 2, len(b) // 2)
    left = [estimate(_without(len(a), groups, g), _without(len(b), groups, g)) for g in range(groups)]
    half = Z * float(np.sqrt((groups - 1) / groups * np.square(np.array(left) - np.mean(left)).sum()))
    return KernelDistance(value, value - half, value + half)


def precision_recall(real: Features, painted: Features) -> tuple[float, float]:
    """Return the share of painted tiles that lie where real ones do, and of real ones that lie where painted ones do.

    A set reaches, around each of its tiles, as far as the third nearest of its own.

    Parameters
    ----------
    real, painted : ndarray of float32, shapes (n, d) and (m, d)

    References
    ----------
    Kynkaanniemi et al. (2019), Improved Precision and Recall Metric for Assessing Generative Models, arXiv:1904.06991,
    section 2.
    """
    across = distances(real, painted)
    reach_real, reach_painted = _reach(real), _reach(painted)
    precision = (across <= reach_real[:, None]).any(axis=0).mean()
    recall = (across <= reach_painted[None]).any(axis=1).mean()
    return float(precision), float(recall)


@dataclass(frozen=True, slots=True)
class Copies:
    """How near painted tiles are to tiles of the training, beside how near held-out ones are.

    Attributes
    ----------
    painted, held_out : float
        Median distance to the nearest training tile.
    share : float
        Of painted tiles that are nearer to one than all but 1 % of held-out tiles; .01 is what chance makes.
    nearest : tuple of (int, int)
        The painted tiles that are nearest to one, and which that is, nearest first.
    """

    painted: float
    held_out: float
    share: float
    nearest: tuple[tuple[int, int], ...]


def find_copies(training: Features, held_out: Features, painted: Features, most: int = 8) -> Copies:
    """Look whether painted tiles are copies of what was learned from.

    Parameters
    ----------
    training : ndarray of float32, shape (n, d)
    held_out, painted : ndarray of float32, shapes (m, v, d) and (k, v, d)
        Of each tile as it is and as it looks turned and mirrored: a tile that was turned is a copy, too.
    most : int
        Painted tiles to name.
    """
    to_training, real = _least(painted, training), _least(held_out, training).min(axis=1)
    own = to_training.min(axis=1)
    nearest = [(int(row), int(to_training[row].argmin())) for row in own.argsort(kind="stable")[:most]]
    share = float((own < np.quantile(real, NEAR)).mean())
    return Copies(float(np.median(own)), float(np.median(real)), share, tuple(nearest))


def distances(a: Features, b: Features) -> NDArray[np.float64]:
    """Return how far each row of a is from each of b, shape (n, m)."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None] - 2 * left @ right.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def _least(views: Features, others: Features) -> NDArray[np.float64]:
    """Return how far each tile is from each of others in the view that is nearest, shape (n, m)."""
    return np.asarray(np.stack([distances(views[:, v], others) for v in range(views.shape[1])]).min(axis=0))


def _reach(features: Features) -> NDArray[np.float64]:
    own = distances(features, features)
    np.fill_diagonal(own, np.inf)
    return np.asarray(np.partition(own, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1])


def _kernel(a: Features, b: Features) -> NDArray[np.float64]:
    return np.asarray((a.astype(np.float64) @ b.astype(np.float64).T / a.shape[1] + 1) ** 3)


def _without(count: int, groups: int, group: int) -> NDArray[np.bool_]:
    """Return which of some rows are not of a group."""
    kept = np.ones(count, np.bool_)
    kept[np.array_split(np.arange(count), groups)[group]] = False
    return kept
