"""Pictures of sites say where their pixels lie."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from spurgekit.errors import ImageryError
from spurgekit.imagery import open_raster
from spurgekit.imagery.quicklook import quick_look
from spurgekit.imagery.site_picture import SitePicture, picture_grid


def test_a_dot_is_found_where_the_picture_says_that_it_lies(make_tif, tmp_path):
    site = make_tif(tmp_path / "site.tif", np.full((3, 40, 60), 200, np.uint8))
    with open_raster(site) as raster:
        picture = SitePicture(quick_look(raster), "a dot")
        x, y = (float(value) for value in raster.grid.to_world(20.5, 10.5))
        picture.points(np.array([[x, y]]), (255, 0, 0), radius=6)
        picture.save(tmp_path / "dot.png")
        crs = raster.grid.crs
    grid = picture_grid(tmp_path / "dot.png")
    red = (np.asarray(Image.open(tmp_path / "dot.png")) == (255, 0, 0)).all(axis=-1)
    rows, cols = np.nonzero(red)
    assert (cols.mean() + 0.5, rows.mean() + 0.5) == pytest.approx(grid.to_pixel(x, y), abs=0.5)
    assert grid.crs == crs


def test_another_picture_says_nothing(tmp_path):
    Image.new("RGB", (10, 10)).save(tmp_path / "other.png")
    with pytest.raises(ImageryError, match=r"other\.png does not say where its pixels lie"):
        picture_grid(tmp_path / "other.png")


def test_a_site_may_be_a_narrow_strip(make_tif, tmp_path):
    site = make_tif(tmp_path / "site.tif", np.full((3, 1120, 80), 200, np.uint8))
    with open_raster(site) as raster:
        SitePicture(quick_look(raster), "a strip with a title that is longer than it is wide").save(tmp_path / "strip.png")
    assert picture_grid(tmp_path / "strip.png").width > 0


def test_nothing_hides_the_site(make_tif, tmp_path):
    pixels = np.random.default_rng(0).integers(1, 256, (3, 1200, 1000), dtype=np.uint8)
    site = make_tif(tmp_path / "site.tif", pixels)
    with open_raster(site) as raster:
        picture = SitePicture(quick_look(raster), "a site")
        picture.legend((255, 0, 0), "something that stands below it")
        picture.save(tmp_path / "site.png")
        grid = picture_grid(tmp_path / "site.png")
        left, top = (round(float(value)) for value in grid.to_pixel(*raster.grid.to_world(0, 0)))
    shown = np.asarray(Image.open(tmp_path / "site.png"))[top : top + 1200, left : left + 1000]
    assert (shown == pixels.transpose(1, 2, 0)).all()


def test_north_and_the_scale_bar_stand_below_an_entry_that_leaves_them_no_room(make_tif, tmp_path):
    site = make_tif(tmp_path / "site.tif", np.full((3, 1000, 1000), 200, np.uint8))
    heights = []
    for entry in ("short", "an entry that is nearly as long as " + "the site is wide and " * 4):
        with open_raster(site) as raster:
            picture = SitePicture(quick_look(raster), "a site")
            picture.legend((255, 0, 0), entry)
            picture.save(tmp_path / "site.png")
        heights.append(picture_grid(tmp_path / "site.png").height)
    assert heights[1] > heights[0]
