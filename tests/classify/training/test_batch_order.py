from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.classify.training.batch_order import BatchOrder, FinetuneTiles, PixelsOnDisk, read_pixels
from spurgekit.errors import InputError


def tiles(labels, *, classes=None, **more):
    """Tiles of some class numbers whose pixels do not matter."""
    targets = np.eye(classes or max(labels) + 1)[labels]
    return FinetuneTiles(np.zeros((len(labels), 1, 1, 1), np.uint8), targets, [f"t{i}" for i in range(len(labels))], **more)


def drawn(draws, steps):
    return np.concatenate([draws.batch(step) for step in range(steps)])


class TestClasses:
    def test_rare_ones_are_seen_as_often(self):
        draws = BatchOrder(tiles([0, 0, 0, 0, 0, 0, 1]), 8, seed=1)
        for step in range(5):
            assert Counter((draws.batch(step) == 6).tolist()) == {True: 4, False: 4}

    def test_batches_that_they_do_not_divide(self):
        labels = np.array([0, 1, 2])
        draws = BatchOrder(tiles(labels), 4, seed=0)
        assert sorted(Counter(draws.batch(0).tolist()).values()) == [1, 1, 2]
        assert Counter(drawn(draws, 3).tolist()) == {0: 4, 1: 4, 2: 4}

    def test_fewer_places_than_classes(self):
        assert sorted(drawn(BatchOrder(tiles([0, 1, 2, 3]), 1, seed=0), 4)) == [0, 1, 2, 3]

    def test_one_is_missing(self):
        with pytest.raises(InputError, match=r"^there is no tile of class number 1 to learn from, of the 3 classes; hold out"):
            BatchOrder(tiles([0, 2, 2]), 4, seed=0)

    def test_one_has_no_weight(self):
        with pytest.raises(InputError, match="no tile of class number 1"):
            BatchOrder(tiles([0, 1], weights=np.array([1.0, 0.0])), 4, seed=0)

    def test_prior(self):
        assert BatchOrder(tiles([0, 0, 0, 1]), 4, seed=0).prior.tolist() == [0.5, 0.5]

    def test_prior_of_a_tile_that_is_of_both(self):
        both = FinetuneTiles(np.zeros((2, 1, 1, 1)), np.array([[1.0, 0.0], [0.5, 0.5]]), ["a", "b"])
        # For the first class, the first tile is drawn 2 times in 3; for the second class only the other tile can be.
        # 1/2 (2/3 x 1 + 1/3 x 1/2) + 1/2 x 1/2 = 2/3.
        assert BatchOrder(both, 4, seed=0).prior.tolist() == pytest.approx([2 / 3, 1 / 3])


class TestRounds:
    def test_each_tile_once(self):
        draws = BatchOrder(tiles([0] * 5 + [1] * 5), 10, seed=3)
        for step in range(4):
            assert sorted(draws.batch(step)) == list(range(10))

    def test_their_order_changes(self):
        draws = BatchOrder(tiles([0] * 5 + [1] * 5), 10, seed=3)
        assert draws.batch(0).tolist() != draws.batch(1).tolist()

    def test_by_weight(self):
        # In a round of 4 draws, 2.4, 0.8, 0.4 and 0.4 of them, rounded up or down; of weight 0 none.
        draws = BatchOrder(tiles([0] * 6, weights=np.array([6.0, 2.0, 1.0, 1.0, 0.0, 0.0])), 4, seed=0)
        for step in range(40):
            counts = np.bincount(draws.batch(step), minlength=6)
            assert counts[0] in (2, 3)
            assert counts[1:4].max() <= 1
            assert counts[4:].tolist() == [0, 0]

    @given(
        weights=st.lists(st.floats(0, 10).map(lambda w: round(w, 2)), min_size=1, max_size=12).filter(any),
        seed=st.integers(0, 1000),
    )
    def test_any_weights(self, weights, seed):
        weights = np.array(weights)
        n = int((weights > 0).sum())
        counts = np.bincount(drawn(BatchOrder(tiles([0] * len(weights), weights=weights), n, seed), 20), minlength=len(weights))
        expected = 20 * n * weights / weights.sum()
        assert (counts[weights == 0] == 0).all()
        assert (abs(counts - expected) <= 20).all()  # each round rounds up or down
        assert counts.sum() == 20 * n

    def test_weights_are_kept_on_average(self):
        weights = np.array([0.5, 0.3, 0.2])
        counts = np.bincount(drawn(BatchOrder(tiles([0, 0, 0], weights=weights), 3, seed=0), 2000))
        assert counts / 6000 == pytest.approx(weights, abs=0.02)

    def test_a_tile_that_is_there_twice(self):
        twice = FinetuneTiles(np.zeros((3, 1, 1, 1)), np.array([[1.0]] * 3), ["a", "b", "b"])
        assert Counter(np.array(["a", "b", "b"])[drawn(BatchOrder(twice, 3, seed=0), 10)].tolist()) == {"a": 10, "b": 20}


