"""Coordinate reference systems."""

import numpy as np
import pytest
from rasterio.crs import CRS

from spurgekit.errors import ImageryError
from spurgekit.imagery.crs import name_crs, parse_crs, points_in

UTM, DEGREES = CRS.from_epsg(32612), CRS.from_epsg(4326)
LOCAL = CRS.from_wkt('LOCAL_CS["my field",UNIT["metre",1]]')


@pytest.mark.parametrize("text", ["EPSG:bla", "EPSG:999999", "utm twelve", ""])
def test_what_proj_does_not_know_is_refused(text):
    with pytest.raises(ImageryError, match="no CRS that PROJ knows"):
        parse_crs(text)


def test_names():
    assert name_crs(UTM) == "EPSG:32612"
    assert name_crs(None) == "no CRS"
    assert name_crs(LOCAL) == "my field"


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
