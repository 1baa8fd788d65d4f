"""A square out of an image in which it lies aslant, resampled once."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spurgekit.imagery import Window
from spurgekit.tiles.rectify import (
    apply_homography,
    homography_of_square,
    is_convex,
    largest_scale,
    rectify,
    source_window,
)
from tests.tiles import cut_out, ramp


def similarity(scale=1.0, degrees=0.0, col=0.0, row=0.0):
    """From a tile's pixels to the image's: ``scale`` image pixels a step, turned clockwise, from (col, row)."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[c, -s, col], [s, c, row], [0, 0, 1]])


def tile_of(image, to_image, size_px, valid=None):
    """What ``rectify`` makes of a whole image."""
    window = source_window(to_image, size_px)
    seen = np.ones((1, *image.shape[1:]), bool) if valid is None else valid[None]
    return rectify(cut_out(image * seen, window), cut_out(seen, window)[0], window, to_image, size_px)


def smooth(col, row):
    """A sum of long waves, which cubic convolution follows to a hundredth of a grey value."""
    return 100 + 40 * np.sin(col / 15 + 0.3) + 30 * np.cos(row / 20 - col / 30)


def image_of(function, size=120, dtype=np.float32):
    """An image whose pixels hold the function's values at their centres."""
    row, col = np.mgrid[:size, :size] + 0.5
    return function(col, row)[None].astype(dtype)


class TestHomography:
    @given(st.lists(st.floats(-20, 20), min_size=8, max_size=8), st.floats(0.1, 50))
    def test_the_corners_of_the_square_come_to_the_corners(self, shifts, side):
        corners = np.array([(0, 0), (100, 0), (100, 100), (0, 100)]) + np.reshape(shifts, (4, 2))
        assume(is_convex(corners))
        found = apply_homography(homography_of_square(corners, side), [0, side, side, 0], [0, 0, side, side])
        assert np.column_stack(found) == pytest.approx(corners, abs=1e-6)

    def test_the_middle_lies_where_the_diagonals_cross(self):
        # A trapezium, as a frame that looks a little ahead shows a square: its diagonals cross at a third of its height.
        matrix = homography_of_square([(20, 0), (40, 0), (50, 30), (10, 30)])
        assert apply_homography(matrix, 0.5, 0.5) == pytest.approx((30, 10))

    @pytest.mark.parametrize(
        "corners",
        [
            [(0, 0), (1, 1), (1, 0), (0, 1)],  # crosses itself
            [(0, 0), (1, 0), (0.2, 0.2), (0, 1)],  # an arrowhead
            [(0, 0), (1, 0), (2, 0), (0, 1)],  # three in a line
            [(0, 0), (0, 0), (1, 1), (0, 1)],
        ],
    )
    def test_what_is_no_view_of_a_square(self, corners):
        assert not is_convex(corners)
        with pytest.raises(ValueError, match="no convex quadrilateral"):
            homography_of_square(corners)

    def test_the_scale_is_the_largest_at_any_corner(self):
        assert largest_scale(similarity(1.4, 30), 10) == pytest.approx(1.4)
        # u -> 20 u / (2 - u): its slope is 40 / (2 - u)^2, 10 at the left and 40 at the right.
        matrix = homography_of_square([(0, -5), (20, -10), (20, 10), (0, 5)])
        assert largest_scale(matrix, 1) == pytest.approx(np.hypot(40, 0), rel=0.3)
        assert largest_scale(matrix, 1) > 39


class TestSourceWindow:
    def test_two_pixels_more_on_each_side(self):
        assert source_window(similarity(2, 0, 10, 20), 5) == Window(8, 18, 14, 14)

    def test_it_may_reach_outside(self):
        assert source_window(similarity(), 4) == Window(-2, -2, 8, 8)


class TestSamePixels:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    @pytest.mark.parametrize("bands", [1, 3, 5])
    def test_a_tile_whose_pixels_are_the_images_gets_them_as_they_are(self, dtype, bands):
        image = ramp(bands, 20, 24).astype(dtype)
        pixels, valid = tile_of(image, similarity(col=7, row=4), 9)
        assert pixels.dtype == dtype
        assert (pixels == image[:, 4:13, 7:16]).all()
        assert valid.all()

    def test_a_quarter_turn_moves_pixels_and_changes_none(self):
        image = ramp(3, 20, 20)
        pixels, _ = tile_of(image, similarity(degrees=90, col=15, row=3), 8)
        assert (pixels == np.rot90(image[:, 3:11, 7:15], 1, axes=(1, 2))).all()


