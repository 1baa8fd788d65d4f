"""Simulated maps with clustered truth and clustered errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from spurgekit.accuracy import AccuracyEstimates, CheckOptions, allocate, estimate_accuracy

SIDE = 80
"""Cells along a side of a site."""

CLUSTER = 4
"""Cells over which truth and errors go together."""

LEAST = CheckOptions.least
NOISE = 0.5
"""Spread of what the map has wrong, in spreads of what it maps."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A map and its truth, cell by cell.

    Attributes
    ----------
    truth, mapped, uncertain : ndarray of bool, shape (SIDE, SIDE)
    """

    truth: NDArray[np.bool_]
    mapped: NDArray[np.bool_]
    uncertain: NDArray[np.bool_]


def simulate_site(rng: np.random.Generator, share: float) -> Site:
    """Return a site of which a share is weed, and a map that has between 0.6 and 1.6 times as much."""
    ground, error = _field(rng), _field(rng)
    seen = ground + NOISE * error
    threshold = np.quantile(seen, 1 - share * rng.uniform(0.6, 1.6))
    return Site(ground > np.quantile(ground, 1 - share), seen > threshold, np.abs(seen - threshold) < 0.35 * NOISE)


def _field(rng: np.random.Generator) -> NDArray[np.float64]:
    smooth = gaussian_filter(rng.standard_normal((SIDE, SIDE)), CLUSTER, mode="wrap")
    return np.asarray(smooth / smooth.std())


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A sample of a site, labelled without a mistake."""

    strata: NDArray[np.intp]
    mapped: NDArray[np.intp]
    reference: NDArray[np.intp]
    cells: NDArray[np.intp]

    def estimates(self, confidence: float) -> AccuracyEstimates:
        """Return what it says of the site."""
        return estimate_accuracy(self.strata, self.mapped, self.reference, self.cells, classes=2, confidence=confidence)


def draw(rng: np.random.Generator, site: Site, sampled: int) -> Drawn:
    """Draw a sample by class and uncertainty, as ``spurgekit check`` does."""
    number = 2 * site.mapped + site.uncertain
    here = [n for n in range(4) if (number == n).any()]
    cells = np.array([(number == n).sum() for n in here])
    expected = np.array([0.25 if n % 2 else 0.03 for n in here])
    counts = allocate(cells, np.sqrt(expected * (1 - expected)), sampled, least=LEAST)
    chosen = [rng.choice(np.flatnonzero(number == n), count, replace=False) for n, count in zip(here, counts, strict=True)]
    flat = np.concatenate(chosen)
    return Drawn(
        strata=np.repeat(np.arange(len(here)), counts),
        mapped=site.mapped.ravel()[flat].astype(np.intp),
        reference=site.truth.ravel()[flat].astype(np.intp),
        cells=cells,
    )
