"""Masks at the size of a model, and tiles put back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from spurgekit.diffusion.compositing import open_mask, paste, read_mask

masks = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def test_a_latent_may_change_where_any_pixel_under_it_may():
    mask = np.zeros((16, 16), np.uint8)
    mask[0, 7] = 1
    mask[9:, 8:] = 255
    assert open_mask(mask, 4)[0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_of_a_larger_picture_each_pixel_that_lies_over_one():
    mask = np.array([[0, 255, 0]] * 3, np.uint8)
    assert open_mask(mask, 6)[0, 0].tolist() == [0, 0, 1, 1, 0, 0]
    assert open_mask(mask, 4)[0, 0].tolist() == [0, 1, 1, 0]


@given(masks, st.integers(1, 20))
def test_no_pixel_that_may_change_is_lost(mask, side):
    opened = open_mask(mask, side)
    assert opened.shape == (1, side, side)
    for row, column in np.argwhere(mask):
        rows, columns = (slice(i * side // n, -(-(i + 1) * side // n)) for i, n in zip((row, column), mask.shape, strict=True))
        assert opened[0, rows, columns].all()
    assert bool(opened.any()) == bool(mask.any())
    assert torch.equal(opened, opened.bool().float())


@given(arrays(np.uint8, (4, 5, 3)), arrays(np.uint8, (4, 5, 3)), arrays(np.uint8, (4, 5)))
def test_pasting_mixes_linearly_and_leaves_the_rest_to_the_bit(tile, painted, mask):
    found = paste(tile, painted, mask)
    share = mask[..., None] / 255
    assert (np.abs(found - (share * painted + (1 - share) * tile)) <= 0.5 + 1e-9).all()
    assert (found[mask == 0] == tile[mask == 0]).all()
    assert (found[mask == 255] == painted[mask == 255]).all()


@pytest.mark.parametrize("mode", ["L", "1"])
def test_masks_of_8_bits_and_of_one(tmp_path, mode):
    pixels = np.array([[0, 255, 255], [0, 0, 255]], np.uint8)
    Image.fromarray(pixels).convert(mode).save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png", tmp_path / "tile.png", (2, 3)) == pixels).all()
