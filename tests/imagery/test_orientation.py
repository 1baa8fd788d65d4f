import numpy as np
import pytest
from affine import Affine
from PIL import Image, ImageOps
from rasterio.crs import CRS

from spurgekit.imagery import PixelGrid, Window
from spurgekit.imagery.orientation import stored_grid, stored_window, upright, upright_grid

CODES = range(1, 9)
STORED = np.arange(12).reshape(3, 4)


@pytest.mark.parametrize("code", CODES)
def test_pixels_are_turned_as_pillow_turns_them(code):
    image = Image.fromarray(STORED.astype(np.uint8))
    image.getexif()[0x0112] = code
    assert upright(STORED, code).tolist() == np.asarray(ImageOps.exif_transpose(image)).tolist()


def test_a_photo_of_a_camera_held_upright():
    # Stored:  0 1 2 3       a quarter turn clockwise:  8 4 0
    #          4 5 6 7                                  9 5 1 ...
    #          8 9 ...
    assert upright(STORED, 6)[:2].tolist() == [[8, 4, 0], [9, 5, 1]]


@pytest.mark.parametrize("code", CODES)
def test_bands_stay_bands(code):
    assert (upright(np.stack([STORED, STORED + 20]), code)[1] == upright(STORED + 20, code)).all()


@pytest.mark.parametrize("code", CODES)
def test_a_window_of_the_upright_image_is_read_where_it_is_stored(code):
    whole = upright(STORED, code)
    height, width = whole.shape
    window = Window(1, 0, 2, 3) if width > height else Window(0, 1, 3, 2)
    stored = STORED[stored_window(window, code, width, height).slices]
    assert (upright(stored, code) == whole[window.slices]).all()


@pytest.mark.parametrize("code", CODES)
def test_every_pixel_stays_where_it_lies_on_the_ground(code):
    stored = PixelGrid(4, 3, Affine(0.8, 0.6, 100, 0.6, -0.8, 200), CRS.from_epsg(32612))
    turned = upright_grid(stored, code)
    back = stored_grid(turned, code)
    assert (back.width, back.height) == (4, 3)
    assert back.corners() == pytest.approx(stored.corners())
    values = upright(STORED, code)
    assert (turned.height, turned.width) == values.shape
    for (row, col), value in np.ndenumerate(values):
        home = stored.to_world(value % 4 + 0.5, value // 4 + 0.5)
        assert np.ravel(turned.to_world(col + 0.5, row + 0.5)) == pytest.approx(np.ravel(home))


def test_an_image_without_a_place_stays_without_one():
    turned = upright_grid(PixelGrid(4, 3, Affine.identity()), 6)
    assert (turned.width, turned.height, turned.transform) == (3, 4, Affine.identity())
