"""Synthetic tiles from one device, or from several side by side: one process each, the model loaded once in each."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spurgekit.diffusion.checkpoint_files import is_local
from spurgekit.diffusion.render import EditUnit, Rendered, Renderer, RenderOptions
from spurgekit.parallel import stream_map

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import Backbone, BackboneInfo


@dataclass(frozen=True, slots=True)
class BackboneChoice:
    """Which diffusion model; see :func:`spurgekit.diffusion.load.load_backbone`."""

    name: str | None = None
    revision: str | None = None
    lora: Path | None = None
    precision: str = "auto"
    safety_checker: bool = False

    def look_up(self, device: str) -> BackboneInfo:
        """Return what it is, having fetched its files, but without loading it."""
        from spurgekit.diffusion.load import DEFAULT, check_backbone

        return check_backbone(self.name or DEFAULT, device=device, **self._how)

    def load(self, device: str) -> Backbone:
        """Load it on a device."""
        from spurgekit.diffusion.load import DEFAULT, load_backbone

        return load_backbone(self.name or DEFAULT, device=device, **self._how)

    def at_commit(self, info: BackboneInfo) -> BackboneChoice:
        """Return the same model at the commit that was looked up: a branch may have moved on since."""
        return self if is_local(info.name) else replace(self, revision=info.revision)

    @property
    def _how(self) -> dict[str, Any]:
        told = ("revision", "lora", "precision", "safety_checker")
        return {name: getattr(self, name) for name in told}


def pick_devices(device: str) -> list[str]:
    """Return the devices that share the work: those named, parted by commas; for ``auto`` all GPUs, else the CPU.

    >>> pick_devices("cuda:0,cuda:1")
    ['cuda:0', 'cuda:1']
    """
    import torch

    if device == "auto":
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]
    return [name.strip() for name in device.split(",") if name.strip()] or ["cpu"]


def render_here(units: Sequence[EditUnit], renderer: Renderer) -> Iterator[tuple[EditUnit, Rendered]]:
    """Make units in this process, one after the other."""
    for unit in units:
        yield unit, renderer.render(unit)


def render_on(executor: Executor, units: Sequence[EditUnit], *, in_flight: int) -> Iterator[tuple[EditUnit, Rendered]]:
    """Make units in an executor whose workers were started with :func:`start_worker`."""
    yield from zip(units, stream_map(executor, _render_in_worker, units, in_flight=in_flight), strict=True)


@contextmanager
def process_pool(choice: BackboneChoice, options: RenderOptions, devices: Sequence[str]) -> Iterator[Executor]:
    """Yield an executor of one process for each device."""
    context = multiprocessing.get_context("spawn")  # a CUDA context does not survive a fork
    queue = context.Queue()
    for device in devices:
        queue.put(device)
    pool = ProcessPoolExecutor(len(devices), mp_context=context, initializer=start_worker, initargs=(choice, options, queue))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_job: tuple[BackboneChoice, RenderOptions, str] | None = None
"""What this process works with, where it is a worker."""


def start_worker(choice: BackboneChoice, options: RenderOptions, devices: multiprocessing.Queue[str]) -> None:
    """Take the next device of a queue for this process."""
    global _job
    _job = choice, options, devices.get()


@cache
def _renderer() -> Renderer:
    """Load the model with the first unit, not before: what goes wrong then is told as the unit's error."""
    if _job is None:
        raise RuntimeError("this process was not started as a worker")
    choice, options, device = _job
    return Renderer(choice.load(device), options)


def _render_in_worker(unit: EditUnit) -> Rendered:
    return _renderer().render(unit)
