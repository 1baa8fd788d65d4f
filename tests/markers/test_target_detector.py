"""Ground targets drawn on grey ground, and the real ones of the dune."""

import json

import cv2
import numpy as np
import pytest

from spurgekit.errors import InputError
from spurgekit.imagery import open_raster
from spurgekit.markers.detection import find_markers
from spurgekit.markers.families import FAMILIES
from spurgekit.markers.marker_score import score
from spurgekit.markers.template_fit import Fit
from spurgekit.simulate.painted_markers import PaintedMarker, paint_marker

GSD_M = 0.01
PAINTED = ("cross", "dark-cross", "checker", "bullseye", "panel", "disc", "aruco-4x4-50", "apriltag-36h11")


def ground(side_px=240, seed=0):
    """Ground with a faint texture."""
    rng = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(rng.normal(0, 40, (side_px, side_px)), (0, 0), 2) + 110
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def paint(rgb, family, col, row, size_px, angle_deg=0.0, **how):
    paint_marker(rgb, PaintedMarker(family, col, row, size_px, angle_deg, **how), np.random.default_rng(1), blur_px=0.6)


def detect(rgb, family, size_px, valid=None, **how):
    valid = np.ones(rgb.shape[:2], bool) if valid is None else valid
    return FAMILIES[family].detector(size_px * GSD_M, **how)(rgb, valid, GSD_M)


@pytest.mark.parametrize("family", PAINTED)
@pytest.mark.parametrize(("size_px", "angle_deg"), [(14, 10), (22, 37), (34, 80)])
def test_a_marker_of_any_family_size_and_turn_is_found_where_it_is(family, size_px, angle_deg):
    rgb = ground()
    paint(rgb, family, 101.3, 87.75, size_px, angle_deg, id=7)
    found = [marker for marker in detect(rgb, family, size_px) if marker.score > 0.5]
    assert len(found) == 1
    assert found[0].family == family
    assert np.hypot(found[0].col - 101.3, found[0].row - 87.75) < 0.3
    assert found[0].size_m == pytest.approx(size_px * GSD_M, rel=0.08)


@pytest.mark.parametrize("family", PAINTED)
def test_ground_without_markers_holds_none(family):
    assert [marker for marker in detect(ground(600), family, 20) if marker.score > 0.5] == []


@pytest.mark.parametrize("how", [{"digit": 4}, {"dirt": 0.8}, {"hidden": 0.25}])
def test_a_digit_dirt_or_grass_does_not_move_the_centre(how):
    rgb = ground()
    paint(rgb, "cross", 120.4, 118.6, 40, 25, **how)
    (found,) = detect(rgb, "cross", 40)
    assert np.hypot(found.col - 120.4, found.row - 118.6) < 0.5


def test_a_cross_is_no_dark_cross():
    rgb = ground()
    paint(rgb, "cross", 120, 120, 30)
    assert detect(rgb, "dark-cross", 30) == []


def test_a_target_of_half_the_size_is_another_target():
    rgb = ground()
    paint(rgb, "checker", 120, 120, 15)
    assert detect(rgb, "checker", 30) == []


def test_a_colour_tells_panels_apart():
    rgb = ground()
    paint(rgb, "panel", 70, 120, 30, color=(190, 50, 40))
    paint(rgb, "panel", 170, 120, 30, color=(60, 60, 200))
    found = detect(rgb, "panel", 30, color=(190, 50, 40))
    assert [round(marker.col) for marker in found] == [70]


def test_what_is_not_valid_holds_no_markers():
    rgb = ground()
    paint(rgb, "bullseye", 120, 120, 30)
    valid = np.ones(rgb.shape[:2], bool)
    valid[100:140, 100:140] = False
    assert detect(rgb, "bullseye", 30, valid) == []
    assert detect(rgb, "bullseye", 30, np.zeros_like(valid)) == []


@pytest.mark.parametrize("family", ["aruco-4x4-50", "aruco-5x5-100", "apriltag-16h5", "apriltag-36h11"])
def test_codes_are_read_however_they_are_turned(family):
    for number, angle_deg in ((0, 0), (3, 100), (11, 190), (20, 280)):
        rgb = ground()
        paint(rgb, family, 120, 120, 36, angle_deg, id=number)
        assert [marker.id for marker in detect(rgb, family, 36)] == [number]


