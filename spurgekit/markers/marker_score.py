"""How likely a fitted target is to be a marker.

A logistic regression on four measures of the fit, for each family: how well it agrees, its contrast against the texture of the
ground around it, how far its size is from the one looked for, and how far from square it is. The weights were fitted by
``python -m tests.benchmarks.fit_marker_scores`` to markers of 8 to 40 px, clean, dirty and half hidden, painted on simulated
ground and on photos of dunes, beach and savanna, among stones, buckets and stumps; it prints how the scores hold on ground that
was held out, and ``python -m tests.benchmarks.bench_markers`` how they hold on whole sites.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spurgekit.markers.template_fit import Fit


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
    "cross": Weights(6.9, 2.5, -3.2, -4.4, -8.3),
    "dark-cross": Weights(7.6, 2.2, -1.6, -2.1, -9.4),
    "checker": Weights(7.3, 2.1, -0.4, -1.4, -12.6),
    "bullseye": Weights(5.1, 3.8, -0.8, -2.0, -6.8),
    "coded": Weights(3.5, 2.5, -0.2, -0.9, -3.3),
    "panel": Weights(2.3, -0.5, -6.0, -3.6, -4.8),  # stones and buckets stand out more than panels do
    "disc": Weights(2.0, -0.3, -6.1, -4.4, -4.4),
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
