"""Random fields, from which ground, plants and light are made."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Field = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def noise(rng: Generator, size_px: int, scale_px: float, stretch: float = 1.0) -> Field:
    """Return smooth noise of zero mean and unit standard deviation, shape (size_px, size_px).

    ``scale_px`` is about the size of its blobs, ``stretch`` how much wider than high they are.
    """
    steps = max(1.0, scale_px * stretch / 2), max(1.0, scale_px / 2)
    columns, rows = (math.ceil(size_px / step) + 4 for step in steps)
    lattice = blurred(rng.standard_normal((rows, columns), np.float32), 1.0)
    to_lattice = np.array([[1 / steps[0], 0, 1.5], [0, 1 / steps[1], 1.5]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(lattice, to_lattice, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REFLECT)
    field: Field = warped.astype(np.float32, copy=False)
    field -= field[::4, ::4].mean()
    field /= field[::4, ::4].std()
    return field


def cover(field: Field, share: float, softness: float) -> Field:
    """Return how much (0 to 1) of each pixel is among the highest ``share`` of a field, with soft edges."""
    threshold = np.quantile(field[::4, ::4], 1 - share)
    covered: Field = np.clip((field - threshold) / softness + 0.5, 0, 1).astype(np.float32)
    return covered


def blurred(layer: Field | Pixels, sigma_px: float) -> Field:
    """Return a layer out of focus, by a Gaussian."""
    return cv2.GaussianBlur(layer, (0, 0), sigma_px).astype(np.float32, copy=False)
