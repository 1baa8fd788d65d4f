"""Masks grown, turned inside out and with soft rims."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from spurgekit.augment.edit_masks import edit_mask, feather, grow, published_growth_px
from spurgekit.errors import InputError

masks = arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20)))


def disc(radius):
    """The pixels whose centres are within a radius of one's own."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x**2 + y**2 <= radius**2


def dot(size=31):
    mask = np.zeros((size, size), bool)
    mask[size // 2, size // 2] = True
    return mask


class TestGrow:
    def test_makes_a_disc_of_a_dot(self):
        grown = grow(dot(31), 10)
        assert (grown[5:26, 5:26] == disc(10)).all()
        assert grown.sum() == disc(10).sum()

    @given(masks, st.integers(1, 6))
    def test_is_dilation_by_that_disc(self, mask, pixels):
        assert (grow(mask, pixels) == ndimage.binary_dilation(mask, disc(pixels))).all()

    @given(masks, st.integers(1, 6))
    def test_shrinks_by_it_and_not_at_the_edge_of_the_tile(self, mask, pixels):
        assert (grow(mask, -pixels) == ndimage.binary_erosion(mask, disc(pixels), border_value=1)).all()

    @given(masks)
    def test_by_nothing_changes_nothing(self, mask):
        assert (grow(mask, 0) == mask).all()

    @pytest.mark.parametrize("pixels", [-3, 3])
    @pytest.mark.parametrize("value", [False, True])
    def test_nothing_and_everything_stay_so(self, pixels, value):
        mask = np.full((5, 7), value)
        assert (grow(mask, pixels) == mask).all()

    def test_published(self):
        assert [published_growth_px(side) for side in (512, 250, 32)] == [16, 8, 1]


class TestFeather:
    def test_has_as_many_greys_as_asked_for(self):
        mask = np.zeros((3, 12), bool)
        mask[:, 2:] = True
        assert feather(mask, 4).tolist() == [[0, 0, 51, 102, 153, 204, 255, 255, 255, 255, 255, 255]] * 3

    @given(masks, st.integers(0, 8))
    def test_leaves_the_outside_black_and_all_of_the_inside_may_change(self, mask, pixels):
        assert ((feather(mask, pixels) > 0) == mask).all()

    @given(masks)
    def test_of_nothing_is_black_and_white(self, mask):
        assert (feather(mask, 0) == 255 * mask).all()

    def test_has_no_rim_where_the_mask_runs_out_of_the_tile(self):
        assert (feather(np.ones((4, 4), bool), 9) == 255).all()


class TestEditMask:
    def test_inside_the_rim_changes_with_the_things(self):
        assert (edit_mask(dot(), grow_px=5) == 255 * grow(dot(), 5)).all()

    def test_outside_it_stays_with_them(self):
        assert (edit_mask(dot(), where="outside", grow_px=5) == 255 * ~grow(dot(), 5)).all()

    @given(masks, st.integers(-3, 3), st.integers(0, 4))
    def test_no_pixel_may_change_on_both_sides(self, mask, grow_px, feather_px):
        inside, outside = (edit_mask(mask, where=w, grow_px=grow_px, feather_px=feather_px) for w in ("inside", "outside"))
        assert ((inside > 0) ^ (outside > 0)).all()

    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"where": "above"}, "a tile cannot change 'above' of a mask; pass inside or outside"),
            ({"feather_px": -1}, "a rim of -1 px cannot be; pass 0 or more pixels"),
            ({"grow_px": float("nan")}, "a mask cannot grow by nan px; pass a number of pixels, less than 0 to shrink it"),
        ],
    )
    def test_what_cannot_be(self, how, message):
        with pytest.raises(InputError) as error:
            edit_mask(dot(), **how)
        assert str(error.value) == message
