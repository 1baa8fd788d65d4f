"""One colour for each class, on pictures and in QGIS."""

from __future__ import annotations

from spurgekit.imagery.site_picture import Colour

COLOURS: tuple[Colour, ...] = ((216, 27, 140), (0, 158, 220), (255, 140, 0), (120, 60, 200), (0, 160, 90))
"""Set apart from the greens and browns of vegetation, and from each other for the colour-blind; magenta comes first."""


PLAIN: Colour = (198, 198, 190)
"""Ground that was mapped, where there is no image."""


def class_colour(number: int) -> Colour:
    """Return the colour of a class; number 0, the background, has none of its own."""
    return COLOURS[(number - 1) % len(COLOURS)]
