"""Similarities fitted to points of the plane."""

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.similarity import fit_similarity

SQUARE = np.array([0, 1, 1 + 1j, 1j])
places = st.complex_numbers(max_magnitude=1e6, allow_nan=False)


@given(scale=st.floats(0.01, 100), turn=st.floats(-math.pi, math.pi), shift=places)
def test_what_points_were_turned_scaled_and_shifted_by_is_found(scale, turn, shift):
    factor = cmath.rect(scale, turn)
    found, moved = fit_similarity(SQUARE, factor * SQUARE + shift)
    assert found == pytest.approx(factor, abs=1e-8)
    assert moved == pytest.approx(shift, abs=1e-7)


def test_a_mirrored_square_is_met_by_its_middle_alone():
    factor, shift = fit_similarity(SQUARE, SQUARE.conj())
    assert factor == pytest.approx(0)
    assert shift == pytest.approx(0.5 - 0.5j)


def test_squared_distances_are_least():
    # The fourth corner is 0.4 off: a quarter of that goes into the shift, and as much into the factor as the others bear.
    there = SQUARE + np.array([0, 0, 0, 0.4])
    factor, shift = fit_similarity(SQUARE, there)
    least = np.sum(np.abs(factor * SQUARE + shift - there) ** 2)
    for change in (0.01, -0.01, 0.01j, -0.01j):
        assert np.sum(np.abs((factor + change) * SQUARE + shift - there) ** 2) > least
        assert np.sum(np.abs(factor * SQUARE + shift + change - there) ** 2) > least


@pytest.mark.parametrize(("scale", "fitted"), [(1.02, 1.02), (1.2, 1.05), (0.5, 0.95)])
def test_a_scale_that_is_too_far_from_1_is_brought_back_about_the_middle(scale, fitted):
    factor, shift = fit_similarity(SQUARE, scale * 1j * SQUARE, scale_error=0.05)
    assert factor == pytest.approx(fitted * 1j)
    assert factor * SQUARE.mean() + shift == pytest.approx(scale * 1j * SQUARE.mean())
