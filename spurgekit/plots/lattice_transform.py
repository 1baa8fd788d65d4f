"""How a lattice lies on the ground: transforms fitted to matched points, and what bends around them.

Points are complex numbers or arrays of shape (n, 2) in metres; y runs north, and nothing here ever mirrors.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from spurgekit import similarity

Array = NDArray[np.float64]

PLACING_SD_M = 0.08
"""How far markers stand from where a mildly projective lattice has them: the noise against which its priors weigh."""

STRETCH_SD = 0.03
"""Prior standard deviation of a frame's stretch and shear, as a share: a tilt of a few degrees and a lens."""

PERSPECTIVE_SD = 0.002
"""Prior standard deviation of a frame's perspective, per metre: a tilt of about 5 degrees seen from 50 m."""

BEND_LENGTH = 2.0
"""Over how many plot sides the bending of a mosaic stays alike."""

BENDS_AND_NOISES = np.array(list(itertools.product((0.0, 0.05, 0.1, 0.2, 0.4), (0.02, 0.04, 0.07, 0.12))))
"""What is tried for the standard deviations of the bending and of the placing of markers, both in metres along one axis."""


def fit_similarity(nodes: Array, points: Array, scale_error: float) -> Array:
    """Return the similarity that takes nodes closest to points, in least squares.

    Parameters
    ----------
    nodes, points : ndarray of float64, shape (n, 2)
        At least two; metres.
    scale_error : float
        By how much the scale may differ from 1, as a share.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        Takes homogeneous columns (x, y, 1) of nodes to points.
    """
    here, there = similarity.to_complex(*nodes.T), similarity.to_complex(*points.T)
    return similarity_matrix(*similarity.fit_similarity(here, there, scale_error))


def similarity_matrix(a: complex, b: complex) -> Array:
    """Return the homogeneous matrix of z -> a * z + b."""
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]], np.float64)


def fit_projective(nodes: Array, points: Array, scale_error: float) -> Array:
    """Return the mild homography that takes nodes closest to points.

    Stretch, shear and perspective have Gaussian priors about zero, so that any two or more points do, and few points give
    little more than a similarity.

    Parameters
    ----------
    nodes, points : ndarray of float64, shape (n, 2)
    scale_error : float
        As of :func:`fit_similarity`.

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Notes
    -----
    The deviation from the best similarity is solved for in the direct linear form, points * w = A nodes + t with
    w = 1 + g . nodes, about the nodes' mean. There w is so near to 1 that algebraic and geometric distances agree.
    """
    base = fit_similarity(nodes, points, scale_error)
    middle = nodes.mean(axis=0)
    u, v = (nodes - middle).T
    x, y = (unapply(base, points) - middle).T  # in the lattice's own frame, where the deviation is small
    one, zero = np.ones_like(u), np.zeros_like(u)
    # Unknowns: similarity (a, b), shift (s, t), stretch and shear (e, f), perspective (g, h).
    design = np.vstack(
        [
            np.column_stack([u, -v, one, zero, u, v, -x * u, -x * v]),
            np.column_stack([v, u, zero, one, -v, u, -y * u, -y * v]),
        ]
    )
    priors = np.diag([0, 0, 0, 0, *[PLACING_SD_M / STRETCH_SD] * 2, *[PLACING_SD_M / PERSPECTIVE_SD] * 2])[4:]
    rows = np.vstack([design, priors])
    a, b, s, t, e, f, g, h = np.linalg.lstsq(rows, np.concatenate([x, y, np.zeros(4)]), rcond=None)[0]
    bent = np.array([[a + e, f - b, s], [b + f, a - e, t], [g, h, 1]])
    there = np.array([[1, 0, middle[0]], [0, 1, middle[1]], [0, 0, 1]])
    back = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1]])
    return np.asarray(base @ there @ bent @ back, np.float64)


def apply(transform: Array, points: Array) -> Array:
    """Return points, shape (n, 2), through a homogeneous transform."""
    moved = points @ transform[:, :2].T + transform[:, 2]
    return np.asarray(moved[:, :2] / moved[:, 2:], np.float64)


def unapply(transform: Array, points: Array) -> Array:
    """Return points, shape (n, 2), through the inverse of a homogeneous transform."""
    return apply(np.asarray(np.linalg.inv(transform), np.float64), points)


class Bending:
    """What is left between matched markers and a rigid lattice, as a smooth field: mosaics bend by decimetres.

    A Gaussian process with a squared exponential covariance (Rasmussen and Williams 2006, chapter 2), one for both axes. Its
    standard deviations are the most likely of a small table, among which is no bending at all.

    Parameters
    ----------
    nodes : ndarray of float64, shape (n, 2)
        Where the matched markers stand in the lattice, metres.
    residuals_m : ndarray of float64, shape (n, 2)
        From where the transform has them to where they were found.
    size_m : float
        Side of a plot.
    """

    def __init__(self, nodes: Array, residuals_m: Array, size_m: float) -> None:
        self._nodes, self._length = nodes, BEND_LENGTH * size_m
        # In the eigenvectors of what is alike every covariance of the table is diagonal.
        shares, vectors = np.linalg.eigh(self._alike(nodes))
        rotated = vectors.T @ residuals_m
        variances = BENDS_AND_NOISES[:, :1] ** 2 * shares.clip(0) + BENDS_AND_NOISES[:, 1:] ** 2
        fit = ((rotated**2).sum(axis=1) / variances).sum(axis=1)
        best = int(np.argmax(-0.5 * fit - np.log(variances).sum(axis=1)))  # two axes: twice half the log determinant
        self._bend, self._noise = BENDS_AND_NOISES[best]
        self._inverse = vectors / variances[best] @ vectors.T
        self._weights = vectors / variances[best] @ rotated

    def _alike(self, others: Array) -> Array:
        squared = np.sum((others[:, None] - self._nodes[None]) ** 2, axis=2)
        return np.asarray(np.exp(-squared / (2 * self._length**2)), np.float64)

    def at(self, nodes: Array) -> Array:
        """Return the bending at other nodes, shape (n, 2), metres."""
        return np.asarray(self._bend**2 * self._alike(nodes) @ self._weights, np.float64)

    def sd_at(self, nodes: Array) -> Array:
        """Return how far along an axis a marker may be from :meth:`at`, as a standard deviation in metres; shape (n,)."""
        alike = self._bend**2 * self._alike(nodes)
        known = np.einsum("ij,jk,ik->i", alike, self._inverse, alike)
        return np.asarray(np.sqrt(self._bend**2 - known + self._noise**2), np.float64)

    def left_out(self) -> tuple[Array, Array]:
        """Return how far each marker is from where all others have it, and the standard deviation of that along an axis.

        Both in metres, of shape (n,). Leave-one-out residuals in closed form (Rasmussen and Williams 2006, equations
        5.10-5.12).
        """
        precision = np.diag(self._inverse)
        return np.hypot(*self._weights.T) / precision, 1 / np.sqrt(precision)
