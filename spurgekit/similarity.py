"""Similarities of the plane: turned, scaled and shifted, never mirrored.

Points are complex numbers, x + iy, of which a similarity is ``factor * z + shift``: linear, so that the one that fits best has
a closed form, and without a way to mirror.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]


def to_complex(x: NDArray[np.float64], y: NDArray[np.float64]) -> Complex:
    """Return points of the plane as complex numbers."""
    return np.asarray(x + 1j * y, np.complex128)


def fit_similarity(here: Complex, there: Complex, scale_error: float = math.inf) -> tuple[complex, complex]:
    """Return factor and shift of the similarity that takes points closest to others, in least squares.

    Parameters
    ----------
    here, there : ndarray of complex128, shape (n,)
        At least two, in one unit.
    scale_error : float
        By how much the scale may differ from 1, as a share.

    Examples
    --------
    >>> fit_similarity(np.array([0, 1]), np.array([2, 2 + 3j]))
    (3j, (2+0j))
    """
    a, b = here - here.mean(), there - there.mean()
    factor = np.vdot(a, b) / np.vdot(a, a).real
    factor *= np.clip(abs(factor), 1 - scale_error, 1 + scale_error) / max(abs(factor), 1e-12)
    return complex(factor), complex(there.mean() - factor * here.mean())
