import numpy as np
import pytest

from spurgekit.next_survey import choose_tiles
from spurgekit.next_survey.choosing import Worth

# Tiles are points on a line, as a model sees them; the only training tile is at 0.
KNOWN = np.array([[0.0]])


def line(*at):
    return np.array(at, float)[:, None]


def row(n):
    """Return places side by side, 1 m apart."""
    return np.column_stack([np.arange(n), np.zeros(n)]).astype(float)


class TestWorth:
    def test_is_the_ground_that_a_tile_stands_for_times_its_uncertainty(self):
        # Tiles at 1, 2 and 9 are 1, 2 and 9 from what is known. That at 2 brings 1 no nearer, itself by 2, and 9 by 9 - 7.
        worth = Worth(line(1, 2, 9), np.array([1, 0.5, 1]), KNOWN)
        assert worth.of_each().tolist() == [1 + 1 + 1, 0.5 * (2 + 2), 9]

    def test_falls_with_what_was_taken(self):
        worth = Worth(line(1, 2, 9), np.ones(3), KNOWN)
        worth.take(1)
        # Now 1 is 1 from what is known still, 2 is known, and 9 is 7 from it.
        assert worth.of_each().tolist() == [1, 0, 7]


class TestChoice:
    def test_one_of_a_cluster_and_not_all_of_it(self):
        features = line(5.0, 5.1, 5.2, 5.3, -3.0, 0.1)
        assert sorted(choose_tiles(features, np.ones(6), KNOWN, row(6), tiles=2))[1:] == [4]

    def test_the_unsure_one_of_two_that_stand_for_as_much(self):
        assert choose_tiles(line(4, -4), np.array([0.4, 0.6]), KNOWN, row(2), tiles=1) == [1]

    def test_what_is_common_goes_ahead_of_one_oddity(self):
        # k-centre would go for the tile at 20.
        assert choose_tiles(line(5, 5, 5, 5, 5, 20), np.ones(6), KNOWN, row(6), tiles=1) == [0]

    def test_what_is_like_a_training_tile_comes_last(self):
        features = line(0, 3, -3)
        chosen = [set(choose_tiles(features, np.array([1, 0.1, 0.1]), KNOWN, row(3), tiles=k)) for k in (2, 3)]
        assert chosen == [{1, 2}, {0, 1, 2}]

    def test_tiles_that_the_map_is_sure_of_are_chosen_by_the_ground_alone(self):
        assert choose_tiles(line(1, 2, 9), np.zeros(3), KNOWN, row(3), tiles=1) == [2]

    def test_in_the_order_of_the_walk(self):
        order = choose_tiles(line(4, 9, 7, 5), np.ones(4), KNOWN, row(4), tiles=4)
        assert order in ([0, 1, 2, 3], [3, 2, 1, 0])

    def test_no_more_than_there_are(self):
        assert len(choose_tiles(line(1, 2), np.ones(2), KNOWN, row(2), tiles=5)) == 2


class TestWalk:
    FAR = np.array([[0.0, 3.0], [4.0, 3.0], [100.0, 0.0]])

    def test_what_cannot_be_reached_is_left_out_whatever_it_is_worth(self):
        # From the start and back past the first is 6 m, past both near ones 3 + 4 + 5 = 12 m.
        for walk_m, expected in ((5.9, set()), (6.0, {0}), (11.9, {0}), (12.0, {0, 1}), (300.0, {0, 1, 2})):
            chosen = choose_tiles(line(2, 1, 50), np.ones(3), KNOWN, self.FAR, tiles=3, start=np.zeros(2), walk_m=walk_m)
            assert set(chosen) == expected, walk_m

    def test_worth_counts_by_the_metre(self):
        # The tile at 8 is worth 8, and 200 m there and back; that at 3 is worth 3 + 3, and 2 m.
        places = np.array([[1.0, 0.0], [100.0, 0.0]])
        chosen = choose_tiles(line(3, 8), np.ones(2), KNOWN, places, tiles=1, start=np.zeros(2), walk_m=1000)
        assert chosen == [0]
        assert choose_tiles(line(3, 8), np.ones(2), KNOWN, places, tiles=1) == [1]

    def test_begins_anywhere_without_a_start(self):
        chosen = choose_tiles(line(1, 2, 50), np.ones(3), KNOWN, self.FAR, tiles=3, walk_m=4)
        assert chosen == [2]

    @pytest.mark.parametrize("seed", range(5))
    def test_is_never_longer_than_it_may_be(self, seed):
        rng = np.random.default_rng(seed)
        places = rng.uniform(0, 30, (60, 2))
        chosen = choose_tiles(rng.normal(size=(60, 4)), rng.random(60), rng.normal(size=(2, 4)), places, tiles=20, walk_m=60)
        assert 2 < len(chosen) <= 20
        assert np.linalg.norm(np.diff(places[chosen], axis=0), axis=1).sum() <= 60
