from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spurgekit.augment.augmentation import parse_augmentation
from spurgekit.classify.arms import RECIPES, parse_arm
from spurgekit.classify.probe_samples import COPIES, SupportSet, draw_samples, probe_unit, tile_features
from spurgekit.classify.training_tiles import NEIGHBOURS, retrieve
from spurgekit.errors import InputError

CLASSES = 2


def extra_of(tiles, **columns):
    """Two of the tiles as if they had come from elsewhere, each owed to another."""
    rows = tiles.iloc[:2][["path"]].assign(tile_id=["x0", "x1"], target=[0, 0], weight=[3.0, 1.0], owner=["t0", "t2"])
    return rows.assign(**columns).reset_index(drop=True)


def samples_of(store, tiles, arm, **support):
    arm = parse_arm(arm)
    return draw_samples(store, SupportSet(tiles, CLASSES, **support), arm, tile_features(store, tiles, arm.recipe))


class TestDescription:
    def test_of_plain_are_the_features(self, store, tiles):
        assert tile_features(store, tiles, RECIPES["plain"]) == pytest.approx(store.views(tiles, (0,))[:, 0])

    def test_of_probe_is_the_same_however_a_tile_lies(self, store, tiles, tmp_path):
        import cv2

        pixels = cv2.imread(str(tiles["path"].iloc[0]))
        cv2.imwrite(str(tmp_path / "turned.png"), np.rot90(pixels))
        other = pd.DataFrame([{"tile_id": "turned", "path": tmp_path / "turned.png", "target": 0}])
        turned, upright = (tile_features(store, rows, RECIPES["probe"]) for rows in (other, tiles.iloc[:1]))
        assert turned == pytest.approx(upright, abs=1e-7)


class TestWeights:
    """However many samples are made of a tile, together they weigh as much as the tile."""

    @pytest.mark.parametrize(
        ("arm", "each"),
        [("probe", 1), ("plain+flip", 4), ("plain+dihedral", 8), ("probe+randaugment", COPIES), ("plain+randaugment", COPIES)],
    )
    def test_copies_share_the_weight_of_their_tile(self, store, tiles, arm, each):
        samples = samples_of(store, tiles, arm)
        assert len(samples.weights) == 5 * each
        assert (samples.owners.T @ samples.weights) == pytest.approx(np.ones(5))
        assert (samples.owners.sum(axis=1) == 1).all()
        assert (samples.targets.argmax(axis=1) == samples.owners @ tiles["target"].to_numpy()).all()

    def test_copies_are_described_as_tiles_are(self, store, tiles):
        """By as many views: a copy that nothing was done to is told by what is known of its tile."""
        still = parse_augmentation("flip+cutmix")
        same = replace(
            still,
            steps=tuple(
                replace(step, mix=lambda images, targets, _: (images, targets)) if step.mix else step for step in still.steps
            ),
        )
        for name in ("plain", "probe"):
            recipe = RECIPES[name]
            known = tile_features(store, tiles, recipe)
            copies, shares = store.mixed(tiles, same, 2, 0, views=recipe.views, unit_features=recipe.unit_features)
            if recipe.views == 8:
                assert copies == pytest.approx(shares @ known, abs=1e-5)
            else:
                assert np.abs(copies - shares @ known).max() > 1e-3, "seen as it lies, a tile that was mirrored is another"

    @pytest.mark.parametrize("arm", ["probe+cutmix", "probe+dihedral+mixup"])
    def test_mixed_ones_are_owned_by_both(self, store, tiles, arm):
        samples = samples_of(store, tiles, arm)
        assert samples.weights.sum() == pytest.approx(5)
        assert samples.owners.sum(axis=1).max() == 2
        assert samples.targets.sum(axis=1) == pytest.approx(1)
        left = samples.without(np.array([0]))
        assert not left.owners[:, 0].any()


class TestTilesFromElsewhere:
    def test_share_the_weight_of_their_class(self, store, tiles):
        samples = samples_of(store, tiles, "probe+synthetic", extra=extra_of(tiles), mixing=0.25)
        real, extra = samples.weights[:5], samples.weights[5:]
        # Class 0 has three real tiles: a quarter of their weight goes to the extra ones, 3 to 1.
        assert real.tolist() == [0.75, 1, 0.75, 1, 0.75]
        assert extra == pytest.approx([0.75 * 0.75, 0.25 * 0.75])
        assert samples.weights.sum() == pytest.approx(5)

    def test_are_left_out_with_the_tile_that_they_owe_their_class_to(self, store, tiles):
        samples = samples_of(store, tiles, "probe+synthetic", extra=extra_of(tiles), mixing=0.5)
        assert len(samples.without(np.array([0])).weights) == 5
        assert len(samples.without(np.array([1])).weights) == 6

    def test_of_no_weight_count_for_nothing(self, store, tiles):
        samples = samples_of(store, tiles, "probe+synthetic", extra=extra_of(tiles, weight=[1.0, 0.0]), mixing=0.5)
        assert samples.weights[5:].tolist() == [1.5, 0.0]

    def test_a_class_whose_tiles_weigh_nothing_keeps_its_weight(self, store, tiles):
        extra = extra_of(tiles, target=[0, 1], weight=[0.0, 1.0])
        samples = samples_of(store, tiles, "probe+synthetic", extra=extra, mixing=0.5)
        assert samples.weights.tolist() == [1, 0.5, 1, 0.5, 1, 0, 1]
        assert samples.shift is None


