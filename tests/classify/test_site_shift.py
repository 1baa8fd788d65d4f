"""When the threshold moves on a site, and when it stays."""

import numpy as np
import pytest

from spurgekit.classify.site_shift import FEWEST, SiteShift, log_odds_of, shift_by_labels, shift_without_labels


def humps(*parts, seed=0):
    """Log odds of so many tiles around a mean with a standard deviation each."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(mean, sd, count) for count, mean, sd in parts])


class TestWithoutLabels:
    def test_it_moves_half_way_to_the_valley(self):
        # Humps at -6 and 2 of the same width cross in the middle, at -2: the threshold goes to -1.
        assert shift_without_labels(humps((200, -6, 1), (200, 2, 1))) == pytest.approx(1.0, abs=0.15)

    def test_how_common_the_weed_is_does_not_move_it(self):
        rare = shift_without_labels(humps((380, -6, 1), (20, 2, 1)))
        assert rare == pytest.approx(1.0, abs=0.3)

    @pytest.mark.parametrize("lift", [-5.0, 5.0])
    def test_both_humps_on_one_side_are_a_site_without_the_weed_or_full_of_it(self, lift):
        assert shift_without_labels(humps((200, -3, 0.8), (200, 3, 0.8)) + lift) == 0

    def test_a_shallow_valley_says_nothing(self):
        # Between humps at 0 and 2.6 of a width of 1 there are half as many tiles as on their tops.
        assert shift_without_labels(humps((2000, -1.3, 1), (2000, 1.3, 1)) + 0.5) == 0

    def test_one_hump_says_nothing(self):
        assert shift_without_labels(humps((400, 0.5, 2))) == 0

    def test_a_handful_of_odd_tiles_is_no_hump(self):
        assert shift_without_labels(humps((400, -4, 1), (5, 6, 0.3))) == 0

    def test_few_tiles_and_equal_ones_say_nothing(self):
        assert shift_without_labels(humps((FEWEST // 2 - 1, -6, 1), (FEWEST // 2, 2, 1))) == 0
        assert shift_without_labels(np.zeros(200)) == 0

    def test_the_same_twice(self):
        tiles = humps((150, -5, 1), (90, 1, 1.5))
        assert shift_without_labels(tiles) == shift_without_labels(tiles)


class TestByLabels:
    def test_labels_that_agree_leave_it_nearly_alone(self):
        assert abs(shift_by_labels(np.array([-8.0, -7, 7, 8]), np.array([0, 0, 1, 1]))) < 0.05

    def test_one_pair_moves_it_as_far_as_the_prior_lets_it(self):
        # Both at 3 and -1 lie too high or too low alike: without a prior the threshold would lie in their middle, at 1.
        drawn, free = (shift_by_labels(np.array([-1.0, 3.0]), np.array([0, 1]), sd=sd) for sd in (0.3, 100.0))
        assert free == pytest.approx(-1.0, abs=0.01)
        assert -0.5 < drawn < -0.01

    def test_more_of_one_class_does_not_pull(self):
        odds, targets = np.array([-1.0, 3.0]), np.array([0, 1])
        many = shift_by_labels(np.repeat(odds, [20, 20]), np.repeat(targets, [20, 20]), sd=100.0)
        lopsided = shift_by_labels(np.repeat(odds, [36, 4]), np.repeat(targets, [36, 4]), sd=100.0)
        assert lopsided == pytest.approx(many, abs=0.01)


def test_a_shift_adds_to_the_log_odds_of_the_second_class():
    before = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan]], np.float32)
    after = SiteShift(1.5, "a site", 3).apply(before)
    assert log_odds_of(after)[:2] - log_odds_of(before)[:2] == pytest.approx(1.5, abs=1e-5)
    assert after[:2].sum(axis=1) == pytest.approx(1)
    assert np.isnan(after[2]).all()
    assert (SiteShift(0.0, "", 0).apply(before)[:2] == before[:2]).all()
