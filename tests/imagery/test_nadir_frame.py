import math
import re
from dataclasses import replace

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from spurgekit.errors import ImageryError
from spurgekit.imagery import Window, open_raster
from spurgekit.imagery.image_info import format_info, read_image_info
from spurgekit.imagery.nadir_frame import FramePose, frame_grid, place_photo
from tests.benchmarks.bench_frames import disagreement_m, load, match
from tests.imagery.photos import DRONE, MERIDIAN, XMP, frame, insert, packet, photo

NORTHING_46 = pyproj.Transformer.from_crs(4326, 32612, always_xy=True).transform(-111, 46)[1]
SCALE = 0.9996  # of UTM on its central meridian


def pose(**change):
    straight_down = {
        "longitude": -111.0,
        "latitude": 46.0,
        "altitude_m": 40.0,
        "yaw_deg": 0.0,
        "pitch_deg": -90.0,
        "roll_deg": 0.0,
        "focal_px": 4000.0,
        "gsd_m": 0.01,
        "position_from": "EXIF",
        "altitude_from": "as given",
        "yaw_from": "as given",
        "gsd_from": "as given",
    }
    return FramePose(**{**straight_down, **change})


def placed(path, gsd_m=None):
    with Image.open(path) as image:
        return place_photo(path, *image.size, gsd_m)


def place(grid, col, row):
    """Where a pixel lies, in metres east and north of the drone."""
    x, y = (float(value) for value in grid.to_world(col, row))
    return (x - 500_000) / SCALE, (y - NORTHING_46) / SCALE


class TestGrid:
    """A frame of 4000 x 3000 pixels of 1 cm: 40 x 30 m."""

    def test_looking_straight_down_with_the_top_to_the_north(self):
        grid = frame_grid(pose(), 4000, 3000)
        assert grid.crs.to_epsg() == 32612
        assert place(grid, 2000, 1500) == pytest.approx((0, 0), abs=1e-3)
        assert place(grid, 0, 0) == pytest.approx((-20, 15), abs=1e-3)
        assert grid.gsd_m == pytest.approx(0.01 * SCALE)

    def test_a_yaw_of_90_degrees_turns_the_top_to_the_east(self):
        grid = frame_grid(pose(yaw_deg=90), 4000, 3000)
        assert place(grid, 2000, 0) == pytest.approx((15, 0), abs=1e-3)
        assert place(grid, 4000, 1500) == pytest.approx((0, -20), abs=1e-3)

    @pytest.mark.parametrize(("yaw", "roll"), [(180, 0), (0, 180), (90, -90), (-60, -120)])
    def test_straight_down_roll_turns_the_photo_as_yaw_does(self, yaw, roll):
        grid = frame_grid(pose(yaw_deg=yaw, roll_deg=roll), 4000, 3000)
        at = place(grid, 2000, 0)
        assert math.degrees(math.atan2(*at)) % 360 == pytest.approx((yaw + roll) % 360, abs=0.01)
        assert math.hypot(*at) == pytest.approx(15, abs=1e-3)

    @pytest.mark.parametrize("pitch", [-80, -100])
    def test_a_tilted_camera_looks_ahead_or_behind(self, pitch):
        grid = frame_grid(pose(pitch_deg=pitch, yaw_deg=90), 4000, 3000)
        assert place(grid, 2000, 1500) == pytest.approx((40 * math.tan(math.radians(pitch + 90)), 0), abs=1e-3)

    def test_yaw_counts_from_true_north_and_not_from_that_of_the_grid(self):
        # 3 degrees east of the central meridian at 46° north, true north lies 3 sin 46 = 2.16 degrees west of grid north.
        grid = frame_grid(pose(longitude=-108.0001), 4000, 3000)
        turned = math.degrees(math.atan2(grid.transform.d, grid.transform.a))
        assert turned == pytest.approx(3 * math.sin(math.radians(46)), abs=0.01)

    def test_south_of_the_equator(self):
        assert frame_grid(pose(latitude=-33.5, longitude=18.25), 4000, 3000).crs.to_epsg() == 32734

    @pytest.mark.parametrize("pitch", [-74, -45, 0, 30])
    def test_a_camera_that_does_not_look_down_is_refused(self, pitch):
        with pytest.raises(ImageryError, match=r"tilted by \d+° .* up to 15° counts as nadir"):
            frame_grid(pose(pitch_deg=pitch), 4000, 3000)

    @given(
        yaw=st.floats(-180, 180),
        tilt=st.floats(-15, 15),
        longitude=st.floats(-180, 180),
        latitude=st.floats(-70, 70),
    )
    def test_any_nadir_frame_covers_about_its_ground_around_the_drone(self, yaw, tilt, longitude, latitude):
        grid = frame_grid(pose(yaw_deg=yaw, pitch_deg=tilt - 90, longitude=longitude, latitude=latitude), 4000, 3000)
        assert grid.footprint().area == pytest.approx(1200, rel=0.2)  # cos^-3 of 15 degrees is 1.11, and the sides add to it
        assert grid.transform.determinant < 0  # not mirrored


