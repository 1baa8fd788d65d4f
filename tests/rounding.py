"""What two computations may differ by that are the same but for the order of their sums.

Nobody promises in which order numbers are added up: it depends on the processor's instructions, on how many threads there are,
and on how many tiles are in a batch. Each addition rounds what it has so far, up or down, by at most half a unit in its last
place: relative to it, half of float32's ``eps``. Of n additions one after the other, that makes about ``sqrt(n) * eps / 2``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

EPS = float(np.finfo(np.float32).eps)

MARGIN = 8
"""Times as much is allowed: what is added up may be larger than what comes of it, and the largest of many errors is looked at.

What is wrong in a network is off by hundreds of times as much.
"""


def rounding(expected: ArrayLike | Tensor, terms: int) -> float:
    """Return how far from what is expected another order of float32 sums may lead.

    Parameters
    ----------
    expected : array_like or Tensor
    terms : int
        How many numbers are added up, one after the other, on the way to one of the result.

    Examples
    --------
    A sum of 100 numbers that comes to about 10, where the last place is worth 1e-6:

    >>> f"{rounding([9.5, -10], terms=100):.1e}"
    '4.8e-05'
    """
    return MARGIN * math.sqrt(terms) * EPS / 2 * float(np.abs(_array(expected)).max())


def terms_of(*networks: nn.Module) -> int:
    """Return how many numbers are added up in networks that come one after the other: for each layer, an output's weights."""
    return sum(weight[0].numel() for network in networks for weight in network.parameters() if weight.ndim > 1)


def assert_close(found: ArrayLike | Tensor, expected: ArrayLike | Tensor, *, terms: int) -> None:
    """Assert that numbers are the same but for :func:`rounding`."""
    allowed = rounding(expected, terms)
    np.testing.assert_allclose(_array(found), _array(expected), rtol=0, atol=allowed, equal_nan=False, strict=True)


def _array(numbers: Any) -> NDArray[np.float64]:
    numbers = numbers.detach().cpu() if isinstance(numbers, Tensor) else numbers
    return np.asarray(numbers, np.float64)
