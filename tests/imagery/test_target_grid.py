"""The grid of the same pixels in another CRS."""

from pathlib import Path

import numpy as np
import pyproj
import pytest
from affine import Affine
from rasterio.crs import CRS

from spurgekit.errors import ImageryError
from spurgekit.imagery import PixelGrid
from spurgekit.imagery.target_grid import same_pixels_in

NAME = Path("site.tif")
TURNED = PixelGrid(
    6000, 4000, Affine.translation(700_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(0.02, -0.02), CRS.from_epsg(32612)
)


@pytest.mark.parametrize("code", [32613, 4326, 3857])
def test_every_pixel_stays_where_it_lies_on_the_ground(code):
    there = same_pixels_in(NAME, TURNED, CRS.from_epsg(code))
    assert (there.width, there.height, there.crs) == (6000, 4000, CRS.from_epsg(code))
    col, row = np.array([0, 6000, 3000, 6000, 1234.5]), np.array([0, 0, 2000, 4000, 2345.5])
    back = pyproj.Transformer.from_crs(code, 32612, always_xy=True).transform(*there.to_world(col, row))
    assert np.hypot(*np.subtract(back, TURNED.to_world(col, row))).max() < 0.002  # over 120 x 80 m


def test_in_its_own_it_is_the_grid_itself():
    assert same_pixels_in(NAME, TURNED, CRS.from_epsg(32612)) is TURNED


def test_where_the_other_one_has_no_place_for_it_the_line_says_so():
    nowhere = PixelGrid(100, 100, Affine(1, 0, 4e9, 0, -1, 4e9), CRS.from_epsg(32612))
    with pytest.raises(ImageryError, match=r"what lies there cannot be brought to EPSG:32613"):
        same_pixels_in(NAME, nowhere, CRS.from_epsg(32613))
