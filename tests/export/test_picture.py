import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.vrt import WarpedVRT

from spurgekit.errors import ImageryError, InputError
from spurgekit.export.map_folder import read_map
from spurgekit.export.picture import PLAIN, halved, picture_of
from spurgekit.imagery.crs import parse_crs, points_in
from tests.export.conftest import CORNER, GROUND, SPURGE, SUMAC, make_image, make_map, note_images

MANY = 1e9


def colour_at(picture, x, y, crs="EPSG:32612"):
    """Return red, green, blue and alpha of the picture at a place."""
    places = points_in(np.array([[x, y]]), parse_crs(crs), picture.grid.crs)[0]
    col, row = (int(value) for value in picture.grid.to_pixel(*places))
    return tuple(int(value) for value in picture.rgba[row, col])


def middle(row, col, cell=2.0):
    """Return the middle of a cell of the drawn map."""
    return CORNER[0] + (col + 0.5) * cell, CORNER[1] - (row + 0.5) * cell


def test_pixels_are_those_of_the_image(seen):
    picture = picture_of(read_map(seen), None, MANY)
    with rasterio.open("dune.tif") as file:
        assert np.array_equal(np.moveaxis(picture.rgba[..., :3], -1, 0), file.read())
        assert picture.grid.transform == file.transform
    assert (picture.rgba[..., 3] == 255).all()
    assert (picture.image, picture.native_gsd_m, picture.notes) == ("dune.tif", pytest.approx(0.05), ())


def test_of_too_many_pixels_there_are_fewer_larger_ones(seen):
    picture = picture_of(read_map(seen), None, 320 * 240 / 4)
    assert picture.rgba.shape == (120, 160, 4)
    assert (picture.grid.gsd_m, picture.native_gsd_m) == pytest.approx((0.1, 0.05))
    assert colour_at(picture, *middle(0, 0)) == (*SPURGE, 255)
    assert colour_at(picture, *middle(2, 6)) == (*SUMAC, 255)


def test_a_map_of_a_part_of_an_image_has_the_picture_of_that_part(drawn):
    wide = make_image(Path("dune.tif"), "........ ........ ........ ........ ........ ........ ........ 11111111", side=20)
    note_images(drawn, wide)
    picture = picture_of(read_map(drawn), None, MANY)
    assert picture.rgba.shape == (120, 160, 4)  # 6 x 8 cells of 20 px; the rows below them are not of the map
    assert (picture.rgba[..., :3] == GROUND).all()


class TestOfSeveralImages:
    """The upper three rows of cells are on one, the lower three on another."""

    @pytest.fixture
    def two(self, drawn):
        upper = make_image(Path("upper.tif"), "11...1.. 11...... ......22")
        lower = make_image(Path("lower.tif"), "1.1...22 ........ ....1...", corner=(CORNER[0], CORNER[1] - 6))
        note_images(drawn, upper, lower)
        return drawn

    def test_all_are_shown(self, two):
        picture = picture_of(read_map(two), None, MANY)
        assert picture.rgba.shape == (240, 320, 4)
        assert (picture.image, picture.notes) == ("upper.tif and 1 more", ())
        assert colour_at(picture, *middle(0, 0)) == (*SPURGE, 255)
        assert colour_at(picture, *middle(3, 6)) == (*SUMAC, 255)

    def test_in_a_folder(self, two):
        Path("disk").mkdir()
        Path("upper.tif").rename("disk/upper.tif")
        with pytest.raises(InputError, match=r"disk holds no lower\.tif; name the image itself"):
            picture_of(read_map(two), Path("disk"), MANY)
        Path("lower.tif").rename("disk/lower.tif")
        assert picture_of(read_map(two), Path("disk"), MANY).image == "upper.tif and 1 more"

    def test_one_alone_says_how_much_it_shows(self, two):
        assert picture_of(read_map(two), Path("upper.tif"), MANY).notes == (
            "upper.tif shows 50% of the ground that was mapped",
        )


class TestWhereTheImageIs:
    def test_gone(self, seen):
        Path("dune.tif").unlink()
        picture = picture_of(read_map(seen), None, MANY)
        says = "the patches lie on plain ground: dune.tif is not where it was when mapped; pass `imagery`"
        assert (picture.image, picture.notes) == (None, (says,))
        assert colour_at(picture, *middle(3, 3)) == (*PLAIN, 255)
        assert picture.grid.gsd_m == pytest.approx(0.25)  # cells of 2 m, 8 px wide

    def test_another_of_the_same_name(self, seen):
        make_image(Path("dune.tif"), side=10)
        assert "dune.tif is not as it was when mapped" in picture_of(read_map(seen), None, MANY).notes[0]

    def test_elsewhere(self, seen):
        Path("disk").mkdir()
        Path("dune.tif").rename("disk/dune.tif")
        for imagery in (Path("disk"), Path("disk/dune.tif")):
            assert picture_of(read_map(seen), imagery, MANY).image == "dune.tif"

    def test_within_the_map_it_may_be_anybodys(self, drawn):
        note_images(drawn, make_image(drawn / "dune.tif"))
        assert "dune.tif is not where it was" in picture_of(read_map(drawn), None, MANY).notes[0]

    def test_a_map_that_does_not_say(self, drawn):
        assert "the map does not say which image it is of" in picture_of(read_map(drawn), None, MANY).notes[0]

    def test_damaged(self, seen):
        Path("dune.tif").write_bytes(b"nothing")
        note_images(seen, Path("dune.tif"))
        assert "dune.tif" in picture_of(read_map(seen), None, MANY).notes[0]

    def test_named_amiss(self, seen):
        Path("empty").mkdir()
        with pytest.raises(InputError, match=r"empty holds no dune\.tif; name the image itself"):
            picture_of(read_map(seen), Path("empty"), MANY)
        with pytest.raises(InputError, match=r"nowhere\.tif holds no dune\.tif"):
            picture_of(read_map(seen), Path("nowhere.tif"), MANY)
        Path("bad.tif").write_bytes(b"nothing")
        with pytest.raises(ImageryError, match=r"bad\.tif"):
            picture_of(read_map(seen), Path("bad.tif"), MANY)


