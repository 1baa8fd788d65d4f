from datetime import date

import pytest

from spurgekit.imagery.exif import Exif
from spurgekit.imagery.metadata_checks import metadata_warnings
from spurgekit.imagery.xmp import DroneXmp

NOTHING = dict.fromkeys(Exif.model_fields)
AS_FLOWN = {
    **NOTHING,
    "make": "DJI",
    "taken": "2016-06-23T16:33:27",
    "software": "v01.23.4920",
    "camera_size_px": (4000, 2250),
    "thumbnail_size_px": (160, 120),
    "has_maker_note": True,
}
YAW = DroneXmp(gimbal_yaw_deg=44, gimbal_pitch_deg=-90, gimbal_roll_deg=0)


def said(size_px=(4000, 2250), xmp=YAW, **change):
    return metadata_warnings(Exif(**{**AS_FLOWN, **change}), xmp, *size_px, today=date(2024, 6, 1))


def test_a_frame_as_the_drone_wrote_it():
    assert said() == ()


def test_a_photo_that_says_nothing():
    assert metadata_warnings(None, None, 4000, 2250) == ()


class TestClocks:
    @pytest.mark.parametrize("taken", ["1970-01-01T00:00:10", "1980-01-06T00:00:00", "2000-01-01T00:00:00"])
    def test_reset(self, taken):
        (line,) = said(taken=taken)
        assert line == f"taken on {taken[:10]}, it says: the camera's clock was reset, so the time is not to be trusted"

    def test_ahead_of_today(self):
        assert "yet to come" in said(taken="2024-06-03T00:00:00")[0]
        assert said(taken="2024-06-02T09:00:00") == ()  # east of Greenwich it is tomorrow already

    def test_at_odds_with_the_satellites(self):
        (line,) = said(satellite_date="2019-06-23")
        assert "on 2016-06-23 by the camera's clock, on 2019-06-23 by the satellites'" in line
        assert said(satellite_date="2016-06-24") == ()


class TestTurned:
    def test_pixels_across_what_the_camera_took(self):
        (line,) = said(size_px=(2250, 4000))
        assert "turned by a quarter by a viewer after the flight (2250 x 4000 px, the camera took 4000 x 2250)" in line
        assert "its yaw no longer says which way is up" in line

    def test_pixels_across_the_thumbnail_when_the_viewer_changed_the_size_too(self):
        (line,) = said(size_px=(2250, 4000), camera_size_px=(2250, 4000))
        assert "its thumbnail is 160 x 120" in line

    def test_upright_pixels_of_a_drone_that_cannot_hold_its_camera_so(self):
        bare = {"camera_size_px": None, "thumbnail_size_px": None}
        assert "upright from a camera that lies across" in said(size_px=(2250, 4000), **bare)[0]
        assert said(size_px=(2250, 4000), xmp=DroneXmp(gimbal_roll_deg=90), **bare) == ()

    def test_a_hand_held_photo_has_no_yaw_to_lose(self):
        (line,) = said(size_px=(2250, 4000), xmp=None)
        assert "yaw" not in line


class TestSavedAgain:
    @pytest.mark.parametrize("software", ["Adobe Photoshop CS6 (Windows)", "Microsoft Windows Photo Viewer 6.1", "GIMP 2.10"])
    def test_by_a_program_that_says_so(self, software):
        assert said(software=software) == (
            f"saved again by {software} after the flight; if it turned the pixels, its yaw is wrong",
        )

    def test_by_one_that_lost_the_drones_own_notes(self):
        assert "own notes are gone" in said(has_maker_note=False)[0]
        assert said(has_maker_note=False, make="Canon") == ()  # plenty of cameras write none

    def test_smaller(self):
        assert said(size_px=(2000, 1125)) == (
            "resized after the flight (2000 x 1125 px of 4000 x 2250); its GSD allows for that",
        )

    def test_cropped(self):
        (line,) = said(size_px=(2000, 2000))
        assert line.startswith("cropped after the flight (2000 x 2000 px of 4000 x 2250)")

    def test_one_line_and_not_all_that_follows_from_the_same(self):
        assert len(said(size_px=(1125, 2000), software="GIMP", has_maker_note=False)) == 1
