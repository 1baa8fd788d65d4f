"""Near-duplicates among synthetic tiles: the same picture over again teaches nothing, and takes the place of one that would.

The measure is a perceptual hash: whether each of 64 waves across the picture, of the discrete cosine transform, goes up or
down. Hashes of this kind take the lowest 8 x 8 frequencies, since photos of things differ in these. Pictures of vegetation from
above differ in their texture, to which such a hash is all but blind; so here frequencies go in steps of four, from 1 to 29 half
waves a side.

What it sees: where light and dark lie, from the whole picture down to clumps of a 29th of its side. What it does not: colour,
brightness and contrast as a whole, and finer grain. A picture that is shifted by more than a hundredth of its side, turned or
mirrored is another one. Of a picture without texture, the fine waves are noise, so that copies of it may be missed.

Bits that differ, of 630 real tiles of 250 px (weeds among carrots):

====================================================  ======  =======  ========
pairs                                                 median  extreme  within 4
====================================================  ======  =======  ========
tile and its JPEG of quality 50                            0   most 5    99.7 %
tile and itself with noise of 15 of 255                    1   most 7    96.8 %
tile and itself through a small autoencoder (TAESD)        3   most 9    85.7 %
two textures finer than 3 px on the ground of one         12  least 4     0.5 %
two textures finer than 6 px on the ground of one         23  least 13      0 %
two tiles (all 198,135 pairs)                             32  least 13      0 %
====================================================  ======  =======  ========

Of the lowest 8 x 8 frequencies, the two kinds of textures differ in 0 and 4 bits (medians of 40 tiles).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

HALF_WAVES = np.arange(1, 32, 4)
BITS = len(HALF_WAVES) ** 2
FLAT = 1e-6
"""Waves that are lower than this, in grey values, are nothing but rounding."""

THRESHOLD_BITS = 4
"""Hashes that differ in so many bits at most are of the same picture."""

LUMA = np.array([0.299, 0.587, 0.114])
"""Of ITU-R BT.601, as in JPEG."""


def perceptual_hashes(images: NDArray[np.uint8]) -> Hashes:
    """Return a hash of each image.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width, 3)
        RGB. Images of other sizes have hashes that can be compared with these.

    Returns
    -------
    ndarray of uint64, shape (n,)
    """
    down, across = (_waves(length) for length in images.shape[1:3])
    bits = [(down @ (image @ LUMA) @ across.T > FLAT).ravel() for image in images]
    return np.packbits(np.array(bits, bool).reshape(-1, BITS), axis=1).view(">u8").ravel().astype(np.uint64)


def near_duplicates(
    hashes: Hashes, groups: Sequence[object] | None = None, *, threshold_bits: int = THRESHOLD_BITS
) -> NDArray[np.bool_]:
    """Return which images to drop, so that no two of a group that are left are near-duplicates.

    Each image is compared with those before it that are kept: of several that are alike, the first is.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)
        From :func:`perceptual_hashes`.
    groups : sequence, length n, optional
        What is compared with each other, such as (trial, n, class). Default: all.
    threshold_bits : int
        The most bits in which near-duplicates differ.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> near_duplicates(np.array([0b0000, 0b0011, 0b1111], np.uint64), threshold_bits=2)
    array([False,  True, False])
    """
    drop = np.zeros(len(hashes), np.bool_)
    members: dict[str, list[int]] = {}
    for i, group in zip(range(len(hashes)), groups if groups is not None else [None] * len(hashes), strict=True):
        members.setdefault(repr(group), []).append(
            i
        )  # a missing number, such as the trial of all tiles, is not equal to itself
    for places in members.values():
        own, kept = hashes[places], np.ones(len(places), np.bool_)
        for i in range(len(own)):
            if kept[i]:  # else what is near it may well be kept
                kept[i + 1 :] &= _distances(own[i + 1 :], own[i]) > threshold_bits
        drop[places] = ~kept
    return drop


def _distances(hashes: Hashes, others: Hashes | np.uint64) -> NDArray[np.uint8]:
    """Return in how many bits hashes differ."""
    return np.asarray(np.bitwise_count(hashes ^ others), np.uint8)


def _waves(length: int) -> NDArray[np.float64]:
    """Return the rows of the discrete cosine transform (DCT-II) that are looked at, shape (8, length), means of products."""
    places = (np.arange(length) + 0.5) / length
    return np.asarray(np.cos(np.pi * HALF_WAVES[:, None] * places) / length)
