from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.semi_supervised import LabelSpreading as Peer

from spurgekit.classify.arms import parse_arm
from spurgekit.classify.label_spreading import ALPHA, MOST_SHOTS, STRENGTH, LabelSpreading, _affinity
from spurgekit.classify.probe import ProbeSamples, fit_linear, nearest_mean
from spurgekit.classify.probe_samples import SupportSet, probe_unit, tile_features


def at(*degrees):
    """Return features of length 1 in the plane."""
    return np.array([[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees])


LABELLED = at(0, 90)
TWO_KINDS = at(2, 4, 6, 84, 86, 88)
LABELS = np.eye(2)


def spread(unlabelled=TWO_KINDS, labelled=LABELLED, labels=LABELS, **how):
    return LabelSpreading.of(labelled, labels, unlabelled, neighbours=how.pop("neighbours", 3), **how)


class TestLabelSpreading:
    def test_agrees_with_scikit_learn_on_the_same_graph(self):
        rng = np.random.default_rng(0)
        labelled, unlabelled = rng.normal(size=(4, 6)), rng.normal(size=(30, 6))
        targets = np.array([0, 1, 2, 0])
        graph = _affinity(np.concatenate([labelled, unlabelled]), 5)
        peer = Peer(kernel=lambda _, __: graph, alpha=ALPHA, max_iter=5000, tol=1e-12)
        peer.fit(np.concatenate([labelled, unlabelled]), np.r_[targets, np.full(30, -1)])
        own = LabelSpreading.of(labelled, np.eye(3)[targets], unlabelled, neighbours=5)
        share = own.reach @ np.eye(3)[targets]
        assert share / share.sum(axis=1, keepdims=True) == pytest.approx(peer.label_distributions_[4:], abs=1e-6)

    def test_the_mean_of_a_class_is_of_the_tiles_that_are_like_it(self):
        means, _ = spread().class_means()
        assert means == pytest.approx(np.array([TWO_KINDS[:3].mean(axis=0), TWO_KINDS[3:].mean(axis=0)]), abs=1e-9)

    def test_reach_is_by_angle_whatever_the_length(self):
        assert spread(7 * TWO_KINDS).reach == pytest.approx(spread().reach)

    def test_of_one_tile_a_class_a_mean_weighs_two_tiles_and_less_of_more(self):
        for n in (1, 2, 4):
            spreading = spread(labelled=at(*range(n), *range(90, 90 + n)), labels=np.repeat(LABELS, n, axis=0))
            assert spreading.class_means()[1] == pytest.approx(np.full(2, STRENGTH / n**2))

    def test_a_class_that_tiles_hardly_are_of_weighs_as_little(self):
        """Tiles of 10 % cover: where they are all that there is of a class, its mean counts as a tenth of the other's, too."""
        weights = spread(labels=np.array([[1.0, 0.0], [0.9, 0.1]])).class_means()[1]
        assert weights[1] / weights[0] == pytest.approx(0.1 / 1.9)
        assert weights.max() <= STRENGTH * 1.9

    def test_a_class_of_more_tiles_weighs_as_much_more(self):
        spreading = spread(labelled=at(0, 90, 89, 91), labels=LABELS[[0, 1, 1, 1]])
        weights = spreading.class_means()[1]
        assert weights[1] / weights[0] == pytest.approx(3)

    def test_tiles_that_are_all_of_one_kind_say_little(self):
        """The second class does not grow there: what it reaches, the first reaches as well."""
        rng = np.random.default_rng(0)
        one, other = (rng.normal(centre, 0.1, (60, 100)) for centre in np.eye(2, 100))
        labelled = np.stack([one[0], other[0]])
        sure, unsure = (
            LabelSpreading.of(labelled, LABELS, tiles).class_means()[1] for tiles in (np.concatenate([one, other])[2:], one[1:])
        )
        assert unsure.max() < sure.min() / 3

    def test_where_a_class_reaches_none_nothing_is_said_of_any(self):
        means, weights = spread(at(170, 171), labelled=at(0, 3), neighbours=1).class_means()
        assert weights.tolist() == [0, 0]
        assert np.isfinite(means).all()

    def test_without_a_tile_is_as_if_it_had_no_label(self):
        labelled, labels = at(0, 90, 45), LABELS[[0, 1, 1]]
        without = spread(labelled=labelled, labels=labels).without(np.array([2]))
        assert without.labels.tolist() == [[1, 0], [0, 1], [0, 0]]
        assert without.class_means()[0] == pytest.approx(TWO_KINDS.reshape(2, 3, 2).mean(axis=1), abs=0.01)

    def test_tiles_that_are_the_same(self):
        means, weights = spread(at(*[30] * 9), labelled=at(30, 30), neighbours=4).class_means()
        assert np.isfinite(means).all()
        assert np.isfinite(weights).all()

    def test_fewer_than_neighbours(self):
        means, weights = spread(at(10), neighbours=20).class_means()
        assert means == pytest.approx(np.repeat(at(10), 2, axis=0))
        assert (weights > 0).all()


class TestSamples:
    def test_means_are_one_more_sample_of_each_class(self):
        samples = replace(ProbeSamples.of_tiles(LABELLED, np.array([0, 1]), 2), spreading=spread())
        more = samples.with_means
        means, weights = samples.spreading.class_means()
        assert more.features[2:] == pytest.approx(means)
        assert more.targets[2:].tolist() == [[1, 0], [0, 1]]
        assert more.weights.tolist() == [1, 1, *weights]
        assert more.spreading is None

    def test_a_tile_that_is_left_out_has_no_part_in_them(self):
        """Its class is known to nobody then, wherever it lies."""
        labelled, targets = at(0, 3, 90, 47), np.array([0, 0, 1, 1])

        def left_out(last):
            classes = targets.copy()
            classes[3] = last
            labels = LABELS[classes] if last == 1 else LABELS[[0, 0, 1, 0]]
            samples = replace(ProbeSamples.of_tiles(labelled, classes, 2), spreading=spread(labelled=labelled, labels=labels))
            return fit_linear(samples.without(np.array([3])), labelled, targets, nearest_mean)

        one, other = left_out(0), left_out(1)
        assert one.weight == pytest.approx(other.weight)


class TestUnit:
    def support(self, tiles):
        return SupportSet(tiles.iloc[:2], 2, unlabelled=tiles.iloc[2:])

    def test_labels_are_spread_between_shrunk_features(self, store, tiles):
        unit = probe_unit(store, self.support(tiles), parse_arm("probe"))
        known = tile_features(store, tiles, unit.recipe)
        assert sorted(unit.unlabelled.tolist()) == sorted(known[2:].tolist())
        turns, two = unit.turns, np.arange(2)
        means, weights = LabelSpreading.of(turns(known[two]), LABELS, turns(unit.unlabelled)).class_means()
        drawn = (turns(known[two]) + weights[:, None] * means) / (1 + weights[:, None])
        plain = probe_unit(store, SupportSet(tiles.iloc[:2], 2), parse_arm("probe"))
        assert plain.unlabelled is None
        fitted = unit.fit()
        direction = drawn[1] - drawn[0]
        learned = (fitted.weight[1] - fitted.weight[0]) / np.linalg.norm(fitted.weight[1] - fitted.weight[0])
        assert learned == pytest.approx(turns(direction[None])[0] / np.linalg.norm(turns(direction[None])[0]), abs=1e-6)
        assert np.abs(plain.fit().weight - fitted.weight).max() > 0

    def test_a_regression_learns_from_them_as_from_tiles(self, store, tiles):
        """As of what it was given, in fewer dimensions, so in all of them."""
        unit = probe_unit(store, SupportSet(tiles.iloc[:4], 2), parse_arm("probe"))
        unlabelled = tile_features(store, tiles.iloc[4:], unit.recipe)
        spreading = LabelSpreading.of(unit.tiles, LABELS[unit.targets], unlabelled)
        alone = replace(unit, turns=None, unlabelled=None, samples=replace(unit.samples, spreading=spreading))
        given = replace(alone, samples=alone.samples.with_means)
        assert alone.solve(c=30.0).weight == pytest.approx(given.solve(c=30.0).weight, abs=1e-4)

    def test_soft_labels_are_spread_as_they_are(self, store, tiles):
        cover = tiles.iloc[:2].assign(source_target=0, share=[1.0, 0.4])
        unit = probe_unit(store, SupportSet(cover, 2, unlabelled=tiles.iloc[2:]), parse_arm("probe"))
        assert unit.labels.tolist() == SupportSet(cover, 2).labels.tolist()

    @pytest.mark.parametrize("arm", ["probe+supervised", "plain"])
    def test_arms_that_learn_from_labels_alone(self, store, tiles, arm):
        assert probe_unit(store, self.support(tiles), parse_arm(arm)).unlabelled is None

    def test_with_two_tiles_a_class_nothing_is_looked_at(self, store, tiles):
        many = pd.concat([tiles.iloc[:2]] * (MOST_SHOTS + 1), ignore_index=True)
        many["tile_id"] = [f"m{i}" for i in range(len(many))]
        support = SupportSet(many, 2, unlabelled=tiles.iloc[2:])
        assert probe_unit(store, support, parse_arm("probe")).unlabelled is None
