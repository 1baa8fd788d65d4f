"""Synthetic tiles from one device, from several side by side, or from workers: the model is loaded once in each process."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from spurgekit.augment.methods import AugmentMethod
from spurgekit.diffusion.checkpoint_files import is_local
from spurgekit.diffusion.checkpoint_options import CheckpointOptions
from spurgekit.diffusion.render import EditUnit, Rendered, Renderer, RenderOptions
from spurgekit.executors import Workers
from spurgekit.executors.kept import made_by_process
from spurgekit.options import kinds_of
from spurgekit.parallel import stream_map


def pick_devices(device: str) -> list[str]:
    """Return the devices that share the work: those named, parted by commas; for ``auto`` all GPUs, else what there is.

    >>> pick_devices("cuda:0,cuda:1")
    ['cuda:0', 'cuda:1']
    """
    import torch

    from spurgekit.devices import choose_device

    if device == "auto":
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or [choose_device().type]
    return [name.strip() for name in device.split(",") if name.strip()] or ["cpu"]


def render_here(units: Sequence[EditUnit], renderer: Renderer, method: AugmentMethod) -> Iterator[tuple[EditUnit, Rendered]]:
    """Make units in this process, one after the other."""
    for unit in units:
        yield unit, method.make(renderer, unit)


def render_on(executor: Executor, units: Sequence[EditUnit], *, in_flight: int) -> Iterator[tuple[EditUnit, Rendered]]:
    """Make units in an executor whose workers were started with :func:`start_worker`."""
    yield from zip(units, stream_map(executor, _render_in_worker, units, in_flight=in_flight), strict=True)


@contextmanager
def process_pool(
    checkpoint: CheckpointOptions, options: RenderOptions, method: AugmentMethod, devices: Sequence[str]
) -> Iterator[Executor]:
    """Yield an executor of one process for each device."""
    context = multiprocessing.get_context("spawn")  # a CUDA context does not survive a fork
    queue = context.Queue()
    for device in devices:
        queue.put(device)
    job = _Job(checkpoint, options, method)
    pool = ProcessPoolExecutor(len(devices), mp_context=context, initializer=start_worker, initargs=(job, queue))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def render_by(
    workers: Workers,
    units: Sequence[EditUnit],
    checkpoint: CheckpointOptions,
    options: RenderOptions,
    method: AugmentMethod,
) -> Iterator[tuple[EditUnit, Rendered]]:
    """Make units by workers, each process with a model of its own on the device that options name.

    Parameters
    ----------
    workers : Workers
        Of other processes.
    units : sequence of EditUnit
    checkpoint : CheckpointOptions
    options : RenderOptions
    method : AugmentMethod
    """
    told: dict[str, Any] = {name: getattr(checkpoint, name) for name in kinds_of(CheckpointOptions)}
    for name in ("lora", "unet"):
        told[name] = None if told[name] is None else told[name].absolute()
    if told["backbone"] is not None and is_local(told["backbone"]):
        told["backbone"] = str(Path(told["backbone"]).absolute())
    render = _RenderUnit(_Job(CheckpointOptions(**told), options, method))
    yield from zip(units, workers.stream(render, map(_from_anywhere, units)), strict=True)


def _from_anywhere(unit: EditUnit) -> EditUnit:
    """Return a unit with the whole names of its files: workers have other working folders."""
    edits = (
        replace(
            edit,
            source=edit.source.absolute(),
            concepts=tuple(file.absolute() for file in edit.concepts),
            mask=None if edit.mask is None else edit.mask.absolute(),
        )
        for edit in unit.edits
    )
    return replace(unit, edits=tuple(edits))


_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class _RenderUnit:
    """Makes a unit with the model of the process that it comes to."""

    job: _Job

    def __call__(self, unit: EditUnit) -> Rendered:
        def load() -> Renderer:
            return Renderer(self.job.checkpoint.load(), self.job.options)

        with _one_at_a_time:  # several threads of a worker share a model
            return self.job.method.make(made_by_process("renderer", self.job, load), unit)


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker works with."""

    checkpoint: CheckpointOptions
    options: RenderOptions
    method: AugmentMethod


_mine: tuple[_Job, str] | None = None
"""What this process works with, and on which device, where it is a worker."""


def start_worker(job: _Job, devices: multiprocessing.Queue[str]) -> None:
    """Take the next device of a queue for this process."""
    global _mine
    _mine = job, devices.get()


@cache
def _renderer() -> Renderer:
    """Load the model with the first unit, not before: what goes wrong then is told as the unit's error."""
    if _mine is None:
        raise RuntimeError("this process was not started as a worker")
    job, device = _mine
    return Renderer(job.checkpoint.load(device), job.options)


def _render_in_worker(unit: EditUnit) -> Rendered:
    renderer = _renderer()
    assert _mine is not None
    return _mine[0].method.make(renderer, unit)
