"""Strengths of edits: how far from a real tile a synthetic one may go, as a distribution."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.diffusion.edits import steps_of
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

_RANGE = re.compile(r"([0-9.]+)-([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Strengths:
    """A distribution of strengths: some numbers, each as often as the others, or a range.

    Attributes
    ----------
    values : tuple of float
        More than 0, at most 1: the share of the noise schedule that a tile is put through (SDEdit, Meng et al. 2022).
    low, high : float or None
        The range, where there are no values.
    """

    values: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None

    def levels(self, steps: int) -> tuple[float, ...]:
        """Return the strengths that can be told apart in so many steps, ascending in a range.

        An edit takes ``int(steps * strength)`` steps, so a range holds no more than one strength a step; images of one
        strength are made in one batch.

        Raises
        ------
        InputError
            If a strength is too small for one step.

        Examples
        --------
        >>> Strengths(low=0.1, high=0.3).levels(20)
        (0.1, 0.15, 0.2, 0.25, 0.3)
        """
        if self.values:
            for value in self.values:
                steps_of(steps, value)  # refuses those that are too small
            return self.values
        assert self.low is not None
        assert self.high is not None
        first, last = max(1, math.ceil(self.low * steps - 1e-9)), int(self.high * steps + 1e-9)
        if first > last:
            raise InputError(
                f"no strength of whole steps is between {self.low:g} and {self.high:g} in {steps} steps; "
                "pass more `steps` or a wider range"
            )
        return tuple(_of_steps(count, steps) for count in range(first, last + 1))

    def draw(self, count: int, steps: int, *names: object) -> list[float]:
        """Return strengths of images, each level as often as the others but for the remainder, in an order that names fix."""
        levels = self.levels(steps)
        rounds = range(math.ceil(count / len(levels)))
        drawn = [level for turn in rounds for level in _shuffled(levels, seed_of("strength", turn, *names))]
        return drawn[:count]

    def __str__(self) -> str:
        return ",".join(f"{value:g}" for value in self.values) if self.values else f"{self.low:g}-{self.high:g}"


@dataclass(frozen=True, slots=True)
class StrengthSchedule:
    """Strengths by the number of real tiles a class.

    Attributes
    ----------
    by_shots : tuple of (int, Strengths)
        Ascending: each holds from its number of shots on, the first for fewer as well.
    """

    by_shots: tuple[tuple[int, Strengths], ...]

    def at(self, n: int) -> Strengths:
        """Return the strengths for n shots; ``ALL_SHOTS``, the whole training split, takes the last."""
        found = self.by_shots[0][1]
        for shots, strengths in self.by_shots:
            if n == ALL_SHOTS or shots <= n:
                found = strengths
        return found

    @property
    def depends_on_shots(self) -> bool:
        """Whether it is more than one distribution."""
        return len(self.by_shots) > 1

    def __str__(self) -> str:
        if not self.depends_on_shots:
            return str(self.by_shots[0][1])
        return ";".join(f"{shots}:{strengths}" for shots, strengths in self.by_shots)


def parse_strengths(text: str) -> StrengthSchedule:
    """Read strengths: ``1,0.75,0.5,0.25`` (one of them), ``0.1-0.3`` (a range), ``1:0.5-1;8:0.1-0.3`` (by shots a class).

    Raises
    ------
    InputError
        If the text is no such thing, or a strength is not between 0 and 1.

    Examples
    --------
    >>> str(parse_strengths("1:0.5-1;8:0.2").at(4)), str(parse_strengths("1:0.5-1;8:0.2").at(16))
    ('0.5-1', '0.2')
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not parts:
        raise _refused(text)
    if len(parts) == 1 and ":" not in parts[0]:
        return StrengthSchedule(((1, _parse_one(parts[0], text)),))
    found: dict[int, Strengths] = {}
    for part in parts:
        shots, colon, rest = part.partition(":")
        if not colon or not shots.strip().isdecimal() or int(shots) < 1 or int(shots) in found:
            raise _refused(text)
        found[int(shots)] = _parse_one(rest.strip(), text)
    return StrengthSchedule(tuple(sorted(found.items())))


def _parse_one(part: str, text: str) -> Strengths:
    try:
        if match := _RANGE.fullmatch(part):
            low, high = float(match[1]), float(match[2])
            numbers: Sequence[float] = (low, high)
            strengths = Strengths(low=low, high=high)
        else:
            numbers = [float(number) for number in part.split(",")]
            strengths = Strengths(values=tuple(numbers))
    except ValueError as error:
        raise _refused(text) from error
    if not all(0 < number <= 1 for number in numbers) or (strengths.low is not None and numbers[0] > numbers[1]):
        raise InputError(f"strengths {text!r}: pass numbers above 0, at most 1, ranges from the lower to the higher")
    return strengths


def _refused(text: str) -> InputError:
    return InputError(f"{text!r} are no strengths; pass e.g. 1,0.75,0.5,0.25 or 0.1-0.3 or 1:0.5-1;8:0.1-0.3 (by shots)")


def _of_steps(count: int, steps: int) -> float:
    """Return the strength that gives exactly so many steps, in spite of rounding."""
    strength = count / steps
    return strength if int(steps * strength) == count else math.nextafter(strength, 2)


def _shuffled(levels: Sequence[float], seed: int) -> list[float]:
    import numpy as np

    return [levels[i] for i in np.random.default_rng(seed).permutation(len(levels))]