class TestOtherImages:
    def test_in_another_crs(self, seen):
        corner = points_in(np.array([CORNER]), parse_crs("EPSG:32612"), parse_crs("EPSG:32611"))[0]
        # Zone 11's north is turned here against zone 12's, so that cells of one are not cells of the other.
        field = "1111111111 1111111111 1111111111"
        make_image(Path("west.tif"), field, side=20, crs="EPSG:32611", corner=(corner[0] - 2, corner[1] + 2))
        picture = picture_of(read_map(seen), Path("west.tif"), MANY)
        assert picture.grid.crs == parse_crs("EPSG:32612")
        assert colour_at(picture, *middle(0, 3)) == pytest.approx((*SPURGE, 255), abs=2)
        assert picture.notes[0].startswith("west.tif shows ")
        assert picture.notes[0].endswith("% of the ground that was mapped")

    def test_of_elsewhere(self, seen):
        make_image(Path("far.tif"), corner=(600_000, 5_000_000))
        with pytest.raises(InputError, match=r"far\.tif lies elsewhere than the map \(EPSG:32612\)"):
            picture_of(read_map(seen), Path("far.tif"), MANY)

    def test_without_data_there(self, seen):
        with rasterio.open("dune.tif") as file:
            profile, pixels = {**file.profile, "nodata": 0}, file.read()
        with rasterio.open("bare.tif", "w", **profile) as file:
            file.write(pixels * 0)
        with pytest.raises(InputError, match=r"bare\.tif shows nothing of the ground that was mapped"):
            picture_of(read_map(seen), Path("bare.tif"), MANY)

    def test_numbers_are_stretched(self, seen):
        with rasterio.open("dune.tif") as file:
            profile, pixels = {**file.profile, "dtype": "float32"}, file.read()
        with rasterio.open("floats.tif", "w", **profile) as file:
            file.write(pixels.astype(np.float32) / 1000)
        picture = picture_of(read_map(seen), Path("floats.tif"), MANY)
        assert colour_at(picture, *middle(0, 0))[:2] == pytest.approx((255, 255), abs=1)
        assert colour_at(picture, *middle(2, 6))[:3] == (0, 0, 255)


def test_a_turned_map_keeps_the_pixels_of_its_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    turned = Affine.translation(*CORNER) @ Affine.rotation(30) @ Affine.scale(2, -2)
    folder = make_map(Path("maps/turned"), transform=turned)
    note_images(folder, make_image(Path("turned.tif"), transform=turned))
    picture = picture_of(read_map(folder), None, MANY)
    with rasterio.open("turned.tif") as file:
        assert np.array_equal(np.moveaxis(picture.rgba[..., :3], -1, 0), file.read())
    assert colour_at(picture, *(turned @ (7, 3))) == (*SUMAC, 255)


def test_a_map_that_was_warped_to_degrees_has_a_picture_in_metres(seen):
    with rasterio.open(seen / "presence.tif") as file, WarpedVRT(file, crs="EPSG:4326") as warped:
        profile = {"driver": "GTiff", "width": warped.width, "height": warped.height, "count": 1, "dtype": "float32"}
        pixels, where = warped.read(), warped.transform
    with rasterio.open(seen / "presence.tif", "w", **profile, crs="EPSG:4326", transform=where) as file:
        file.write(pixels)
    picture = picture_of(read_map(seen), None, MANY)
    assert picture.grid.crs == parse_crs("EPSG:32612")
    assert colour_at(picture, *middle(2, 6)) == (*SUMAC, 255)
    Path("dune.tif").unlink()
    plain = picture_of(read_map(seen), None, MANY)
    assert plain.grid.crs == parse_crs("EPSG:32612")
    assert colour_at(plain, *middle(3, 3)) == (*PLAIN, 255)


def test_half_a_picture_is_the_mean_of_what_has_data():
    rgba = np.zeros((3, 4, 4), np.uint8)
    rgba[0, 0], rgba[0, 1], rgba[1, 0] = (10, 0, 0, 255), (20, 0, 0, 255), (90, 0, 0, 0)
    rgba[2, 3] = (7, 8, 9, 255)
    assert halved(rgba).tolist() == [[[15, 0, 0, 255], [0, 0, 0, 0]], [[0, 0, 0, 0], [7, 8, 9, 255]]]


def test_the_image_is_opened_as_it_was_to_be_mapped(drawn):
    path = make_image(Path("dune.tif"))
    with rasterio.open(path, "r+") as file:
        file.nodata = None
    note_images(drawn, path, nodata=SPURGE[0], image_crs=7)  # a record may say anything
    assert json.loads((drawn / "provenance.json").read_text())["parameters"]["nodata"] == SPURGE[0]
    picture = picture_of(read_map(drawn), None, MANY)
    assert colour_at(picture, *middle(0, 0))[3] == 255  # 250 in one band alone is data
