"""Where a model may be believed: tiles that are unlike those that it learned from."""

import numpy as np
import pytest

from spurgekit.classify import load_model
from spurgekit.classify.applicability import Applicability, read_applicability, write_applicability
from spurgekit.classify.model_files import TRAINING_FEATURES
from spurgekit.classify.tile_reader import read_tile
from spurgekit.dataset import open_dataset
from spurgekit.errors import ModelError


def square(side):
    return np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float32)


class TestIndex:
    def test_by_hand(self):
        """Of a square of side 1 two corners are (4 + 2 sqrt(2)) / 6 apart in the mean, and each has another at 1."""
        found = Applicability.of(square(1), ["a", "b", "c", "d"])
        assert found.scale == pytest.approx((4 + 2 * np.sqrt(2)) / 6)
        assert found.threshold == pytest.approx(1 / found.scale)
        index = found.dissimilarity(np.array([[0, 0], [0, -2], [3, 1]], np.float32))
        assert index == pytest.approx(np.array([0, 2, 2]) / found.scale, abs=1e-6)

    def test_the_threshold_goes_by_the_tiles_of_other_places(self):
        features = np.concatenate([square(1), square(1) + 100])
        by_place = Applicability.of(features, ["west"] * 4 + ["east"] * 4)
        single = Applicability.of(features, ["all"] * 8)
        assert by_place.threshold > 0.9
        assert single.threshold < 0.03

    def test_an_outlier_among_training_tiles_does_not_widen_it(self):
        rng = np.random.default_rng(0)
        features = rng.normal(0, 1, (60, 5)).astype(np.float32)
        features[0] = 50
        usual = Applicability.of(features[1:], range(59))
        assert Applicability.of(features, range(60)).threshold * 1.5 < usual.threshold * 1.6

    def test_of_two_tiles_the_unit_and_the_threshold_are_the_distance_between_them(self):
        found = Applicability.of(square(3)[:2], range(2))
        assert (found.scale, found.threshold) == (3, 1)

    @pytest.mark.parametrize("features", [square(1)[:1], np.zeros((5, 3), np.float32)])
    def test_too_few_or_all_alike(self, features):
        assert Applicability.of(features, range(len(features))) is None


class TestFile:
    def test_comes_back_as_it_was(self, tmp_path):
        found = Applicability.of(square(1), range(4))
        write_applicability(tmp_path, found)
        again = read_applicability(tmp_path)
        assert (again.scale, again.threshold) == (pytest.approx(found.scale), pytest.approx(found.threshold))
        np.testing.assert_array_equal(again.features, found.features)

    def test_none(self, tmp_path):
        assert read_applicability(tmp_path) is None

    def test_damaged(self, tmp_path):
        (tmp_path / TRAINING_FEATURES).write_bytes(b"no tensors")
        with pytest.raises(ModelError, match=f"{TRAINING_FEATURES} is damaged"):
            read_applicability(tmp_path)

    @pytest.mark.parametrize(("scale", "threshold"), [(0.0, 1.0), (np.nan, 1.0), (1.0, np.inf)])
    def test_numbers_that_cannot_be(self, tmp_path, scale, threshold):
        write_applicability(tmp_path, Applicability(square(1), scale, threshold))
        with pytest.raises(ModelError, match="does not hold what it should"):
            read_applicability(tmp_path)


class TestModel:
    def test_training_tiles_are_inside_and_noise_is_outside(self, chain):
        model = load_model(chain.model, "cpu")
        tiles = np.stack([read_tile(path) for path in open_dataset(chain.dataset).split("train")["path"][:6]])
        noise = np.random.default_rng(0).integers(1, 256, tiles.shape).astype(np.uint8)
        inside, outside = (model.predictions(images, features=True).dissimilarity for images in (tiles, noise))
        assert inside.max() < 0.1  # they are kept in half precision
        assert outside.min() > model.applicability.threshold
        assert model.predictions(tiles).dissimilarity is None