@pytest.mark.parametrize(
    ("agreement", "contrast", "likely"),
    [(0.99, 170, True), (0.85, 90, True), (0.70, 35, False)],  # clean, dirty, a shrub whose twigs make a code
)
def test_a_patch_of_shade_that_reads_as_a_code_is_hardly_a_marker(agreement, contrast, likely):
    fit = Fit(0, 0, (36, 0, 0, 36), size=0.97, stretch=1.08, agreement=agreement, share=1, contrast=contrast, texture=17)
    assert (score(fit, FAMILIES["aruco-4x4-50"].weights, plain=False) > 0.5) == likely


def test_codes_that_were_not_laid_out_are_dropped():
    rgb = ground()
    paint(rgb, "aruco-4x4-50", 70, 120, 36, id=3)
    paint(rgb, "aruco-4x4-50", 170, 120, 36, id=4)
    assert [marker.id for marker in detect(rgb, "aruco-4x4-50", 36, ids=(4, 5))] == [4]


@pytest.mark.parametrize("family", FAMILIES)
def test_templates_share_every_place_between_their_levels(family):
    u, v = np.meshgrid(np.linspace(-1, 1, 41, dtype=np.float32), np.linspace(-1, 1, 41, dtype=np.float32))
    cover = np.stack(FAMILIES[family].template().cover(u, v, 0.1))
    assert cover.min() >= 0
    np.testing.assert_allclose(cover.sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "how", "said"),
    [
        ("star", {}, "there is no family of markers 'star'"),
        ("cross", {"ids": (1, 2)}, "carry no codes"),
        ("cross", {"color": (1, 2, 3)}, "`marker_color` goes with panel and disc"),
        ("aruco-4x4-50", {"color": (1, 2, 3)}, "black and white"),
        ("disc", {"color": (1, 2, 300)}, "from 0 to 255"),
    ],
)
def test_what_a_family_has_no_use_for_is_refused(family, how, said):
    with pytest.raises(InputError, match=said):
        FAMILIES[family].detector(0.45, **how)


def test_every_family_has_a_detector():
    assert {"cross", "checker", "bullseye", "panel", "disc", "aruco-4x4-50", "apriltag-36h11"} <= set(FAMILIES)
    assert [FAMILIES[name].detector(0.5).family for name in FAMILIES] == list(FAMILIES)


# -- real targets -----------------------------------------------------------------------------------------------------


def test_the_ten_targets_of_the_dune_are_found_and_nothing_else(data):
    truth = [f["properties"] for f in json.loads((data / "copr" / "markers.geojson").read_text())["features"]]
    with open_raster(data / "copr" / "site.tif") as raster:
        markers = find_markers(raster, FAMILIES["cross"].detector(0.45))
    assert len(markers) == len(truth) == 10
    assert min(marker.score for marker in markers) > 0.9
    errors = [min(np.hypot(m.col - t["col"], m.row - t["row"]) for m in markers) for t in truth]
    # The list's centres lie half a pixel too far to the upper left, as if counted from the first pixel's centre: drawn on the
    # image, the crossing of the tapes is where the detections are.
    assert np.median(errors) <= 1
    assert max(errors) <= 2


def test_the_surveyed_targets_are_found_in_photos(data):
    rows = [line.split() for line in (data / "copr" / "gcp_list.txt").read_text().splitlines()[1:]]
    for name in ("IMG_0031.jpg", "IMG_0082.jpg"):
        with open_raster(data / "copr" / "photos" / name, image_gsd_m=0.0033) as raster:
            markers = find_markers(raster, FAMILIES["cross"].detector(0.45))
        truth = [(float(row[3]), float(row[4])) for row in rows if row[5] == name]
        assert len(markers) == len(truth) == 2
        assert all(min(np.hypot(m.col - col, m.row - row) for m in markers) < 6 for col, row in truth)


def test_the_checkerboard_of_the_savanna_is_found(data):
    with open_raster(data / "orthos" / "australia" / "australia.tif") as raster:
        (marker,) = find_markers(raster, FAMILIES["checker"].detector(0.5))
    assert np.hypot(marker.col - 623.2, marker.row - 659.8) < 1  # by eye