class TestPose:
    def test_what_the_drone_says(self, tmp_path):
        found = placed(frame(tmp_path / "a.jpg", RelativeAltitude="+60.0", GimbalPitchDegree="-89.5")).pose
        assert (found.longitude, found.latitude, found.altitude_m) == (-111, 46, 60)
        assert (found.focal_px, found.gsd_m, found.tilt_deg) == (40, 1.5, 0.5)
        assert found.altitude_from == "take-off point, by XMP"
        assert found.gsd_from == "height and calibrated focal length (XMP)"

    @pytest.mark.parametrize(
        ("gimbal", "aircraft", "roll", "yaw", "yaw_from"),
        [
            ("44.2", "46.2", "0", 46.2, "aircraft (XMP)"),
            ("179", "-179", "0", 181, "aircraft (XMP)"),
            ("-135", "46.2", "180", -133.8, "aircraft (XMP)"),  # upside down, which straight down is the same as turned
            ("44.2", "90", "0", 44.2, "gimbal (XMP)"),  # a camera that was turned by itself
            ("44.2", None, "0", 44.2, "gimbal (XMP)"),
            (None, "46.2", None, 46.2, "aircraft (XMP)"),
            (None, None, None, 0, None),
        ],
    )
    def test_yaw(self, tmp_path, gimbal, aircraft, roll, yaw, yaw_from):
        change = {"GimbalYawDegree": gimbal, "FlightYawDegree": aircraft, "GimbalRollDegree": roll}
        found = placed(frame(tmp_path / "a.jpg", **change)).pose
        assert (found.yaw_deg, found.yaw_from) == (pytest.approx(yaw), yaw_from)

    def test_a_position_in_xmp_only(self, tmp_path):
        path = photo(tmp_path / "a.jpg", xmp={**XMP, "GpsLatitude": "46.5", "GpsLongtitude": "-111.5"})
        found = placed(path).pose
        assert (found.longitude, found.position_from) == (-111.5, "XMP")

    def test_a_scale_from_the_lens_as_on_35_mm_film(self, tmp_path):
        camera = {"FocalLength": IFDRational(88, 10), "FocalLengthIn35mmFilm": 24}
        height = {"RelativeAltitude": "+40"}
        path = photo(tmp_path / "a.jpg", base={"Make": "Canon"}, camera=camera, gps=MERIDIAN, xmp=height)
        found = placed(path).pose
        assert found.gsd_m == pytest.approx(40 / (24 / 43.27 * 50), rel=1e-3)  # 40 x 30 px: a diagonal of 50
        assert found.yaw_from is None

    def test_or_a_ground_sample_distance(self, tmp_path):
        path = photo(tmp_path / "a.jpg", gps=MERIDIAN)
        found = placed(path, gsd_m=0.02).pose
        assert (found.gsd_m, found.altitude_m) == (0.02, None)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"RelativeAltitude": None}, "nothing in it says how high above the ground it was taken"),
            (
                {"RelativeAltitude": "-0.30"},
                r"its height of -0.3 m above the take-off point, by XMP, cannot be that of a survey",
            ),
            ({"RelativeAltitude": "+40000"}, "its height of 40000.0 m"),
        ],
    )
    def test_a_height_that_is_missing_or_cannot_be(self, tmp_path, change, why):
        said = placed(frame(tmp_path / "a.jpg", **change)).unplaced
        assert re.match(rf"is not georeferenced and cannot be placed as a frame: {why}.*pass its ground sample distance", said)

    def test_a_cropped_frame(self, tmp_path):
        camera = {"ExifImageWidth": 80, "ExifImageHeight": 40}
        path = photo(tmp_path / "a.jpg", base=DRONE, camera=camera, gps=MERIDIAN, xmp=XMP)
        assert "it was cropped after the flight (40 x 30 px of 80 x 40)" in placed(path).unplaced

    def test_a_photo_without_exif(self, tmp_path):
        Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
        assert "it has no EXIF, so nothing says where it was taken; pass" in placed(tmp_path / "a.jpg").unplaced

    def test_error_grows_with_the_frame(self):
        # 3 m of position, 1.40 m by 2 degrees of tilt at 40 m; at the corner, 25 m away, 1.31 m by 3 degrees of yaw and 1.25 m
        # by 5 % of scale: 3.77 m in all.
        assert pose().error_m(4000, 3000) == pytest.approx(3.77, abs=0.01)
        assert pose().error_m(400, 300) < 3.4


