"""The penalty of a probe: C = 30, unless whole places speak for a weaker one."""

import numpy as np
import pytest

from spurgekit.classify.probe import PROBE_C, WEAKER, ProbeSamples, fit_penalised, fit_probe


def tiles(spread, apart=2.5, *, places=8, each=10, seed=0):
    """Tiles of two classes that differ along one direction; all as far from one another as is said."""
    rng = np.random.default_rng(seed)
    targets = np.tile([0, 1], places * each // 2)
    features = rng.normal(0, 1, (len(targets), 6))
    features[:, 0] += np.where(targets, apart, -apart)
    return spread * features, targets, np.repeat(np.arange(places), each)


def fit(features, targets, groups):
    return fit_penalised(ProbeSamples.of_tiles(features, targets, 2), features, targets, groups=groups)


def test_classes_that_overlap_on_features_that_lie_far_apart_keep_it():
    assert fit(*tiles(0.3, 0.7)).c == PROBE_C


def test_features_that_lie_close_together_get_a_weaker_one():
    features, targets, groups = tiles(0.02)
    found = fit(features, targets, groups)
    assert found.c in WEAKER
    strong = fit_probe(ProbeSamples.of_tiles(features, targets, 2), features, targets, c=PROBE_C, groups=groups)
    assert np.abs(found.weight).max() > 3 * np.abs(strong.weight).max()


@pytest.mark.parametrize("groups", [None, np.zeros(80)])
def test_one_place_says_nothing(groups):
    features, targets, _ = tiles(0.02)
    assert fit(features, targets, groups).c == PROBE_C


def test_noise_does_not_speak_for_it():
    rng = np.random.default_rng(1)
    targets = np.tile([0, 1], 40)
    assert fit(rng.normal(0, 0.02, (80, 6)), targets, np.repeat(np.arange(8), 10)).c == PROBE_C
