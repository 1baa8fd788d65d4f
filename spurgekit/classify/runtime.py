"""What runs a network that is only looked through: PyTorch, or on a CPU OpenVINO, where that is asked for or found faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from spurgekit.errors import InputError, ModelError

if TYPE_CHECKING:  # options name a runtime, and import without torch
    from spurgekit.classify.classifier import TileClassifier

Runtime = Literal["torch", "openvino"]
RuntimeChoice = Literal["torch", "openvino", "auto"]
"""What may be asked for; auto is what a short trial finds faster."""

TITLES: dict[Runtime, str] = {"torch": "PyTorch", "openvino": "OpenVINO"}

TRIAL_S = 1.0
"""How long each of them is tried."""

TRIAL_TILES = 8
"""How many tiles are shown at once."""

WORTH = 1.1
"""How many times as fast as PyTorch another has to be to be taken."""


@dataclass(frozen=True, slots=True)
class RuntimeTrial:
    """What a trial found.

    Attributes
    ----------
    runtime : {"torch", "openvino"}
    note : str
        What is to be said of it.
    """

    runtime: Runtime
    note: str


def try_runtimes(model: TileClassifier) -> RuntimeTrial:
    """Find out whether OpenVINO looks at tiles faster than PyTorch: by noise, in turns.

    Parameters
    ----------
    model : TileClassifier

    Returns
    -------
    RuntimeTrial
        For PyTorch, too, where OpenVINO cannot be had or serve.
    """
    import numpy as np

    try:
        other = model.run_by("openvino")
    except (InputError, ModelError) as error:
        return RuntimeTrial("torch", f"the network runs by PyTorch: {error}")
    info = model.info
    tiles = np.random.default_rng(0).integers(1, 255, (TRIAL_TILES, info.bands, info.tile_size_px, info.tile_size_px))
    shown = tiles.astype(info.dtype)
    seconds = _seconds_in_turns(lambda: model.logits(shown), lambda: other.logits(shown))
    ratio = seconds[0] / seconds[1]
    if ratio < WORTH:
        return RuntimeTrial("torch", f"the network runs by PyTorch: OpenVINO is {ratio:.1f} times as fast here")
    return RuntimeTrial("openvino", f"the network runs by OpenVINO, {ratio:.1f} times as fast as PyTorch here")


def _seconds_in_turns(*runs: Callable[[], object]) -> list[float]:
    """Return how long each takes, the median of runs that take turns, since a machine's rate drifts."""
    taken: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()  # what is made at the first time is not counted
    until = time.perf_counter() + TRIAL_S * len(runs)
    while not taken[0] or time.perf_counter() < until:
        for run, seconds in zip(runs, taken, strict=True):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return [sorted(seconds)[len(seconds) // 2] for seconds in taken]