class TestSoftLabels:
    def soft(self, tiles, **columns):
        return extra_of(tiles, target=[1, 1], source_target=[0, 1], share=[0.75, 1.0], weight=[1.0, 3.0], **columns)

    def test_a_tile_has_a_part_in_each_class(self, store, tiles):
        samples = samples_of(store, tiles, "probe+synthetic", extra=self.soft(tiles), mixing=0.5)
        assert samples.targets[5:].tolist() == [[0.25, 0.75], [0, 1]]
        # Of the class of three real tiles the first is all that there is; of the other's 3/4 + 3 it is 3/4.
        assert samples.weights[5:] == pytest.approx([0.5 * (3 * 1 + 2 * 0.75 / 3.75), 0.5 * 2 * 3 / 3.75])
        assert samples.weights[:5].tolist() == [0.5] * 5
        assert samples.weights.sum() == pytest.approx(5)

    def test_classes_stay_as_common_as_they_are_among_the_real_tiles(self, store, tiles):
        samples = samples_of(store, tiles, "probe+synthetic", extra=self.soft(tiles), mixing=0.5)
        weighs = np.array([3 * 0.5 + 1.7 * 0.25, 2 * 0.5 + 1.7 * 0.75 + 0.8])
        assert samples.shift == pytest.approx(np.log([0.6, 0.4]) - np.log(weighs / 5))

    def test_plain_ones_are_as_without_the_columns(self, store, tiles):
        columns = samples_of(store, tiles, "probe+synthetic", extra=self.soft(tiles).assign(share=1.0), mixing=0.3)
        without = samples_of(
            store, tiles, "probe+synthetic", extra=extra_of(tiles, target=[1, 1], weight=[1.0, 3.0]), mixing=0.3
        )
        for name in ("features", "targets", "weights", "owners"):
            assert (getattr(columns, name) == getattr(without, name)).all()
        assert columns.shift is None

    def test_from_each_class_to_the_other_they_take_as_much_as_they_give(self, store, tiles):
        even = tiles.iloc[:4]
        extra = extra_of(even, target=[1, 0], source_target=[0, 1], share=[0.75, 0.75], weight=[1.0, 1.0])
        samples = samples_of(store, even, "probe+synthetic", extra=extra, mixing=0.5)
        assert samples.weights.tolist() == pytest.approx([0.5] * 4 + [1, 1])
        assert samples.shift == pytest.approx([0, 0])


class TestRetrieval:
    def test_each_goes_to_the_nearest_and_takes_its_class(self):
        tiles = pd.DataFrame({"tile_id": ["a", "b"], "target": [0, 1]})
        described = np.eye(2)
        unlabelled = pd.DataFrame({"tile_id": list("pqrstu"), "path": list("PQRSTU")})
        angles = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.5])
        found = retrieve(tiles, described, unlabelled, np.column_stack([np.cos(angles), np.sin(angles)]))
        assert found["tile_id"].tolist() == ["p", "q", "r", "s", "u"]
        assert NEIGHBOURS == 4
        assert found["owner"].tolist() == ["a"] * 4 + ["b"]
        assert found["target"].tolist() == [0, 0, 0, 0, 1]


class TestSupportSets:
    def test_a_class_that_is_missing(self, tiles):
        with pytest.raises(InputError, match="there is no tile of class number 1 to learn from; hold out other places"):
            SupportSet(tiles[tiles["target"] == 0], CLASSES)

    def test_a_mixing_probability_that_cannot_be(self, tiles):
        with pytest.raises(InputError, match=r"a mixing probability of 1\.5 cannot be"):
            SupportSet(tiles, CLASSES, mixing=1.5)

    def test_the_same_twice(self, store, tiles):
        support = SupportSet(tiles, CLASSES)
        one, other = (probe_unit(store, support, parse_arm("probe+cutmix")).fit() for _ in range(2))
        assert (one.weight == other.weight).all()


def test_a_unit_that_travels_has_its_features_once_and_no_directions(store, tiles):
    """What is fitted to it is, for features as they are, what is fitted where it was made."""
    unit = probe_unit(store, SupportSet(tiles, CLASSES), parse_arm("probe"))
    sent = unit.shrunk()
    assert unit.turns is not None
    assert sent.turns is None
    assert sent.samples.features is sent.tiles
    there, here = unit.of_features(sent.fit()), unit.fit()
    assert there.weight.tobytes() == here.weight.tobytes()
    assert there.left_out.tobytes() == here.left_out.tobytes()
