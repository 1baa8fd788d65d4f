"""What was computed before, as much of it as fits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Values by key, of which those that were longest not asked for are dropped.

    Parameters
    ----------
    limit_bytes : int
        A value that is larger than that is not kept.
    bytes_of : callable
        How large a value is.

    Examples
    --------
    >>> cache = Cache(10, len)
    >>> [cache.get(word, word.upper) for word in ("spurge", "grass", "spurge")]
    ['SPURGE', 'GRASS', 'SPURGE']
    >>> cache.made, len(cache)
    (3, 1)
    """

    def __init__(self, limit_bytes: int, bytes_of: Callable[[Value], int]) -> None:
        self.limit_bytes = limit_bytes
        self.made = 0
        self._bytes_of = bytes_of
        self._bytes = 0
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def __len__(self) -> int:
        """Return how many values it holds."""
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made if it is not there."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make()
        self.made += 1
        self._values[key] = value
        self._bytes += self._bytes_of(value)
        while self._bytes > self.limit_bytes:
            _, dropped = self._values.popitem(last=False)
            self._bytes -= self._bytes_of(dropped)
        return value
