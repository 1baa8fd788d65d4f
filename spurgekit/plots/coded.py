"""Coded markers: ArUco and AprilTag dictionaries, as OpenCV reads them.

OpenCV's own search depends on the size of the image: its thresholds are shares of it, so that a marker that it reads in a crop
is missed in the whole frame. Here a matched filter for the black frame on its white margin says where to look, and OpenCV reads
crops in which a marker has one size always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.plots.candidates import Candidate
from spurgekit.plots.marker import Marker
from spurgekit.plots.targets import MAX_STRETCH, SIZES, searched, strongest, to_grey
from spurgekit.plots.template import CODED

READ_PX = 72.0
"""Side of a marker in the crops that OpenCV reads: 9 pixels or more for each cell of the usual dictionaries."""

CROP = 2.4
"""Side of a crop in units of the marker's size: one that is turned by 45 degrees fits with its margin."""

LEAST_RESPONSE = 0.30
MOST_PER_MEGAPIXEL = 40
SCORE = 0.98
"""Of every marker that was read: a dictionary's code hardly ever arises by chance, and one that does is told by its size."""


def dictionaries() -> dict[str, int]:
    """Return OpenCV's dictionaries by the names used here, e.g. ``aruco-4x4-50`` and ``apriltag-36h11``."""
    names = {}
    for name in dir(cv2.aruco):
        if name.startswith("DICT_APRILTAG_"):
            names["apriltag-" + name.removeprefix("DICT_APRILTAG_").lower()] = getattr(cv2.aruco, name)
        elif name.startswith("DICT_") and name[5].isdigit():
            names["aruco-" + name.removeprefix("DICT_").lower().replace("_", "-")] = getattr(cv2.aruco, name)
    return names


@dataclass(frozen=True)
class CodedDetector:
    """Finds and reads coded markers.

    Attributes
    ----------
    family : str
        A name in :func:`dictionaries`.
    size_m : float
        Side of the black square in metres.
    ids : tuple of int
        The codes that were laid out; others are dropped. Empty: all are kept.
    """

    family: str
    size_m: float
    ids: tuple[int, ...] = ()

    @cached_property
    def _reader(self) -> cv2.aruco.ArucoDetector:
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        parameters.cornerRefinementWinSize = 4
        parameters.minMarkerPerimeterRate = 4 * SIZES[0] / CROP / MAX_STRETCH
        parameters.adaptiveThreshWinSizeMin = 13
        parameters.adaptiveThreshWinSizeMax = 43
        parameters.adaptiveThreshWinSizeStep = 15
        return cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(dictionaries()[self.family]), parameters)

    def __call__(self, rgb: NDArray[np.uint8], valid: NDArray[np.bool_], gsd_m: float) -> list[Marker]:
        """Return the coded markers in a piece of an image; see :class:`spurgekit.plots.marker.MarkerDetector`."""
        grey = to_grey(rgb)
        size_px = self.size_m / gsd_m
        most = max(20, round(MOST_PER_MEGAPIXEL * grey.size / 1e6))
        places = searched(grey, valid, CODED, size_px, LEAST_RESPONSE)[:most]
        markers = [marker for place in places for marker in self._read(grey, place, size_px, gsd_m)]
        return strongest(markers, 0.6 * size_px)

    def _read(self, grey: NDArray[np.uint8], place: Candidate, size_px: float, gsd_m: float) -> list[Marker]:
        zoom, side = READ_PX / size_px, round(CROP * READ_PX)
        fine = max(1, math.ceil(1 / zoom))  # a warp takes single samples: thinning goes by area
        left, top = place.col - side / zoom / 2, place.row - side / zoom / 2
        # OpenCV counts from the centre of the first pixel.
        apart = 1 / zoom / fine
        to_image = np.array([[apart, 0, left + apart / 2 - 0.5], [0, apart, top + apart / 2 - 0.5]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(grey, to_image, (side * fine, side * fine), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        corners, ids, _ = self._reader.detectMarkers(crop)
        found = []
        for quad, code in zip(corners, [] if ids is None else ids.ravel().tolist(), strict=True):
            points = (quad.reshape(4, 2).astype(np.float64) + 0.5) / zoom + [left, top]
            sides = np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1)
            size = float(np.sqrt(sides.prod() ** 0.5)) / size_px
            if (
                not SIZES[0] <= size <= SIZES[1]
                or sides.max() > MAX_STRETCH * sides.min()
                or (self.ids and code not in self.ids)
            ):
                continue
            col, row = _crossing(points)
            if 0 <= col < grey.shape[1] and 0 <= row < grey.shape[0]:
                found.append(Marker(col, row, size * size_px * gsd_m, self.family, SCORE, int(code)))
        return found


def _crossing(quad: NDArray[np.float64]) -> tuple[float, float]:
    """Return where a quadrilateral's diagonals cross, which is the square's centre seen from anywhere."""
    a, b, c, d = quad
    t = np.linalg.solve(np.column_stack([c - a, b - d]), b - a)[0]
    col, row = a + t * (c - a)
    return float(col), float(row)