class TestSynthetic:
    @pytest.mark.parametrize("mixing", [0.0, 0.25, 0.3, 0.5, 1.0])
    def test_their_share(self, mixing):
        synthetic = np.array([False, True, True, True, False, True])
        draws = BatchOrder(tiles([0, 0, 0, 0, 1, 1], synthetic=synthetic, mixing=mixing), 8, seed=5)
        rows = drawn(draws, 100)
        for number in (0, 1):
            mine = rows[(rows >= 4) == (number == 1)]
            assert len(mine) == 400
            assert abs(synthetic[mine].sum() - 400 * mixing) <= 1

    def test_where_it_begins_depends_on_the_seed(self):
        begins = [
            BatchOrder(tiles([0, 0], synthetic=np.array([False, True]), mixing=0.25), 1, seed).batch(0)[0]
            for seed in range(400)
        ]
        assert np.mean(begins) == pytest.approx(0.25, abs=0.05)

    def test_a_class_without_any(self):
        draws = BatchOrder(tiles([0, 1, 1], synthetic=np.array([False, False, True]), mixing=0.5), 8, seed=0)
        assert Counter(drawn(draws, 10).tolist()) == {0: 40, 1: 20, 2: 20}

    def test_a_class_of_nothing_else(self):
        draws = BatchOrder(tiles([0, 1], synthetic=np.array([False, True]), mixing=0.1), 8, seed=0)
        assert Counter(drawn(draws, 10).tolist()) == {0: 40, 1: 40}

    def test_one_of_two_classes_is_drawn_for_each(self):
        targets = np.array([[1, 0], [0, 1], [0.25, 0.75], [1, 0]])
        synthetic = np.array([False, False, True, True])
        both = FinetuneTiles(np.zeros((4, 1, 1, 1)), targets, list("abcd"), synthetic=synthetic, mixing=0.5)
        draws = BatchOrder(both, 8, seed=0)
        # Half of each class's turns is synthetic: a fifth of the first's is the third tile, and all of the second's.
        counts = np.bincount(drawn(draws, 500)) / 4000
        assert counts == pytest.approx([0.25, 0.25, 0.25 / 5 + 0.25, 0.25 * 4 / 5], abs=0.01)
        assert draws.prior == pytest.approx([0.25 + 0.2 + 0.3 * 0.25, 0.25 + 0.3 * 0.75])

    def test_weights_count_among_their_kind_only(self):
        weights = np.array([1.0, 0.001, 0.003])
        draws = BatchOrder(tiles([0, 0, 0], weights=weights, synthetic=np.array([False, True, True]), mixing=0.5), 8, seed=0)
        counts = np.bincount(drawn(draws, 100))
        assert counts[0] == 400
        assert counts[2] == pytest.approx(300, abs=20)


class TestSeeds:
    def test_a_step_can_be_drawn_by_itself(self):
        one, other = (BatchOrder(tiles([0, 0, 0, 1]), 6, seed=2) for _ in range(2))
        drawn(one, 7)
        assert one.batch(7).tolist() == other.batch(7).tolist()

    def test_other_seeds_draw_otherwise(self):
        first, second = (drawn(BatchOrder(tiles([0] * 9 + [1] * 9), 6, seed), 3).tolist() for seed in (0, 1))
        assert first != second

    def test_alterations_differ_within_a_batch_and_between_steps(self):
        draws = BatchOrder(tiles([0, 1]), 4, seed=0)
        seeds = draws.seeds(0, np.array([0, 1, 0, 0])) + draws.seeds(1, np.array([0, 1, 0, 0]))
        assert len(set(seeds)) == 8

    def test_alterations_depend_on_the_tile_alone(self):
        draws = BatchOrder(tiles([0, 1]), 4, seed=0)
        assert draws.seeds(0, np.array([0, 1]))[1] == draws.seeds(0, np.array([1]))[0]


class TestTiles:
    def test_shots_are_distinct_real_tiles_of_some_weight(self):
        both = FinetuneTiles(
            np.zeros((7, 1, 1, 1)),
            np.eye(2)[[0, 0, 0, 1, 1, 1, 1]],
            ["a", "b", "c", "d", "d", "e", "f"],
            weights=np.array([1, 1, 1, 1, 1, 0, 1.0]),
            synthetic=np.array([False] * 6 + [True]),
        )
        assert both.shots == 1

    def test_one_thing_for_each(self):
        with pytest.raises(InputError, match=r"^2 tiles have 3 weights; give one for each"):
            tiles([0, 1], weights=np.ones(3))

    def test_targets_are_shares(self):
        for row in ([0.5, 0.4], [1.5, -0.5], [np.nan, 1.0]):
            with pytest.raises(InputError, match=r"^tile a has the class weights \[.*\]; pass shares with sum 1"):
                FinetuneTiles(np.zeros((1, 1, 1, 1)), np.array([row]), ["a"])

    @pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
    def test_weights_are_numbers_from_0(self, weight):
        with pytest.raises(InputError, match=r"^tile t1 has the weight .*; pass 0 or more"):
            tiles([0, 1], weights=np.array([1, weight]))

    def test_mixing_is_a_share(self):
        with pytest.raises(InputError, match=r"a mixing probability of 1\.5 cannot be"):
            tiles([0], mixing=1.5)


class TestPixels:
    @pytest.fixture
    def paths(self, tmp_path):
        found = [tmp_path / f"{i}.png" for i in range(5)]
        for i, path in enumerate(found):
            cv2.imwrite(str(path), np.full((4, 4, 3), 10 * i, np.uint8))
        return found

    def test_in_memory(self, paths):
        pixels = read_pixels(paths)
        assert isinstance(pixels, np.ndarray)
        assert pixels.shape == (5, 3, 4, 4)
        assert pixels[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]

    def test_too_many_stay_on_disk(self, paths):
        pixels = read_pixels(paths, kept_bytes=5 * 48 - 1)
        assert isinstance(pixels, PixelsOnDisk)
        assert pixels[np.array([3, 1, 3])][:, 2, 3, 3].tolist() == [30, 10, 30]

    def test_none(self):
        with pytest.raises(InputError, match="no tiles to learn from"):
            read_pixels([])
