from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning

from spurgekit.imagery.exif import read_exif
from spurgekit.imagery.nadir_frame import place_photo
from spurgekit.imagery.xmp import read_xmp
from spurgekit.simulate import SimulatedSurvey, SurveyOptions, simulate_survey
from spurgekit.simulate.drone_photo import Pose

# 30 x 20 m at 2.5 cm, from 20 m up.
OPTIONS = SurveyOptions(rows=2, columns=2, size_m=5, family="disc", marker_size_m=0.5, frame_px=1200, gsd_m=0.025, seed=1)


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSurvey:
    return simulate_survey(tmp_path_factory.mktemp("simulated") / "survey", OPTIONS)


def pose(**values: float) -> Pose:
    upright = {"x": 0.0, "y": 0.0, "height_m": 50.0, "yaw_deg": 0.0, "pitch_deg": 0.0, "roll_deg": 0.0}
    return Pose(**(upright | values), width=1200, height=800)  # type: ignore[arg-type]


def see(camera: Pose, east: float, north: float) -> tuple[float, float]:
    col, row = camera.to_frame(np.array([east]), np.array([north]))[0]
    return pytest.approx(col), pytest.approx(row)


def test_a_camera_that_looks_straight_down_sees_a_map() -> None:
    camera = pose()
    assert camera.focal_px == 800  # 24 mm of a film 36 mm wide
    assert camera.gsd_m == 0.0625
    assert see(camera, 0, 0) == (600, 400)
    assert see(camera, 6.25, 0) == (700, 400)  # east is on the right
    assert see(camera, 0, 6.25) == (600, 300)  # north is up
    assert np.ptp(camera.footprint(), axis=0) == pytest.approx((75, 50))


def test_yaw_turns_the_upper_edge_clockwise_from_north() -> None:
    assert see(pose(yaw_deg=90), 6.25, 0) == (600, 300)  # east is up
    assert see(pose(yaw_deg=90), 0, 6.25) == (500, 400)  # north is on the left


def test_a_tilted_camera_looks_ahead_or_to_the_side() -> None:
    ahead = 50 * np.tan(np.radians(3))
    assert see(pose(pitch_deg=3), 0, ahead) == (600, 400)
    assert see(pose(roll_deg=3), ahead, 0) == (600, 400)
    assert see(pose(pitch_deg=3, yaw_deg=90), ahead, 0) == (600, 400)


@given(
    yaw=st.floats(-180, 180), pitch=st.floats(-3, 3), roll=st.floats(-3, 3), x=st.floats(-1e6, 1e6), y=st.floats(-1e6, 1e6)
)  # fmt: skip
def test_the_footprints_corners_are_the_frames(yaw: float, pitch: float, roll: float, x: float, y: float) -> None:
    camera = pose(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, x=x, y=y)
    expected = [(0, 0), (1200, 0), (1200, 800), (0, 800)]
    assert camera.to_frame(*camera.footprint().T) == pytest.approx(np.array(expected, float), abs=1e-4)


def test_it_says_what_a_drone_says(frame: SimulatedSurvey) -> None:
    assert frame.image.name == "site.jpg"
    exif, xmp = read_exif(frame.image), read_xmp(frame.image)
    assert exif is not None
    assert exif.position is not None
    assert xmp is not None
    assert (exif.make, exif.model, exif.focal_length_mm, exif.orientation) == ("DJI", "FC6310", 8.8, 1)
    assert (exif.position.longitude, exif.position.latitude) == pytest.approx((-111.06, 45.72), abs=0.01)
    assert xmp.relative_altitude_m == pytest.approx(20, abs=2)
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(frame.image) as photo:
        assert (photo.width, photo.height, photo.count) == (1200, 800, 3)


def test_it_is_placed_to_a_few_metres_by_what_it_says(frame: SimulatedSurvey) -> None:
    markers = gpd.read_file(frame.markers)
    x, y = place_photo(frame.image, 1200, 800).grid.to_world(markers["col"], markers["row"])
    assert np.hypot(x - markers.geometry.x, y - markers.geometry.y).max() < 4


def test_its_markers_lie_where_the_truth_has_them(frame: SimulatedSurvey) -> None:
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(frame.image) as photo:
        grey = photo.read().astype(float).mean(axis=0)
    markers = gpd.read_file(frame.markers)
    assert len(markers) == 9
    rows, cols = np.indices(grey.shape) + 0.5
    for marker in markers.itertuples():
        disc = (np.hypot(cols - marker.col, rows - marker.row) < 14) & (grey > 180)
        centre = cols[disc].mean(), rows[disc].mean()
        assert centre == pytest.approx((marker.col, marker.row), abs=0.6)  # blades of grass lie over their rims


def test_the_truth_lies_on_the_ground_and_knows_nothing_outside_the_frame(frame: SimulatedSurvey) -> None:
    with rasterio.open(frame.truth) as truth:
        known = truth.read(1) != 255
        assert truth.crs.to_epsg() == 32612
        assert abs(truth.transform.determinant) * known.sum() == pytest.approx(30 * 20, rel=0.02)
        seen = [truth.index(point.x, point.y) for point in gpd.read_file(frame.markers).geometry]
    assert all(known[row, col] for row, col in seen)


def test_the_same_options_give_the_same_bytes(tmp_path: Path) -> None:
    options = SurveyOptions(markers=False, frame_px=300, gsd_m=0.03)
    first, second = (simulate_survey(tmp_path / run, options).image.read_bytes() for run in ("first", "second"))
    assert first == second
