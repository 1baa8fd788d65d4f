"""A plot: the square of ground that a botanist searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shapely import Polygon

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot in an image.

    Attributes
    ----------
    id : str
    corners : tuple of four (x, y)
        World coordinates in the CRS of the image, in the order NW, NE, SE, SW.
    found : tuple of four bool
        Whether a marker was found at each corner; the others were filled in from the lattice.
    residual_cm : float or None
        Root mean square distance, on the ground, of the markers found at its corners from where the lattice has them; None
        where there is nothing to compare.
    attributes : mapping
        What else is known, such as the columns of a field sheet.
    """

    id: str
    corners: tuple[Point, Point, Point, Point]
    found: tuple[bool, bool, bool, bool]
    residual_cm: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def polygon(self) -> Polygon:
        """Its outline in the CRS of the image."""
        return Polygon(self.corners)
