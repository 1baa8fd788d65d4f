from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spurgekit.errors import InputError
from spurgekit.markers.families import FAMILIES
from spurgekit.simulate.painted_markers import DARK, LIGHT, PaintedMarker, extent, paint_marker

GREY = 118
PLACES = st.floats(80, 120)
ANGLES = st.floats(0, 360)
SIZES = st.floats(8, 80)


def paint(marker: PaintedMarker, *, ground: int = GREY, seed: int = 0, blur_px: float = 0.0) -> tuple[np.ndarray, float]:
    """Return an even picture of 200 x 200 px with a marker in it, and the share of the marker that can be seen."""
    rgb = np.full((200, 200, 3), ground, np.uint8)
    visible = paint_marker(rgb, marker, np.random.default_rng(seed), blur_px=blur_px)
    return rgb, visible


def centroid(weights: np.ndarray) -> tuple[float, float]:
    rows, cols = np.indices(weights.shape) + 0.5
    return (cols * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_that_is_looked_for_can_be_painted(family: str) -> None:
    rgb, visible = paint(PaintedMarker(family, 100, 100, 40, 10))
    assert visible == 1
    assert (rgb != GREY).any(axis=2).sum() > 500


@settings(max_examples=40)
@given(
    family=st.sampled_from(["cross", "dark-cross", "checker", "bullseye", "panel", "disc"]),
    col=PLACES, row=PLACES, size_px=SIZES, angle=ANGLES, blur_px=st.sampled_from([0.0, 1.0]),
)  # fmt: skip
@example("panel", 80.127, 80.866, 64.0, 90.0, 0.0)  # edges along the rows of pixels
@example("cross", 80.0, 80.625, 36.0, 0.0, 0.0)
def test_the_centre_is_where_it_is_said_to_be(
    family: str, col: float, row: float, size_px: float, angle: float, blur_px: float
) -> None:
    rgb, visible = paint(PaintedMarker(family, col, row, size_px, angle), ground=0, blur_px=blur_px)
    assert visible == 1
    # Each of them looks the same from both sides of its centre, so on black ground that is the centre of all light.
    assert centroid(rgb.sum(axis=2, dtype=float)) == pytest.approx((col, row), abs=0.03)


@settings(max_examples=20)
@given(code=st.integers(0, 49), col=PLACES, row=PLACES, size_px=st.floats(24, 80), angle=ANGLES)
def test_a_coded_marker_shows_its_code_where_it_should(code: int, col: float, row: float, size_px: float, angle: float) -> None:
    rgb, _ = paint(PaintedMarker("aruco-4x4-50", col, row, size_px, angle, id=code))
    turn = np.radians(angle)
    # The middles of its 6 x 6 cells, from its upper left one.
    v, u = (np.indices((6, 6)) - 2.5) * size_px / 6
    at_col, at_row = col + u * np.cos(turn) - v * np.sin(turn), row + u * np.sin(turn) + v * np.cos(turn)
    seen = rgb[np.floor(at_row).astype(int), np.floor(at_col).astype(int)].mean(axis=-1) > 120
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    assert np.array_equal(seen, cv2.aruco.generateImageMarker(dictionary, code, 6) > 0)


@pytest.mark.parametrize("angle", [0, 60, 200])
def test_opencv_reads_a_coded_marker(angle: float) -> None:
    rgb, _ = paint(PaintedMarker("apriltag-36h11", 100.0, 100.0, 60.0, angle, id=17), blur_px=0.5)
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(rgb)
    assert ids.ravel().tolist() == [17]
    assert corners[0][0].mean(axis=0) + 0.5 == pytest.approx((100, 100), abs=0.7)  # to a pixel at each corner


def test_a_cross_is_taped_from_edge_middle_to_edge_middle() -> None:
    rgb, _ = paint(PaintedMarker("cross", 100, 100, 80))
    grey = rgb.mean(axis=2)
    light, dark = np.mean(LIGHT), np.mean(DARK)
    # The panel reaches from 60 to 140, the tape from 95 to 105.
    assert grey[62, 100] > 0.9 * light
    assert grey[137, 100] > 0.9 * light
    assert grey[100, 62] > 0.9 * light
    assert grey[80, 80] < 1.2 * dark
    assert grey[80, 93] < 1.2 * dark < 0.9 * light < grey[80, 97]
    assert grey[80, 57] == GREY
    inverse, _ = paint(PaintedMarker("dark-cross", 100, 100, 80))
    assert inverse[62, 100].mean() < 1.2 * dark
    assert inverse[80, 80].mean() > 0.9 * light


def test_a_checkers_upper_left_quarter_is_light() -> None:
    rgb, _ = paint(PaintedMarker("checker", 100, 100, 40))
    upper_left, upper_right, lower_left, lower_right = rgb[90, 90], rgb[90, 110], rgb[110, 90], rgb[110, 110]
    assert min(upper_left.mean(), lower_right.mean()) > 180 > 60 > max(upper_right.mean(), lower_left.mean())


def test_a_bullseye_has_rings_at_a_third_and_two_thirds_of_its_radius() -> None:
    rgb, _ = paint(PaintedMarker("bullseye", 100, 100, 60))
    levels = rgb[100, [100, 108, 112, 118, 122, 128, 132]].mean(axis=1)
    assert [level > 180 for level in levels[[0, 1, 4, 5]]] == [True] * 4
    assert [level < 60 for level in levels[[2, 3]]] == [True] * 2
    assert levels[6] == GREY


def test_a_plain_marker_has_the_colour_asked_for() -> None:
    rgb, _ = paint(PaintedMarker("disc", 100, 100, 40, color=(250, 110, 20)))
    assert rgb[90:110, 90:110].mean(axis=(0, 1)) == pytest.approx((250, 110, 20), rel=0.1)
    assert (rgb[82, 82] == GREY).all()  # outside the disc, inside its square


def test_a_coded_markers_margin_is_one_cell_wide() -> None:
    assert extent("aruco-4x4-50") == pytest.approx(8 / 6)
    assert extent("apriltag-36h11") == pytest.approx(10 / 8)
    assert extent("cross") == 1
    rgb, _ = paint(PaintedMarker("aruco-4x4-50", 100, 100, 60))
    assert [rgb[100, col].mean() > 180 for col in (62, 67, 132, 138)] == [True] * 4
    assert (rgb[100, 58] == GREY).all()
    assert rgb[100, 73].mean() < 60


def test_digits_and_dirt_leave_the_outline_where_it_is() -> None:
    plain, _ = paint(PaintedMarker("cross", 100.3, 99.6, 40, 30))
    worn, visible = paint(PaintedMarker("cross", 100.3, 99.6, 40, 30, digit=8, dirt=1, brightness=0.9))
    assert visible == 1
    assert np.array_equal((plain == GREY).all(axis=2), (worn == GREY).all(axis=2))
    assert not np.array_equal(plain, worn)


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_is_taped_into_one_quarter(digit: int) -> None:
    plain, _ = paint(PaintedMarker("cross", 100, 100, 80), seed=digit)
    taped, _ = paint(PaintedMarker("cross", 100, 100, 80, digit=digit), seed=digit)
    lighter = taped.mean(axis=2) > plain.mean(axis=2) + 100
    quarters = [
        lighter[rows, cols].any() for rows in (slice(0, 95), slice(105, 200)) for cols in (slice(0, 95), slice(105, 200))
    ]
    assert sum(quarters) == 1


@pytest.mark.parametrize("hidden_by", ["grass", "fold"])
@pytest.mark.parametrize("hidden", [0.2, 0.5])
def test_as_much_is_hidden_as_is_asked_for(hidden: float, hidden_by: str) -> None:
    rgb, visible = paint(PaintedMarker("panel", 100, 100, 60, 20, hidden=hidden, hidden_by=hidden_by))  # type: ignore[arg-type]
    assert visible == pytest.approx(1 - hidden, abs=0.03)
    assert np.sum(rgb.mean(axis=2) > 190) == pytest.approx(visible * 60**2, rel=0.05)


def test_blades_of_grass_hide_a_little_of_the_rim() -> None:
    _, visible = paint(PaintedMarker("panel", 100, 100, 60, blades=12))
    assert 0.93 < visible < 1


def test_the_shadow_falls_away_from_the_sun() -> None:
    rgb, _ = paint(PaintedMarker("panel", 100, 100, 40, shadow_px=4))
    assert rgb[110, 122].mean() < 0.9 * GREY  # right of the panel
    assert rgb[90, 77].mean() > 0.95 * GREY  # left of it


def test_what_lies_outside_the_picture_is_left_out() -> None:
    whole, _ = paint(PaintedMarker("cross", 100, 100, 40, 10, shadow_px=2))
    corner = np.full((200, 200, 3), GREY, np.uint8)
    paint_marker(corner, PaintedMarker("cross", 0, 0, 40, 10, shadow_px=2), np.random.default_rng(0))
    assert np.array_equal(corner[:30, :30], whole[100:130, 100:130])
    paint_marker(corner, PaintedMarker("cross", -100, 500, 40), np.random.default_rng(0))


def test_the_same_seed_paints_the_same_marker() -> None:
    marker = PaintedMarker("cross", 100.25, 90.5, 36, 77, digit=3, dirt=0.7, blades=5, hidden=0.3, shadow_px=1)
    assert np.array_equal(paint(marker, seed=5)[0], paint(marker, seed=5)[0])
    assert not np.array_equal(paint(marker, seed=5)[0], paint(marker, seed=6)[0])


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"family": "square"}, "known are cross, dark-cross, checker"),
        ({"family": "aruco-4x4-50", "id": 50}, "its ids go up to 49"),
        ({"size_px": 0.0}, "pass a positive size"),
        ({"size_px": float("nan")}, "pass a positive size"),
        ({"hidden": 1.0}, "less than 1"),
    ],
)
def test_markers_that_cannot_be_are_refused(values: dict[str, object], hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        PaintedMarker(**({"family": "cross", "col": 0.0, "row": 0.0, "size_px": 20.0} | values))  # type: ignore[arg-type]
