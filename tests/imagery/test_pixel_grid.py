import math

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from shapely import Point

from spurgekit.errors import ImageryError
from spurgekit.imagery import PixelGrid, Window, parse_crs

UTM = CRS.from_epsg(32612)
NORTH_UP = Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)


def grid(width=400, height=300, transform=NORTH_UP, crs=UTM):
    return PixelGrid(width, height, transform, crs)


def turned(degrees, sx=0.01, sy=0.01, shear=0.0):
    """A transform whose rows run at an angle to the x axis, from the corner of the drawn rasters."""
    return Affine.translation(500_000, 5_000_000) @ Affine.rotation(degrees) @ Affine.shear(shear) @ Affine.scale(sx, -sy)


turned_transforms = st.builds(
    turned, st.floats(-180, 180), st.floats(0.005, 2), st.floats(0.005, 2), st.floats(-30, 30, allow_subnormal=False)
)
sides = st.integers(1, 60)
offsets = st.integers(-80, 80)
windows = st.builds(Window, offsets, offsets, sides, sides)


class TestWindow:
    def test_overlap_of_two_windows(self):
        assert Window(0, 0, 10, 10) & Window(7, 8, 10, 10) == Window(7, 8, 3, 2)

    def test_windows_that_only_touch_share_no_pixel(self):
        assert Window(0, 0, 10, 10) & Window(10, 0, 5, 5) is None

    def test_slices_are_rows_first(self):
        rows, cols = Window(col=2, row=5, width=3, height=4).slices
        assert (rows, cols) == (slice(5, 9), slice(2, 5))

    def test_shifted_keeps_the_size(self):
        assert Window(2, 5, 3, 4).shifted(-2, 10) == Window(0, 15, 3, 4)

    @pytest.mark.parametrize("size", [(0, 5), (5, -1)])
    def test_an_empty_window_cannot_be_made(self, size):
        with pytest.raises(ValueError, match="positive size"):
            Window(0, 0, *size)

    @given(windows, windows)
    def test_overlap_holds_the_pixels_that_are_in_both(self, a, b):
        def pixels(w):
            return {(c, r) for c in range(w.col, w.stop_col) for r in range(w.row, w.stop_row)}

        shared = a & b
        assert (pixels(shared) if shared else set()) == pixels(a) & pixels(b)


