"""How long a run of edits will take, and how much room: measured on one of its own images before it starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spurgekit.augment.options import AugmentOptions
from spurgekit.diffusion.render import EditUnit, Renderer
from spurgekit.diffusion.sampler import steps_of
from spurgekit.tiles.png import encode_png

SHORT, LONG = 1, 3
"""Steps of the two edits that are timed; their difference is the time of steps alone."""


@dataclass(frozen=True, slots=True)
class Estimate:
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


def measure(renderer: Renderer, units: Sequence[EditUnit], options: AugmentOptions, *, devices: int = 1) -> Estimate:
    """Return what units will cost.

    Parameters
    ----------
    renderer : Renderer
        On one of the devices.
    units : sequence of EditUnit
    options : AugmentOptions
    devices : int
        That share the work.
    """
    count = sum(len(unit.edits) for unit in units)
    if not count:
        return Estimate(0, 0.0, 0.0)
    # On a GPU a batch is what is fast; on a CPU one image says as much as a batch, and sooner.
    size = options.batch_size if renderer.backbone.device.type == "cuda" else 1
    trial = replace(max(units, key=lambda unit: len(unit.edits)), strength=1.0)
    trial = replace(trial, edits=trial.edits[:size])

    def timed(steps: int) -> tuple[float, float]:
        """Return the seconds and the bytes that an image takes."""
        fresh = Renderer(renderer.backbone, replace(options.render, steps=steps, compile=False))
        start = time.perf_counter()
        images = [image for image in fresh.render(trial).images if image is not None]
        seconds = (time.perf_counter() - start) / len(trial.edits)
        return seconds, sum(len(encode_png(image)) for image in images) / max(1, len(images))

    timed(SHORT)  # warm
    short, size_bytes = timed(SHORT)
    long, _ = timed(LONG)
    step = max(0.0, (long - short) / (LONG - SHORT))
    fixed = max(0.0, short - SHORT * step)
    seconds = sum(len(unit.edits) * (fixed + step * _steps(unit, options.steps)) for unit in units)
    return Estimate(count, seconds / devices, size_bytes * count)


def _steps(unit: EditUnit, steps: int) -> int:
    """Return how many steps each image of a unit takes."""
    return 0 if unit.mode == "roundtrip" else steps_of(steps, unit.strength)
