"""Where a picture may change: masks grown, turned inside out, and with soft rims.

All lengths are in pixels of the tile, not of the enlarged picture that a model works on. A pixel's distance is that between
centres of pixels, and what lies beyond the tile's edge is taken to be as the edge is: a mask that runs out of the tile
neither shrinks nor softens there.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.augment.mask_options import Where, check_edit

PUBLISHED_GROWTH = 16 / 512
"""DA-Fusion grows its masks by 16 px of pictures that are 512 px wide."""


def published_growth_px(side_px: int) -> int:
    """Return by how many pixels of a tile DA-Fusion would grow its mask.

    >>> published_growth_px(250)
    8
    """
    return round(PUBLISHED_GROWTH * side_px)


def grow(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    """Grow a mask by a disc.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
    pixels : float
        Radius of the disc; less than 0 shrinks.

    Returns
    -------
    ndarray of bool, shape (height, width)
        True where the mask is within ``pixels``; of a shrunken one, where everything within them is of the mask.

    Examples
    --------
    >>> grow(np.array([[False, False, True, False, False]]), 1).astype(int)
    array([[0, 1, 1, 1, 0]])
    >>> grow(np.array([[False, True, True, True, True]]), -2).astype(int)
    array([[0, 0, 0, 1, 1]])
    """
    if pixels < 0:
        return ~grow(~mask, -pixels)
    return _distance_to(mask) <= pixels


def feather(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.uint8]:
    """Return how much each pixel may change, with a rim of greys inside the mask; outside of it all stays 0.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        Where the picture may change.
    pixels : int
        Width of the rim.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        0 outside, 255 farther inside than the rim, a linear ramp between.

    Examples
    --------
    >>> feather(np.array([[False, True, True, True, True]]), 2)
    array([[  0,  85, 170, 255, 255]], dtype=uint8)
    >>> feather(np.array([[False, True]]), 0)
    array([[  0, 255]], dtype=uint8)
    """
    share = np.minimum(_distance_to(~mask) / (pixels + 1), 1)
    return np.asarray(np.rint(255 * share), np.uint8)


def edit_mask(
    mask: NDArray[np.bool_], *, where: Where = "inside", grow_px: float = 0, feather_px: int = 0
) -> NDArray[np.uint8]:
    """Return how much each pixel of a tile may change, for a mask of the things in it.

    The things are grown first, so that with ``inside`` their rim changes with them, and with ``outside`` it stays with them;
    the soft rim lies within what may change.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
    where : {"inside", "outside"}
    grow_px : float
        See :func:`grow`.
    feather_px : int
        See :func:`feather`.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        255 may change, 0 stays as it is to the bit.

    Raises
    ------
    InputError
        If a parameter cannot be.
    """
    check_edit(where, grow_px, feather_px)
    things = grow(mask, grow_px)
    return feather(things if where == "inside" else ~things, feather_px)


def _distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how far each pixel is from the nearest one of a mask; infinite where there is none."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