class TestPixelsAndWorld:
    def test_the_corner_of_the_first_pixel_is_0_0(self):
        x, y = grid().to_world([0, 0.5, 400], [0, 0.5, 300])
        assert x == pytest.approx([500_000, 500_000.005, 500_004])
        assert y == pytest.approx([5_000_000, 4_999_999.995, 4_999_997])

    def test_a_quarter_turn(self):
        # Rows run north: one column to the right is 1 m to the north, one row down is 1 m to the east.
        g = grid(transform=Affine(0, 1, 100, 1, 0, 200))
        x, y = g.to_world(3, 5)
        assert (x, y) == (105, 203)
        assert g.is_rotated

    def test_corners_run_clockwise_from_the_upper_left(self):
        g = grid(10, 20, Affine(1, 0, 0, 0, -1, 0))
        assert g.corners().tolist() == [[0, 0], [10, 0], [10, -20], [0, -20]]
        assert g.footprint().area == 200

    def test_the_outline_starts_at_each_corner(self):
        g = grid(10, 20, Affine(1, 0, 0, 0, -1, 0))
        assert g.outline(points=1).tolist() == g.corners().tolist()
        assert g.outline(points=2).tolist() == [[0, 0], [5, 0], [10, 0], [10, -10], [10, -20], [5, -20], [0, -20], [0, -10]]

    @given(turned_transforms, st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
    def test_there_and_back_is_where_it_was(self, transform, col, row):
        g = grid(transform=transform)
        back = g.to_pixel(*g.to_world(col, row))
        # World coordinates of 5e6 m are known to 1e-9 m, which is 2e-7 of the smallest pixel here.
        assert back == (pytest.approx(col, abs=1e-5), pytest.approx(row, abs=1e-5))

    @given(turned_transforms, windows, st.floats(0, 1), st.floats(0, 1))
    def test_a_crop_has_its_pixels_where_the_image_has_them(self, transform, window, across, down):
        g = grid(transform=transform)
        crop = g.crop(window)
        here = crop.to_world(across * window.width, down * window.height)
        there = g.to_world(window.col + across * window.width, window.row + down * window.height)
        assert here == (pytest.approx(there[0], abs=1e-6), pytest.approx(there[1], abs=1e-6))

    @given(turned_transforms, windows)
    def test_the_footprint_of_a_window_is_the_footprint_of_its_crop(self, transform, window):
        g = grid(transform=transform)
        assert np.allclose(g.corners(window), g.crop(window).corners(), rtol=0, atol=1e-6)
        area = window.width * window.height * abs(transform.determinant)
        assert g.footprint(window).area == pytest.approx(area, rel=1e-3, abs=1e-5)

    def test_a_degenerate_transform_cannot_be(self):
        with pytest.raises(ValueError, match="degenerate"):
            grid(transform=Affine(1, 2, 0, 2, 4, 0))


DEGREES = Affine(1e-7, 0, -111, 0, -1e-7, 46)
"""Pixels of a centimetre in Montana."""


class TestGroundSampleDistance:
    def test_centimetres_in_utm(self):
        assert grid().metres_per_unit == 1
        assert grid().gsd_m == pytest.approx(0.01)
        assert grid().pixel_area_m2 == pytest.approx(1e-4)

    def test_oblong_pixels_count_by_their_area(self):
        g = grid(transform=Affine(0.02, 0, 500_000, 0, -0.08, 5_000_000))
        assert g.pixel_size_m == pytest.approx((0.02, 0.08))
        assert g.gsd_m == pytest.approx(0.04)

    def test_a_turned_image_has_the_gsd_of_its_pixels(self):
        g = grid(transform=turned(30, 0.02, 0.03))
        assert g.pixel_size_m == pytest.approx((0.02, 0.03))

    def test_international_feet_of_montana(self):
        # Montana state plane in feet: a pixel of 0.05 ft is 0.05 x 0.3048 m.
        g = grid(transform=Affine(0.05, 0, 1_500_000, 0, -0.05, 500_000), crs=CRS.from_epsg(2256))
        assert g.metres_per_unit == 0.3048
        assert g.gsd_m == pytest.approx(0.01524)

    def test_us_survey_feet(self):
        crs = parse_crs("+proj=utm +zone=12 +datum=WGS84 +units=us-ft")
        g = grid(transform=Affine(1, 0, 1_640_000, 0, -1, 16_404_000), crs=crs)
        assert g.metres_per_unit == pytest.approx(1200 / 3937)

    @pytest.mark.parametrize(
        ("wkt", "metres"),
        [('LOCAL_CS["site",UNIT["metre",1]]', 1), ('LOCAL_CS["site",UNIT["foot",0.3048]]', 0.3048)],
    )
    def test_a_local_crs_has_its_own_unit(self, wkt, metres):
        assert grid(crs=CRS.from_wkt(wkt)).metres_per_unit == metres

    def test_a_zone_may_be_used_beyond_its_edge(self):
        # 7 degrees west of its central meridian, where 4 degrees belong to the next zone: lengths are 0.3 % longer there.
        x, y = pyproj.Proj("EPSG:32612")(-118, 46)
        assert grid(transform=Affine(0.01, 0, x, 0, -0.01, y)).gsd_m == pytest.approx(0.01)

    def test_metres_from_the_middle_of_a_site_are_no_degrees(self):
        crs = parse_crs("+proj=tmerc +lat_0=46 +lon_0=-111 +datum=WGS84")
        assert grid(transform=Affine(0.01, 0, -20, 0, -0.01, 15), crs=crs).gsd_m == pytest.approx(0.01)

    def test_a_height_beside_utm_changes_nothing(self):
        assert grid(crs=CRS.from_user_input("EPSG:32612+5703")).gsd_m == pytest.approx(0.01)

    @pytest.mark.parametrize(
        ("crs", "transform", "message"),
        [
            (None, NORTH_UP, "has no CRS; pass `crs`"),
            (4326, Affine(1e-7, 0, -111, 0, -1e-7, 46), r"unit is the degree .* pass `crs=EPSG:32612`"),
            (4326, Affine(1e-7, 0, 132.9, 0, -1e-7, -12.6), "pass `crs=EPSG:32753`"),  # south of the equator
            (3857, Affine(0.01, 0, -12_356_463, 0, -0.01, 5_780_349), r"stretches lengths by 1\.4\d here; pass `crs=EPSG:326"),
            (4978, NORTH_UP, "earth's centre"),
            (4326, NORTH_UP, r"would be in EPSG:4326, but its centre \(500002, 4999998\.5\) lies where nothing can be"),
            (32612, Affine(0.01, 0, 1e12, 0, -0.01, 1e12), "would be in EPSG:32612, but its centre"),
            (None, DEGREES, "look like degrees: pass `image_crs=EPSG:4326`.* `crs=EPSG:32612`, one in metres"),
            (
                32612,
                DEGREES,
                r"centre \(-110\.99998, 45\.999985\) lies outside of where that is used .* look like degrees; pass `image_crs`",
            ),
            # Where the British grid's metres start, it is used; no camera has such pixels.
            (27700, Affine(1e-7, 0, -1.5, 0, -1e-7, 52), "pixels of 1e-07 m in EPSG:27700, .*`image_crs=EPSG:4326`"),
            # Metres of zone 12, taken for Montana's feet.
            (2256, Affine(0.02, 0, 300_000, 0, -0.02, 5_180_000), r"centre .* lies outside of where that is used"),
            (32612, Affine(2000, 0, 300_000, 0, -2000, 5_000_000), "would have pixels of 2e[+]03 m in EPSG:32612"),
        ],
    )
    def test_a_crs_that_does_not_measure_the_ground_is_refused(self, crs, transform, message):
        with pytest.raises(ImageryError, match=message):
            _ = grid(transform=transform, crs=None if crs is None else CRS.from_epsg(crs)).gsd_m

    @pytest.mark.parametrize(("longitude", "zone"), [(-180, 1), (-114.0001, 11), (-113.9999, 12), (0.001, 31), (180, 60)])
    def test_the_utm_zone_of_a_longitude(self, longitude, zone):
        g = grid(2, 2, Affine(1e-7, 0, longitude - 1e-7, 0, -1e-7, 46), CRS.from_epsg(4326))
        assert g.suggest_utm() == f"EPSG:{32600 + zone}"


class TestAtGsd:
    def test_half_as_many_pixels_of_twice_the_size(self):
        g = grid(400, 300).at_gsd(0.02)
        assert (g.width, g.height) == (200, 150)
        assert g.transform == Affine(0.02, 0, 500_000, 0, -0.02, 5_000_000)

    def test_the_last_pixels_may_reach_outside(self):
        g = grid(5, 5).at_gsd(0.02)
        assert (g.width, g.height) == (3, 3)

    def test_one_pixel_at_least(self):
        assert grid(4, 4).at_gsd(100).window == Window(0, 0, 1, 1)

    def test_nothing_changes_for_a_thousandth(self):
        g = grid()
        assert g.at_gsd(0.010009) is g
        assert g.at_gsd(0.0101) is not g

    @given(turned_transforms, st.integers(1, 500), st.integers(1, 500), st.floats(0.3, 20))
    def test_same_corner_square_pixels_and_no_ground_lost(self, transform, width, height, factor):
        g = grid(width, height, transform)
        gsd_m = factor * g.gsd_m
        new = g.at_gsd(gsd_m)
        if new is g:
            return
        assert new.to_world(0, 0) == g.to_world(0, 0)
        assert new.pixel_size_m == pytest.approx((gsd_m, gsd_m))
        # In units of its own pixels the old image ends within the last pixels of the new one.
        end_col, end_row = new.to_pixel(*g.to_world(width, height))
        assert new.width - 1 < end_col + 1e-4
        assert end_col <= new.width + 1e-4
        assert new.height - 1 < end_row + 1e-4
        assert end_row <= new.height + 1e-4

    @given(turned_transforms, st.integers(1, 500), st.integers(1, 500), st.integers(1, 60))
    def test_coarsened_cells_are_whole_pixels_from_the_same_corner(self, transform, width, height, cell):
        g = grid(width, height, transform)
        cells = g.coarsened(cell)
        assert (cells.width, cells.height) == (math.ceil(width / cell), math.ceil(height / cell))
        last = Window((cells.width - 1) * cell, (cells.height - 1) * cell, cell, cell)
        assert np.allclose(cells.corners(Window(cells.width - 1, cells.height - 1, 1, 1)), g.corners(last), atol=1e-6, rtol=0)


class TestSquares:
    def test_the_last_squares_reach_outside(self):
        assert list(grid(5, 3).squares(2)) == [
            (0, 0, Window(0, 0, 2, 2)),
            (0, 1, Window(2, 0, 2, 2)),
            (0, 2, Window(4, 0, 2, 2)),
            (1, 0, Window(0, 2, 2, 2)),
            (1, 1, Window(2, 2, 2, 2)),
            (1, 2, Window(4, 2, 2, 2)),
        ]

    def test_half_overlapping(self):
        cols = [w.col for i, _, w in grid(6, 4).squares(4, 2) if i == 0]
        assert cols == [0, 2]  # the second ends with the image, so a third would add nothing

    def test_a_square_larger_than_the_image(self):
        assert list(grid(5, 3).squares(8)) == [(0, 0, Window(0, 0, 8, 8))]

    def test_steps_longer_than_a_square_never_leave_the_image(self):
        assert [w.col for _, _, w in grid(10, 2).squares(2, 20)] == [0]

    @given(sides, sides, st.integers(1, 20), st.data())
    def test_every_pixel_is_covered_and_only_once_without_overlap(self, width, height, size, data):
        step = data.draw(st.integers(1, size))
        counts = np.zeros((height + 2 * size, width + 2 * size), int)
        for _, _, window in grid(width, height).squares(size, step):
            counts[window.slices] += 1
        inside = counts[:height, :width]
        assert (inside >= 1).all()
        if step == size:
            assert (inside == 1).all()

    @given(sides, sides, st.integers(1, 20), st.integers(1, 30))
    def test_every_square_touches_the_image(self, width, height, size, step):
        g = grid(width, height)
        assert all(window & g.window for _, _, window in g.squares(size, step))


def test_a_point_in_the_image_is_in_its_footprint():
    g = grid(transform=turned(33, 0.02, 0.03, shear=10))
    x, y = g.to_world(200, 150)
    assert g.footprint().contains(Point(x, y))
