"""Train and test by place, worked out by hand on squares of 10 m, and for any squares."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from spurgekit.dataset.splits import block_numbers, check_leakage, choose_groups, close_pairs, draw_test_groups
from spurgekit.errors import InputError, LeakageError


def squares(places, side=10.0):
    """Footprints whose lower left corners are at (x, y)."""
    return gpd.GeoSeries([box(x, y, x + side, y + side) for x, y in places], crs="EPSG:32612")


class TestBlocks:
    def test_numbered_in_rows_from_the_south_west(self):
        x, y = np.array([5.0, 15, 5, 15, 25]), np.array([15.0, 15, 5, 5, 5])
        assert block_numbers(x, y, 10).tolist() == [3, 4, 0, 1, 2]

    def test_they_lie_on_round_coordinates(self):
        # 19 and 21 are close, but 20 is a border; 21 and 39 are far, but in one block.
        assert block_numbers(np.array([19.0, 21, 39]), np.zeros(3), 20).tolist() == [0, 1, 1]

    def test_a_border_belongs_to_the_block_north_and_east_of_it(self):
        assert block_numbers(np.array([9.999, 10.0]), np.zeros(2), 10).tolist() == [0, 1]

    def test_west_of_the_origin(self):
        assert block_numbers(np.array([-0.5, 0.5]), np.zeros(2), 10).tolist() == [0, 1]

    coordinates = st.integers(-1000, 1000).map(float)

    @given(st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=30), st.integers(1, 200))
    def test_same_number_means_same_square(self, places, side):
        x, y = np.array(places).T
        numbers = block_numbers(x, y, side)
        assert sorted(set(numbers)) == list(range(len(set(numbers))))
        for i in range(1, len(places)):
            same = x[0] // side == x[i] // side and y[0] // side == y[i] // side
            assert (numbers[0] == numbers[i]) == same
            assert not same or max(abs(x[0] - x[i]), abs(y[0] - y[i])) < side


class TestDraw:
    def test_the_only_way_to_hold_out_half_of_both_classes(self):
        # a and b hold weed only, c and d sand only: half of each class is one of the first and one of the last.
        groups = np.repeat(["a", "b", "c", "d"], 5)
        labels = np.repeat(["weed", "weed", "sand", "sand"], 5)
        held_out = set(draw_test_groups(groups, labels, test_share=0.5, seed=0))
        assert len(held_out & {"a", "b"}) == len(held_out & {"c", "d"}) == 1

    def test_no_class_is_held_out_whole_where_it_can_be_helped(self):
        groups, labels = np.array([0, 1, 2, 3, 4, 5]), np.array(["s", "s", "s", "s", "w", "w"])
        for seed in range(20):
            held_out = np.isin(groups, draw_test_groups(groups, labels, test_share=0.3, seed=seed))
            assert {"s", "w"} == set(labels[held_out]) == set(labels[~held_out])

    def test_a_seed_draws_the_same_again(self):
        rng = np.random.default_rng(0)
        groups, labels = rng.integers(0, 20, 300), rng.choice(["s", "w"], 300)
        first, again, other = (draw_test_groups(groups, labels, test_share=0.3, seed=seed).tolist() for seed in (1, 1, 2))
        assert first == again != other

    def test_one_group_cannot_be_parted(self):
        with pytest.raises(InputError, match="all tiles lie in one place"):
            draw_test_groups(np.zeros(5), np.array(list("swsws")), test_share=0.3, seed=0)

    @settings(max_examples=40)
    @given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from("sw")), min_size=2, max_size=60), st.floats(0.05, 0.95))
    def test_something_is_left_on_both_sides(self, tiles, share):
        groups, labels = np.array([g for g, _ in tiles]), np.array([c for _, c in tiles])
        if len(set(groups)) < 2:
            return
        held_out = np.isin(groups, draw_test_groups(groups, labels, test_share=share, seed=0))
        assert held_out.any()
        assert not held_out.all()

    def test_about_the_share_that_was_asked_for(self):
        rng = np.random.default_rng(0)
        groups, labels = rng.integers(0, 100, 5000), rng.choice(["s", "w"], 5000)
        held_out = np.isin(groups, draw_test_groups(groups, labels, test_share=0.3, seed=0))
        for name in ("s", "w"):
            assert held_out[labels == name].mean() == pytest.approx(0.3, abs=0.02)


class TestChosenGroups:
    def test_by_name(self):
        assert choose_groups(pd.Series(["a", "b", "c", "a"]), ["a", "c"], "site").tolist() == [True, False, True, True]

    @pytest.mark.parametrize("column", [pd.Series([0, 1, 10]), pd.Series([0.0, 1.0, 10.0]), pd.Series(["0", "1", "10"])])
    def test_numbers_are_called_by_their_digits(self, column):
        assert choose_groups(column, ["0", "10"], "cluster").tolist() == [True, False, True]

    def test_an_unknown_name_says_which_there_are(self):
        with pytest.raises(InputError, match="column 'cluster' has no group '9'; it has 0, 1"):
            choose_groups(pd.Series([0, 1, 1]), ["0", "9"], "cluster")

    def test_all_of_them(self):
        with pytest.raises(InputError, match="holds out all groups of 'site'"):
            choose_groups(pd.Series(["a", "b"]), ["a", "b"], "site")


class TestDistance:
    #  0 1 .  four squares of 10 m: 1 touches 0 with a side, 2 touches 1 with a corner, 3 is 10 m east of 2
    #  . . 2 . 3
    places = ((0, 10), (10, 10), (20, 0), (40, 0))

    @pytest.mark.parametrize(
        ("test", "pairs"),
        [([0], {(1, 0)}), ([1], {(0, 1), (2, 1)}), ([2], {(1, 2)}), ([3], set()), ([1, 3], {(0, 1), (2, 1)})],
    )
    def test_touching_by_a_side_or_a_corner(self, test, pairs):
        found = close_pairs(squares(self.places), np.isin(range(4), test))
        assert set(map(tuple, found.tolist())) == pairs

    @pytest.mark.parametrize(("buffer", "close"), [(9.99, set()), (10, {2}), (19.9, {2}), (20, {1, 2}), (30, {0, 1, 2})])
    def test_within_a_distance(self, buffer, close):
        # 2 is 10 m west of 3; 1 is 20 m west of it, and begins in the north where 3 ends; 0 is 30 m west.
        pairs = close_pairs(squares(self.places), np.isin(range(4), [3]), buffer)
        assert set(pairs[:, 0].tolist()) == close

    def test_a_gap_of_a_millimetre_is_a_gap(self):
        assert len(close_pairs(squares([(0, 0), (10.001, 0)]), np.array([False, True]))) == 0

    def test_rounding_is_no_gap(self):
        assert len(close_pairs(squares([(0, 0), (10 + 1e-9, 0)]), np.array([False, True]))) == 1

    def test_squares_of_one_side_are_no_pairs(self):
        assert close_pairs(squares([(0, 0), (10, 0)]), np.array([True, True])).shape == (0, 2)
        assert close_pairs(squares([(0, 0), (10, 0)]), np.array([False, False])).shape == (0, 2)

    def test_leakage_names_two_tiles_and_what_to_do(self):
        with pytest.raises(LeakageError, match=r"test tiles touch 1 training tile, e\.g\. a and b; pass `buffer_m=0`"):
            check_leakage(squares([(0, 0), (10, 0), (50, 0)]), np.array([True, False, False]), ["a", "b", "c"])
        with pytest.raises(LeakageError, match="test tiles touch 2 training tiles"):
            check_leakage(squares([(0, 0), (10, 0), (0, 10)]), np.array([True, False, False]), ["a", "b", "c"])

    def test_a_millimetre_apart_there_is_none(self):
        check_leakage(squares([(0, 0), (10.001, 0)]), np.array([True, False]), ["a", "b"])
        with pytest.raises(LeakageError):
            check_leakage(squares([(0, 0), (10, 0)]), np.array([True, False]), ["a", "b"])

    @given(
        st.lists(st.tuples(st.integers(-60, 60), st.integers(-60, 60), st.booleans()), min_size=1, max_size=25),
        st.integers(0, 50),
    )
    def test_what_is_left_keeps_its_distance(self, tiles, buffer):
        footprints = squares([(x, y) for x, y, _ in tiles])
        is_test = np.array([t for _, _, t in tiles])
        close = np.zeros(len(tiles), bool)
        close[close_pairs(footprints, is_test, buffer)[:, 0]] = True
        assert not (close & is_test).any()  # test tiles are never left out
        kept, test = footprints[~is_test & ~close], footprints[is_test]
        if not len(test):
            assert not close.any()
            return
        for shape in kept:
            assert test.distance(shape).min() > buffer
        for shape in footprints[close]:
            assert test.distance(shape).min() <= buffer + 1e-6
