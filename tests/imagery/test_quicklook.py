"""Small pictures of large images, and of parts of them."""

import numpy as np
import pytest

from spurgekit.imagery import Window, open_raster
from spurgekit.imagery.quicklook import quick_look
from tests.tiles import ramp


@pytest.fixture
def raster(make_tif, tmp_path):
    with open_raster(make_tif(tmp_path / "site.tif", ramp(3, 60, 80))) as raster:
        yield raster


def test_a_small_image_is_shown_as_it_is(raster):
    look = quick_look(raster)
    assert look.grid == raster.grid
    assert (look.rgba()[..., :3] == np.moveaxis(ramp(3, 60, 80), 0, -1)).all()


def test_a_part_of_it(raster):
    window = Window(13, 7, 30, 20)
    look = quick_look(raster, window=window)
    assert look.grid == raster.grid.crop(window)
    assert (look.rgba()[..., :3] == np.moveaxis(ramp(3, 60, 80), 0, -1)[7:27, 13:43]).all()


def test_a_part_that_reaches_outside_is_transparent_there(raster):
    rgba = quick_look(raster, window=Window(70, -5, 20, 15)).rgba()
    assert (rgba[..., 3] > 0).sum() == 10 * 10
    assert (rgba[5:, :10, 3] == 255).all()


def test_each_pixel_of_a_part_is_the_mean_of_four(raster):
    look = quick_look(raster, max_px=5, window=Window(10, 10, 20, 20))  # 4 x 4 pixels each
    pixels = ramp(3, 60, 80)[:, 10:30, 10:30].astype(float)
    corners = [pixels[:, down::4, across::4] for down in (1, 3) for across in (1, 3)]
    assert (look.rgba()[..., :3] == np.floor(np.moveaxis(sum(corners) / 4, 0, -1))).all()
