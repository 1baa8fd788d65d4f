"""Where in an image a ground target may be: a matched filter that does not mind how the target is turned.

A target's pattern is written as a sum of circular harmonics around its centre, of which two carry most of it: the mean over all
turns, and the one of its own symmetry. The correlation with the first, plus the modulus of the complex correlation with the
second, is the correlation with the pattern turned as it fits best (Hsu and Arsenault 1982, "Optical pattern recognition using
circular harmonic expansion"). Divided by the local spread it runs from -1 to 1 whatever the light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.markers.template import Template

Array = NDArray[np.float32]

WORK_PX = 10.0
"""Side of a target in the picture that is searched: the least in which a cross still shows, so that searching is cheap."""

FINE = 8
"""Samples along a pixel when a kernel is drawn."""

LEAST_SPREAD = 4.0
"""Standard deviation, in grey levels, that even ground without any texture is taken to have."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that may hold a target.

    Attributes
    ----------
    col, row : float
        Continuous pixel coordinates.
    angle : float
        How the target is turned, in radians, up to its symmetry; 0 where that cannot be told.
    response : float
        Correlation with the target's pattern, from 0 to about 1.
    spread : float
        Standard deviation there, in grey levels.
    """

    col: float
    row: float
    angle: float
    response: float
    spread: float


@dataclass(frozen=True, slots=True)
class Kernels:
    """The two harmonics of a target, drawn at :data:`WORK_PX`.

    Attributes
    ----------
    mean, real, imaginary : ndarray of float32, shape (side, side)
    window_px : int
        Side of the square in which the local spread is taken.
    ideal : float
        Response of the perfect target.
    """

    mean: Array
    real: Array
    imaginary: Array
    window_px: int
    ideal: float


def find_candidates(grey: Array, valid: NDArray[np.bool_], template: Template, least: float, most: int) -> list[Candidate]:
    """Return the local maxima of the response.

    Parameters
    ----------
    grey : ndarray of float32, shape (height, width)
        In which the target has a side of :data:`WORK_PX` pixels; from 0 to 255.
    valid : ndarray of bool, shape (height, width)
    template : Template
    least : float
        Least response.
    most : int
        The number that is returned at most.

    Returns
    -------
    list of Candidate
        Those that stand out most first.
    """
    response, turn, spread = respond(grey, template)
    response[~valid] = -1
    reach = max(3, 2 * round(WORK_PX / 4) + 1)
    peak = cv2.dilate(response, np.ones((1, reach), np.uint8))
    peak = cv2.dilate(peak, np.ones((reach, 1), np.uint8))
    rows, cols = np.nonzero((response >= peak) & (response >= least))
    # Ground has the pattern by chance as often as it has texture, a marker has it in full contrast.
    order = np.argsort(-response[rows, cols] * np.sqrt(spread[rows, cols]), kind="stable")[:most]
    return [
        Candidate(
            col=col + 0.5,
            row=row + 0.5,
            angle=-float(turn[row, col]) / template.order if template.order else 0.0,
            response=float(response[row, col]),
            spread=float(spread[row, col]),
        )
        for row, col in zip(rows[order].tolist(), cols[order].tolist(), strict=True)
    ]


def respond(grey: Array, template: Template) -> tuple[Array, Array, Array]:
    """Return the response (about -1 to 1), the phase of the target's harmonic (radians) and the spread (grey levels)."""
    kernels = draw_kernels(template)
    side = (kernels.window_px, kernels.window_px)
    mean = cv2.boxFilter(grey, cv2.CV_32F, side, borderType=cv2.BORDER_REFLECT)
    spread = np.asarray(cv2.sqrBoxFilter(grey, cv2.CV_32F, side, borderType=cv2.BORDER_REFLECT), np.float32)
    spread -= np.square(mean, out=mean)  # in place: of small markers these are as large as the piece of image
    np.sqrt(np.maximum(spread, LEAST_SPREAD**2, out=spread), out=spread)
    response = np.asarray(_correlate(grey, kernels.mean), np.float32)
    phase = np.zeros_like(response)
    if template.order:
        real, imaginary = _correlate(grey, kernels.real), _correlate(grey, kernels.imaginary)
        response += cv2.magnitude(real, imaginary, mean)
        cv2.phase(real, imaginary, phase)
    response /= np.multiply(spread, np.float32(kernels.ideal), out=mean)
    return response, phase, spread


def _correlate(grey: Array, kernel: Array) -> Array:
    return np.asarray(cv2.filter2D(grey, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT), np.float32)


@lru_cache(maxsize=16)
def draw_kernels(template: Template) -> Kernels:
    """Draw a target's harmonics."""
    half = int(np.ceil(WORK_PX * template.reach))
    side = 2 * half + 1
    step = 1 / FINE
    at = (np.arange(side * FINE, dtype=np.float32) + 0.5) * step - side / 2
    u, v = np.meshgrid(at / WORK_PX, at / WORK_PX)
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    shells = np.minimum((radius / template.reach * 64).astype(int), 64)
    pattern, says = template.signed(u.astype(np.float32), v.astype(np.float32), 0.15)
    inside = radius < template.reach
    base = np.where(inside, pattern - (pattern * says)[inside].sum() / says[inside].sum(), 0) * says

    def harmonic(order: int) -> NDArray[np.complex128]:
        weight = np.bincount(shells.ravel(), minlength=65)
        turned = base * np.exp(-1j * order * angle)
        profile = (
            np.bincount(shells.ravel(), turned.real.ravel()) + 1j * np.bincount(shells.ravel(), turned.imag.ravel())
        ) / np.maximum(weight, 1)
        drawn = np.where(inside, profile[shells] * np.exp(1j * order * angle), 0)
        return np.asarray(drawn.reshape(side, FINE, side, FINE).mean(axis=(1, 3)))

    zero = harmonic(0).real
    zero -= zero.mean()
    wave = 2 * harmonic(template.order) if template.order else np.zeros((side, side), complex)
    wave -= wave.mean()
    size = np.sqrt((zero**2).sum() + (np.abs(wave) ** 2).sum() / 2) * side
    zero, real, imaginary = ((k / size).astype(np.float32) for k in (zero, wave.real, -wave.imag))
    window_px = side if template.plain else 2 * round(WORK_PX * min(template.reach, 0.55)) + 1
    return Kernels(zero, real, imaginary, window_px, _ideal(template, window_px, (zero, real, imaginary)))


def _ideal(template: Template, window_px: int, kernels: tuple[Array, Array, Array]) -> float:
    """Return the response of the perfect target on ground between its light and its dark (of a plain one, on dark ground)."""
    half = 24
    at = np.arange(-half, half + 1, dtype=np.float32) / WORK_PX
    u, v = np.meshgrid(at, at)
    light, dark, outside = template.cover(u, v, 0.15)
    grey = (200 * light + 40 * dark + (40 if template.plain else 120) * outside).astype(np.float32)
    around = grey[half - window_px // 2 : half + window_px // 2 + 1, half - window_px // 2 : half + window_px // 2 + 1]
    mean, real, imaginary = (float(cv2.filter2D(grey, cv2.CV_32F, kernel)[half, half]) for kernel in kernels)
    return float((mean + np.hypot(real, imaginary)) / around.std())
