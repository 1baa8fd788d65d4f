from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from spurgekit.classify.probe import C_VALUES, LEAVE_ONE_OUT, ProbeSamples, fit_probe, left_out_folds


def blobs(counts, *, dimensions=6, apart=2.0, seed=0):
    """Features of length 1 and classes: so many tiles of each class, around centres that lie apart."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(counts)), counts)
    features = rng.normal(size=(len(targets), dimensions)) + apart * np.eye(len(counts), dimensions)[targets]
    return features / np.linalg.norm(features, axis=1, keepdims=True), targets


def fit(features, targets, **options):
    return fit_probe(ProbeSamples.of_tiles(features, targets, targets.max() + 1), features, targets, **options)


class TestRegression:
    @pytest.mark.parametrize("counts", [(20, 20), (10, 15, 12)])
    @pytest.mark.parametrize("dimensions", [6, 90])
    def test_it_is_scikit_learns(self, counts, dimensions):
        features, targets = blobs(counts, dimensions=dimensions)
        probe = fit(features, targets, c_values=(10.0,))
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
        probe = fit_probe(samples, features, targets, c_values=(10.0,))
        twice, hard = np.vstack([features, features]), np.concatenate([targets, 1 - targets])
        weights = np.repeat([0.9, 0.1], 16)
        other = LogisticRegression(C=10.0, max_iter=5000, tol=1e-8).fit(twice, hard, sample_weight=weights)
        assert softmax(probe.logits(features), axis=1) == pytest.approx(other.predict_proba(features), abs=2e-3)

    def test_a_shift_is_added_to_all_logits(self):
        features, targets = blobs((12, 12))
        plain = ProbeSamples.of_tiles(features, targets, 2)
        shifted = replace(plain, shift=np.array([0.5, -1.0]))
        one, other = (fit_probe(samples, features, targets, c_values=(10.0,)) for samples in (plain, shifted))
        assert (one.weight == other.weight).all()
        assert other.bias - one.bias == pytest.approx([0.5, -1.0])
        assert other.left_out - one.left_out == pytest.approx(np.tile([0.5, -1.0], (24, 1)))

    def test_the_same_twice(self):
        features, targets = blobs((30, 40))
        one, other = fit(features, targets), fit(features, targets)
        assert (one.weight == other.weight).all()
        assert (one.left_out == other.left_out).all()


class TestPenalty:
    def test_left_out_logits_are_those_of_a_fit_without_the_tile(self):
        features, targets = blobs((5, 6))
        probe = fit(features, targets)
        assert probe.c in C_VALUES
        for i in range(11):
            rest = np.arange(11) != i
            other = LogisticRegression(C=probe.c, max_iter=5000, tol=1e-8).fit(features[rest], targets[rest])
            expected = other.predict_proba(features[[i]])
            assert softmax(probe.left_out[[i]], axis=1) == pytest.approx(expected, abs=1e-2)

    def test_it_is_the_one_that_predicts_tiles_left_out_best(self):
        features, targets = blobs((12, 12), apart=1.0)
        chosen = fit(features, targets)
        losses = {}
        for c in C_VALUES:
            p = softmax(fit(features, targets, c_values=(c,)).left_out, axis=1)
            losses[c] = -np.log(p[np.arange(24), targets]).mean()
        assert chosen.c == min(losses, key=losses.get)

    def test_noise_gets_the_strongest(self):
        rng = np.random.default_rng(3)
        features = rng.normal(size=(40, 30))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        assert fit(features, np.arange(40) % 2).c == C_VALUES[0]

    def test_a_copy_of_a_tile_does_not_vouch_for_it(self):
        # Noise, each tile twice: were the copy seen when the tile is left out, the weakest penalty would look best.
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
        probe = fit_probe(twice, features, targets)
        assert probe.c == C_VALUES[0]
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
        one, many = fit(features, targets), fit_probe(copies, features, targets)
        assert one.c == many.c
        assert many.logits(features) == pytest.approx(one.logits(features), abs=0.05)


class TestOneTileOfAClass:
    @pytest.mark.parametrize("classes", [2, 4])
    def test_the_nearest_mean_wins(self, classes):
        features, targets = blobs((1,) * classes, dimensions=8)
        queries, _ = blobs((50,) * classes, dimensions=8, seed=1)
        probe = fit(features, targets)
        assert probe.c is None
        assert np.isnan(probe.left_out).all()
        assert (probe.logits(queries).argmax(axis=1) == NearestCentroid().fit(features, targets).predict(queries)).all()

    def test_of_two_classes_each_mean_has_0_88(self):
        features, targets = blobs((1, 1))
        p = softmax(fit(features, targets).logits(features), axis=1)
        assert p[[0, 1], [0, 1]] == pytest.approx(1 / (1 + np.exp(-2)))

    def test_two_tiles_that_are_the_same(self):
        features = np.ones((2, 4)) / 2
        assert softmax(fit(features, np.array([0, 1])).logits(features), axis=1) == pytest.approx(0.5)


class TestFolds:
    def test_few_tiles_are_left_out_one_by_one(self):
        folds, by_group = left_out_folds(np.arange(10) % 2, list("aabbccddee"))
        assert [fold.tolist() for fold in folds] == [[i] for i in range(10)]
        assert not by_group

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
