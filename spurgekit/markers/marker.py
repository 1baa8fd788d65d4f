"""A ground marker in an image, and what a detector of markers is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Marker:
    """A ground marker that was found in an image.

    Attributes
    ----------
    col, row : float
        Its centre, in continuous pixel coordinates of the image: the first pixel's centre is (0.5, 0.5).
    size_m : float
        Its side or diameter on the ground, in metres, as measured.
    family : str
        What kind of marker it is, e.g. ``cross`` or ``aruco-4x4-50``.
    score : float
        From 0 to 1: about the share of such detections that are markers.
    id : int or None
        What a coded marker says.
    """

    col: float
    row: float
    size_m: float
    family: str
    score: float
    id: int | None = None


class MarkerDetector(Protocol):
    """Finds the markers of one family in a piece of an image.

    Attributes
    ----------
    family : str
    size_m : float
        Side or diameter of the markers that it looks for, in metres.
    """

    @property
    def family(self) -> str:
        """Return the name of the family."""
        ...

    @property
    def size_m(self) -> float:
        """Return the side or diameter of the markers, in metres."""
        ...

    def __call__(self, rgb: NDArray[np.uint8], valid: NDArray[np.bool_], gsd_m: float) -> list[Marker]:
        """Return the markers whose centre lies in a piece of an image, in pixel coordinates of that piece.

        Parameters
        ----------
        rgb : ndarray of uint8, shape (height, width, 3)
        valid : ndarray of bool, shape (height, width)
            Which pixels hold data; the others are 0.
        gsd_m : float
            Ground sample distance in metres.
        """
        ...
