"""Options of :mod:`spurgekit.classify.synthetic_weights`, apart from it: they can be read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spurgekit.errors import InputError, known_names

Keep = Literal["confident", "weighted", "all"]

MIN_CONFIDENCE = 0.5
"""Of DIAGen (Lingenberg et al. 2024, arXiv:2408.14584): tiles with more are trusted in full."""

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ConfidenceOptions:
    """What confidence does to the weight of a synthetic tile.

    Attributes
    ----------
    keep : {"confident", "weighted", "all"}
        Those alone of which the classifier is confident enough; or all, the less weighty the less it is; or all as they are,
        with confidence as a record.
    min_confidence : float
        From which a tile has its full weight: more than 0, at most 1.
    """

    keep: Keep = "confident"
    min_confidence: float = MIN_CONFIDENCE

    def __post_init__(self) -> None:
        if self.keep not in get_args(Keep):
            raise InputError(f"--keep {self.keep!r} is unknown{known_names(str(self.keep), get_args(Keep))}")
        if not 0 < self.min_confidence <= 1:
            raise InputError(f"--min-confidence {self.min_confidence:g} cannot be; pass a number above 0, at most 1")

    def factors(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what weights are multiplied by, shape (n,).

        Weighted, it is ``min(1, confidence / min_confidence)``: with 0.5 that is DIAGen's, twice the confidence below 0.5 and 1
        from there on.

        Examples
        --------
        >>> ConfidenceOptions("weighted").factors(np.array([0.1, 0.5, 0.9])).tolist()
        [0.2, 1.0, 1.0]
        >>> ConfidenceOptions("confident").factors(np.array([0.1, 0.5, 0.9])).tolist()
        [0.0, 1.0, 1.0]
        """
        if self.keep == "all":
            return np.ones(len(confidence))
        if self.keep == "weighted":
            return np.asarray(np.minimum(1.0, confidence / self.min_confidence))
        return (confidence >= self.min_confidence - ROUNDING).astype(np.float64)
