"""Shots: how many tiles of each class a classifier learns from."""

from __future__ import annotations

from collections.abc import Iterable

SHOTS = (1, 2, 4, 8, 16)
TRIALS = 20
"""Paired over 20 trials, differences of 2.3 points are told from chance where single ones scatter by 5."""

ALL_SHOTS = 0
"""The number of shots that stands for all tiles of the training split; on the command line ``all``."""


def ascending(shots: Iterable[int]) -> tuple[int, ...]:
    """Return numbers of shots, each once, ascending; ``ALL_SHOTS`` comes last.

    >>> ascending([4, ALL_SHOTS, 1, 4])
    (1, 4, 0)
    """
    return tuple(sorted(set(shots), key=lambda n: (n == ALL_SHOTS, n)))
