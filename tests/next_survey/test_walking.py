from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.next_survey.walking import distances, length_of, put_in, shortest_tour, without_crossings

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
FAR_APART = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=6, unique=True)


class TestDistances:
    def test_from_a_start(self):
        assert distances(np.array([[3.0, 4.0]]), np.zeros(2)).tolist() == [[0, 5], [5, 0]]

    def test_a_walk_that_begins_anywhere_has_no_way_to_its_start(self):
        apart = distances(SQUARE, None)
        assert apart[0].tolist() == apart[:, 0].tolist() == [0] * 5
        assert apart[1, 3] == pytest.approx(2**0.5)


class TestTour:
    def test_crossing_legs_are_uncrossed(self):
        apart = distances(SQUARE[1:], SQUARE[0])
        assert length_of([0, 2, 1, 3], apart) == pytest.approx(2 + 2 * 2**0.5)
        assert length_of(without_crossings([0, 2, 1, 3], apart), apart) == 4

    def test_of_a_square_from_a_corner_and_back_is_its_rim(self):
        assert length_of(shortest_tour(distances(SQUARE[1:], SQUARE[0])), distances(SQUARE[1:], SQUARE[0])) == 4

    def test_of_a_square_from_anywhere_leaves_one_side_out(self):
        assert length_of(shortest_tour(distances(SQUARE, None)), distances(SQUARE, None)) == 3

    def test_without_stops(self):
        assert shortest_tour(distances(np.empty((0, 2)), np.zeros(2))) == [0]

    @given(FAR_APART, st.booleans())
    def test_goes_to_each_stop_once_and_is_hardly_longer_than_the_shortest(self, places, begins_there):
        places = np.array(places, float)
        apart = distances(places, np.array([10.0, 10.0]) if begins_there else None)
        tour = shortest_tour(apart)
        assert tour[0] == 0
        assert sorted(tour) == list(range(len(places) + 1))
        best = min(length_of([0, *order], apart) for order in permutations(range(1, len(places) + 1)))
        assert length_of(tour, apart) <= 1.25 * best + 1e-9


class TestPutIn:
    def test_behind_the_leg_that_it_lengthens_least(self):
        # The square's other two corners, into a tour from the first corner to the third one and back.
        apart = distances(SQUARE[1:], SQUARE[0])
        after, metres = put_in([0, 2], apart)
        assert metres[[1, 3]] == pytest.approx([2 - 2**0.5] * 2)
        assert metres[0] == metres[2] == 0
        assert after[1] in (0, 1)

    def test_into_a_walk_that_begins_anywhere_the_first_costs_nothing(self):
        assert put_in([0], distances(SQUARE, None))[1].tolist() == [0] * 5
