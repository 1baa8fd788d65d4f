"""Time on a device that works behind the program's back, and how much of it is left."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch


def wait(device: torch.device) -> None:
    """Wait until a device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return how long some work takes, on the device as well."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def describe(device: torch.device) -> str:
    """Return the name of a device, and what it is driven by."""
    if device.type != "cuda":
        return f"CPU ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads), torch {torch.__version__}"
    about = torch.cuda.get_device_properties(device)
    return f"{about.name}, {about.total_memory / 2**30:.0f} GiB, torch {torch.__version__}"


def forget(device: torch.device) -> None:
    """Give back memory that nothing uses, and count its peak anew."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float | None:
    """Return the most memory of a GPU that tensors took since :func:`forget`, in GiB."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None


class Budget:
    """What is left of the time for a part of a benchmark."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes
        self.measurement = 60 * minutes / 20
        """Seconds that one measurement should take."""

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def allows(self, seconds: float, what: str) -> bool:
        """Return whether there is time for something; say so if there is not."""
        if self.left >= seconds:
            return True
        print(f"left out: {what} takes about {seconds:.0f} s, and {max(0, self.left):.0f} s are left (--minutes)", flush=True)
        return False


class Stopwatch:
    """Adds up the time of parts of a program.

    It waits for the device at both ends of each part, which costs time of its own: use it in a run beside the one whose rate is
    measured. Of parts within others the time counts once, as the inner one's.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._inner: list[float] = []

    @contextmanager
    def watching(self, *parts: tuple[Any, str, str]) -> Iterator[None]:
        """Take the time of functions, each given as its owner, its name there, and the name of the part that it does."""
        before = [(owner, name, name in vars(owner), getattr(owner, name)) for owner, name, _ in parts]
        for (owner, name, part), (*_, function) in zip(parts, before, strict=True):
            setattr(owner, name, self._timed(part, function))
        try:
            yield
        finally:
            for owner, name, own, function in before:
                if own:
                    setattr(owner, name, function)
                else:
                    delattr(owner, name)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Take the time of a stretch of work."""
        wait(self.device)
        start = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
            wait(self.device)
        finally:
            spent, inner = time.perf_counter() - start, self._inner.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - inner
            self.calls[name] = self.calls.get(name, 0) + 1
            if self._inner:
                self._inner[-1] += spent

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return timed

    def shares(self, total: float) -> dict[str, float]:
        """Return the share of each part in a total of seconds, and of what is left."""
        shares = {part: seconds / total for part, seconds in self.seconds.items()}
        return {**shares, "rest": 1 - sum(shares.values())}
