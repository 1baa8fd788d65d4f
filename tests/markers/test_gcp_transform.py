import json
import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, open_raster
from spurgekit.imagery.nadir_frame import LOCAL_CRS
from spurgekit.markers import Marker
from spurgekit.markers.gcp_matching import KnownPoint
from spurgekit.markers.gcp_transform import georeference

UTM = CRS.from_epsg(32612)
EAST, NORTH = 500_000.0, 5_000_000.0

# Metres east and north of the middle of a frame of 4000 x 3000 pixels of 2 cm, 80 x 60 m. No two stand alike.
PLACES = [(-30, 20), (-12, 25), (5, 10), (25, 22), (-25, -8), (0, -15), (18, -20), (33, -3)]


def turned(degrees=0.0, scale=1.0, east=0.0, north=0.0):
    """The grid of the frame, after a turn, a scale and a shift about its middle."""
    middle = Affine.translation(EAST + east, NORTH + north) @ Affine.rotation(degrees) @ Affine.scale(scale)
    return PixelGrid(4000, 3000, middle @ Affine.scale(0.02, -0.02) @ Affine.translation(-2000, -1500), UTM)


TRUE = turned()
OFF = turned(degrees=4, scale=1.05, east=-3, north=4)


def points(places=PLACES, ids=None):
    ids = ids or [None] * len(places)
    return [KnownPoint(EAST + x, NORTH + y, f"p{k}", i) for k, ((x, y), i) in enumerate(zip(places, ids, strict=True))]


def markers(places=PLACES, ids=None, shifts_px=None):
    shifts_px = [(0, 0)] * len(places) if shifts_px is None else shifts_px
    ids = ids or [None] * len(places)
    at = zip(places, shifts_px, ids, strict=True)
    return [Marker(2000 + x / 0.02 + dc, 1500 - y / 0.02 + dr, 0.45, "cross", 1.0, i) for (x, y), (dc, dr), i in at]


def names(found):
    return [pair.known.name for pair in found.pairs]


def same_ground(grid, other):
    return grid.corners() == pytest.approx(other.corners(), abs=1e-3)


class TestWithoutIds:
    def test_a_frame_that_is_off_by_metres_and_degrees(self):
        found = georeference(OFF, markers(), points())
        assert same_ground(found.grid, TRUE)
        assert (found.grid.width, found.grid.height, found.grid.crs) == (4000, 3000, UTM)
        assert names(found) == [f"p{k}" for k in range(8)]
        assert found.model == "similarity"
        assert found.max_cm == pytest.approx(0, abs=1e-4)

    def test_in_any_order_with_some_missing_and_some_false(self):
        stones = [Marker(500, 2500, 0.45, "cross", 0.4), Marker(3900, 150, 0.45, "cross", 0.4)]
        found = georeference(OFF, [*stones, *markers(PLACES[2:])[::-1]], points()[::-1])
        assert same_ground(found.grid, TRUE)
        assert names(found) == ["p7", "p6", "p5", "p4", "p3", "p2"]

    def test_the_residual_is_what_the_markers_are_off(self):
        # Two opposite steps of 4 px of 2 cm each: what they pull on the others is small, and the total is known.
        shifts = [(0, 0)] * 8
        shifts[2], shifts[5] = (4, 0), (-4, 0)
        found = georeference(OFF, markers(shifts_px=shifts), points())
        residuals = {pair.known.name: pair.residual_cm for pair in found.pairs}
        assert residuals["p2"] == pytest.approx(8, abs=2)
        assert found.max_cm == max(residuals.values())
        assert found.rms_cm == pytest.approx(math.sqrt(2 * 64 / 8), rel=0.2)
        assert found.left_out_cm > found.rms_cm

    def test_a_stone_beside_a_marker_that_was_missed_is_not_taken_for_it(self):
        shifts = [(30, 0)] + [(0, 0)] * 7  # 60 cm, within the tolerance of 1 m; the others agree to the pixel
        found = georeference(OFF, markers(shifts_px=shifts), points())
        assert names(found) == [f"p{k}" for k in range(1, 8)]
        assert same_ground(found.grid, TRUE)

    def test_a_regular_lattice_that_is_seen_whole(self):
        lattice = [(x, y) for x in (-15, -5, 5, 15) for y in (-15, -5, 5, 15)]
        found = georeference(OFF, markers(lattice), points(lattice))
        assert same_ground(found.grid, TRUE)

    @given(
        degrees=st.floats(-8, 8),
        scale=st.floats(0.93, 1.07),
        east=st.floats(-8, 8),
        north=st.floats(-8, 8),
        seen=st.sets(st.integers(0, 7), min_size=6),
    )
    def test_whatever_the_frame_is_off_by(self, degrees, scale, east, north, seen):
        found = georeference(turned(degrees, scale, east, north), markers([PLACES[k] for k in sorted(seen)]), points())
        assert same_ground(found.grid, TRUE)
        assert names(found) == [f"p{k}" for k in sorted(seen)]