class TestReading:
    def test_a_frame_is_a_raster_with_an_approximate_grid(self, tmp_path):
        with open_raster(frame(tmp_path / "a.jpg")) as raster:
            assert raster.gsd_m == pytest.approx(1, abs=1e-3)
            assert raster.grid.crs.to_epsg() == 32612
            assert raster.pose.altitude_m == 40
            assert raster.notes == (
                "placed by its EXIF and XMP: approximate, to about 4 m (position, height and yaw as the drone knew them)",
            )

    def test_a_tiff_of_one_band_is_placed_as_the_jpeg_with_the_same_metadata(self, tmp_path):
        turned = {"GimbalYawDegree": "+30.00", "FlightYawDegree": "+30.00"}
        with (
            open_raster(frame(tmp_path / "a.jpg", **turned)) as colours,
            open_raster(frame(tmp_path / "a.tif", **turned)) as band,
        ):
            assert (band.bands, band.dtype) == ((1,), "uint16")
            assert band.grid == colours.grid
            assert math.degrees(math.atan2(band.grid.transform.d, band.grid.transform.a)) == pytest.approx(-30)
            assert band.pose == colours.pose

    def test_no_yaw_is_said(self, tmp_path):
        with open_raster(frame(tmp_path / "a.jpg", GimbalYawDegree=None, FlightYawDegree=None)) as raster:
            assert "turned by an unknown angle" in raster.notes[0]

    def test_a_viewer_that_turned_it_is_said(self, tmp_path):
        path = frame(tmp_path / "a.jpg")
        image = Image.open(path).rotate(90, expand=True)
        image.save(tmp_path / "b.jpg", exif=Image.open(path).getexif())
        insert(tmp_path / "b.jpg", packet(XMP))
        with open_raster(tmp_path / "b.jpg") as raster:
            assert raster.notes[0].endswith("off by a quarter turn one way or the other")
            assert "its yaw no longer says which way is up" in raster.notes[1]

    def test_it_is_reprojected_and_resampled_like_any_other(self, tmp_path):
        with open_raster(frame(tmp_path / "a.jpg"), crs="EPSG:32611", gsd_m=2) as raster:
            assert raster.gsd_m == pytest.approx(2)
            x, y = pyproj.Transformer.from_crs(4326, 32611, always_xy=True).transform(-111, 46)
            col, row = (int(value) for value in raster.grid.to_pixel(x, y))
            pixels, valid = raster.read(Window(col - 2, row - 2, 4, 4))
            assert valid.all()
            assert np.abs(pixels[:, 1, 1] - [90, 120, 60]).max() <= 2  # of a JPEG

    def test_a_georeferenced_image_is_not_placed_anew(self, tmp_path):
        path = frame(tmp_path / "a.jpg")
        path.with_suffix(".jgw").write_text("0.01\n0\n0\n-0.01\n500000\n5000000\n")
        with open_raster(path, crs="EPSG:32612") as raster:
            assert (raster.pose, raster.gsd_m) == (None, pytest.approx(0.01))

    @pytest.mark.parametrize("change", [{"GimbalPitchDegree": "-30"}, {"RelativeAltitude": "0.0"}])
    def test_a_frame_without_a_place_says_why_where_a_place_is_asked_for(self, tmp_path, change):
        path = frame(tmp_path / "a.jpg", **change)
        with open_raster(path) as raster:
            assert raster.read(Window(0, 0, 4, 4))[1].all()
            with pytest.raises(
                ImageryError, match=r"a\.jpg is not georeferenced and cannot be placed as a frame: its "
            ) as caught:
                _ = raster.gsd_m
            assert "\n" not in str(caught.value)
        for options in ({"crs": "EPSG:32612"}, {"gsd_m": 0.02}):
            with pytest.raises(ImageryError, match="cannot be placed as a frame: its "):
                open_raster(path, **options)


