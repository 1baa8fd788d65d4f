"""Coordinate reference systems."""

import re

import numpy as np
import pyproj
import pytest
from pyproj.transformer import TransformerGroup
from rasterio.crs import CRS

from spurgekit.errors import ImageryError
from spurgekit.imagery.crs import (
    doubtful_shift,
    has_place,
    height_unit,
    misplaced,
    name_crs,
    parse_crs,
    points_in,
    to_pyproj,
    unit_m,
)

UTM, DEGREES = CRS.from_epsg(32612), CRS.from_epsg(4326)
LOCAL = CRS.from_wkt('LOCAL_CS["my field",UNIT["metre",1]]')
UNDEFINED = (
    'ENGCRS["Undefined Cartesian SRS with unknown unit",EDATUM["Unknown engineering datum"],CS[Cartesian,2],'
    'AXIS["X",unspecified],AXIS["Y",unspecified],LENGTHUNIT["unknown",0]]'
)
"""What a GeoPackage holds whose layer was saved without a CRS."""


@pytest.mark.parametrize("text", ["EPSG:bla", "EPSG:999999", "utm twelve", ""])
def test_what_proj_does_not_know_is_refused(text):
    with pytest.raises(ImageryError, match="no CRS that PROJ knows"):
        parse_crs(text)


def test_names():
    assert name_crs(UTM) == "EPSG:32612"
    assert name_crs(None) == "no CRS"
    assert name_crs(LOCAL) == "my field"


@pytest.mark.parametrize(
    ("crs", "placed"),
    [
        (UTM, True),
        (DEGREES, True),
        (parse_crs("EPSG:32612+5703"), True),  # with heights
        (parse_crs("EPSG:4978"), True),  # from the earth's centre
        (LOCAL, False),
        (pyproj.CRS.from_wkt(UNDEFINED), False),
        (None, False),
    ],
)
def test_which_have_a_place_on_earth(crs, placed):
    assert has_place(crs) == placed


class TestMisplaced:
    @pytest.mark.parametrize(
        ("crs", "x", "y"),
        [
            (UTM, 500_000, 5_000_000),
            (UTM, 30_000, 5_100_000),  # 117 degrees west, in the zone beside it
            (DEGREES, -111, 46),
            (CRS.from_epsg(32601), 800_000, 5_000_000),
            (CRS.from_epsg(3832), 3e6, 0),  # the Pacific, across 180 degrees: 177 degrees west
            (parse_crs("+proj=tmerc +lat_0=46 +lon_0=-111"), 10, 10),  # of which nobody says where it is used
        ],
    )
    def test_what_may_be_meant(self, crs, x, y):
        assert misplaced(crs, x, y) is None

    @pytest.mark.parametrize(
        ("crs", "x", "y", "where"),
        [
            (UTM, -111, 46, "degrees"),
            (UTM, 500_000, -3_000_000, "latitude 0 to 84"),  # south of the equator, in a zone of the north
            (CRS.from_epsg(2056), 500_000, 5_000_000, "longitude 6 to 10"),  # zone 12's, taken for Swiss ones
            (DEGREES, 500_000, 5_000_000, "nothing can be"),
            (UTM, np.nan, 0, "nothing can be"),
        ],
    )
    def test_what_is_hardly_meant(self, crs, x, y, where):
        assert where in misplaced(crs, x, y)


class TestPoints:
    def test_longitude_comes_before_latitude(self):
        # On its central meridian, 111 degrees west, zone 12 has its false easting of 500 km.
        points = points_in(np.array([[500_000, 0], [500_000, 5_000_000]]), UTM, DEGREES)
        assert points[0] == pytest.approx([-111, 0], abs=1e-9)
        assert points[1, 0] == pytest.approx(-111)
        assert 45 < points[1, 1] < 45.2

    def test_there_and_back(self):
        points = np.random.default_rng(0).uniform(4e5, 6e5, (50, 2))
        assert points_in(points_in(points, UTM, DEGREES), DEGREES, UTM) == pytest.approx(points, abs=1e-6)

    @pytest.mark.parametrize(
        ("points", "crs", "target"),
        [
            ([[-111, 95]], DEGREES, UTM),  # beyond the pole
            ([[4e9, 4e9]], UTM, CRS.from_epsg(32613)),
            ([[1, 1]], LOCAL, UTM),
            ([[500_000, 0], [np.nan, 0]], UTM, DEGREES),
        ],
    )
    def test_what_has_no_place_there_is_refused(self, points, crs, target):
        with pytest.raises(ImageryError, match="cannot be brought to") as caught:
            points_in(np.array(points), crs, target)
        assert f"{name_crs(crs)} cannot be brought to {name_crs(target)}" in str(caught.value)


class TestUnits:
    @pytest.mark.parametrize(
        ("crs", "unit", "of_heights"),
        [
            ("EPSG:32612", 1.0, ("metre", 1.0)),
            ("EPSG:2256", 0.3048, ("foot", 0.3048)),
            ("EPSG:2256+5703", 0.3048, ("metre", 1.0)),  # feet beside metres above the sea
            ('LOCAL_CS["site",UNIT["foot",0.3048]]', 0.3048, ("foot", 0.3048)),
        ],
    )
    def test_lengths(self, crs, unit, of_heights):
        assert (unit_m(parse_crs(crs)), height_unit(parse_crs(crs))) == (unit, of_heights)

    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4979"])
    def test_heights_beside_degrees_are_in_metres(self, crs):
        assert height_unit(parse_crs(crs)) == ("metre", 1.0)


class TestDoubtfulShift:
    BRITAIN = (-2.0, 52.6)

    def test_of_one_datum_nothing_is_lost(self):
        assert doubtful_shift(DEGREES, UTM, -111, 46) is None
        assert doubtful_shift(UTM, CRS.from_epsg(32613), 500_000, 5_000_000) is None

    def test_between_two_it_is_said_with_metres(self):
        said = doubtful_shift(DEGREES, CRS.from_epsg(27700), *self.BRITAIN)
        assert re.match(r"coordinates brought from EPSG:4326 to EPSG:27700 are good to about [12] m", said)

    def test_what_is_better_than_a_pixel_is_not(self):
        assert doubtful_shift(DEGREES, CRS.from_epsg(27700), *self.BRITAIN, pixel_m=10) is None

    def test_a_grid_that_is_missing_is_named(self, monkeypatch):
        monkeypatch.setenv("PROJ_NETWORK", "OFF")
        way = CRS.from_epsg(4326), CRS.from_epsg(27700)
        if TransformerGroup(*map(to_pyproj, way), always_xy=True).best_available:
            pytest.skip("the grid of Britain is here")
        assert doubtful_shift(*way, *self.BRITAIN).endswith("pyproj sync --file uk_os_OSTN15_NTv2_OSGBtoETRS.tif")

    def test_where_nobody_knows_a_way_between_data_it_is_off_by_nobody_knows(self):
        sphere = parse_crs("+proj=longlat +R=6371000")
        assert doubtful_shift(sphere, UTM, -111, 46) == (
            "coordinates brought from unknown to EPSG:32612 are off by an unknown distance"
        )
