import pytest

from spurgekit.imagery.cameras import focal_length_px
from spurgekit.imagery.exif import Exif
from spurgekit.imagery.xmp import DroneXmp

NOTHING = {**dict.fromkeys(Exif.model_fields), "has_maker_note": True}


def focal(size_px, xmp=None, **said):
    found = focal_length_px(Exif(**{**NOTHING, **said}), xmp, *size_px)
    return found and found[0]


P4P = {"model": "FC6310", "focal_length_mm": 8.8}


def test_a_calibrated_focal_length_comes_first():
    assert focal((5472, 3648), DroneXmp(calibrated_focal_px=3666.67), **P4P) == 3666.67


def test_and_counts_the_pixels_that_the_camera_took():
    assert focal((2736, 1824), DroneXmp(calibrated_focal_px=3666), camera_size_px=(5472, 3648)) == 1833


def test_resolution_of_the_focal_plane():
    # A Canon 450D: 4865.6 pixels an inch, 30 mm.
    assert focal((4272, 2848), focal_length_mm=30, focal_plane_px_per_mm=4865.6 / 25.4) == pytest.approx(5746.8, abs=0.1)


@pytest.mark.parametrize(
    ("size_px", "expected"),
    [
        ((5472, 3648), 8.8 / 13.2 * 5472),
        ((5472, 3078), 8.8 / 13.2 * 5472),  # 16:9, cut at the top and bottom
        ((4864, 3648), 8.8 / 13.2 * 5472),  # 4:3, cut at the sides
        ((2736, 1824), 8.8 / 13.2 * 2736),  # made smaller
        ((3648, 5472), 8.8 / 13.2 * 5472),  # turned
    ],
)
def test_a_known_sensor(size_px, expected):
    assert focal(size_px, **P4P) == pytest.approx(expected)


def test_another_lens_under_a_known_name_is_not_that_camera():
    # One of the Mavic 3M's narrow-band cameras.
    assert focal((2592, 1944), model="M3M", focal_length_mm=4.34) is None
    assert focal((2592, 1944), model="M3M", focal_length_mm=4.34, focal_length_35mm=25) == pytest.approx(1872, abs=1)


def test_35_mm_equivalents_compare_diagonals():
    # 36 x 24 mm film has a diagonal of 43.27 mm, a 3000 x 2000 photo one of 3605.6 px: 24 / 43.27 * 3605.6 = 2000.
    assert focal((3000, 2000), focal_length_35mm=24) == pytest.approx(2000)


def test_of_the_whole_sensor_where_the_photo_is_cut_to_a_screens_shape():
    assert focal((4000, 2250), focal_length_35mm=20) == focal((4000, 3000), focal_length_35mm=20)


def test_nothing_to_go_by():
    assert focal((4000, 3000), focal_length_mm=3.61, model="FC9999") is None
    assert focal_length_px(None, None, 4000, 3000) is None
