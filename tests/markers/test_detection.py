"""Markers are found whatever the image around them is like."""

from dataclasses import dataclass

import numpy as np
import pytest
from affine import Affine

from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery import open_raster
from spurgekit.markers.detection import PIECE_PX, find_markers
from spurgekit.markers.families import FAMILIES
from spurgekit.markers.marker import Marker
from tests.markers.test_target_detector import GSD_M, ground, paint


@dataclass(frozen=True)
class Corners:
    """Takes every pixel of value 255 for a marker of one pixel."""

    family: str = "dot"
    size_m: float = 20 * GSD_M

    def __call__(self, rgb, valid, gsd_m):
        assert gsd_m == pytest.approx(GSD_M)
        rows, cols = np.nonzero((rgb[..., 0] == 255) & valid)
        return [Marker(c + 0.5, r + 0.5, self.size_m, self.family, 1.0) for r, c in zip(rows, cols, strict=True)]


def test_pieces_meet_without_a_gap_and_nothing_is_found_twice(make_tif, tmp_path):
    pixels = np.zeros((1, 1300, 2300), np.uint8)
    places = [(0, 0), (PIECE_PX - 1, 5), (PIECE_PX, 700), (40, 2 * PIECE_PX - 1), (900, 2 * PIECE_PX), (1299, 2299)]
    for row, col in places:
        pixels[0, row, col] = 255
    with open_raster(make_tif(tmp_path / "s.tif", pixels, gsd=GSD_M)) as raster:
        found = find_markers(raster, Corners())
    assert [(m.row - 0.5, m.col - 0.5) for m in found] == sorted(places)


@pytest.mark.parametrize("kind", ["uint16", "float32", "one band"])
def test_every_type_of_image_is_searched(make_tif, tmp_path, kind):
    rgb = ground(300)
    paint(rgb, "cross", 150.25, 140.5, 24, 30)
    pixels = np.moveaxis(rgb, -1, 0)
    if kind == "uint16":
        pixels = pixels.astype(np.uint16) * 40
    elif kind == "float32":
        pixels = pixels.astype(np.float32) / 700
    else:
        pixels = pixels[:1]
    with open_raster(make_tif(tmp_path / "s.tif", np.ascontiguousarray(pixels), gsd=GSD_M)) as raster:
        (found,) = find_markers(raster, FAMILIES["cross"].detector(24 * GSD_M))
    assert np.hypot(found.col - 150.25, found.row - 140.5) < 0.3


def test_the_quick_look_sees_what_is_searched(make_tif, tmp_path):
    seen = []
    with open_raster(make_tif(tmp_path / "s.tif", np.zeros((1, 1300, 400), np.uint8), gsd=GSD_M)) as raster:
        find_markers(raster, Corners(), watch=lambda window, *_: seen.append(window))
    assert (seen[0].row, seen[-1].stop_row) == (0, 1300)


def test_markers_too_small_to_tell_are_refused_in_one_line(make_tif, tmp_path):
    with (
        open_raster(make_tif(tmp_path / "s.tif", np.zeros((1, 50, 50), np.uint8), gsd=0.1)) as raster,
        pytest.raises(InputError, match=r"at 10\.00 cm a pixel, markers of 0\.45 m are 4\.5 px across, fewer than the 8"),
    ):
        find_markers(raster, FAMILIES["cross"].detector(0.45))


def test_an_image_that_does_not_measure_the_ground_is_refused(make_tif, tmp_path):
    with (
        open_raster(make_tif(tmp_path / "s.tif", np.zeros((1, 50, 50), np.uint8), gsd=GSD_M, crs=None)) as raster,
        pytest.raises(ImageryError, match="has no CRS"),
    ):
        find_markers(raster, FAMILIES["cross"].detector(0.45))


@pytest.mark.parametrize(("a", "e"), [(GSD_M, GSD_M), (-GSD_M, -GSD_M)])
def test_codes_are_read_in_images_that_are_stored_mirrored(make_tif, tmp_path, a, e):
    rgb = ground(300)
    paint(rgb, "aruco-4x4-50", 100.25, 80.5, 36, 20, id=11)
    stored = rgb[::-1] if e > 0 else rgb[:, ::-1]
    pixels = np.ascontiguousarray(np.moveaxis(stored, -1, 0))
    path = make_tif(tmp_path / "s.tif", pixels, transform=Affine(a, 0, 500_000, 0, e, 5_000_000))
    with open_raster(path) as raster:
        (found,) = find_markers(raster, FAMILIES["aruco-4x4-50"].detector(36 * GSD_M))
    expected = (100.25, 300 - 80.5) if e > 0 else (300 - 100.25, 80.5)
    assert found.id == 11
    assert np.hypot(found.col - expected[0], found.row - expected[1]) < 0.3


def test_markers_are_found_in_pixels_of_unequal_sides(make_tif, tmp_path):
    rgb = ground(300)
    paint(rgb, "aruco-4x4-50", 100.25, 80.5, 36, 20, id=11)
    pixels = np.repeat(np.moveaxis(rgb, -1, 0), 2, axis=2)  # pixels half as wide as they are high
    path = make_tif(tmp_path / "s.tif", pixels, transform=Affine(GSD_M / 2, 0, 500_000, 0, -GSD_M, 5_000_000))
    with open_raster(path) as raster:
        (found,) = find_markers(raster, FAMILIES["aruco-4x4-50"].detector(36 * GSD_M))
    assert found.id == 11
    assert np.hypot(found.col / 2 - 100.25, found.row - 80.5) < 0.3
