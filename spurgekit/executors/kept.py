"""What workers keep between units, so that a unit can name a file or a model rather than hold it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

MOST_OPEN = 4
"""Files that a thread keeps open."""

Value = TypeVar("Value")


class Closable(Protocol):
    """What is to be closed when it is not needed any more."""

    def close(self) -> None:
        """Close it."""


Opened = TypeVar("Opened", bound=Closable)


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.opened: OrderedDict[Hashable, Closable] = OrderedDict()


_of_thread = _OfThread()
_of_process: dict[str, tuple[Hashable, Any]] = {}
_lock = threading.Lock()


def opened_by_thread(key: Hashable, open_it: Callable[[], Opened]) -> Opened:
    """Return what this thread has opened by a key, opening it the first time: GDAL's handles are not for several threads.

    Parameters
    ----------
    key : hashable
        All that it depends on, the run included: a cluster's workers outlive it, and files may be other ones in the next.
    open_it : callable
    """
    kept = _of_thread.opened
    if key in kept:
        kept.move_to_end(key)
        return kept[key]  # type: ignore[return-value]
    while len(kept) >= MOST_OPEN:
        kept.popitem(last=False)[1].close()
    opened = kept[key] = open_it()
    return opened


def made_by_process(kind: str, key: Hashable, make: Callable[[], Value]) -> Value:
    """Return what all threads of this process share, such as a model, making it the first time.

    Parameters
    ----------
    kind : str
        What it is. Of each kind one is kept, the last.
    key : hashable
        All that it depends on.
    make : callable
    """
    with _lock:
        known = _of_process.get(kind)
        if known is None or known[0] != key:
            _of_process.pop(kind, None)  # its memory is wanted for the next
            known = _of_process[kind] = key, make()
        return known[1]
