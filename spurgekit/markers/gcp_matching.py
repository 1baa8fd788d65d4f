"""Which marker stands on which known point: a search for the one placement on which most of them agree.

Two pairs of marker and point propose a similarity, the others agree with it or not. It counts only if chance would hardly give
as many agreeing pairs, and no other placement of the markers is nearly as likely.

Positions are complex numbers, so that a similarity is ``factor * z + shift`` and never mirrors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.special import betainc

from spurgekit.errors import InputError
from spurgekit.markers.marker import Marker
from spurgekit.similarity import Complex, fit_similarity
from spurgekit.text import counted

MAX_LOG10_FALSE_ALARMS = -2.0
"""Placements that chance would give more often than this, per image, are none."""

MIN_LOG_ODDS = math.log(100)
"""By how much a placement must be likelier than any other of the same markers."""

LIMIT_SDS = 4.0
"""The limits on how far the approximate grid may be off are this many standard deviations of it."""

TOLERANCE_SDS = 3.0
"""So is the tolerance of how far a pair may be apart."""

FEWEST_TO_JUDGE, MISFIT = 5, 5.0
"""Among more pairs than this, one is false that is this many times as far from where the others have it as they are usually."""

PLACEMENTS = 12
"""How many different placements are refined."""

MAX_PROPOSALS = 20_000
"""Of n true pairs n (n - 1) / 2 proposals are right, so where there are very many a part of them will do."""

BATCH = 4096


@dataclass(frozen=True, slots=True)
class KnownPoint:
    """A point on the ground that was surveyed.

    Attributes
    ----------
    x, y : float
        World coordinates.
    name : str
    id : int or None
        What the coded marker on it says; it then matches that marker alone.
    z : float or None
        Its height, for other programs; an image from above does not tell it.
    """

    x: float
    y: float
    name: str = ""
    id: int | None = None
    z: float | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where a similarity puts the markers, which of them are then which points, and its log likelihood."""

    here: Complex
    pairs: tuple[tuple[int, int], ...]
    score: float


