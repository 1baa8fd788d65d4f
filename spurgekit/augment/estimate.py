"""How long a run of edits will take, and how much room: measured on one of its own images before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.methods import METHODS
from spurgekit.diffusion.edits import steps_of
from spurgekit.diffusion.render import Edit, EditUnit, Rendered, Renderer
from spurgekit.tiles.png import encode_png

SHORT, LONG = 2, 4
"""Steps of the two edits that are timed; their difference is the time of steps alone."""

QUICK_S = 0.5
"""Of an image, where there is time to look how fast a whole batch is."""

SOON_S = 10.0
"""A run that is over in less, by the time of one image, needs no better estimate: a batch would take a share of it to time."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a run will cost.

    Attributes
    ----------
    images : int
        To make, beside those that are there already.
    seconds : float
    bytes : float
        On disk.
    """

    images: int
    seconds: float
    bytes: float

    def shared(self, workers: int) -> CostEstimate:
        """Return the same of so many who share the work."""
        return replace(self, seconds=self.seconds / max(1, workers))


NOTHING = CostEstimate(0, 0.0, 0.0)
"""Where all images are there already."""


def measure(renderer: Renderer, units: Sequence[EditUnit], options: AugmentOptions) -> CostEstimate:
    """Return what units will cost on one device.

    Parameters
    ----------
    renderer : Renderer
        On that device, or on one like it.
    units : sequence of EditUnit
        At least one.
    options : AugmentOptions
    """
    count = sum(len(unit.edits) for unit in units)
    unit = replace(max(units, key=lambda unit: len(unit.edits)), strength=1.0)

    def timed(edits: Sequence[Edit], steps: int) -> tuple[float, float]:
        """Return the seconds and the bytes that an image takes."""
        fresh = Renderer(renderer.backbone, replace(options.render, steps=steps, compile=False))
        start = time.perf_counter()
        made = METHODS[options.method].make(fresh, replace(unit, edits=tuple(edits)))
        images = [image for image in made.images if image is not None]
        seconds = (time.perf_counter() - start) / len(edits)
        return seconds, sum(len(encode_png(image)) for image in images) / max(1, len(images))

    def estimated(edits: Sequence[Edit]) -> tuple[float, CostEstimate]:
        """Return the seconds that an image of few steps takes, and what all units will cost by it."""
        (short, size_bytes), (long, _) = timed(edits, SHORT), timed(edits, LONG)
        step = max(0.0, (long - short) / (LONG - SHORT))
        fixed = max(0.0, short - SHORT * step)
        seconds = sum(len(unit.edits) * (fixed + step * _steps(unit, options.steps)) for unit in units)
        return short, CostEstimate(count, seconds, size_bytes * count)

    one = unit.edits[:1]
    timed(one, SHORT)  # warm
    short, estimate = estimated(one)
    return estimated(unit.edits)[1] if short < QUICK_S and estimate.seconds > SOON_S else estimate


def measure_made(make: Callable[[EditUnit], Rendered], units: Sequence[EditUnit]) -> CostEstimate:
    """Return what units will cost that no model makes, by the first of them."""
    count = sum(len(unit.edits) for unit in units)
    start = time.perf_counter()
    images = [image for image in make(units[0]).images if image is not None]
    size_bytes = sum(len(encode_png(image)) for image in images)
    share = count / len(units[0].edits)
    return CostEstimate(count, share * (time.perf_counter() - start), share * size_bytes)


def _steps(unit: EditUnit, steps: int) -> int:
    """Return how many steps each image of a unit takes."""
    return 0 if unit.mode == "roundtrip" else steps_of(steps, unit.strength)