class TestBetweenPixels:
    @given(st.floats(-180, 180), st.floats(0.3, 1.05))
    def test_a_ramp_stays_a_ramp(self, degrees, scale):
        def slope(col, row):
            return 3 * col - 2 * row + 500

        to_image = similarity(scale, degrees, 60, 60)
        pixels, _ = tile_of(image_of(slope), to_image, 30)
        row, col = np.mgrid[:30, :30] + 0.5
        assert pixels[0] == pytest.approx(slope(*apply_homography(to_image, col, row)), abs=1e-3)

    @pytest.mark.parametrize("degrees", [0, 17, 45, 200])
    def test_a_smooth_image_keeps_its_values(self, degrees):
        to_image = similarity(0.9, degrees, 55, 55)
        pixels, _ = tile_of(image_of(smooth), to_image, 40)
        row, col = np.mgrid[:40, :40] + 0.5
        assert pixels[0] == pytest.approx(smooth(*apply_homography(to_image, col, row)), abs=0.02)

    def test_in_perspective(self):
        corners = [(20.3, 15.2), (90.1, 20.7), (97.4, 101.9), (9.8, 95.5)]
        to_image = homography_of_square(corners, 90)
        pixels, _ = tile_of(image_of(smooth), to_image, 90)
        row, col = np.mgrid[:90, :90] + 0.5
        assert pixels[0] == pytest.approx(smooth(*apply_homography(to_image, col, row)), abs=0.05)

    def test_bytes_are_rounded_once(self):
        to_image = similarity(0.9, 33, 50, 40)
        exact, _ = tile_of(image_of(smooth).round(), to_image, 40)
        pixels, _ = tile_of(image_of(smooth).round().astype(np.uint8), to_image, 40)
        assert (pixels == np.rint(exact)).all()

    def test_bytes_do_not_wrap_at_sharp_edges(self):
        image = image_of(lambda col, row: 255 * ((col // 8 + row // 8) % 2), dtype=np.uint8)
        pixels, _ = tile_of(image, similarity(0.25, 0, 20.1, 20.1), 200)
        row, col = np.mgrid[:200, :200] * 0.25 + 20.1 + 0.125
        within = (np.abs(col % 8 - 4) < 2) & (np.abs(row % 8 - 4) < 2)
        assert (pixels[0] == 255 * ((col // 8 + row // 8) % 2))[within].all()


class TestShrinking:
    @pytest.mark.parametrize("factor", [2, 3, 5])
    def test_a_tile_on_blocks_of_pixels_gets_their_means(self, factor):
        image = np.random.default_rng(0).integers(0, 255, (3, 60, 60)).astype(np.float32)
        pixels, _ = tile_of(image, similarity(factor, 0, 10, 5), 8)
        blocks = image[:, 5 : 5 + 8 * factor, 10 : 10 + 8 * factor].reshape(3, 8, factor, 8, factor)
        assert pixels == pytest.approx(blocks.mean(axis=(2, 4)), abs=1e-3)

    @pytest.mark.parametrize("scale", [1.3, 2.4, 4.4])
    def test_a_fine_checker_goes_grey_and_not_moire(self, scale):
        image = image_of(lambda col, row: 255.0 * ((col // 1 + row // 1) % 2), 200)
        pixels, _ = tile_of(image, similarity(scale, 20, 100, 60), 20)
        assert np.abs(pixels - 127.5).max() < {1.3: 80, 2.4: 25, 4.4: 8}[scale]
        assert pixels.mean() == pytest.approx(127.5, abs=1)

    @given(st.floats(-180, 180), st.floats(1.1, 4))
    def test_a_ramp_stays_a_ramp(self, degrees, scale):
        def slope(col, row):
            return 2 * col + row + 500

        to_image = similarity(scale, degrees, 100, 100)
        pixels, _ = tile_of(image_of(slope, 200), to_image, 16)
        row, col = np.mgrid[:16, :16] + 0.5
        assert pixels[0] == pytest.approx(slope(*apply_homography(to_image, col, row)), abs=1e-3)


class TestValidity:
    def test_outside_the_image_nothing_is_valid(self):
        pixels, valid = tile_of(np.full((1, 10, 10), 7, np.uint8), similarity(col=-4, row=0), 10)
        assert (valid == (np.arange(10) >= 4)).all()
        assert (pixels[0] == 7 * valid).all()

    def test_a_pixel_needs_half_of_its_weight(self):
        # Blocks of 2 x 2 of which 3, 2 and 1 are valid.
        valid = np.ones((2, 6), bool)
        valid[0, 0] = valid[:, 2] = False
        valid[:, 4] = valid[0, 5] = False
        image = np.full((1, 2, 6), 40, np.uint8)
        pixels, found = tile_of(image, similarity(2), 3, valid)
        assert found[0].tolist() == [True, True, False]
        assert pixels[0, 0].tolist() == [40, 40, 0]

    def test_invalid_pixels_do_not_darken_their_neighbours(self):
        valid = np.ones((60, 60), bool)
        valid[20:30, 20:30] = False
        pixels, found = tile_of(np.full((1, 60, 60), 200, np.uint8), similarity(0.9, 30, 30, 5), 40, valid)
        assert (pixels[0] == 200 * found).all()
        assert 100 < (~found).sum() < 150  # 100 pixels of 0.81 of a tile's are 123

    def test_uint16_at_its_largest(self):
        pixels, _ = tile_of(np.full((2, 30, 30), 65535, np.uint16), similarity(0.9, 30, 15, 3), 10)
        assert (pixels == 65535).all()
