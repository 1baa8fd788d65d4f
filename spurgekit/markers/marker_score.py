"""How likely a fitted target is to be a marker.

A logistic regression on four measures of the fit, for each family: how well it agrees, its contrast against the texture of the
ground around it, how far its size is from the one looked for, and how far from square it is. The weights are beside the
families (:mod:`spurgekit.markers.families`); they were fitted by ``python -m tests.benchmarks.fit_marker_scores`` to markers of
8 to 40 px, clean, dirty and half hidden, painted on simulated ground and on photos of dunes, beach and savanna, among stones,
buckets and stumps; it prints how the scores hold on ground that was held out, and ``python -m tests.benchmarks.bench_markers``
how they hold on whole sites.
"""

from __future__ import annotations

import math

from spurgekit.markers.families import ScoreWeights
from spurgekit.markers.template_fit import Fit

LEAST_SCORE = 0.2
"""Score below which a detection is not worth the telling; the lattice of plots makes sense of those above."""


def measures(fit: Fit, *, plain: bool) -> tuple[float, float, float, float]:
    """Return the four measures of a fit; of a plain target, the share that looks like it stands for the agreement."""
    likeness = 4 * fit.share if plain else math.atanh(min(max(fit.agreement, 0.0), 0.99))
    contrast = math.log(min(max(fit.contrast / (fit.texture + 3), 0.1), 30.0))
    return likeness, contrast, abs(math.log(fit.size)), math.log(fit.stretch)


def score(fit: Fit, weights: ScoreWeights, *, plain: bool) -> float:
    """Return about the share of such fits that are markers, from 0 to 1."""
    likeness, contrast, size, stretch = measures(fit, plain=plain)
    total = (
        weights.likeness * likeness
        + weights.contrast * contrast
        + weights.size * size
        + weights.stretch * stretch
        + weights.bias
    )
    return 1 / (1 + math.exp(-total))
