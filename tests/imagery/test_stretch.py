"""Pixels of any type as bytes."""

import numpy as np
import pytest

from spurgekit.imagery.stretch import BYTES, Stretch, rgb_bands

RAMP = np.arange(101)  # whose percentiles are its values


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_the_2nd_percentile_becomes_black_and_the_98th_white(dtype):
    pixels = RAMP.astype(dtype).reshape(1, 1, -1)
    shown = Stretch.of(pixels[0])(pixels)
    assert shown.dtype == np.uint8
    assert shown[0, 0, [0, 2, 98, 100]].tolist() == [0, 0, 255, 255]
    assert shown[0, 0, 50] == 127  # 255 * 48 / 96, cut to a whole number


def test_other_percentiles():
    shown = Stretch.of(RAMP[None].astype(np.float32), (10, 30))(RAMP.reshape(1, 1, -1))
    assert np.flatnonzero(shown[0, 0] > 0)[0] == 11
    assert np.flatnonzero(shown[0, 0] == 255)[0] == 30


def test_bands_are_stretched_as_one_or_each_by_itself():
    pixels = np.stack([RAMP, 2 * RAMP]).astype(np.uint16)[:, None]
    as_one = Stretch.of(pixels[:, 0], (0, 100))(pixels)
    assert as_one[:, 0, -1].tolist() == [127, 255]
    each = Stretch.of(pixels[:, 0], (0, 100), each_band=True)(pixels)
    assert each[:, 0, -1].tolist() == [255, 255]


def test_the_same_value_is_the_same_byte_in_another_tile():
    stretch = Stretch.of(RAMP[None])
    assert stretch(np.full((1, 1, 1), 50, np.uint16)) == stretch(RAMP.reshape(1, 1, -1))[0, 0, 50]


@pytest.mark.parametrize("stretch", [BYTES, Stretch.of(RAMP[None])])
def test_bytes_stay_as_they_are(stretch):
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert (stretch(pixels) == pixels).all()


def test_of_no_values_zero_is_black():
    assert not Stretch.of(np.zeros((3, 0), np.float32))(np.zeros((3, 4, 4), np.float32)).any()


def test_what_is_the_same_everywhere_is_black():
    assert not Stretch.of(np.full((1, 9), 0.25, np.float32))(np.full((1, 3, 3), 0.25, np.float32)).any()


@pytest.mark.parametrize(("bands", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_three_bands_are_shown_or_one_as_grey(bands, shown):
    assert rgb_bands(np.arange(bands).reshape(bands, 1, 1)).ravel().tolist() == shown
