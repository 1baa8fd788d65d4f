"""Vegetation by colour alone: excess green, and the threshold that parts what is green from the rest."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SMOOTHING = 1 / 50
"""Standard deviation of the blur ahead of a threshold, as a share of the picture's side: plants are larger than noise is."""


def excess_green(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return excess green ``2g - r - b`` of the shares r, g, b of each colour in its sum.

    Parameters
    ----------
    colours : ndarray, shape (..., 3)

    Returns
    -------
    ndarray of float64, shape (...)
        From -1 to 2; 0 for greys, black among them.

    References
    ----------
    Woebbecke et al. (1995), Color indices for weed identification under various soil, residue, and lighting conditions,
    Transactions of the ASAE 38(1), 259-269.

    Examples
    --------
    >>> excess_green(np.array([[50.0, 100.0, 50.0], [80.0, 80.0, 80.0]])).tolist()
    [0.5, 0.0]
    """
    shares = colours / np.maximum(colours.sum(axis=-1, keepdims=True), 1)
    return np.asarray(2 * shares[..., 1] - shares[..., 0] - shares[..., 2])


def green_index(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return excess green of the pixels of a picture, blurred over less than a plant; NaN where there are no data.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
        Pixels that are 0 in all bands are no data.

    Returns
    -------
    ndarray of float64, shape (height, width)
    """
    index = cv2.GaussianBlur(excess_green(picture.astype(np.float64)), (0, 0), SMOOTHING * max(picture.shape[:2]))
    return np.where(picture.any(axis=2), index, np.nan)


def otsu_threshold(values: NDArray[np.float64]) -> float:
    """Return the threshold that parts values in two so that they differ most: above it are those of the higher part.

    Values of one kind are parted, too.

    Parameters
    ----------
    values : ndarray of float64
        NaN are left out; at least one is none.

    References
    ----------
    Otsu (1979), A threshold selection method from gray-level histograms, IEEE Transactions on Systems, Man, and Cybernetics
    9(1), 62-66.

    Examples
    --------
    >>> 0.1 <= otsu_threshold(np.array([0.0, 0.1, 0.1, 0.9, 1.0, np.nan])) < 0.9
    True
    """
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    grey = np.asarray(np.rint(255 * (known - low) / max(high - low, 1e-9)), np.uint8)
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (level + 0.5) / 255 * (high - low)  # between levels, as values were rounded to these
