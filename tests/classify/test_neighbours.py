import numpy as np
import pandas as pd
import pytest

from spurgekit.classify.arms import parse_arm
from spurgekit.classify.neighbours import MOST_SHOTS, toward_neighbours, weight_of
from spurgekit.classify.probe_samples import SupportSet, probe_unit, tile_features


class TestTowardNeighbours:
    UNLABELLED = np.array([[2.0, 0.0], [1.0, 0.2], [0.0, 3.0], [0.1, 1.0]])

    def test_a_tile_goes_part_of_the_way_to_the_mean_of_its_nearest(self):
        found = toward_neighbours(np.array([[1.0, 0.0], [0.0, 2.0]]), self.UNLABELLED, 0.5, neighbours=2)
        assert found == pytest.approx(np.array([[0.5 * 1 + 0.5 * 1.5, 0.5 * 0.1], [0.5 * 0.05, 0.5 * 2 + 0.5 * 2]]))

    def test_nearest_is_by_angle_whatever_the_length(self):
        assert toward_neighbours(np.array([[9.0, 0.1]]), self.UNLABELLED, 1.0, neighbours=1).tolist() == [[2.0, 0.0]]

    def test_fewer_than_asked_for_are_all_taken(self):
        found = toward_neighbours(np.array([[1.0, 0.0]]), self.UNLABELLED, 1.0)
        assert found[0] == pytest.approx(self.UNLABELLED.mean(axis=0))

    def test_without_any_it_stays(self):
        features = np.array([[1.0, 0.0]])
        assert toward_neighbours(features, np.empty((0, 2)), 0.5) is features

    def test_the_weight_falls_with_shots(self):
        weights = [weight_of(n) for n in range(1, MOST_SHOTS + 3)]
        assert weights[0] == 0.5
        assert weights == sorted(weights, reverse=True)
        assert weights[-2:] == [0, 0]


class TestUnit:
    def support(self, tiles):
        return SupportSet(tiles.iloc[:2], 2, unlabelled=tiles.iloc[2:])

    def test_samples_are_drawn_and_left_out_tiles_are_not(self, store, tiles):
        unit = probe_unit(store, self.support(tiles), parse_arm("probe"))
        known = tile_features(store, tiles, unit.recipe)
        assert sorted(unit.unlabelled.tolist()) == sorted(known[2:].tolist())
        turns, two = unit.turns, np.arange(2)
        drawn = toward_neighbours(turns(known[two]), turns(unit.unlabelled), 0.5)
        plain = probe_unit(store, SupportSet(tiles.iloc[:2], 2), parse_arm("probe"))
        assert plain.unlabelled is None
        fitted = unit.fit()
        direction = drawn[1] - drawn[0]
        learned = (fitted.weight[1] - fitted.weight[0]) / np.linalg.norm(fitted.weight[1] - fitted.weight[0])
        assert learned == pytest.approx(turns(direction[None])[0] / np.linalg.norm(turns(direction[None])[0]), abs=1e-6)
        assert np.abs(plain.fit().weight - fitted.weight).max() > 0

    @pytest.mark.parametrize("arm", ["probe+supervised", "plain"])
    def test_arms_that_learn_from_labels_alone(self, store, tiles, arm):
        assert probe_unit(store, self.support(tiles), parse_arm(arm)).unlabelled is None

    def test_with_many_shots_nothing_is_looked_at(self, store, tiles):
        many = pd.concat([tiles.iloc[:2]] * (MOST_SHOTS + 1), ignore_index=True)
        many["tile_id"] = [f"m{i}" for i in range(len(many))]
        support = SupportSet(many, 2, unlabelled=tiles.iloc[2:])
        assert probe_unit(store, support, parse_arm("probe")).unlabelled is None
