from typing import ClassVar

import numpy as np
import pytest
import rasterio
from PIL import Image

from spurgekit.errors import ImageryError
from spurgekit.imagery import open_raster, open_tile_image
from spurgekit.imagery.image_info import read_image_info
from tests.imagery.test_raster import read_all

RGBA = ("red", "green", "blue", "alpha")


def bands(*values, side=4):
    """An image whose bands have one value each."""
    return np.stack([np.full((side, side), value, np.uint8) for value in values])


class TestOrder:
    def test_red_comes_first_wherever_the_file_has_it(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", bands(30, 20, 10, 40), colours=("blue", "green", "red", "undefined"))
        for options in ({}, {"gsd_m": 0.02}):
            raster, pixels, _ = read_all(path, **options)
            assert (raster.bands, raster.rgb) == ((3, 2, 1, 4), (3, 2, 1))
            assert pixels[:, 0, 0].tolist() == [10, 20, 30, 40]
        assert raster.notes == (
            "bands are stored as blue, green, red, 4: read as red, green, blue (bands 3,2,1), then the others (4)",
        )

    def test_bands_that_are_asked_for_come_as_asked_and_it_is_said(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", bands(30, 20, 10), colours=("blue", "green", "red"))
        raster, pixels, _ = read_all(path, bands=(1, 2, 3))
        assert pixels[:, 0, 0].tolist() == [30, 20, 10]
        assert raster.notes == (
            "the bands asked for are blue, green, red, in that order; for colours as they are pass `bands=3,2,1`",
        )
        assert read_all(path, bands=(3, 2, 1))[0].notes == ()

    def test_descriptions_say_it_where_colours_do_not(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", bands(30, 20, 10, 40, 50), photometric="minisblack")
        with rasterio.open(path, "r+") as file:
            file.descriptions = ["Blue", "Green", "Red", "NIR", "RedEdge"]
        assert read_all(path)[0].bands == (3, 2, 1, 4, 5)

    @pytest.mark.parametrize(
        "texts", [("Blue (450 nm)", "Green-560", "band 3: red", "Red edge", "red_edge 2"), ("B", "G", "R", "N", "red nir")]
    )
    def test_whatever_else_they_say(self, tmp_path, make_tif, texts):
        path = make_tif(tmp_path / "a.tif", bands(30, 20, 10, 40, 50), photometric="minisblack")
        with rasterio.open(path, "r+") as file:
            file.descriptions = texts
        assert read_all(path)[0].bands == (3, 2, 1, 4, 5)

    def test_where_both_differ_it_is_said(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", bands(30, 20, 10), photometric="rgb")
        with rasterio.open(path, "r+") as file:
            file.descriptions = ["blue", "green", "red"]
        raster = read_all(path)[0]
        assert raster.bands == (1, 2, 3)
        assert "bands 1,2,3 say that they are red, green and blue, and descriptions say it of 3,2,1" in raster.notes[0]


class TestAlpha:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_less_than_half_of_its_range_is_no_data(self, tmp_path, make_tif, dtype):
        top = np.iinfo(dtype).max
        array = np.full((4, 1, 8), 9, dtype)
        array[3, 0] = [0, top // 10, top // 2, top // 2 + 1, top, top, top, top]
        _, pixels, valid = read_all(make_tif(tmp_path / "a.tif", array, colours=RGBA))
        assert valid[0].tolist() == [False] * 3 + [True] * 5
        assert pixels[0, 0].tolist() == [0] * 3 + [9] * 5

    def test_opaque_may_be_less_than_the_types_largest_value(self, tmp_path, make_tif):
        array = np.full((4, 2, 2), 900, np.uint16)
        array[3] = [[255, 0], [255, 255]]
        valid = read_all(make_tif(tmp_path / "a.tif", array, colours=RGBA))[2]
        assert valid.tolist() == [[True, False], [True, True]]

    def test_a_lossy_rim_is_no_data(self, tmp_path, make_tif):
        row, col = np.mgrid[:256, :256]
        disc = (row - 128) ** 2 + (col - 128) ** 2 < 100**2
        array = np.stack([np.where(disc, 90, 0)] * 3 + [np.where(disc, 255, 0)]).astype(np.uint8)
        layout = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "jpeg"}
        valid = read_all(make_tif(tmp_path / "a.tif", array, colours=RGBA, **layout))[2]
        assert (valid != disc).mean() < 0.001

    def test_near_infrared_that_calls_itself_alpha_is_a_band(self, tmp_path, make_tif):
        array = np.random.default_rng(0).integers(20, 200, (4, 30, 40), np.uint8)
        array[3, 0] = 0  # deep shadow
        path = make_tif(tmp_path / "a.tif", array, colours=RGBA)
        raster, pixels, valid = read_all(path)
        assert (raster.bands, raster.validity) == ((1, 2, 3, 4), "none")
        assert (pixels == array).all()
        assert valid.all()
        assert read_all(path, gsd_m=0.02)[1].shape == (4, 15, 20)
        assert "band 4 says that it is alpha, but holds what is measured" in raster.notes[0]

    @pytest.mark.parametrize(("colour", "description"), [("nir", None), ("undefined", "NIR"), ("alpha", "near infrared")])
    def test_what_is_called_near_infrared_is_a_band_though_it_is_all_0_and_255(self, tmp_path, make_tif, colour, description):
        array = bands(9, 9, 9, 255)
        array[3, 0] = 0
        path = make_tif(tmp_path / "a.tif", array, colours=(*RGBA[:3], colour), photometric="rgb")
        with rasterio.open(path, "r+") as file:
            file.set_band_description(4, description or "")
        assert read_all(path)[0].bands == (1, 2, 3, 4)


class TestInk:
    def test_of_four_colours_in_8_bits_becomes_rgb(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", bands(104, 150, 180, 30), photometric="cmyk")
        raster, pixels, valid = read_all(path)
        # (255 - ink) * (255 - black) / 255
        assert (raster.bands, pixels[:, 0, 0].tolist(), valid.all()) == ((1, 2, 3), [133, 92, 66], True)

    def test_in_16_bits_is_refused(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", bands(104, 150, 180, 30).astype(np.uint16), photometric="cmyk")
        with pytest.raises(ImageryError, match=r"a\.tif holds cyan, magenta, yellow, black, which is ink; make it red, green"):
            open_raster(path)

    @pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
    def test_a_white_0_is_refused(self, tmp_path, make_tif, dtype, top):
        path = make_tif(tmp_path / "a.tif", bands(7).astype(dtype), photometric="miniswhite")
        with pytest.raises(ImageryError, match=rf"whose 0 is white; .* gdal_calc\.py -A a\.tif --calc={top}-A --outfile=NEW"):
            open_raster(path)

    def test_a_white_0_of_one_bit_is_a_palette(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", bands(0), photometric="miniswhite", nbits=1)
        assert read_all(path)[1][:, 0, 0].tolist() == [255, 255, 255]


class TestPalette:
    COLOURS: ClassVar = {0: (10, 20, 30, 255), 1: (200, 0, 0, 255), 2: (0, 200, 0, 255), 3: (0, 0, 200, 255)}

    @pytest.fixture
    def path(self, tmp_path, make_tif):
        indexes = np.repeat(np.repeat(np.array([[[0, 1], [2, 3]]], np.uint8), 2, axis=1), 2, axis=2)
        path = make_tif(tmp_path / "a.tif", indexes, photometric="palette", gsd=1)
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, self.COLOURS)
        return path

    def test_the_colours_are_read(self, path):
        raster, pixels, valid = read_all(path)
        assert (raster.bands, raster.dtype, raster.dataset.count) == ((1, 2, 3), np.uint8, 1)
        assert pixels[:, 0].T.tolist() == [[10, 20, 30], [10, 20, 30], [200, 0, 0], [200, 0, 0]]
        assert pixels[:, 3, 3].tolist() == [0, 0, 200]
        assert valid.all()
        assert raster.notes == ("holds palette indexes; the red, green and blue that they stand for are read",)

    def test_colours_are_averaged_and_not_indexes(self, path):
        _, pixels, _ = read_all(path, gsd_m=4)
        assert pixels[:, 0, 0] == pytest.approx([52.5, 55, 57.5], abs=0.6)

    def test_the_index_of_no_data(self, path):
        with rasterio.open(path, "r+") as file:
            file.nodata = 2
        _, pixels, valid = read_all(path)
        assert valid.tolist() == [[True] * 4] * 2 + [[False, False, True, True]] * 2
        assert not pixels[:, ~valid].any()

    def test_indexes_as_such(self, path):
        assert read_all(path, palette=False)[1][0, 3].tolist() == [2, 2, 3, 3]

    def test_of_a_png(self, tmp_path):
        picture = Image.new("P", (4, 3), 1)
        picture.putpalette([0, 0, 0, 30, 60, 90])
        picture.save(tmp_path / "a.png")
        with open_tile_image(tmp_path / "a.png") as raster:
            assert raster.read(raster.grid.window)[0][:, 0, 0].tolist() == [30, 60, 90]


class TestNodata:
    def test_a_value_that_the_user_names(self, tmp_path, make_tif):
        array = bands(255, 255, 255)
        array[0, 0, 0] = 254
        path = make_tif(tmp_path / "a.tif", array)
        for options in ({}, {"gsd_m": 0.005}):
            raster, pixels, valid = read_all(path, nodata=255, **options)
            assert valid[0, 0]
            assert not valid[2:, 2:].any()
        assert (raster.rgb, pixels[:, 0, 0].tolist()) == ((1, 2, 3), [254, 255, 255])

    def test_it_rules_over_alpha_which_is_no_band_nevertheless(self, tmp_path, make_tif):
        array = bands(255, 7, 0, 0)
        array[0] = 255  # opaque everywhere
        array[1:, 1:] = 8
        path = make_tif(tmp_path / "a.tif", array, colours=("alpha", "red", "green", "blue"))
        raster, pixels, valid = read_all(path, nodata=8)
        assert raster.bands == (2, 3, 4)
        assert pixels[:, 0, 0].tolist() == [7, 0, 0]
        assert valid.tolist() == [[True] * 4] + [[False] * 4] * 3

    def test_one_that_no_pixel_can_have(self, tmp_path, make_tif):
        with pytest.raises(ImageryError, match=r"a\.tif holds uint8, so that no pixel is `nodata=-9999`"):
            open_raster(make_tif(tmp_path / "a.tif", bands(1, 2, 3)), nodata=-9999)

    def test_near_infrared_counts_as_the_other_bands_do(self, tmp_path, make_tif):
        array = bands(0, 0, 0, 0)
        array[3, 0, 0], array[0, 1, 1] = 5, 5
        valid = read_all(make_tif(tmp_path / "a.tif", array, colours=(*RGBA[:3], "nir"), photometric="rgb", nodata=0))[2]
        assert (valid[0, 0], valid[1, 1], valid.sum()) == (True, True, 2)


class TestCollar:
    def half(self, dtype=np.uint8, value=255):
        rng = np.random.default_rng(0)
        array = rng.integers(1, 200, (3, 40, 40)).astype(dtype)
        array[:, :, :20] = value
        return array

    @pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 255), (np.uint8, 0), (np.float32, -9999)])
    def test_half_of_an_image_in_one_colour_is_said(self, tmp_path, make_tif, dtype, value):
        info = read_image_info(make_tif(tmp_path / "a.tif", self.half(dtype, value)))
        assert info.notes == (
            f"50 % of the pixels are exactly {value}, {value}, {value}, as corners of the image are, and nothing says that "
            f"they hold no data; if they hold none, pass `nodata={value}`, or mend the file: "
            f"gdal_edit.py -a_nodata {value} a.tif",
        )

    def test_so_where_alpha_is_opaque_everywhere(self, tmp_path, make_tif):
        array = np.concatenate([self.half(), np.full((1, 40, 40), 255, np.uint8)])
        assert read_image_info(make_tif(tmp_path / "a.tif", array, colours=RGBA)).notes[0].startswith("50 % of the pixels")

    def test_of_two_colours_both_are_said(self, tmp_path, make_tif):
        array = self.half()
        array[:, 30:] = 0
        assert read_image_info(make_tif(tmp_path / "a.tif", array)).notes == (
            "62 % of the pixels are exactly 0, 0, 0 or 255, 255, 255, as corners of the image are, and nothing says that they "
            'hold no data; if they hold none, mend the file: gdalwarp -srcnodata "0 0 0" -dstalpha a.tif STEP1.tif, then '
            'gdalwarp -srcnodata "255 255 255" -dstalpha STEP1.tif NEW.tif',
        )

    def test_what_holds_no_data_already_stays_so(self, tmp_path, make_tif):
        array = self.half()
        array[:, 30:, 20:] = 0
        first, then = (
            'gdalwarp -srcnodata "0 0 0" -dstalpha a.tif STEP1.tif',
            'gdalwarp -srcnodata "255 255 255" -dstalpha STEP1',
        )
        assert f"mend the file: {first}, then {then}" in read_image_info(make_tif(tmp_path / "a.tif", array, nodata=0)).notes[0]

    def test_a_drawing_of_three_colours_has_none(self, tmp_path, make_tif):
        array = self.half()
        array[:, :20, :20], array[:, 30:, 30:] = 0, 128
        assert read_image_info(make_tif(tmp_path / "a.tif", array)).notes == ()

    def test_and_where_it_is_reprojected(self, tmp_path, make_tif):
        raster, _, _ = read_all(make_tif(tmp_path / "a.tif", self.half()), crs="EPSG:32611")
        assert " of the pixels are exactly 255, 255, 255" in raster.notes[0]

    def test_another_colour_is_mended_by_the_warper(self, tmp_path, make_tif):
        array = self.half()
        array[1, :, :20] = 7
        assert (
            'gdalwarp -srcnodata "255 7 255" -dstalpha a.tif NEW.tif'
            in read_image_info(make_tif(tmp_path / "a.tif", array)).notes[0]
        )

    def test_what_the_file_marks_is_none(self, tmp_path, make_tif):
        assert read_image_info(make_tif(tmp_path / "a.tif", self.half(), nodata=255)).notes == ()

    def test_nor_is_a_corner_that_is_black(self, tmp_path, make_tif):
        array = np.random.default_rng(0).integers(1, 200, (3, 60, 60), np.uint8)
        array[:, :4, :4] = 0  # 16 of 3600 pixels
        assert read_image_info(make_tif(tmp_path / "a.tif", array)).notes == ()
