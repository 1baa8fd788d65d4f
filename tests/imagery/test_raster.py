import shutil

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from spurgekit.errors import ImageryError
from spurgekit.imagery import PixelGrid, Window, open_raster, slug

RGBA = ("red", "green", "blue", "alpha")
RGB_AND_ONE = ("red", "green", "blue", "undefined")

# 6 x 2 pixels: 0 10 20 30 40 50 over 60 70 80 90 100 110.
STEPS = np.arange(0, 120, 10, dtype=np.uint8).reshape(1, 2, 6)


def read_all(path, **options):
    with open_raster(path, **options) as raster:
        pixels, valid = raster.read(raster.grid.window)
        return raster, pixels, valid


def with_hole(array, nodata):
    """STEPS with no data in the first pixel and in the two columns of the middle."""
    array = array.copy()
    array[:, 0, 0] = nodata
    array[:, :, 2:4] = nodata
    return array


HOLE = with_hole(STEPS, 255)
HOLE_VALID = [[False, True, False, False, True, True], [True, True, False, False, True, True]]


class TestWhatIsValid:
    def test_every_pixel_where_the_file_says_nothing(self, tmp_path, make_tif):
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", STEPS))
        assert raster.validity == "none"
        assert (pixels == STEPS).all()
        assert valid.all()

    def test_alpha_is_validity_and_not_a_band(self, tmp_path, make_tif):
        array = np.stack([np.full((2, 3), value, np.uint8) for value in (10, 20, 30)] + [[[255, 255, 0], [255, 128, 0]]])
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", array.astype(np.uint8), colours=RGBA))
        assert raster.bands == (1, 2, 3)
        assert raster.validity == "alpha band"
        assert valid.tolist() == [[True, True, False], [True, True, False]]
        assert pixels[:, 0, 0].tolist() == [10, 20, 30]
        assert pixels[:, 0, 2].tolist() == [0, 0, 0]  # what lies under transparent pixels does not come through

    def test_alpha_need_not_be_the_last_band(self, tmp_path, make_tif):
        array = np.stack([np.full((2, 2), v) for v in (1, 2, 3)] + [[[255, 0], [255, 255]], [[7, 7], [7, 7]]]).astype(np.uint8)
        path = make_tif(tmp_path / "a.tif", array, colours=(*RGBA, "undefined"))
        raster, pixels, valid = read_all(path)
        assert raster.bands == (1, 2, 3, 5)
        assert pixels[:, 0, 0].tolist() == [1, 2, 3, 7]
        assert valid.tolist() == [[True, False], [True, True]]

    @pytest.mark.parametrize("top", [np.uint8(255), np.uint16(65535)])
    def test_a_nameless_band_of_two_values_is_alpha(self, tmp_path, make_tif, top):
        array = np.full((4, 2, 2), 9, top.dtype)
        array[3] = [[top, 0], [top, top]]
        raster, _, valid = read_all(make_tif(tmp_path / "a.tif", array, colours=RGB_AND_ONE, photometric="RGB"))
        assert raster.bands == (1, 2, 3)
        assert "read as alpha" in raster.notes[0]
        assert valid.tolist() == [[True, False], [True, True]]

    def test_a_nameless_band_that_is_full_everywhere_is_alpha(self, tmp_path, make_tif):
        array = np.stack([np.full((2, 2), value, np.uint8) for value in (9, 9, 9, 255)])
        raster, _, valid = read_all(make_tif(tmp_path / "a.tif", array, colours=RGB_AND_ONE, photometric="RGB"))
        assert raster.bands == (1, 2, 3)
        assert valid.all()

    def test_a_nameless_band_of_many_values_is_near_infrared(self, tmp_path, make_tif):
        array = np.full((4, 2, 2), 9, np.uint8)
        array[3] = [[255, 0], [200, 255]]
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", array, colours=RGB_AND_ONE, photometric="RGB"))
        assert raster.bands == (1, 2, 3, 4)
        assert raster.notes == ()
        assert pixels[3].tolist() == [[255, 0], [200, 255]]
        assert valid.all()

    def test_nodata(self, tmp_path, make_tif):
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", HOLE, nodata=255))
        assert raster.validity == "nodata"
        assert valid.tolist() == HOLE_VALID
        assert pixels[0].tolist() == [[0, 10, 0, 0, 40, 50], [60, 70, 0, 0, 100, 110]]

    def test_a_pixel_has_no_data_where_all_its_bands_say_so(self, tmp_path, make_tif):
        # Deep shadow has a 0 in one band; only 0 in all bands is outside.
        array = np.array([[[0, 0]], [[0, 8]], [[0, 9]]], np.uint8)
        _, pixels, valid = read_all(make_tif(tmp_path / "a.tif", array, nodata=0))
        assert valid.tolist() == [[False, True]]
        assert pixels[:, 0, 1].tolist() == [0, 8, 9]

    @pytest.mark.parametrize("text", [b"-99\0", b"nan\0", b"999\0"])
    def test_nodata_that_the_type_cannot_hold_is_no_nodata(self, tmp_path, make_tif, text):
        path = make_tif(tmp_path / "a.tif", STEPS, nodata=199)
        path.write_bytes(path.read_bytes().replace(b"199\0", text))  # GDAL does not write such files, others do
        _, pixels, valid = read_all(path)
        assert (pixels == STEPS).all()
        assert valid.all()
        assert read_all(path, gsd_m=0.02)[2].all()

    def test_the_internal_mask_of_a_jpeg_tiff(self, tmp_path, make_tif):
        array = np.full((3, 16, 16), 100, np.uint8)
        mask = np.zeros((16, 16), bool)
        mask[:, :8] = True
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", array, mask=mask, compress="jpeg", photometric="ycbcr"))
        assert raster.validity == "mask"
        assert (valid == mask).all()
        assert pixels[:, 0, 0] == pytest.approx([100] * 3, abs=2)
        assert not pixels[:, ~mask].any()

    @pytest.mark.parametrize("hole", [np.nan, np.inf])
    def test_floats_that_are_no_numbers(self, tmp_path, make_tif, hole):
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", with_hole(STEPS.astype(np.float32), hole)))
        assert raster.validity == "NaN"
        assert valid.tolist() == HOLE_VALID
        assert np.isfinite(pixels).all()

    def test_nan_in_one_band_is_enough(self, tmp_path, make_tif):
        array = np.array([[[1, np.nan]], [[1, 1]]], np.float32)
        assert read_all(make_tif(tmp_path / "a.tif", array))[2].tolist() == [[True, False]]

    def test_nan_beside_nodata(self, tmp_path, make_tif):
        array = np.array([[[1, np.nan, -9999]]], np.float32)
        assert read_all(make_tif(tmp_path / "a.tif", array, nodata=-9999))[2].tolist() == [[True, False, False]]

    def test_alpha_rules_where_there_is_nodata_too(self, tmp_path, make_tif):
        array = np.array([[[0, 0]], [[0, 0]], [[0, 0]], [[255, 0]]], np.uint8)  # black ground, and outside
        assert read_all(make_tif(tmp_path / "a.tif", array, nodata=0, colours=RGBA))[2].tolist() == [[True, False]]


