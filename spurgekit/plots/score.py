"""How likely a fitted target is to be a marker.

A logistic regression on four measures of the fit, for each family: how well it agrees, its contrast against the texture of the
ground around it, how far its size is from the one looked for, and how far from square it is. The weights were fitted to
simulated ground with markers 8 to 40 px across, clean, dirty and half-covered, among stones, buckets and stumps, under uneven
light, blur and JPEG; ``python -m tests.benchmarks.bench_markers --fit`` fits them again, and without ``--fit`` holds the scores
against the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spurgekit.plots.refine import Fit


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the measures, and what is added to their sum."""

    likeness: float
    contrast: float
    size: float
    stretch: float
    bias: float


LEAST_SCORE = 0.2
"""Score below which a detection is not worth the telling; the lattice of plots makes sense of those above."""

WEIGHTS = {
    "cross": Weights(9.0, 2.2, -10.8, -10.0, -10.2),
    "dark-cross": Weights(8.1, 5.5, -3.2, -6.0, -12.9),
    "checker": Weights(5.7, 8.6, -0.4, -1.4, -18.5),
    "bullseye": Weights(5.8, 5.0, -1.1, -2.8, -7.8),
    "coded": Weights(6.0, 3.0, -2.0, -4.0, -9.0),
    "panel": Weights(2.7, 2.1, -6.2, -3.3, -9.1),
    "disc": Weights(2.4, 1.4, -8.0, -4.7, -8.0),
}


def measures(fit: Fit, *, plain: bool) -> tuple[float, float, float, float]:
    """Return the four measures of a fit; of a plain target, the share that looks like it stands for the agreement."""
    likeness = 4 * fit.share if plain else math.atanh(min(max(fit.agreement, 0.0), 0.99))
    contrast = math.log(min(max(fit.contrast / (fit.texture + 3), 0.1), 30.0))
    return likeness, contrast, abs(math.log(fit.size)), math.log(fit.stretch)


def score(fit: Fit, family: str, *, plain: bool) -> float:
    """Return about the share of such fits that are markers, from 0 to 1."""
    w = WEIGHTS[family]
    likeness, contrast, size, stretch = measures(fit, plain=plain)
    total = w.likeness * likeness + w.contrast * contrast + w.size * size + w.stretch * stretch + w.bias
    return 1 / (1 + math.exp(-total))