class TestWithIds:
    IDS = (3, 14, 15, 92, 65, 35, 89, 79)

    def test_ids_say_which_is_which_however_far_off_the_grid_is(self):
        far = turned(degrees=120, east=3000)
        found = georeference(far, markers(ids=self.IDS), points(ids=self.IDS))
        assert same_ground(found.grid, TRUE)

    def test_two_will_do_and_have_no_residual_to_speak_of(self):
        found = georeference(OFF, markers(PLACES[:2], self.IDS[:2]), points(ids=self.IDS))
        assert same_ground(found.grid, TRUE)
        assert (found.rms_cm, found.max_cm, found.left_out_cm) == (None, None, None)

    def test_an_id_at_the_wrong_place_is_outvoted(self):
        ids = [*self.IDS[1:3], *self.IDS[:1], *self.IDS[3:]]  # the first three are mixed up
        found = georeference(OFF, markers(ids=ids), points(ids=self.IDS))
        assert names(found) == ["p3", "p4", "p5", "p6", "p7"]
        assert same_ground(found.grid, TRUE)


class TestModels:
    def test_an_affine_map_where_the_image_is_sheared(self):
        sheared = PixelGrid(4000, 3000, TRUE.transform @ Affine.shear(1.5, 0), UTM)
        col, row = sheared.to_pixel(*np.array([(p.x, p.y) for p in points()]).T)
        seen = [Marker(float(c), float(r), 0.45, "cross", 1.0) for c, r in zip(col, row, strict=True)]
        found = georeference(TRUE, seen, points())
        assert found.model == "affine"
        assert same_ground(found.grid, sheared)

    def test_not_for_a_line_of_points(self):
        line = [(x, 0) for x in (-30, -17, -2, 9, 31)]
        found = georeference(OFF, markers(line), points(line))
        assert found.model == "similarity"
        assert same_ground(found.grid, TRUE)

    def test_a_photo_of_which_only_the_gsd_is_known_may_lie_anywhere(self):
        local = PixelGrid(4000, 3000, Affine(0.021, 0, 0, 0, -0.021, 63), CRS.from_wkt(LOCAL_CRS))
        found = georeference(local, markers(), points(), crs=UTM)
        assert same_ground(found.grid, TRUE)
        assert found.grid.crs == UTM


class TestRefusals:
    def refuse(self, grid, seen, known, **options):
        with pytest.raises(InputError) as caught:
            georeference(grid, seen, known, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_too_few(self):
        line = self.refuse(OFF, markers(PLACES[:1]), points())
        assert line == "1 marker and 8 known points: at least two of each are needed to georeference an image"

    def test_far_away(self):
        away = [KnownPoint(p.x + 30_000, p.y, p.name) for p in points()]
        line = self.refuse(OFF, markers(), away)
        assert "8 markers and 8 known points, but the nearest two are 29.9 km apart" in line
        assert "are the points' CRS and the order of their coordinates right?" in line

    def test_another_scale(self):
        line = self.refuse(turned(scale=1.4), markers(PLACES[:2]), points(PLACES[:2]))
        assert line == "2 markers and 2 known points, but no two markers stand to each other as two of the points do"

    def test_two_of_many_could_be_anywhere(self):
        line = self.refuse(OFF, markers(PLACES[:2]), points())
        assert "too few to be sure that it is not by chance" in line or "ways" in line

    def test_a_row_of_a_lattice_that_fits_in_several_ways(self):
        lattice = [(x, y) for x in (-15, -5, 5, 15) for y in (-15, -5, 5, 15)]
        line = self.refuse(turned(north=5), markers(lattice[:1] + lattice[4:5] + lattice[8:9]), points(lattice))
        assert "3 markers and 16 known points fit in" in line
        assert "use coded markers, or points that do not form a regular pattern" in line

    def test_stones(self):
        rng = np.random.default_rng(5)
        for _ in range(20):
            stones = [Marker(c, r, 0.45, "cross", 0.5) for c, r in rng.uniform((0, 0), (4000, 3000), (8, 2))]
            self.refuse(OFF, stones, points())

    def test_points_in_another_crs(self):
        assert "in another CRS than the image" in self.refuse(OFF, markers(), points(), crs=CRS.from_epsg(4326))


class TestRealData:
    def test_a_dune_by_points_from_a_handheld_receiver(self, data):
        features = json.loads((data / "copr" / "markers.geojson").read_text())["features"]
        told = [feature["properties"] for feature in features]
        seen = [Marker(p["col"], p["row"], 0.45, "cross", 1.0) for p in told]
        known = [KnownPoint(p["gps_x"], p["gps_y"], p["gcp"]) for p in told][::-1]
        with open_raster(data / "copr" / "site.tif") as raster:
            found = georeference(raster.grid, seen, known, tolerance_m=1.5)
        assert [told[seen.index(pair.marker)]["gcp"] for pair in found.pairs] == names(found)  # none is mistaken for another
        assert len(found.pairs) >= 8
        assert 50 < found.rms_cm < 150  # "absolute position off by metres"