class TestGivenGsd:
    def test_a_photo_that_says_nothing_of_itself_is_measured_along_its_sides(self, tmp_path):
        Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
        with open_raster(tmp_path / "a.jpg", image_gsd_m=0.5) as raster:
            assert raster.gsd_m == 0.5
            assert raster.grid.corners().tolist() == [[0, 15], [20, 15], [20, 0], [0, 0]]
            assert raster.notes[0].startswith("lies nowhere on the globe, and is measured by the given GSD: it has no EXIF")
            assert not raster.grid.crs.is_projected

    def test_one_that_says_where_it_was_is_placed_there(self, tmp_path):
        with open_raster(photo(tmp_path / "a.jpg", gps=MERIDIAN), image_gsd_m=0.5) as raster:
            assert raster.grid.crs.to_epsg() == 32612
            assert place(raster.grid, 20, 15) == pytest.approx((0, 0), abs=1e-3)

    def test_it_can_be_resampled(self, tmp_path):
        Image.new("RGB", (40, 30), (90, 120, 60)).save(tmp_path / "a.png")
        with open_raster(tmp_path / "a.png", image_gsd_m=0.5, gsd_m=1) as raster:
            pixels, valid = raster.read(raster.grid.window)
        assert pixels[:, valid].T.tolist() == [[90, 120, 60]] * (20 * 15)

    def test_but_not_brought_to_a_crs(self, tmp_path):
        Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
        with pytest.raises(ImageryError, match=r"a\.png .* cannot be brought to EPSG:32612"):
            open_raster(tmp_path / "a.png", image_gsd_m=0.5, crs="EPSG:32612")

    def test_not_for_an_image_that_is_georeferenced(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", np.zeros((1, 2, 2), np.uint8))
        with pytest.raises(ImageryError, match=r"a\.tif is georeferenced, so `image_gsd_m` cannot say"):
            open_raster(path, image_gsd_m=0.5)

    def test_a_gsd_that_cannot_be(self, tmp_path):
        with pytest.raises(ImageryError, match=r"metres a pixel, from 0\.0001 to 1000"):
            open_raster(frame(tmp_path / "a.jpg"), image_gsd_m=-1)


class TestTurned:
    """The stored photo has a light left half; orientation 6 puts its left side at the top."""

    @pytest.fixture
    def path(self, tmp_path):
        image = Image.new("RGB", (40, 30), (20, 20, 20))
        image.paste((220, 220, 220), (0, 0, 20, 30))
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x8825] = {1: "N", 2: MERIDIAN["GPSLatitude"], 3: "W", 4: MERIDIAN["GPSLongitude"]}
        image.save(tmp_path / "a.jpg", exif=exif.tobytes())
        insert(tmp_path / "a.jpg", packet(XMP))
        return tmp_path / "a.jpg"

    def test_pixels_are_upright(self, path):
        with open_raster(path) as raster:
            assert (raster.grid.width, raster.grid.height) == (30, 40)
            pixels, valid = raster.read(raster.grid.window)
            part, _ = raster.read(Window(5, 18, 3, 4))
        assert valid.all()
        assert pixels[0, :16].min() > 200
        assert pixels[0, 24:].max() < 40
        assert (part == pixels[:, 18:22, 5:8]).all()

    def test_and_the_grid_fits_them(self, path):
        with open_raster(path) as raster:
            # The camera's yaw is that of the photo as stored, so its light half stays in the west.
            assert place(raster.grid, 15, 5) == pytest.approx((-15, 0), abs=1e-3)
            assert raster.notes[1:] == ("turned upright, as its EXIF orientation (6) says",)

    def test_a_better_grid_is_that_of_the_upright_photo(self, path):
        with open_raster(path) as raster:
            better = replace(raster.grid, transform=Affine.translation(3, -2) @ raster.grid.transform)
            before, _ = raster.read(raster.grid.window)
        with open_raster(path, grid=better) as raster:
            assert raster.grid.corners() == pytest.approx(better.corners())
            assert (raster.read(better.window)[0] == before).all()
            assert raster.notes == ("turned upright, as its EXIF orientation (6) says",)  # no longer "approximate"
        with open_raster(path, grid=better, gsd_m=2) as raster:
            assert raster.grid.corners()[0] == pytest.approx(better.corners()[0])
            pixels, _ = raster.read(raster.grid.window)
            assert pixels[0, :8].min() > 200  # the light half is still above
            assert pixels[0, 12:].max() < 40

    def test_also_when_it_is_resampled(self, path):
        with open_raster(path, crs="EPSG:32612", gsd_m=2) as raster:
            assert (raster.grid.width, raster.grid.height) == (15, 20)
            pixels, _ = raster.read(raster.grid.window)
        assert pixels[0, :8].min() > 200
        assert pixels[0, 12:].max() < 40

    def test_it_is_described_as_it_is_read(self, path):
        info = read_image_info(path)
        assert (info.width, info.height, info.valid_px) == (30, 40, 1200)
        assert (info.blocks.width, info.blocks.height, info.blocks.tiled) == (40, 1, False)
        assert dict(format_info(info))["height"] == "40.0 m above the take-off point, by XMP"


class TestRealFrames:
    def test_overlapping_frames_agree_on_where_the_ground_lies(self, data):
        one, other = (load(data / "brighton" / f"DJI_00{number}.JPG") for number in (33, 34))
        matches = match(one, other)
        assert len(matches[0]) > 100
        assert np.median(disagreement_m(one.grid(), other.grid(), *matches)) < 1.5

    def test_a_kite_photo_at_the_gsd_that_its_user_knows(self, data):
        with open_raster(data / "copr" / "photos" / "IMG_0031.jpg", image_gsd_m=0.0033) as raster:
            assert raster.gsd_m == 0.0033
            assert raster.read(Window(100, 100, 50, 50))[1].all()
