from pathlib import Path

import pytest

from spurgekit.change.registration import measure_shift, window_of
from spurgekit.imagery import open_raster
from tests.change.conftest import CORNER, make_image


def shift_of(old, new, side_px=64, max_shift_m=0.8):
    with open_raster(old) as one, open_raster(new) as other:
        return measure_shift(one, other, side_px, max_shift_m)


@pytest.mark.parametrize("gain", [1.0, 0.4])
@pytest.mark.parametrize(("right", "below"), [(0, 0), (4, -3), (-11, 6)])
def test_what_lies_to_the_right_and_below_lies_east_and_south(here, right, below, gain):
    old, new = make_image(Path("old.tif")), make_image(Path("new.tif"), shift_px=(right, below), gain=gain)
    found = shift_of(old, new)
    assert (found.east_m, found.north_m) == pytest.approx((0.05 * right, -0.05 * below), abs=0.002)
    assert found.agreeing == found.windows == 16
    assert found.spread_m < 0.003


def test_parts_of_a_pixel_and_images_that_begin_elsewhere(here):
    old = make_image(Path("old.tif"))
    new = make_image(Path("new.tif"), at=(CORNER[0] + 0.517, CORNER[1] - 0.305), shift_px=(-10, -6))
    # The content is that of 0.5 m to the east and 0.3 m to the south; it is said to lie 17 mm farther east, 5 mm farther south.
    found = shift_of(old, new)
    assert (found.east_m, found.north_m) == pytest.approx((0.017, -0.005), abs=0.003)


def test_images_of_other_ground_do_not_agree(here):
    assert shift_of(make_image(Path("old.tif")), make_image(Path("new.tif"), seed=1)) is None


def test_images_that_do_not_meet(here):
    old, new = make_image(Path("old.tif")), make_image(Path("new.tif"), at=(CORNER[0] + 100, CORNER[1]))
    assert shift_of(old, new) is None


@pytest.mark.parametrize(
    ("shared", "native", "most", "found"),
    [((36, 36), 0.0125, 3.0, (512, 0.0234375)), ((8, 9), 0.05, 0.4, (64, 0.05)), ((3, 300), 0.05, 0.4, None)],
)
def test_windows_are_as_large_as_there_is_room_for(shared, native, most, found):
    assert window_of(shared, native, most) == found
