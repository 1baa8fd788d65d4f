"""What the confidence of a classifier does to the weight of a synthetic tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_CONFIDENCE = 0.5
"""Of DIAGen (Lingenberg et al. 2024, arXiv:2408.14584): tiles with more are trusted in full."""

ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class WeighOptions(FoldOptions):
    """What confidence does to the weight of a synthetic tile.

    Attributes
    ----------
    keep : {"confident", "weighted", "all"}
        Those alone that the classifier is confident of; all, the others less weighty; or all as they are.
    min_confidence : float
        Confidence from which a tile has its full weight: more than 0, at most 1.
    """

    keep: Literal["confident", "weighted", "all"] = "confident"
    min_confidence: float = MIN_CONFIDENCE

    def __post_init__(self) -> None:
        FoldOptions.__post_init__(self)
        if not 0 < self.min_confidence <= 1:
            raise InputError(f"`min_confidence={self.min_confidence:g}` cannot be; pass a number above 0, at most 1")

    def factors(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what weights are multiplied by, shape (n,).

        Weighted, it is ``min(1, confidence / min_confidence)``: with 0.5 that is DIAGen's, twice the confidence below 0.5 and 1
        from there on.

        Examples
        --------
        >>> import numpy as np
        >>> WeighOptions(keep="weighted").factors(np.array([0.1, 0.5, 0.9])).tolist()
        [0.2, 1.0, 1.0]
        >>> WeighOptions(keep="confident").factors(np.array([0.1, 0.5, 0.9])).tolist()
        [0.0, 1.0, 1.0]
        """
        import numpy as np

        if self.keep == "all":
            return np.ones(len(confidence))
        if self.keep == "weighted":
            return np.asarray(np.minimum(1.0, confidence / self.min_confidence))
        return (confidence >= self.min_confidence - ROUNDING).astype(np.float64)
