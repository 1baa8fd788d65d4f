"""What was made lately, kept in memory up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sized
from typing import Generic, TypeVar

Made = TypeVar("Made", bound=Sized)


class Cache(Generic[Made]):
    """Keeps what is used, and forgets what was not used for longest. Threads may share it.

    Parameters
    ----------
    capacity : int
        The most that is kept, by ``len``: bytes of files, say.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what is kept under a key, or make it. Two threads may make the same at the same time; one result is kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._used += len(made)
            while self._used > self._capacity:
                self._used -= len(self._kept.popitem(last=False)[1])
        return made
