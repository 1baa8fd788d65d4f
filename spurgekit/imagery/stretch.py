"""Pixels of any type as bytes: for people to look at, and for detectors that know bytes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)

USUAL = (2.0, 98.0)
"""Percentiles that become black and white."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Which values become black and white. The same value becomes the same byte wherever one stretch is used.

    Attributes
    ----------
    low, high : ndarray of float64, shape (bands, 1, 1) or (1, 1, 1)
        Of each band, or of all of them, which keeps colours as they are.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.generic], percentiles: tuple[float, float] = USUAL, *, each_band: bool = False) -> Stretch:
        """Return the stretch between percentiles of values.

        Parameters
        ----------
        values : ndarray, shape (bands, n)
            Of none, 0 and 1 become black and white.
        percentiles : tuple of float
        each_band : bool
            Stretch every band by itself.
        """
        if not values.size:
            return cls(np.zeros((1, 1, 1)), np.ones((1, 1, 1)))
        numbers: NDArray[Any] = values
        low, high = np.percentile(numbers, percentiles, axis=1 if each_band else None).reshape(2, -1, 1, 1)
        return cls(low.astype(np.float64), high.astype(np.float64))

    def __call__(self, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return pixels, shape (bands, height, width), as bytes; those that are bytes stay as they are."""
        if pixels.dtype == np.uint8:
            return np.asarray(pixels, np.uint8)
        scale = 255 / np.maximum(self.high - self.low, 1e-12)
        scaled = (pixels.astype(np.float32) - self.low.astype(np.float32)) * scale.astype(np.float32)
        return np.clip(scaled, 0, 255).astype(np.uint8)


BYTES = Stretch(np.zeros((1, 1, 1)), np.full((1, 1, 1), 255.0))
"""The stretch of an image of bytes."""


def rgb_bands(pixels: NDArray[Value]) -> NDArray[Value]:
    """Return the three bands that are shown of any number, shape (3, height, width): the first ones, or one as grey."""
    return pixels[:3] if len(pixels) >= 3 else np.repeat(pixels[:1], 3, axis=0)
