"""Singular vectors of the rows of a matrix, whatever LAPACK's faster way to them makes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

Array = NDArray[np.float64]


def right_singular_vectors(rows: Array) -> tuple[Array, Array]:
    """Return the singular values of rows, and the right singular vectors that go with them.

    Divide and conquer (LAPACK's gesdd, which numpy has) is several times as fast as QR iteration (gesvd), and does not converge
    on every matrix: it did not on features of 64 turned letters that had been raised to a power. Such go the slower way.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        Finite.

    Returns
    -------
    lengths : ndarray, shape (k,)
        Descending; k is the lesser of n and d.
    directions : ndarray, shape (k, d)
        Orthonormal.
    """
    try:
        _, lengths, directions = np.linalg.svd(rows, full_matrices=False)
    except np.linalg.LinAlgError:
        _, lengths, directions = svd(rows, full_matrices=False, lapack_driver="gesvd")
    return lengths, directions
