"""Shrinking of the directions in which turns of a tile differ."""

import numpy as np
import pytest

from spurgekit.classify.arms import parse_arm
from spurgekit.classify.features import unit
from spurgekit.classify.probe_samples import SupportSet, probe_unit, tile_features
from spurgekit.classify.turns import ShrunkTurns


def turned(tiles=12, d=5, seed=0):
    """Features of tiles whose turns differ along the first axis alone, by +-1 (variance 1)."""
    rng = np.random.default_rng(seed)
    views = np.repeat(rng.normal(size=(tiles, 1, d)), 8, axis=1)
    views[:, :, 0] += np.tile([1.0, -1.0], 4)
    return views


def test_the_one_direction_of_turns_is_shrunk_and_no_other():
    shrink = ShrunkTurns.of(turned(), strength=0.5)
    # Variance 1 along one of five directions: their mean is 0.2, and 1 / sqrt(1 + 1 / (0.5 * 0.2)) = 0.3015.
    factors = shrink(np.eye(5)) / shrink.scale
    assert factors == pytest.approx(np.diag([0.30151, 1, 1, 1, 1]), abs=1e-4)


def test_features_stay_as_long_as_they_were():
    views = turned()
    means = views.mean(axis=1)
    assert (ShrunkTurns.of(views)(means) ** 2).sum() == pytest.approx((means**2).sum())


def test_a_stronger_lambda_shrinks_less():
    weak, strong = (ShrunkTurns.of(turned(), strength=strength).lost.max() for strength in (10.0, 0.1))
    assert weak < 0.25 < 0.8 < strong


@pytest.mark.parametrize("views", [np.ones((4, 8, 3)), np.random.default_rng(0).normal(size=(6, 1, 3))])
def test_features_that_do_not_see_turns_stay_as_they_are(views):
    features = np.random.default_rng(1).normal(size=(7, 3))
    assert (ShrunkTurns.of(views)(features) == features).all()


def test_more_directions_than_tiles():
    views = np.random.default_rng(0).normal(size=(2, 8, 90))
    shrink = ShrunkTurns.of(views)
    assert shrink.directions.T @ shrink.directions == pytest.approx(np.eye(16), abs=1e-9)
    across = np.linalg.svd(views.reshape(16, 90))[2][16:]  # no view has a part in these
    assert shrink(across) == pytest.approx(shrink.scale * across)


class TestProbe:
    """The classifier that comes out takes features as they are."""

    @pytest.mark.parametrize("arm", ["probe", "probe+randaugment", "probe+cutmix"])
    def test_every_arm_is_shrunk_alike(self, store, tiles, arm):
        unit_of_work = probe_unit(store, SupportSet(tiles, 2, pool=tiles), parse_arm(arm))
        expected = ShrunkTurns.of(unit(store.views(tiles, range(8))))
        assert unit_of_work.turns(np.eye(3)) == pytest.approx(expected(np.eye(3)))
        assert unit_of_work.samples.features.shape[1] == 3

    def test_its_weights_are_those_of_shrunk_features_folded(self, store, tiles):
        unit_of_work = probe_unit(store, SupportSet(tiles, 2), parse_arm("probe"))
        shrunk = unit_of_work.turns(unit_of_work.tiles)
        samples = type(unit_of_work.samples).of_tiles(shrunk, unit_of_work.targets, 2)
        inner = unit_of_work.recipe.fit(
            type(unit_of_work)(unit_of_work.recipe, samples, shrunk, unit_of_work.targets, None, unit_of_work.seed)
        )
        probe = unit_of_work.fit()
        features = tile_features(store, tiles, parse_arm("probe").recipe)
        assert probe.logits(features) == pytest.approx(inner.logits(shrunk))
        assert probe.left_out == pytest.approx(inner.left_out, nan_ok=True)

    def test_other_tiles_of_the_training_side_say_how_turns_differ(self, store, tiles):
        few, all_ = (probe_unit(store, SupportSet(tiles.iloc[:2], 2, pool=pool), parse_arm("probe")) for pool in (None, tiles))
        assert few.turns(np.eye(3)) != pytest.approx(all_.turns(np.eye(3)), abs=1e-3)

    def test_plain_is_left_as_most_would_do_it(self, store, tiles):
        assert probe_unit(store, SupportSet(tiles, 2), parse_arm("plain")).turns is None
