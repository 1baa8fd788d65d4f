"""Independent units of work through a ``concurrent.futures.Executor``, a bounded number of them at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many CPU cores this process may use (containers and ``taskset`` count)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def stream_map(
    executor: Executor,
    function: Callable[[Unit], Result],
    units: Iterable[Unit],
    *,
    in_flight: int | Callable[[], int],
    wait: Callable[[Future[Result]], Result] = Future.result,
) -> Iterator[Result]:
    """Yield ``function(unit)`` in the order of the units, which are drawn only as fast as they are worked off.

    ``Executor.map`` would draw all units at once, and with them the whole image.

    Parameters
    ----------
    in_flight : int or callable
        The most units that are submitted and not yet yielded, which bounds the memory. A callable is asked ahead of each.
    wait : callable
        Waits for a unit's result, and may give up.
    """
    limit = in_flight if callable(in_flight) else lambda: in_flight
    pending: deque[Future[Result]] = deque()
    try:
        for unit in units:
            pending.append(executor.submit(function, unit))
            while len(pending) >= limit():
                yield wait(pending.popleft())
        while pending:
            yield wait(pending.popleft())
    finally:
        for future in pending:
            future.cancel()
