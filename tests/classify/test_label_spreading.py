from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.semi_supervised import LabelSpreading as Peer

from spurgekit.classify.arms import parse_arm
from spurgekit.classify.features import unit
from spurgekit.classify.label_spreading import ALPHA, MOST_SHOTS, STRENGTH, _affinity, class_means, spread_labels
from spurgekit.classify.probe import ProbeSamples
from spurgekit.classify.probe_samples import SupportSet, probe_unit, tile_features


def at(*degrees):
    """Return features of length 1 in the plane."""
    return np.array([[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees])


LABELLED = at(0, 90)
TWO_KINDS = at(2, 4, 6, 84, 86, 88)
LABELS = np.eye(2)


def means(unlabelled=TWO_KINDS, labelled=LABELLED, labels=LABELS, neighbours=3):
    return class_means(labelled, labels, unlabelled, neighbours=neighbours)


class TestSpreadLabels:
    def test_agrees_with_scikit_learn_on_the_same_graph(self):
        rng = np.random.default_rng(0)
        labelled, unlabelled = rng.normal(size=(4, 6)), rng.normal(size=(30, 6))
        targets = np.array([0, 1, 2, 0])
        graph = _affinity(np.concatenate([labelled, unlabelled]), 5)
        peer = Peer(kernel=lambda _, __: graph, alpha=ALPHA, max_iter=5000, tol=1e-12)
        peer.fit(np.concatenate([labelled, unlabelled]), np.r_[targets, np.full(30, -1)])
        own = spread_labels(labelled, np.eye(3)[targets], unlabelled, neighbours=5)
        assert own == pytest.approx(peer.label_distributions_[4:], abs=1e-6)

    def test_it_is_by_angle_whatever_the_length(self):
        near, far = (spread_labels(LABELLED, LABELS, length * TWO_KINDS, neighbours=3) for length in (1, 7))
        assert far == pytest.approx(near)

    def test_where_no_label_comes(self):
        """Three tiles that know each other alone."""
        tiles = at(*[0] * 3, *[90] * 3, *[180] * 3)
        share = spread_labels(LABELLED, LABELS, tiles, neighbours=2)
        assert share.tolist() == [[1, 0]] * 3 + [[0, 1]] * 3 + [[0, 0]] * 3


class TestClassMeans:
    def test_the_mean_of_a_class_is_of_the_tiles_that_are_like_it(self):
        assert means()[0] == pytest.approx(np.array([TWO_KINDS[:3].mean(axis=0), TWO_KINDS[3:].mean(axis=0)]), abs=1e-9)

    def test_a_mean_weighs_two_tiles_beside_each(self):
        assert means()[1] == pytest.approx(np.full(2, STRENGTH))

    def test_a_class_that_tiles_hardly_are_of_weighs_as_little(self):
        """Tiles of 10 % cover: where they are all that there is of a class, its mean counts as a tenth of the other's, too."""
        weights = means(labels=np.array([[1.0, 0.0], [0.9, 0.1]]))[1]
        assert weights[1] / weights[0] == pytest.approx(0.1 / 1.9)
        assert weights.max() <= STRENGTH * 1.9

    def test_a_class_of_more_tiles_weighs_as_much_more(self):
        weights = means(labelled=at(0, 90, 89, 91), labels=LABELS[[0, 1, 1, 1]])[1]
        assert weights[1] / weights[0] == pytest.approx(3)

    def test_tiles_that_are_all_of_one_kind_say_little(self):
        """The second class does not grow there: what it reaches, the first reaches as well."""
        rng = np.random.default_rng(0)
        one, other = (rng.normal(centre, 0.1, (60, 100)) for centre in np.eye(2, 100))
        labelled = np.stack([one[0], other[0]])
        sure, unsure = (class_means(labelled, LABELS, tiles)[1] for tiles in (np.concatenate([one, other])[2:], one[1:]))
        assert unsure.max() < sure.min() / 3

    @pytest.mark.parametrize("classes", [2, 4, 10])
    def test_many_classes_say_as_much_as_two(self, classes):
        rng = np.random.default_rng(0)
        kinds = np.stack([rng.normal(centre, 0.1, (120 // classes, 100)) for centre in np.eye(classes, 100)])
        found, weights = class_means(kinds[:, 0], np.eye(classes), np.concatenate(kinds[:, 1:]))
        assert weights == pytest.approx(np.full(classes, STRENGTH))
        assert (unit(found) @ unit(kinds[:, 1:].mean(axis=1)).T).argmax(axis=1).tolist() == [*range(classes)]

    def test_where_a_class_reaches_none_nothing_is_said_of_any(self):
        found, weights = means(at(170, 171), labelled=at(0, 3), neighbours=1)
        assert weights.tolist() == [0, 0]
        assert np.isfinite(found).all()

    def test_a_class_of_no_labelled_tile(self):
        assert means(labels=LABELS[[0, 0]])[1].tolist() == [0, 0]

    def test_tiles_that_are_the_same(self):
        found, weights = means(at(*[30] * 9), labelled=at(30, 30), neighbours=4)
        assert np.isfinite(found).all()
        assert np.isfinite(weights).all()

    def test_fewer_than_neighbours(self):
        found, weights = means(at(10), neighbours=20)
        assert found == pytest.approx(np.repeat(at(10), 2, axis=0))
        assert (weights > 0).all()


class TestSamples:
    SAMPLES = ProbeSamples.of_tiles(LABELLED, np.array([0, 1]), 2)

    def test_means_are_one_more_sample_of_each_class(self):
        found, weights = means()
        more = self.SAMPLES.with_means(found, weights)
        assert more.features[2:] == pytest.approx(found)
        assert more.targets[2:].tolist() == [[1, 0], [0, 1]]
        assert more.weights.tolist() == [1, 1, *weights]

    def test_they_are_not_seen_where_a_tile_is_left_out(self):
        """Its label has gone into them."""
        assert len(self.SAMPLES.with_means(*means()).without(np.array([1])).weights) == 1

    def test_what_is_added_to_logits_stays(self):
        shifted = replace(self.SAMPLES, shift=np.array([0.5, -0.5]))
        assert shifted.with_means(*means()).shift.tolist() == [0.5, -0.5]


class TestUnit:
    def support(self, tiles):
        return SupportSet(tiles.iloc[:2], 2, unlabelled=tiles.iloc[2:])

    def test_labels_are_spread_between_shrunk_features(self, store, tiles):
        unit = probe_unit(store, self.support(tiles), parse_arm("probe"))
        known = tile_features(store, tiles, unit.recipe)
        assert sorted(unit.unlabelled.tolist()) == sorted(known[2:].tolist())
        turns, two = unit.turns, np.arange(2)
        found, weights = class_means(turns(known[two]), LABELS, turns(unit.unlabelled))
        drawn = (turns(known[two]) + weights[:, None] * found) / (1 + weights[:, None])
        plain = probe_unit(store, SupportSet(tiles.iloc[:2], 2), parse_arm("probe"))
        assert plain.unlabelled is None
        fitted = unit.fit()
        direction = drawn[1] - drawn[0]
        learned = (fitted.weight[1] - fitted.weight[0]) / np.linalg.norm(fitted.weight[1] - fitted.weight[0])
        assert learned == pytest.approx(turns(direction[None])[0] / np.linalg.norm(turns(direction[None])[0]), abs=1e-6)
        assert np.abs(plain.fit().weight - fitted.weight).max() > 0

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
