"""Streams of tiles shown to a model in batches of one shape, the next one filled while a device is at work on the last.

One shape for all: libraries choose by the shape of a batch how they sum, so that what is said of a tile would depend on how
many are shown with it. A stream's last batch is filled up, and what is said of the filling is thrown away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from spurgekit.classify.tile_reader import Pixels

Key = TypeVar("Key")
Started = TypeVar("Started")
Found = tuple[NDArray[Any], ...]
"""Arrays whose first axis counts tiles."""


class Look(Protocol[Started]):
    """How a model looks at a batch."""

    @property
    def device(self) -> torch.device:
        """Where it looks."""
        ...

    def start(self, tiles: Pixels) -> Started:
        """Begin with tiles [n, bands, height, width], which stay as they are until it has finished; a GPU is not waited for."""
        ...

    def finish(self, started: Started) -> Found:
        """Return what is found of the n tiles."""
        ...


@dataclass(slots=True)
class _Part(Generic[Key]):
    """A part of the stream whose tiles are not all looked at."""

    key: Key
    is_whole: bool = False
    waiting: int = 0
    found: list[Found] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return self.is_whole and not self.waiting

    def joined(self) -> Found | None:
        return tuple(np.concatenate(arrays) for arrays in zip(*self.found, strict=True)) if self.found else None


def stream_tiles(
    parts: Iterable[tuple[Key, Iterable[Pixels]]],
    look: Look[Started],
    batch_size: int,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Key, Found | None]]:
    """Yield what is found of the tiles of each part, part by part in their order.

    Parts are drawn, and a part's tiles copied, as they are needed: a batch may hold tiles of several.

    Parameters
    ----------
    parts : iterable of (key, tiles)
        Tiles are of one shape and type, [bands, height, width].
    look : Look
    batch_size : int
        Tiles of each batch.
    advance : callable
        Told how many tiles are done.

    Yields
    ------
    key
        Of the part.
    found : tuple of ndarray, or None
        Of each of its tiles; None of a part without any.
    """
    is_gpu = look.device.type != "cpu"
    open_parts: deque[_Part[Key]] = deque()
    started: deque[tuple[Started, list[_Part[Key]]]] = deque()
    buffers: list[Pixels] = []
    owners: list[_Part[Key]] = []

    def start() -> None:
        started.append((look.start(buffers[0]), owners.copy()))
        owners.clear()
        buffers.reverse()
        # The other buffer is free when the batch before is done. A CPU has nothing to wait for.
        while len(started) > int(is_gpu):
            finish()

    def finish() -> None:
        begun, of = started.popleft()
        found = look.finish(begun)
        at = 0
        while at < len(of):
            part, first = of[at], at
            while at < len(of) and of[at] is part:
                at += 1
            part.found.append(tuple(array[first:at] for array in found))
            part.waiting -= at - first
        advance(len(of))

    def done() -> Iterator[tuple[Key, Found | None]]:
        while open_parts and open_parts[0].is_done:
            part = open_parts.popleft()
            yield part.key, part.joined()

    for key, tiles in parts:
        part = _Part(key)
        open_parts.append(part)
        for tile in tiles:
            if not buffers:
                buffers.extend(_empty((batch_size, *tile.shape), tile.dtype, look.device) for _ in range(1 + is_gpu))
            buffers[0][len(owners)] = tile
            owners.append(part)
            part.waiting += 1
            if len(owners) == batch_size:
                start()
        part.is_whole = True
        yield from done()
    if owners:
        buffers[0][len(owners) :] = 0
        start()
    while started:
        finish()
    yield from done()


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], device: torch.device) -> Pixels:
    """Return an array in memory that a GPU can read on its own."""
    array = torch.from_numpy(np.empty(shape, dtype))
    return (array.pin_memory() if device.type == "cuda" else array).numpy()
