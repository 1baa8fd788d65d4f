"""Accuracy of a map and areas of its classes from a stratified random sample of its cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spurgekit.accuracy.intervals import Floats, share_limits, sum_limits, wilson_limits
from spurgekit.errors import InputError

Mask = NDArray[np.bool_]

UNLABELLED = -1
"""Reference class of a cell that nobody knows."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share, from 0 to 1, that was estimated from a sample.

    Attributes
    ----------
    value : float
        NaN where the sample has nothing that it is a share of.
    se : float
        Standard error.
    low, high : float
        Ends of the interval.
    """

    value: float
    se: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyEstimates:
    """What a sample says of a map.

    Attributes
    ----------
    overall : Estimate
        Share of the area that the map has right.
    users, producers : tuple of Estimate
        By class: the share of what is mapped as it that is it, and the share of what is it that is mapped as it.
    areas : tuple of Estimate
        By class: its share of the area.
    matrix : ndarray of float64, shape (classes, classes)
        Error matrix in shares of the area. Row: class on the map, column: true class.
    """

    overall: Estimate
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    areas: tuple[Estimate, ...]
    matrix: Floats


def estimate_accuracy(
    strata: ArrayLike,
    mapped: ArrayLike,
    reference: ArrayLike,
    cells: ArrayLike,
    *,
    classes: int,
    confidence: float = 0.95,
) -> AccuracyEstimates:
    """Estimate a map's accuracy and the area of each class from a stratified random sample.

    The sample has to be drawn at random from the cells of each stratum, whose sizes are known: strata are the classes of the
    map, or parts of them, or something else that was known of every cell before the drawing. The estimator is not valid for
    other samples, and never for the confusion matrix of a model's held-out tiles: those were not drawn from this map.

    Parameters
    ----------
    strata : array_like of int, shape (n,)
        Stratum of each cell of the sample.
    mapped, reference : array_like of int, shape (n,)
        Its class on the map, and its true class; :data:`UNLABELLED` where that is not known. An interval then reaches from
        where none of these cells counts to where all do; estimates and standard errors are those of the other cells.
    cells : array_like of int, shape (strata,)
        Cells of the map in each stratum.
    classes : int
        Number of classes.
    confidence : float
        Of the intervals.

    Returns
    -------
    AccuracyEstimates

    Raises
    ------
    InputError
        If a stratum has fewer than two cells with a true class, and more on the map.

    Notes
    -----
    Estimates and standard errors are those of Stehman (2014, Int. J. Remote Sens. 35, 4923-4939, equations 2, 25, 27 and 28,
    with the finite population correction); where strata are the classes of the map these are the estimates of Olofsson et al.
    (2014, Remote Sens. Environ. 148, 42-57, equations 4 to 11). Intervals are those of :mod:`spurgekit.accuracy.intervals`.

    Examples
    --------
    A map of 1,000 cells, 100 of them weed. Of 20 cells that it has as weed 18 are; of 30 others one is, too:

    >>> found = estimate_accuracy([0] * 30 + [1] * 20, [0] * 30 + [1] * 20, [1] + [0] * 31 + [1] * 18, [900, 100], classes=2)
    >>> round(found.areas[1].value, 3), round(found.users[1].value, 3), round(found.producers[1].value, 3)
    (0.12, 0.9, 0.75)
    """
    strata, mapped, reference = (np.asarray(values, dtype=np.intp) for values in (strata, mapped, reference))
    table = np.zeros((np.size(cells), classes, classes + 1))
    np.add.at(table, (strata, mapped, reference), 1)  # UNLABELLED counts from the end
    sample = _Sample(table[..., :classes], table[..., classes], np.asarray(cells, dtype=np.float64), confidence)
    sample.check()
    right = np.einsum("hkk->hk", sample.counts)
    in_row, in_column = sample.counts.sum(axis=2), sample.counts.sum(axis=1)
    unknown = sample.unknown.sum(axis=1)
    return AccuracyEstimates(
        overall=sample.share(right.sum(axis=1), unknown),
        users=tuple(sample.users(k, right[:, k], in_row[:, k] - right[:, k]) for k in range(classes)),
        producers=tuple(sample.producers(k, right[:, k], in_column[:, k] - right[:, k]) for k in range(classes)),
        areas=tuple(sample.share(in_column[:, k], unknown) for k in range(classes)),
        matrix=np.einsum("h,hij->ij", sample.weights / sample.labelled, sample.counts),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """The cells of a sample, counted.

    Attributes
    ----------
    counts : ndarray of float64, shape (strata, classes, classes)
        Cells by their class on the map and their true class.
    unknown : ndarray of float64, shape (strata, classes)
        Cells whose true class is not known, by their class on the map.
    cells : ndarray of float64, shape (strata,)
        Cells of the map.
    confidence : float
    """

    counts: Floats
    unknown: Floats
    cells: Floats
    confidence: float

    @property
    def labelled(self) -> Floats:
        """Cells whose true class is known, by stratum."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    @property
    def sampled(self) -> Floats:
        """All cells of the sample, by stratum and class on the map."""
        return np.asarray(self.counts.sum(axis=2) + self.unknown)

    @property
    def weights(self) -> Floats:
        """The share of each stratum in the map."""
        return np.asarray(self.cells / self.cells.sum())

    def check(self) -> None:
        """Refuse a stratum that does not say how much its cells differ."""
        few = self.labelled < np.minimum(self.cells, 2)
        if few.any():
            h = int(few.argmax())
            raise InputError(
                f"stratum {h + 1} has {self.labelled[h]:.0f} labelled of {self.cells[h]:,.0f} cells, and two are the least "
                "that tell how much they differ; label more of it"
            )

    def share(self, found: Floats, open_: Floats) -> Estimate:
        """Return the share of the area that has something, given the cells that have it and those that may."""
        share = found / self.labelled
        everywhere = np.ones(len(found), dtype=np.bool_)
        low, high = (self._sum(count, everywhere)[end] for count, end in ((found, 1), (found + open_, 2)))
        return Estimate(float(self.weights @ share), self._se(share * (1 - share)), low, high)

    def users(self, k: int, right: Floats, wrong: Floats) -> Estimate:
        """Return the share of a class on the map that is right."""
        mapped, open_ = self.sampled[:, k] > 0, self.unknown[:, k]
        low = self._ratio(right, wrong + open_, mapped, mapped)[0]
        high = self._ratio(right + open_, wrong, mapped, mapped)[1]
        return Estimate(*self._ratio_value(right, wrong), low, high)

    def producers(self, k: int, right: Floats, missed: Floats) -> Estimate:
        """Return the share of a true class that the map has."""
        mapped, others = self.sampled[:, k] > 0, np.delete(self.sampled, k, axis=1).sum(axis=1) > 0
        low = self._ratio(right, missed + np.delete(self.unknown, k, axis=1).sum(axis=1), mapped, others)[0]
        high = self._ratio(right + self.unknown[:, k], missed, mapped, others)[1]
        return Estimate(*self._ratio_value(right, missed), low, high)

    def _ratio_value(self, part: Floats, rest: Floats) -> tuple[float, float]:
        """Return a part's share in part and rest, and its standard error (Stehman 2014, equations 27 and 28)."""
        a, b = part / self.labelled, rest / self.labelled
        whole = float(self.weights @ (a + b))
        if whole == 0:
            return np.nan, np.nan
        value = float(self.weights @ a) / whole
        residual = a * (1 - value) - b * value  # mean of y - R x
        return value, self._se(a * (1 - value) ** 2 + b * value**2 - residual**2) / whole

    def _ratio(self, part: Floats, rest: Floats, part_in: Mask, rest_in: Mask) -> tuple[float, float]:
        """Return the interval of a part's share in part and rest; the masks say in which strata there can be such cells."""
        return share_limits(self._sum(part, part_in), self._sum(rest, rest_in), self._correlation(part, rest, part_in, rest_in))

    def _sum(self, found: Floats, possible: Mask) -> tuple[float, float, float]:
        """Return a share of the area and the ends of its interval, given the cells of each stratum."""
        sampled, weights = self.sampled.sum(axis=1), self.weights * possible
        shares = found / sampled
        low, high = sum_limits(weights, shares, *wilson_limits(found, sampled, self.cells, self.confidence))
        return float(weights @ shares), low, high

    def _correlation(self, part: Floats, rest: Floats, part_in: Mask, rest_in: Mask) -> float:
        """Return the correlation of two shares of the area: a cell is of one at most, so that it is not above 0.

        Half a cell is added to what is counted, as none may have been found where there can be some.
        """
        sampled = self.sampled.sum(axis=1)
        a, b = (possible * (found + 0.5) / (sampled + 1) for found, possible in ((part, part_in), (rest, rest_in)))
        scale = self.weights**2 * (1 - sampled / self.cells) / sampled
        spread = (scale @ (a * (1 - a))) * (scale @ (b * (1 - b)))
        return -float(scale @ (a * b)) / float(np.sqrt(spread)) if spread > 0 else 0.0

    def _se(self, mean_square: Floats) -> float:
        """Return the standard error of a sum over strata, given mean squares about their means (Stehman 2014, equation 25)."""
        variance = np.maximum(mean_square, 0) * self.labelled / np.maximum(self.labelled - 1, 1)
        return float(np.sqrt((self.weights**2 * (1 - self.labelled / self.cells) * variance / self.labelled).sum()))