@pytest.fixture(scope="module", params=["stripped", "tiled"])
def pieces_raster(request, tmp_path_factory, make_tif):
    rng = np.random.default_rng(0)
    array = rng.integers(1, 255, (4, 70, 83), np.uint8)
    array[3] = np.where(rng.random((70, 83)) < 0.5, 255, 0)
    layout = {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate"} if request.param == "tiled" else {}
    path = make_tif(tmp_path_factory.mktemp("windows") / "a.tif", array, colours=RGBA, **layout)
    with open_raster(path, threads=2) as raster:
        yield raster, *raster.read(raster.grid.window)


class TestWindows:
    def test_outside_the_image_nothing_is_valid(self, tmp_path, make_tif):
        with open_raster(make_tif(tmp_path / "a.tif", STEPS)) as raster:
            pixels, valid = raster.read(Window(-1, -1, 3, 2))
            assert pixels[0].tolist() == [[0, 0, 0], [0, 0, 10]]
            assert valid.tolist() == [[False, False, False], [False, True, True]]
            pixels, valid = raster.read(Window(5, 1, 2, 2))
            assert pixels[0].tolist() == [[110, 0], [0, 0]]
            assert valid.tolist() == [[True, False], [False, False]]
            pixels, valid = raster.read(Window(100, 100, 2, 1))
            assert pixels.shape == (1, 1, 2)
            assert not valid.any()

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    @given(st.builds(Window, st.integers(-40, 90), st.integers(-40, 90), st.integers(1, 90), st.integers(1, 90)))
    def test_a_window_is_the_same_piece_of_the_whole(self, pieces_raster, window):
        raster, pixels, valid = pieces_raster
        padded = np.pad(pixels, ((0, 0), (200, 200), (200, 200)))
        padded_valid = np.pad(valid, 200)
        at = window.shifted(200, 200).slices
        got, got_valid = raster.read(window)
        assert (got == padded[(slice(None), *at)]).all()
        assert (got_valid == padded_valid[at]).all()

    def test_block_shape_is_rows_then_columns(self, tmp_path, make_tif):
        array = np.zeros((1, 70, 83), np.uint8)
        with open_raster(make_tif(tmp_path / "a.tif", array, tiled=True, blockxsize=32, blockysize=16)) as raster:
            assert raster.block_shape == (16, 32)
        with open_raster(make_tif(tmp_path / "b.tif", array, blockysize=5)) as raster:
            assert raster.block_shape == (5, 83)


class TestKinds:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_types_stay_what_they_are(self, tmp_path, make_tif, dtype):
        raster, pixels, _ = read_all(make_tif(tmp_path / "a.tif", STEPS.astype(dtype)))
        assert raster.dtype == pixels.dtype == dtype
        assert (pixels == STEPS).all()

    @pytest.mark.parametrize("dtype", [np.int16, np.float64, np.uint32, np.complex64])
    def test_other_types_are_refused_with_a_way_out(self, tmp_path, make_tif, dtype):
        path = make_tif(tmp_path / "a.tif", STEPS.astype(dtype))
        with pytest.raises(ImageryError, match=rf"a\.tif holds {np.dtype(dtype)}; .* gdal_translate -ot Float32"):
            open_raster(path)

    def test_bands_come_in_the_order_asked_for(self, tmp_path, make_tif):
        array = np.stack([np.full((2, 2), value, np.uint8) for value in (10, 20, 30, 40, 50)])
        path = make_tif(tmp_path / "a.tif", array)
        for options in ({}, {"gsd_m": 0.02}):
            raster, pixels, _ = read_all(path, bands=(4, 1), **options)
            assert raster.bands == (4, 1)
            assert pixels[:, 0, 0].tolist() == [40, 10]

    def test_no_bands_asked_for_means_all(self, tmp_path, make_tif):
        assert open_raster(make_tif(tmp_path / "a.tif", STEPS), bands=()).bands == (1,)

    @pytest.mark.parametrize("band", [0, 2, -1])
    def test_a_band_that_is_not_there(self, tmp_path, make_tif, band):
        with pytest.raises(ImageryError, match=rf"a\.tif has bands 1 to 1, not {band}; change `bands`"):
            open_raster(make_tif(tmp_path / "a.tif", STEPS), bands=[band])

    def test_a_frame_has_no_place(self, tmp_path):
        Image.new("RGB", (40, 30), (10, 20, 30)).save(tmp_path / "frame.png")
        raster, pixels, valid = read_all(tmp_path / "frame.png")
        assert (raster.grid.width, raster.grid.height, raster.grid.crs) == (40, 30, None)
        assert pixels[:, 3, 3].tolist() == [10, 20, 30]
        assert valid.all()
        with pytest.raises(ImageryError, match=r"frame\.png is not georeferenced"):
            _ = raster.gsd_m


class TestDeclaredCrs:
    """A world file of degrees is beside the photo, as drones' software and viewers write it."""

    @pytest.fixture
    def photo_in_degrees(self, tmp_path):
        path = tmp_path / "a.png"
        Image.fromarray(np.full((500, 600, 3), 90, np.uint8)).save(path)
        path.with_suffix(".pgw").write_text("2.6e-7\n0\n0\n-1.8e-7\n-113.62\n46.74\n")
        return path

    def test_in_one_and_read_in_another(self, photo_in_degrees):
        with open_raster(photo_in_degrees, image_crs="EPSG:4326", crs="EPSG:32612") as raster:
            west, south, east, north = raster.grid.footprint().bounds
            assert raster.gsd_m == pytest.approx(0.02, rel=0.01)
        # 0.000156 degrees of longitude by 0.00009 of latitude, at 46.74 degrees north.
        assert (east - west, north - south) == pytest.approx((11.9, 10.0), abs=0.5)
        assert (west, north) == pytest.approx((299_852.6, 5_179_605.6), abs=0.2)

    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32612"])
    def test_degrees_are_not_taken_for_what_is_to_be_worked_in(self, photo_in_degrees, crs):
        with pytest.raises(ImageryError, match=r"look like degrees: pass `image_crs=EPSG:4326`.* and `crs=EPSG:32612`"):
            open_raster(photo_in_degrees, crs=crs)

    def test_it_goes_before_what_the_file_says(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", np.ones((1, 3, 4), np.uint8), crs="EPSG:32612")
        with open_raster(path, image_crs="EPSG:32613") as raster:
            assert raster.grid.crs == "EPSG:32613"
            assert raster.grid.transform == Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)

    def test_not_of_what_has_no_coordinates(self, tmp_path):
        Image.new("RGB", (4, 3)).save(tmp_path / "a.jpg")
        with pytest.raises(ImageryError, match=r"a\.jpg holds no coordinates .*`image_crs`; leave it out"):
            open_raster(tmp_path / "a.jpg", image_crs="EPSG:4326")


class TestResampling:
    """Everything here is drawn at 1 m, so that the numbers are easy."""

    def test_shrinking_takes_the_mean_of_the_area(self, tmp_path, make_tif):
        raster, pixels, _ = read_all(make_tif(tmp_path / "a.tif", STEPS, gsd=1), gsd_m=2)
        assert raster.gsd_m == 2
        assert pixels.tolist() == [[[35, 55, 75]]]  # (0 + 10 + 60 + 70) / 4, ...

    def test_pixels_that_are_cut_count_by_their_share(self, tmp_path, make_tif):
        # 1.5 m: the second column takes half of column 1 and all of column 2, the first row takes row 0 and half of row 1:
        # (10 / 2 + 20 + 70 / 4 + 80 / 2) / 2.25 = 36.67
        array = np.vstack([STEPS[0], STEPS[0] + 120])[None]
        _, pixels, _ = read_all(make_tif(tmp_path / "a.tif", array[:, :3].astype(np.float32), gsd=1), gsd_m=1.5)
        assert pixels[0, 0, 1] == pytest.approx(82.5 / 2.25)

    def test_what_is_not_valid_does_not_bleed_into_the_mean(self, tmp_path, make_tif):
        _, pixels, valid = read_all(make_tif(tmp_path / "a.tif", HOLE, gsd=1, nodata=255), gsd_m=2)
        assert valid.tolist() == [[True, False, True]]
        assert pixels.tolist() == [[[47, 0, 75]]]  # (10 + 60 + 70) / 3

    def test_alpha_does_not_bleed_either(self, tmp_path, make_tif):
        alpha = np.where(HOLE_VALID, 255, 0)[None]
        array = np.concatenate([HOLE, HOLE, HOLE, alpha]).astype(np.uint8)
        _, pixels, valid = read_all(make_tif(tmp_path / "a.tif", array, gsd=1, colours=RGBA), gsd_m=2)
        assert valid.tolist() == [[True, False, True]]
        assert pixels.tolist() == [[[47, 0, 75]]] * 3

    def test_nor_a_mask_nor_nan(self, tmp_path, make_tif):
        masked = make_tif(tmp_path / "m.tif", HOLE, gsd=1, mask=HOLE_VALID)
        nan = make_tif(tmp_path / "n.tif", with_hole(STEPS.astype(np.float32), np.nan), gsd=1)
        for path in (masked, nan):
            _, pixels, valid = read_all(path, gsd_m=2)
            assert valid.tolist() == [[True, False, True]]
            assert pixels[0, 0] == pytest.approx([140 / 3, 0, 75], abs=0.5)

    def test_uint16_alpha_weighs_as_much_as_uint8_alpha(self, tmp_path, make_tif):
        array = np.array([[[1000, 3000]]] * 3 + [[[65535, 65535]]], np.uint16)
        _, pixels, _ = read_all(make_tif(tmp_path / "a.tif", np.repeat(array, 2, axis=1), gsd=1, colours=RGBA), gsd_m=2)
        assert pixels.tolist() == [[[2000]]] * 3

    def test_black_ground_stays_black_where_nodata_is_0(self, tmp_path, make_tif):
        array = np.zeros((4, 2, 2), np.uint8)
        array[1], array[3] = 9, 255
        _, pixels, valid = read_all(make_tif(tmp_path / "a.tif", array, gsd=1, colours=RGBA, nodata=0), gsd_m=2)
        assert pixels.tolist() == [[[0]], [[9]], [[0]]]
        assert valid.all()

    def test_enlarging_keeps_a_flat_field_flat(self, tmp_path, make_tif):
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", np.full((3, 4, 5), 77, np.uint8), gsd=1), gsd_m=0.3)
        assert (raster.grid.width, raster.grid.height) == (17, 14)  # 5 / 0.3 and 4 / 0.3, rounded up
        assert (pixels[:, valid] == 77).all()
        assert valid[:13, :16].all()

    def test_a_turned_image_keeps_its_pixels_when_its_gsd_changes(self, tmp_path, make_tif):
        turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(1, -1)
        raster, pixels, _ = read_all(make_tif(tmp_path / "a.tif", STEPS, transform=turned), gsd_m=2)
        assert pixels.tolist() == [[[35, 55, 75]]]
        assert raster.grid.is_rotated

    def test_windows_of_a_resampled_image_are_pieces_of_the_whole(self, tmp_path, make_tif):
        rng = np.random.default_rng(1)
        array = rng.integers(0, 255, (4, 200, 300), np.uint8)
        array[3] = np.where(rng.random((200, 300)) < 0.8, 255, 0)
        path = make_tif(tmp_path / "a.tif", array, colours=RGBA)
        for gsd_m in (0.017, 0.006):
            with open_raster(path, gsd_m=gsd_m) as raster:
                whole, whole_valid = raster.read(raster.grid.window)
                for _, _, window in raster.grid.squares(47):
                    inside = window & raster.grid.window
                    pixels, valid = raster.read(inside)
                    assert (pixels == whole[(slice(None), *inside.slices)]).all()
                    assert (valid == whole_valid[inside.slices]).all()

    @pytest.mark.parametrize("gsd_m", [0, -1, float("nan"), float("inf")])
    def test_a_gsd_that_cannot_be(self, tmp_path, make_tif, gsd_m):
        with pytest.raises(ImageryError, match=r"metres a pixel, from 0\.0001 to 1000"):
            open_raster(make_tif(tmp_path / "a.tif", STEPS), gsd_m=gsd_m)

    def test_metres_mean_nothing_without_a_crs(self, tmp_path, make_tif):
        with pytest.raises(ImageryError, match=r"a\.tif has no CRS; pass `crs`"):
            open_raster(make_tif(tmp_path / "a.tif", STEPS, crs=None), gsd_m=0.02)


# Four fields of one value each, so that it is known what lies where after any reprojection.
FIELDS = np.kron([[50, 100], [150, 200]], np.ones((60, 80))).astype(np.uint8)[None]


class TestReferenceSystems:
    def test_a_crs_is_given_to_an_image_that_has_none(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", STEPS, crs=None)
        raster, pixels, _ = read_all(path, crs="EPSG:32612")
        assert raster.gsd_m == pytest.approx(0.01)
        assert (pixels == STEPS).all()

    def test_and_resampled_in_the_same_step(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", STEPS, crs=None, gsd=1)
        assert read_all(path, crs="EPSG:32612", gsd_m=2)[1].tolist() == [[[35, 55, 75]]]

    def test_but_not_to_an_image_that_has_no_place_at_all(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", STEPS, crs=None, transform=Affine.identity())
        with pytest.raises(ImageryError, match=r"a\.tif has no georeference at all"):
            open_raster(path, crs="EPSG:32612")

    def test_its_own_crs_changes_nothing(self, tmp_path, make_tif):
        raster, pixels, _ = read_all(make_tif(tmp_path / "a.tif", STEPS), crs="EPSG:32612")
        assert raster.validity == "none"
        assert (pixels == STEPS).all()

    @pytest.mark.parametrize(
        ("crs", "transform"),
        [
            ("EPSG:4326", Affine(1e-7, 0, -111, 0, -1e-7, 46)),
            ("EPSG:3857", Affine(0.0144, 0, -12_356_463, 0, -0.0144, 5_780_349)),
            (  # turned by 30 degrees in a neighbouring zone
                "EPSG:32613",
                Affine.translation(35_500, 5_102_000) @ Affine.rotation(30) @ Affine.scale(0.01, -0.01),
            ),
            ("EPSG:32612", Affine(0.01, 0, 500_000, 0, 0.01, 5_000_000)),  # rows from south to north
        ],
    )
    def test_every_field_is_where_it_was(self, tmp_path, make_tif, crs, transform):
        source = PixelGrid(160, 120, transform, rasterio.CRS.from_user_input(crs))
        target = "EPSG:32611" if crs == "EPSG:32612" else "EPSG:32612"
        raster, pixels, valid = read_all(make_tif(tmp_path / "a.tif", FIELDS, crs=crs, transform=transform), crs=target)
        there = pyproj.Transformer.from_crs(crs, target, always_xy=True).transform
        for col, row, value in [(40, 30, 50), (120, 30, 100), (40, 90, 150), (120, 90, 200)]:
            at = raster.grid.to_pixel(*there(*source.to_world(col, row)))
            assert pixels[0, int(at[1]), int(at[0])] == value
        # The valid pixels are the ground of the source, and about as many.
        outline = np.column_stack(there(*source.outline().T))
        assert valid.sum() == pytest.approx(160 * 120, rel=0.02)
        assert raster.grid.footprint().bounds[:2] <= tuple(outline.min(axis=0) + 1e-6)
        assert raster.grid.crs == rasterio.CRS.from_user_input(target)

    def test_degrees_to_metres_at_a_gsd(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", FIELDS, crs="EPSG:4326", transform=Affine(1e-7, 0, -111, 0, -1e-7, 46))
        raster, _, _ = read_all(path, crs="EPSG:32612", gsd_m=0.02)
        assert raster.gsd_m == pytest.approx(0.02)

    @pytest.mark.parametrize(
        ("crs", "corner", "wanted"),
        [
            ("EPSG:32612", 1e12, "EPSG:32611"),  # nowhere
            ("EPSG:4326", 5e6, "EPSG:32612"),  # metres that call themselves degrees
            ("EPSG:32612", 5e5, 'LOCAL_CS["site",UNIT["metre",1]]'),
            ('LOCAL_CS["site",UNIT["metre",1]]', 0, "EPSG:32612"),
        ],
    )
    def test_what_cannot_be_reprojected_says_so(self, tmp_path, make_tif, crs, corner, wanted):
        path = make_tif(tmp_path / "a.tif", STEPS, crs=crs, transform=Affine(0.01, 0, corner, 0, -0.01, corner))
        said = r"a\.tif says that it is in .* cannot be brought to .* (pass another `crs`|georeference it first)"
        with pytest.raises(ImageryError, match=said):
            open_raster(path, crs=wanted)


class TestBadFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(ImageryError, match=r"nowhere\.tif: no such file"):
            open_raster(tmp_path / "nowhere.tif")

    def test_a_folder(self, tmp_path):
        with pytest.raises(ImageryError, match="is a folder; name an image in it"):
            open_raster(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"hello, I am a text\n", b"II*\0"])
    def test_no_image_at_all(self, tmp_path, content):
        (tmp_path / "site.tif").write_bytes(content)
        with pytest.raises(ImageryError, match=r"site\.tif is not an image that GDAL can read \(\d+ bytes\)"):
            open_raster(tmp_path / "site.tif")

    @pytest.mark.parametrize("name", ["cut.tif", "cut.jpg", "cut.png"])
    @pytest.mark.parametrize("gsd_m", [None, 0.02])
    def test_cut_off_in_the_middle(self, tmp_path, make_tif, name, gsd_m):
        path = tmp_path / name
        noise = np.random.default_rng(0).integers(0, 255, (3, 200, 300), np.uint8)
        if path.suffix == ".tif":
            make_tif(path, noise, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
        else:
            Image.fromarray(np.moveaxis(noise, 0, -1)).save(path)
            path.with_suffix(".wld").write_text("0.01\n0\n0\n-0.01\n500000\n5000000\n")  # a place, for the sake of the GSD
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        crs = None if path.suffix == ".tif" else "EPSG:32612"
        with pytest.raises(ImageryError, match=rf"{name}: rows 0 to \d+ cannot be decoded; .* copy it again") as caught:
            read_all(path, crs=crs, gsd_m=gsd_m)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["my site.tif", "prairie à l'été.tif", "site#1.tif", "a:b.tif", "100%?.tif", "zip+x.tif"])
    def test_odd_names_are_no_reason(self, tmp_path, make_tif, name):
        _, pixels, _ = read_all(make_tif(tmp_path / "a.tif", STEPS).rename(tmp_path / name))
        assert (pixels == STEPS).all()

    def test_a_closed_raster_holds_no_file(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", STEPS)
        with open_raster(path, gsd_m=0.02) as raster:
            pass
        with pytest.raises(rasterio.errors.RasterioIOError):
            raster.dataset.read(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("site", "site"), ("my site (2)", "my-site-2"), ("été_1", "été_1"), ("...", "site"), ("a.b-c", "a-b-c")],
)
def test_slug(text, expected):
    assert slug(text) == expected


class TestRealFiles:
    def test_a_dune_from_a_kite(self, data):
        with open_raster(data / "copr" / "site.tif") as raster:
            assert (raster.grid.width, raster.grid.height) == (5400, 5200)
            assert raster.gsd_m == pytest.approx(0.01)
            assert raster.validity == "alpha band"
            assert raster.block_shape == (512, 512)
            pixels, valid = raster.read(Window(-10, -10, 20, 20))
            assert not valid.any()  # the corner lies outside the mosaic
            pixels, valid = raster.read(Window(2600, 2600, 100, 100))
            assert valid.all()
            assert pixels.shape == (3, 100, 100)

    def test_half_the_size_is_a_quarter_of_the_pixels(self, data):
        window = Window(1300, 1300, 60, 60)
        with open_raster(data / "copr" / "site.tif", gsd_m=0.02) as half, open_raster(data / "copr" / "site.tif") as full:
            got, _ = half.read(window)
            fine, _ = full.read(Window(2600, 2600, 120, 120))
        mean = fine.reshape(3, 60, 2, 60, 2).mean(axis=(2, 4))
        assert np.abs(got - mean).max() <= 0.5

    def test_rgb_with_nodata_0(self, data):
        path = data / "orthos" / "australia" / "australia.tif"
        raster, _, valid = read_all(path)
        assert raster.gsd_m == pytest.approx(0.018)
        with rasterio.open(path) as file:
            assert (valid == file.read().any(axis=0)).all()

    def test_alpha_that_does_not_say_so(self, data):
        raster, _, valid = read_all(data / "orthos" / "plantcv" / "rgb.tif")
        assert raster.bands == (1, 2, 3)
        assert "read as alpha" in raster.notes[0]
        assert 0.3 < valid.mean() < 0.5

    def test_five_float_bands(self, data):
        raster, pixels, valid = read_all(data / "orthos" / "plantcv" / "615.tif")
        assert (len(raster.bands), raster.dtype) == (5, np.float32)
        assert pixels[:, valid].min() > -10_000
        assert raster.gsd_m == pytest.approx(0.0355, abs=1e-4)

    def test_uint16_without_a_crs(self, data):
        raster, _, valid = read_all(data / "orthos" / "plantcv" / "rgb_uint16.tif")
        assert (raster.dtype, raster.grid.crs, raster.bands) == (np.uint16, None, (1, 2, 3))
        assert 0 < valid.mean() < 1

    def test_an_image_without_its_header(self, data):
        with pytest.raises(ImageryError, match="is not an image that GDAL can read"):
            open_raster(data / "orthos" / "plantcv" / "multi_img.spectral")

    def test_a_frame_that_did_not_come_over_whole(self, data, tmp_path):
        path = tmp_path / "DJI_0030.JPG"
        shutil.copyfile(data / "brighton" / path.name, path)
        with path.open("r+b") as file:
            file.truncate(1_000_000)
        with pytest.raises(ImageryError, match=r"DJI_0030\.JPG: rows 0 to 2250 cannot be decoded"):
            read_all(path)
