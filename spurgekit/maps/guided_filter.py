"""The guided filter: a map whose edges are those of an image (He, Sun and Tang 2013, doi:10.1109/TPAMI.2012.213)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RADIUS = 3
"""Cells to each side that a linear model of the image is fitted to."""

EPSILON = 1e-3
"""Of colours from 0 to 1: variances well below it count as no edge."""

Floats = NDArray[np.floating[Any]]


def guided_filter(
    guide: Floats, values: Floats, valid: NDArray[np.bool_], *, radius: int = RADIUS, epsilon: float = EPSILON
) -> Floats:
    """Filter values so that within each window they are a linear function of the guide.

    Parameters
    ----------
    guide : ndarray of float64, shape (bands, rows, columns)
        From 0 to 1.
    values : ndarray of float64, shape (k, rows, columns)
        Each is filtered by itself. What sums to 1 still does.
    valid : ndarray of bool, shape (rows, columns)
        Which cells have data; the others take no part.
    radius : int
    epsilon : float
        Added to the variance of the guide (eq. 19).

    Returns
    -------
    ndarray of float64, shape (k, rows, columns)
        Unchanged where there is no data.
    """
    g, p = np.where(valid, guide, 0), np.where(valid, values, 0)
    count = np.maximum(_sums(valid[None].astype(np.float64), radius), 1)

    def mean(images: Floats) -> Floats:
        """Return the means over windows of images of shape (..., rows, columns)."""
        flat = np.where(valid, images, 0).reshape(-1, *valid.shape)
        return (_sums(flat, radius) / count).reshape(images.shape)

    mean_g, mean_p = mean(g), mean(p)
    variances = mean(g[:, None] * g) - mean_g[:, None] * mean_g
    shared = mean(g[:, None] * p) - mean_g[:, None] * mean_p
    sigma = variances.transpose(2, 3, 0, 1) + epsilon * np.eye(len(g))
    slopes = np.linalg.solve(sigma, shared.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)  # eq. 19, shape (bands, k, ...)
    offsets = mean_p - (slopes * mean_g[:, None]).sum(axis=0)
    return np.where(valid, (mean(slopes) * g[:, None]).sum(axis=0) + mean(offsets), values)


def _sums(images: Floats, radius: int) -> Floats:
    """Return the sums over windows of images [n, rows, columns]; there is nothing outside."""
    side = 2 * radius + 1
    return np.stack([cv2.boxFilter(i, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT) for i in images])
