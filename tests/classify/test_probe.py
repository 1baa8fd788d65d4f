from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from spurgekit.classify.probe import LEAVE_ONE_OUT, PROBE_C, ProbeSamples, fit_linear, fit_probe, left_out_folds, nearest_mean


def blobs(counts, *, dimensions=6, apart=2.0, seed=0):
    """Features of length 1 and classes: so many tiles of each class, around centres that lie apart."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(counts)), counts)
    features = rng.normal(size=(len(targets), dimensions)) + apart * np.eye(len(counts), dimensions)[targets]
    return features / np.linalg.norm(features, axis=1, keepdims=True), targets


def fit(features, targets, **options):
    return fit_probe(
        ProbeSamples.of_tiles(features, targets, targets.max() + 1), features, targets, **{"c": PROBE_C, **options}
    )


class TestRegression:
    @pytest.mark.parametrize("counts", [(20, 20), (10, 15, 12)])
    @pytest.mark.parametrize("dimensions", [6, 90])
    def test_it_is_scikit_learns(self, counts, dimensions):
        features, targets = blobs(counts, dimensions=dimensions)
        probe = fit(features, targets, c=10.0)
        other = LogisticRegression(C=10.0, max_iter=5000, tol=1e-8).fit(features, targets)
        queries, _ = blobs(counts, dimensions=dimensions, seed=1)
        assert softmax(probe.logits(queries), axis=1) == pytest.approx(other.predict_proba(queries), abs=2e-3)

    def test_as_a_layer_it_gives_the_same(self):
        features, targets = blobs((9, 9, 9))
        probe = fit(features, targets)
        with torch.inference_mode():
            assert probe.layer()(torch.from_numpy(features).float()).numpy() == pytest.approx(probe.logits(features), abs=1e-4)

    def test_a_soft_label_is_a_hard_one_of_each_class(self):
        features, targets = blobs((8, 8))
        soft = np.eye(2)[targets] * 0.8 + 0.1
        samples = ProbeSamples(features, soft, np.ones(16), np.eye(16, dtype=bool))
        probe = fit_probe(samples, features, targets, c=10.0)
        twice, hard = np.vstack([features, features]), np.concatenate([targets, 1 - targets])
        weights = np.repeat([0.9, 0.1], 16)
        other = LogisticRegression(C=10.0, max_iter=5000, tol=1e-8).fit(twice, hard, sample_weight=weights)
        assert softmax(probe.logits(features), axis=1) == pytest.approx(other.predict_proba(features), abs=2e-3)

    def test_a_shift_is_added_to_all_logits(self):
        features, targets = blobs((12, 12))
        plain = ProbeSamples.of_tiles(features, targets, 2)
        shifted = replace(plain, shift=np.array([0.5, -1.0]))
        one, other = (fit_probe(samples, features, targets, c=10.0) for samples in (plain, shifted))
        assert (one.weight == other.weight).all()
        assert other.bias - one.bias == pytest.approx([0.5, -1.0])
        assert other.left_out - one.left_out == pytest.approx(np.tile([0.5, -1.0], (24, 1)))

    def test_the_same_twice(self):
        features, targets = blobs((30, 40))
        one, other = fit(features, targets), fit(features, targets)
        assert (one.weight == other.weight).all()
        assert (one.left_out == other.left_out).all()


class TestLeftOut:
    def test_logits_are_those_of_a_fit_without_the_tile(self):
        features, targets = blobs((5, 6))
        probe = fit(features, targets)
        assert probe.c == PROBE_C
        for i in range(11):
            rest = np.arange(11) != i
            other = LogisticRegression(C=PROBE_C, max_iter=5000, tol=1e-8).fit(features[rest], targets[rest])
            expected = other.predict_proba(features[[i]])
            assert softmax(probe.left_out[[i]], axis=1) == pytest.approx(expected, abs=1e-2)

    def test_of_several_places_each_is_left_out_whole(self):
        features, targets = blobs((6, 6))
        places = np.tile(list("abc"), 4)
        probe = fit(features, targets, groups=places)
        assert probe.by_group
        for place in "abc":
            rest = places != place
            other = LogisticRegression(C=PROBE_C, max_iter=5000, tol=1e-8).fit(features[rest], targets[rest])
            expected = other.predict_proba(features[~rest])
            assert softmax(probe.left_out[~rest], axis=1) == pytest.approx(expected, abs=1e-2)

    def test_a_copy_of_a_tile_does_not_vouch_for_it(self):
        # Noise, each tile twice: were the copy seen when the tile is left out, nearly all would be recognised.
        rng = np.random.default_rng(0)
        features = rng.normal(size=(16, 60))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        targets = np.arange(16) % 2
        twice = ProbeSamples(
            np.vstack([features, features]),
            np.eye(2)[np.tile(targets, 2)],
            np.full(32, 0.5),
            np.tile(np.eye(16, dtype=bool), (2, 1)),
        )
        probe = fit_probe(twice, features, targets, c=PROBE_C)
        assert (probe.left_out.argmax(axis=1) == targets).mean() < 0.75

    def test_copies_that_share_the_weight_of_a_tile_change_nothing(self):
        features, targets = blobs((6, 6))
        n = len(targets)
        copies = ProbeSamples(
            np.repeat(features, 8, axis=0),
            np.eye(2)[np.repeat(targets, 8)],
            np.full(8 * n, 1 / 8),
            np.repeat(np.eye(n, dtype=bool), 8, axis=0),
        )
        one, many = fit(features, targets), fit_probe(copies, features, targets, c=PROBE_C)
        assert many.logits(features) == pytest.approx(one.logits(features), abs=0.05)


class TestOneTileOfAClass:
    """Nothing can be left out, and the classifier is the nearest mean."""

    def fit(self, features, targets):
        return fit_linear(ProbeSamples.of_tiles(features, targets, targets.max() + 1), features, targets, nearest_mean)

    @pytest.mark.parametrize("classes", [2, 4])
    def test_the_nearest_mean_wins(self, classes):
        features, targets = blobs((1,) * classes, dimensions=8)
        queries, _ = blobs((50,) * classes, dimensions=8, seed=1)
        probe = self.fit(features, targets)
        assert probe.c is None
        assert np.isnan(probe.left_out).all()
        assert (probe.logits(queries).argmax(axis=1) == NearestCentroid().fit(features, targets).predict(queries)).all()

    def test_of_two_classes_each_mean_has_0_88(self):
        features, targets = blobs((1, 1))
        p = softmax(self.fit(features, targets).logits(features), axis=1)
        assert p[[0, 1], [0, 1]] == pytest.approx(1 / (1 + np.exp(-2)))

    def test_two_tiles_that_are_the_same(self):
        features = np.ones((2, 4)) / 2
        assert softmax(self.fit(features, np.array([0, 1])).logits(features), axis=1) == pytest.approx(0.5)


class TestFolds:
    @pytest.mark.parametrize("groups", [None, ["a"] * 10])
    def test_few_tiles_of_one_place_are_left_out_one_by_one(self, groups):
        folds, by_group = left_out_folds(np.arange(10) % 2, groups)
        assert [fold.tolist() for fold in folds] == [[i] for i in range(10)]
        assert not by_group

    def test_few_tiles_of_several_places_are_left_out_by_place(self):
        folds, by_group = left_out_folds(np.arange(10) % 2, list("aabbccddee"))
        assert sorted(fold.tolist() for fold in folds) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
        assert by_group

    def test_fewer_parts_where_a_class_grows_in_two_places_only(self):
        targets = np.array([0, 1, 0, 1, 0, 0, 0, 0])
        folds, by_group = left_out_folds(targets, list("aabbccdd"))
        assert by_group
        assert len(folds) == 2

    def test_of_one_tile_of_a_class_nothing_can_be_left_out(self):
        assert left_out_folds(np.array([0, 0, 1]), None) == ([], False)

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=LEAVE_ONE_OUT + 1, max_size=150), st.integers(0, 5)
    )
    def test_of_many_each_is_left_out_once_and_groups_stay_whole(self, rows, seed):
        targets, groups = (np.array(column) for column in zip(*rows, strict=True))
        folds, by_group = left_out_folds(targets, groups, seed)
        counts = np.bincount(targets)
        if counts[counts > 0].min() < 2:
            assert folds == []
            return
        assert sorted(np.concatenate(folds).tolist()) == list(range(len(rows)))
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(rows)), fold)
            assert set(targets[rest]) == set(targets)
            if by_group:
                assert not set(groups[fold]) & set(groups[rest])

    def test_a_class_that_grows_in_one_place_only_is_left_out_tile_by_tile(self):
        targets = np.repeat([0, 1], 50)
        groups = np.where(targets == 1, "only here", np.arange(100) % 5)
        assert not left_out_folds(targets, groups)[1]
