"""Ground targets that carry no code: crosses, checkers, bullseyes, plain panels and discs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.markers.families import FAMILIES
from spurgekit.markers.marker import Marker
from spurgekit.markers.marker_score import LEAST_SCORE, score
from spurgekit.markers.matched_filter import WORK_PX, Candidate, find_candidates
from spurgekit.markers.template import Template
from spurgekit.markers.template_fit import Fit, fit_targets

Array = NDArray[np.float32]

LEAST_RESPONSE = 0.45
"""Response of the matched filter from which a place is looked at more closely."""

MOST_PER_MEGAPIXEL = 16
"""Candidates of a piece of image, the strongest, that are looked at more closely."""

APART = 0.9
"""Least distance between two markers, in units of their size: they lie side by side at most."""

LEAST_CONTRAST = 12.0
"""Grey levels between light and dark below which nobody would call it a marker."""

MAX_STRETCH = 1.45
"""Longest over shortest extent of a target, seen aslant, that still counts."""

SIZES = 0.72, 1.38
"""Least and largest measured size, in units of the one looked for."""


@dataclass(frozen=True, slots=True)
class TargetDetector:
    """Finds ground targets of one family by their pattern, however they are turned.

    Attributes
    ----------
    family : str
        A name in :data:`spurgekit.markers.families.FAMILIES`.
    size_m : float
        Side or diameter in metres.
    color : tuple of int, optional
        Red, green, blue of plain targets; by default they are brighter than their surroundings.
    """

    family: str
    size_m: float
    color: tuple[int, int, int] | None = None

    def __call__(self, rgb: NDArray[np.uint8], valid: NDArray[np.bool_], gsd_m: float) -> list[Marker]:
        """Return the targets in a piece of an image; see :class:`spurgekit.markers.marker.MarkerDetector`."""
        family = FAMILIES[self.family]
        template = family.template()
        grey = to_grey(rgb) if self.color is None else _likeness(rgb, self.color)
        size_px = self.size_m / gsd_m
        places = searched(grey, valid, template, size_px)
        fits = [fit for fit in fit_targets(grey, places, template, size_px) if is_possible(fit)]
        markers = [
            Marker(f.col, f.row, f.size * self.size_m, self.family, score(f, family.weights, plain=template.plain))
            for f in fits
        ]
        markers = [m for m in markers if m.score >= LEAST_SCORE and _holds(valid, m)]
        return strongest(markers, APART * size_px)


def searched(grey: NDArray[np.uint8], valid: NDArray[np.bool_], template: Template, size_px: float) -> list[Candidate]:
    """Return the places of an image that may hold a target, the likeliest first, each once for every turn to start from.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)
    valid : ndarray of bool, shape (height, width)
    template : Template
    size_px : float
        Side of a target in pixels.
    """
    height, width = grey.shape
    scale = WORK_PX / size_px
    size = max(1, round(width * scale)), max(1, round(height * scale))
    work = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR).astype(np.float32)
    seen = cv2.resize(valid.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if not seen.any():
        return []
    work[~seen] = work[seen].mean()  # black surroundings would make the edge of a mosaic the strongest pattern of all
    across, down = size[0] / width, size[1] / height
    most = max(32, round(MOST_PER_MEGAPIXEL * grey.size / 1e6))
    return [
        replace(c, col=c.col / across, row=c.row / down, angle=c.angle + math.pi / 2 * start / template.starts)
        for c in find_candidates(work, seen, template, LEAST_RESPONSE, most)
        for start in range(template.starts)
    ]


def to_grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return luma, uint8, shape (height, width)."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def strongest(markers: list[Marker], apart_px: float) -> list[Marker]:
    """Return the markers without those that lie within a distance of one with a better score."""
    kept: list[Marker] = []
    for marker in sorted(markers, key=lambda m: (-m.score, m.row, m.col)):
        if all((marker.col - k.col) ** 2 + (marker.row - k.row) ** 2 >= apart_px**2 for k in kept):
            kept.append(marker)
    return kept


def is_possible(fit: Fit) -> bool:
    """Whether a fit has a size, a shape and a contrast that a marker can have."""
    return SIZES[0] <= fit.size <= SIZES[1] and fit.stretch <= MAX_STRETCH and fit.contrast >= LEAST_CONTRAST


def _holds(valid: NDArray[np.bool_], marker: Marker) -> bool:
    col, row = int(marker.col), int(marker.row)
    return 0 <= row < valid.shape[0] and 0 <= col < valid.shape[1] and bool(valid[row, col])


def _likeness(rgb: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return how like a colour each pixel is, 255 for the colour itself, by the distance in CIELAB."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.int16)
    wanted = cv2.cvtColor(np.array([[color]], np.uint8), cv2.COLOR_RGB2LAB)[0, 0].astype(np.int16)
    difference = np.abs(lab - wanted)
    # The light varies more than the hue, so that lightness counts half.
    distance = difference[..., 0] // 2 + difference[..., 1] + difference[..., 2]
    return np.asarray(255 - np.minimum(2 * distance, 255), dtype=np.uint8)
