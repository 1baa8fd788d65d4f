"""Small things put on a large picture: sampled several times a pixel, and averaged over the area of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.simulate.light import Light
from spurgekit.simulate.random_fields import Field, Pixels, blurred

SAMPLES_ACROSS = 400
"""About the number of samples across a thing; small things have more of them to a pixel."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A square of whole pixels around a point, and the places in it at which a thing is sampled.

    Attributes
    ----------
    left, top : int
        Pixel coordinates of its upper left corner.
    side_px : int
    centre : tuple of float
        Where the point lies in it, in pixels from that corner.
    samples : int
        Samples along a pixel's side.
    x, y : ndarray of float32, shape (side_px * samples, side_px * samples)
        Distance of the samples from the point, in pixels. Each lies anywhere in its square: at its middle, all samples along a
        straight edge would err to the same side.
    """

    left: int
    top: int
    side_px: int
    centre: tuple[float, float]
    samples: int
    x: Field
    y: Field

    @classmethod
    def around(cls, col: float, row: float, reach_px: float) -> Stamp:
        """Return the stamp that holds all that is within ``reach_px`` of a point."""
        left, top = math.floor(col - reach_px), math.floor(row - reach_px)
        side = math.ceil(2 * reach_px) + 2
        samples = min(16, max(5, round(SAMPLES_ACROSS / side)))
        count = side * samples
        x, y = np.random.default_rng(0).random((2, count, count), np.float32)
        x += np.arange(count, dtype=np.float32)
        y += np.arange(count, dtype=np.float32)[:, None]
        centre = col - left, row - top
        for distances, middle in ((x, centre[0]), (y, centre[1])):
            distances /= samples
            distances -= np.float32(middle)
        return cls(left, top, side, centre, samples, x, y)

    def turned(self, angle_deg: float, size_px: float) -> tuple[Field, Field]:
        """Return the samples' coordinates (u, v) on a thing that is turned clockwise in the image, in units of its size."""
        c, s = (np.float32(f(math.radians(angle_deg)) / size_px) for f in (math.cos, math.sin))
        return self.x * c + self.y * s, self.y * c - self.x * s

    def averaged(self, layer: Field | NDArray[np.bool_]) -> Field:
        """Return the mean of a layer's samples in each pixel, shape (side_px, side_px)."""
        mean = cv2.resize(layer.astype(np.float32), (self.side_px, self.side_px), interpolation=cv2.INTER_AREA)
        return np.asarray(mean, np.float32)

    def press(
        self,
        rgb: Pixels,
        colour: Field,
        alpha: Field,
        *,
        blur_px: float = 0.0,
        shadow_px: float = 0.0,
        sun: Light | None = None,
    ) -> None:
        """Put a thing on a picture, with its shadow; what lies outside the picture is left out.

        Parameters
        ----------
        rgb : ndarray of uint8, shape (height, width, 3)
            Changed in place.
        colour : ndarray of float32, shape (side_px, side_px, 3)
            Grey levels times ``alpha``.
        alpha : ndarray of float32, shape (side_px, side_px)
            How much of each pixel the thing covers.
        blur_px : float
            Standard deviation of a blur, for pictures that have been taken already.
        shadow_px : float
            How far its shadow reaches where the sun is 45 degrees high.
        sun : Light, optional
            Where it is, and how deep shadows are.
        """
        if blur_px:
            colour, alpha = blurred(colour, blur_px), blurred(alpha, blur_px)
        lit = np.ones_like(alpha)
        if shadow_px:
            sun = sun or Light()
            dx, dy = sun.shadow_px(shadow_px)
            moved = cv2.warpAffine(alpha, np.array([[1, 0, dx], [0, 1, dy]]), alpha.shape)
            lit -= sun.sun_share * blurred(np.maximum(moved, alpha), 0.4 * shadow_px + blur_px)
        height, width = rgb.shape[:2]
        top, left = max(0, self.top), max(0, self.left)
        bottom, right = min(height, self.top + self.side_px), min(width, self.left + self.side_px)
        if top >= bottom or left >= right:
            return
        outer = slice(top, bottom), slice(left, right)
        inner = slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)
        below = rgb[outer] * (lit * (1 - alpha))[inner][..., None]
        rgb[outer] = np.clip(below + colour[inner] + 0.5, 0, 255)