@dataclass(frozen=True, slots=True)
class GcpSearch:
    """Positions as complex numbers in the CRS's unit, each about its own mean, and how far they may be off."""

    here: Complex
    there: Complex
    offset: complex
    coded: NDArray[np.int8]
    search: float
    turn: float
    scale_error: float
    tolerance: float
    least: float

    def best(self, metres: float) -> tuple[tuple[int, int], ...]:
        """Return the (marker, known point) pairs of the one placement that stands out."""
        proposals = list(self._proposals())
        if not proposals:
            raise InputError(self._why_nothing(metres))
        factors, shifts = (np.concatenate(part) for part in zip(*proposals, strict=True))
        if len(factors) > MAX_PROPOSALS:  # evenly, so that every marker has its share
            spread = np.linspace(0, len(factors) - 1, MAX_PROPOSALS).astype(np.intp)
            factors, shifts = factors[spread], shifts[spread]
        found = self._placements(factors, shifts)
        best, count = found[0], len(found[0].pairs)
        if count < 2:
            raise InputError(f"{self._what()}, but no two markers stand to each other as two of the points do")
        rivals = [rival for rival in found[1:] if len(rival.pairs) > 1 and best.score - rival.score < MIN_LOG_ODDS]
        if count == 2:  # which any rival fits as well, however likely
            rivals = [rival for rival in found[1:] if len(rival.pairs) == 2]
        if rivals:
            raise InputError(
                f"{self._what()} fit in {len(rivals) + 1} ways (the best two with {count} and {len(rivals[0].pairs)} pairs); "
                "use coded markers, or points that do not form a regular pattern"
            )
        coded = sum(self.coded[pair] == 1 for pair in best.pairs)
        if coded < 2 and not self._is_no_chance(count, len(factors)):
            raise InputError(
                f"{self._what()}, of which {count} pairs agree to within {self.tolerance * metres:.2f} m: too few to be sure "
                "that it is not by chance"
            )
        return self._without_misfits(best.pairs)

    def _without_misfits(self, pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """Return the pairs but for those that are far off by the measure of the others: a stone beside a missed marker."""
        while len(pairs) > FEWEST_TO_JUDGE:
            i, j = np.array(pairs).T
            off, usual = np.empty(len(pairs)), np.empty(len(pairs))
            for k in range(len(pairs)):
                others = np.arange(len(pairs)) != k
                factor, shift = fit_similarity(self.here[i[others]], self.there[j[others]])
                apart = np.abs(factor * self.here[i] + shift - self.there[j])
                off[k], usual[k] = apart[k], np.median(apart[others])
            worst = int(np.argmax(off))
            if off[worst] <= max(self.least, MISFIT * usual[worst]):
                break
            pairs = pairs[:worst] + pairs[worst + 1 :]
        return pairs

    def _what(self) -> str:
        return f"{counted(len(self.here), 'marker')} and {counted(len(self.there), 'known point')}"

    def _is_no_chance(self, count: int, tests: int) -> bool:
        """Whether markers thrown at random would hardly agree so well (a contrario, as in :mod:`spurgekit.plots.significance`).

        Two pairs agree with any proposal made from them; they count where they are all that there is and nothing else fits.
        """
        if count == 2:
            return len(self.here) == len(self.there) == 2
        share = min(1.0, self._density() * math.pi * self.tolerance**2)
        others = len(self.here) - 2
        chance = float(betainc(count - 2, others - (count - 2) + 1, share))  # of at least so many others agreeing
        return math.log10(tests) + math.log10(max(chance, 1e-300)) <= MAX_LOG10_FALSE_ALARMS

    def _density(self) -> float:
        """Return known points a square unit, about where they are."""
        width, height = np.ptp(self.there.real), np.ptp(self.there.imag)
        return len(self.there) / float((width + 4 * self.tolerance) * (height + 4 * self.tolerance))

    def _score(self, factor: complex, placed: Complex, pairs: list[tuple[int, int]]) -> float:
        """Return the log likelihood of a placement over that of markers thrown at random, with a prior of small corrections."""
        sd = self.tolerance / TOLERANCE_SDS
        squares = sum(abs(placed[i] - self.there[j]) ** 2 for i, j in pairs) / sd**2
        score = -len(pairs) * math.log(2 * math.pi * sd**2 * self._density()) - squares / 2
        if math.isfinite(self.search):
            moved = abs(np.mean(placed - self.here - self.offset)) / self.search
            turned, scaled = abs(np.angle(factor)) / self.turn, abs(math.log(abs(factor))) / self.scale_error
            score -= (moved**2 + turned**2 + scaled**2) * LIMIT_SDS**2 / 2
        return float(score)

    def _candidates(self) -> NDArray[np.intp]:
        """Return which markers may be which points, shape (candidates, 2)."""
        near = np.abs(self.here[:, None] + self.offset - self.there) <= self.search
        return np.argwhere((self.coded == 1) | ((self.coded == 0) & near))

    def _proposals(self) -> Iterator[tuple[Complex, Complex]]:
        """Yield factors and shifts of similarities z -> factor * z + shift that two candidates agree on."""
        candidates = self._candidates()
        for at, (i, j) in enumerate(candidates):
            others = candidates[at + 1 :]
            others = others[(others[:, 0] != i) & (others[:, 1] != j)]
            step, wanted = self.here[others[:, 0]] - self.here[i], self.there[others[:, 1]] - self.there[j]
            apart = np.abs(step) > 4 * self.tolerance  # nearer ones say too little of the angle
            others, factor = others[apart], wanted[apart] / step[apart]
            size, turn = np.abs(factor), np.abs(np.angle(factor))
            is_coded = (self.coded[i, j] == 1) & (self.coded[others[:, 0], others[:, 1]] == 1)
            fits = (size >= 1 / (1 + self.scale_error)) & (size <= 1 + self.scale_error) & ((turn <= self.turn) | is_coded)
            if fits.any():
                yield factor[fits], self.there[j] - factor[fits] * self.here[i]

    def _placements(self, factors: Complex, shifts: Complex) -> list[_Placed]:
        """Return different placements among the proposals, likeliest first."""
        tree = cKDTree(np.column_stack([self.there.real, self.there.imag]))
        counts = np.concatenate([self._agreeing(tree, factors[k : k + BATCH], shifts[k : k + BATCH]) for k in _steps(factors)])
        found: list[_Placed] = []
        tried: list[Complex] = []
        for best in np.argsort(-counts, kind="stable"):
            first = factors[best] * self.here + shifts[best]
            if any(np.abs(first - other).max() <= 4 * self.tolerance for other in tried):
                continue
            tried.append(first)
            placed = self._refine(factors[best], shifts[best])
            if all(np.abs(placed.here - other.here).max() > 2 * self.tolerance for other in found):
                found.append(placed)
                tried.append(placed.here)
            if len(found) >= PLACEMENTS:
                break
        return sorted(found, key=lambda placed: -placed.score)

    def _agreeing(self, tree: cKDTree, factors: Complex, shifts: Complex) -> NDArray[np.intp]:
        """Return how many known points have a marker near by, for each of several similarities."""
        placed = factors[:, None] * self.here + shifts[:, None]
        apart, nearest = tree.query(np.stack([placed.real, placed.imag], axis=-1), distance_upper_bound=2 * self.tolerance)
        hit = np.isfinite(apart)
        hit &= self.coded[np.arange(len(self.here)), np.where(hit, nearest, 0)] >= 0
        # A point counts once, however many markers are near it; what hits nothing gets a number of no point.
        nearest = np.sort(np.where(hit, nearest, len(self.there)), axis=1)
        first = np.diff(nearest, axis=1, prepend=-1) != 0
        return np.asarray(np.sum(first & (nearest < len(self.there)), axis=1), np.intp)

    def _refine(self, factor: complex, shift: complex) -> _Placed:
        """Return what a similarity settles to: pairs one to one, fitted anew until they stay."""
        pairs: list[tuple[int, int]] = []
        for reach in (2.0, 1.5, 1.0, 1.0, 1.0):
            apart = np.abs((factor * self.here + shift)[:, None] - self.there)
            limit = reach * self.tolerance
            may = (apart <= limit) & (self.coded >= 0)
            i, j = linear_sum_assignment(np.where(may, apart, 1e3 * limit))
            good = may[i, j]
            pairs = list(zip(i[good].tolist(), j[good].tolist(), strict=True))
            if len(pairs) < 2:
                return _Placed(factor * self.here + shift, (), -math.inf)
            factor, shift = fit_similarity(self.here[i[good]], self.there[j[good]])
        placed = factor * self.here + shift
        return _Placed(placed, tuple(pairs), self._score(factor, placed, pairs))

    def _why_nothing(self, metres: float) -> str:
        apart = np.abs(self.here[:, None] + self.offset - self.there)[self.coded >= 0]
        if apart.size and apart.min() > self.search:
            nearest = apart.min() * metres
            away = f"{nearest / 1000:,.1f} km" if nearest >= 1000 else f"{nearest:.0f} m"
            return (
                f"{self._what()}, but the nearest two are {away} apart, and the image may be off by "
                f"{self.search * metres:.0f} m: are the points' CRS and the order of their coordinates right?"
            )
        return f"{self._what()}, but no two markers stand to each other as two of the points do"


def coded(markers: Sequence[Marker], known: Sequence[KnownPoint]) -> NDArray[np.int8]:
    """Return 1 where the ids say that a marker is a point, -1 where they say that it is not, 0 where they say nothing."""
    verdict = np.zeros((len(markers), len(known)), np.int8)
    for i, marker in enumerate(markers):
        for j, point in enumerate(known):
            if marker.id is not None and point.id is not None:
                verdict[i, j] = 1 if marker.id == point.id else -1
    return verdict


def _steps(values: Complex) -> range:
    return range(0, len(values), BATCH)
