"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return how many of a thing there are.

    >>> counted(1, "tile"), counted(0, "tile"), counted(1234, "synthetic tile")
    ('1 tile', '0 tiles', '1,234 synthetic tiles')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
