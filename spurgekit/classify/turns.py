"""Directions in which the features of a tile change as it is turned: they mean nothing on the ground, and are shrunk.

A tile seen from straight above has no upright, so that what differs between its turns is noise to a classifier, and from few
tiles it cannot tell so. This is within-class covariance normalisation (Hatch et al., Interspeech 2006) with turns as the
nuisance of nuisance attribute projection (Solomonoff et al., ICASSP 2005). No labels are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.row_space import right_singular_vectors

STRENGTH = 0.3
"""Lambda: variance of turns, in that of their main directions, at which a direction is shrunk by the root of 2. The tables of
``tests/benchmarks/bench_shift.py`` show what others do; it was chosen without the data that it was checked on."""

MAIN = 50
"""Directions of the largest variance, whose mean is the unit of variance."""

TILES = 64
"""Tiles that are turned to find them; with 30, results are the same."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShrunkTurns:
    """The symmetric matrix ``scale (I + C / (lambda m))^(-1/2)``, C the covariance of turns, m its unit of variance.

    Features stay about as long as they were. As it is linear, it becomes part of the weights of the classifier that is fitted
    to what it gives.

    Attributes
    ----------
    directions : ndarray, shape (d, k)
        Orthonormal; features do not vary with turns across them.
    lost : ndarray, shape (k,)
        Which share of each is taken away.
    scale : float
    """

    directions: Array
    lost: Array
    scale: float = 1.0

    @classmethod
    def of(cls, views: Array, strength: float = STRENGTH) -> ShrunkTurns:
        """Find it from the features of tiles' turns.

        Parameters
        ----------
        views : ndarray, shape (tiles, turns, d)
        strength : float
            Lambda.
        """
        means = views.mean(axis=1)
        apart = (views - means[:, None]).reshape(-1, views.shape[2])
        lengths, directions = right_singular_vectors(apart)
        variance = lengths**2 / len(apart)
        if not (unit := variance[:MAIN].mean()) > 0:
            return cls(directions[:0].T, lengths[:0])  # one turn, or features that do not see turns
        shrunk = cls(directions.T, 1 - 1 / np.sqrt(1 + variance / (strength * unit)))
        left = float((shrunk(means) ** 2).sum())
        return cls(shrunk.directions, shrunk.lost, float(np.sqrt((means**2).sum() / left)) if left > 0 else 1.0)

    def __call__(self, vectors: Array) -> Array:
        """Return features, or weights for features, in its terms; shape (n, d) as given."""
        return np.asarray(self.scale * (vectors - ((vectors @ self.directions) * self.lost) @ self.directions.T))
