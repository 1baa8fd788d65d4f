"""Vegetation by colour: excess green, and the threshold between green and the rest."""

import numpy as np
import pytest

from spurgekit.imagery.vegetation import excess_green, green_index, otsu_threshold


def test_excess_green_of_shares():
    assert excess_green(np.array([[60.0, 120.0, 40.0]]))[0] == pytest.approx((240 - 100) / 220)
    assert excess_green(np.array([[[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]])).tolist() == [[0, 0]]


def test_the_index_is_blurred_over_a_fiftieth_of_the_side_and_knows_no_data():
    picture = np.full((50, 50, 3), 90, np.uint8)
    picture[25, 25] = (0, 90, 0)  # 2
    picture[0, 0] = 0
    index = green_index(picture)
    assert np.isnan(index[0, 0])
    assert index[25, 25] == pytest.approx(2 / (2 * np.pi), rel=0.05)  # the middle of a Gaussian of 1 px
    assert np.nansum(index) == pytest.approx(2)


def test_otsu_parts_two_kinds_however_rare_one_is():
    values = np.r_[np.linspace(-0.1, 0.0, 95), np.linspace(0.4, 0.5, 5), np.nan]
    assert -0.005 < otsu_threshold(values) < 0.4


def test_values_that_are_all_alike_have_a_threshold_that_none_is_far_from():
    assert otsu_threshold(np.full(9, 0.25)) == pytest.approx(0.25)
