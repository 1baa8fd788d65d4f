"""Coded markers: the dictionaries of ArUco and AprilTag.

OpenCV's own search depends on the size of the image, since its thresholds are shares of it, and on unbroken outlines, which a
blade of grass breaks. Here the black frame on its white margin is found like any other ground target, and the cells inside it
are read where the fitted frame puts them; OpenCV's dictionary says which code they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.markers.families import FAMILIES
from spurgekit.markers.marker import Marker
from spurgekit.markers.marker_score import LEAST_SCORE, score
from spurgekit.markers.target_detector import APART, is_possible, searched, strongest, to_grey
from spurgekit.markers.template_fit import Fit, fit_targets

SAMPLES = 4
"""Samples along a cell, of which the middle ones are taken."""


@dataclass(frozen=True, slots=True)
class CodedDetector:
    """Finds and reads coded markers.

    Attributes
    ----------
    family : str
        A name in :data:`spurgekit.markers.families.FAMILIES`, of a dictionary.
    size_m : float
        Side of the black square in metres.
    ids : tuple of int
        The codes that were laid out; others are dropped. Empty: all are kept.
    """

    family: str
    size_m: float
    ids: tuple[int, ...] = ()

    def __call__(self, rgb: NDArray[np.uint8], valid: NDArray[np.bool_], gsd_m: float) -> list[Marker]:
        """Return the coded markers in a piece of an image; see :class:`spurgekit.markers.marker.MarkerDetector`."""
        grey = to_grey(rgb)
        size_px = self.size_m / gsd_m
        family = FAMILIES[self.family]
        template = family.template()
        markers = []
        for fit in fit_targets(grey, searched(grey, valid, template, size_px), template, size_px):
            if is_possible(fit) and (code := _read(grey, fit, self.family)) is not None:
                number, agreement = code
                likely = score(replace(fit, agreement=agreement), family.weights, plain=False)
                if likely >= LEAST_SCORE and (not self.ids or number in self.ids):
                    markers.append(Marker(fit.col, fit.row, fit.size * self.size_m, self.family, likely, number))
        return [m for m in strongest(markers, APART * size_px) if 0 <= m.col < grey.shape[1] and 0 <= m.row < grey.shape[0]]


@lru_cache(maxsize=32)
def dictionary_of(family: str) -> cv2.aruco.Dictionary:
    """Return OpenCV's dictionary of a family whose markers carry codes."""
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, FAMILIES[family].dictionary or ""))


def _read(grey: NDArray[np.uint8], fit: Fit, family: str) -> tuple[int, float] | None:
    """Return the code inside a frame, and the correlation of all its cells with that code's; None if it is no code."""
    dictionary = dictionary_of(family)
    bits = dictionary.markerSize
    cells = _cells(grey, fit, bits)
    frame = np.ones((bits + 4, bits + 4), np.bool_)
    frame[1:-1, 1:-1] = False
    inner = slice(2, bits + 2)
    middle = (
        cells[frame].mean() + np.concatenate([cells[1, 1:-1], cells[-2, 1:-1], cells[1:-1, 1], cells[1:-1, -2]]).mean()
    ) / 2
    known, number, turn = dictionary.identify((cells[inner, inner] > middle).astype(np.uint8), 1.0)
    if not known:
        return None
    ideal = frame.astype(np.float64)
    image = dictionary.generateImageMarker(number, bits + 2)
    ideal[1:-1, 1:-1] = np.rot90(image > 0, turn)
    return int(number), float(np.corrcoef(cells.ravel(), ideal.ravel())[0, 1])


def _cells(grey: NDArray[np.uint8], fit: Fit, bits: int) -> NDArray[np.float64]:
    """Return the mean grey of the middle of each cell, the margin's included, shape (bits + 4, bits + 4)."""
    side = bits + 4
    at = ((np.arange(side * SAMPLES) + 0.5) / SAMPLES - side / 2) / (bits + 2)
    u, v = np.meshgrid(at, at)
    a, b, c, d = fit.axes
    cols, rows = fit.col + u * a + v * c - 0.5, fit.row + u * b + v * d - 0.5  # OpenCV counts from the first pixel's centre
    seen = cv2.remap(grey, cols.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    blocks = seen.reshape(side, SAMPLES, side, SAMPLES)[:, 1:-1, :, 1:-1]
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float64)
