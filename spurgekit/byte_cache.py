"""What was made lately, kept in memory up to a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Values by key, of which those that were longest not asked for are dropped. Threads may share it.

    Parameters
    ----------
    limit_bytes : int
        A value that is larger than that is not kept.
    bytes_of : callable
        How large a value is.

    Examples
    --------
    >>> cache = ByteCache(10, len)
    >>> [cache.get(word, word.upper) for word in ("spurge", "grass", "spurge")]
    ['SPURGE', 'GRASS', 'SPURGE']
    >>> len(cache)  # both would be 11 bytes
    1
    """

    def __init__(self, limit_bytes: int, bytes_of: Callable[[Value], int]) -> None:
        self.limit_bytes = limit_bytes
        self._values: LRUCache[Hashable, Value] = LRUCache(limit_bytes, getsizeof=bytes_of)
        self._lock = Lock()

    def __len__(self) -> int:
        """Return how many values it holds."""
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made if it is not there. Two threads may make the same at a time; one result is kept."""
        with self._lock:
            if key in self._values:
                return self._values[key]
        value = make()
        with self._lock:
            try:
                return self._values.setdefault(key, value)
            except ValueError:  # larger than the limit
                return value
