"""Where the tiles of a plot lie."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS
from shapely import Polygon, box

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Window
from spurgekit.plots import Plot
from spurgekit.tiles.plot_layout import plots_layout
from tests.conftest import CORNER

X, Y = CORNER
UTM = CRS.from_epsg(32612)
GRID = PixelGrid(2000, 2000, Affine(0.01, 0, X, 0, -0.01, Y), UTM)
"""20 x 20 m at 1 cm."""

ALIGNED = Plot("7", ((X + 4, Y - 4), (X + 14, Y - 4), (X + 14, Y - 14), (X + 4, Y - 14)), (True, True, True, False), 2.5)


def lay_out(plot=ALIGNED, grid=GRID, image=None, **options):
    options = {"size_px": 250, "gsd_m": 0.014, **options}
    return plots_layout([plot], grid, image or grid, "site", **options)


def around(points, degrees, centre=(X + 9, Y - 9)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (np.asarray(points) - centre) @ np.array([[c, s], [-s, c]]) + centre


def plot_at(points, **known):
    return Plot("a", tuple(map(tuple, points)), (True,) * 4, **known)


def is_same(one, other):
    return one.symmetric_difference(other).area < 1e-6


class TestCrops:
    def test_they_meet_at_the_centre_and_are_named_by_where_they_lie(self):
        tiles = lay_out()
        assert [tile.id for tile in tiles] == ["site_7_NW", "site_7_NE", "site_7_SE", "site_7_SW"]
        nw, ne, se, sw = (Polygon(tile.ground(GRID)) for tile in tiles)
        x, y = X + 9, Y - 9  # 250 px of 1.4 cm are 3.5 m
        assert is_same(nw, box(x - 3.5, y, x, y + 3.5))
        assert is_same(ne, box(x, y, x + 3.5, y + 3.5))
        assert is_same(se, box(x, y - 3.5, x + 3.5, y))
        assert is_same(sw, box(x - 3.5, y - 3.5, x, y))

    def test_what_is_known_of_them(self):
        tile = lay_out(plot_at(ALIGNED.corners, attributes={"present": "yes"}, residual_cm=1.0))[1]
        assert tile.attributes == {
            "present": "yes",
            "plot": "a",
            "quarter": "NE",
            "residual_cm": 1.0,
            "corners_found": 4,
            "filled_in": False,
        }
        assert (tile.size_px, tile.gsd_m) == (250, pytest.approx(0.014))
        assert lay_out()[0].attributes["filled_in"]

    def test_the_pixels_that_they_are_made_of(self):
        tiles = lay_out(size_px=100, gsd_m=0.01)
        assert tiles[0].window == Window(798, 798, 104, 104)  # two more on each side
        assert tiles[2].window == Window(898, 898, 104, 104)

    @given(st.floats(-180, 180), st.floats(0.9, 1.1))
    def test_of_a_turned_and_stretched_plot(self, degrees, stretch):
        corners = around((np.array(ALIGNED.corners) - (X + 9, Y - 9)) * (stretch, 1) + (X + 9, Y - 9), degrees)
        tiles = lay_out(plot_at(corners), plot_size_m=10)
        whole = Polygon(corners)
        for tile in tiles:
            assert whole.contains(Polygon(tile.ground(GRID)))
            assert Polygon(tile.ground(GRID)).area == pytest.approx(3.5 * 3.5 * stretch)
        assert sum(Polygon(tile.ground(GRID)).area for tile in tiles) == pytest.approx(
            Polygon(np.concatenate([tiles[i].corners[i : i + 1] for i in range(4)])).area
        )

    def test_they_fit_exactly(self):
        assert len(lay_out(size_px=465, gsd_m=0.01, inset_m=0.35)) == 4
        with pytest.raises(InputError) as caught:
            lay_out(size_px=466, gsd_m=0.01, inset_m=0.35)
        assert str(caught.value) == (
            "four tiles do not fit into plot 7 of 10 m less an inset of 0.35 m, at 466 px of 1.00 cm = 4.66 m each; "
            "pass `size_px=465` or `gsd_m=0.00997` or less, or `quarters=full`"
        )


class TestFull:
    def test_from_the_centre_to_the_inset(self):
        tiles = lay_out(quarters="full", inset_m=0.5)
        assert is_same(Polygon(tiles[0].ground(GRID)), box(X + 4.5, Y - 9, X + 9, Y - 4.5))
        assert tiles[0].gsd_m == pytest.approx(4.5 / 250)

    def test_each_plot_by_its_own_measure(self):
        small = plot_at(around([(X + 6, Y - 6), (X + 12, Y - 6), (X + 12, Y - 12), (X + 6, Y - 12)], 10))
        assert lay_out(small, quarters="full", size_px=100)[0].gsd_m == pytest.approx(0.03)


class TestGrid:
    def test_as_many_as_fit_around_the_centre(self):
        tiles = lay_out(quarters="grid", size_px=100, gsd_m=0.02, inset_m=0.4)  # 9.2 m hold four of 2 m
        assert len(tiles) == 16
        assert [tile.id for tile in tiles[:5:4]] == ["site_7_r00_c00", "site_7_r01_c00"]
        assert is_same(Polygon(tiles[0].ground(GRID)), box(X + 5, Y - 7, X + 7, Y - 5))
        assert is_same(Polygon(tiles[15].ground(GRID)), box(X + 11, Y - 13, X + 13, Y - 11))

    def test_not_even_one(self):
        with pytest.raises(InputError, match=r"^a tile does not fit into plot 7 of 10 m .* pass `size_px=714`"):
            lay_out(quarters="grid", size_px=800)


class TestAffine:
    def test_of_a_parallelogram_it_meets_the_corners(self):
        (tile, *_) = lay_out(plot_at(around(ALIGNED.corners, 33)))
        assert tile.grid(UTM).corners() == pytest.approx(tile.corners, abs=1e-6)

    def test_in_perspective_it_is_as_near_as_it_can_be(self):
        corners = np.add(ALIGNED.corners, [(0.4, 0), (-0.4, 0), (0.4, 0), (-0.4, 0)])
        for tile in lay_out(plot_at(corners)):
            off = np.linalg.norm(tile.grid(UTM).corners() - tile.corners, axis=1)
            assert off == pytest.approx(off[0])  # the same at each corner
            assert 0.001 < off[0] < 0.06


class TestOtherGrids:
    def test_an_image_in_degrees_is_sampled_from_its_own_pixels(self):
        corners = np.array(ALIGNED.corners)
        degrees = PixelGrid(3000, 3000, Affine(1e-7, 0, -111.0, 0, -1e-7, 45.1533), CRS.from_epsg(4326))
        lon, lat = Transformer.from_crs(32612, 4326, always_xy=True).transform(*corners.T)
        expected = np.column_stack(degrees.to_pixel(lon, lat)).mean(axis=0)
        (nw, *_) = lay_out(image=degrees)
        corner = nw.to_image @ (250, 250, 1)  # the plot's centre
        assert corner[:2] / corner[2] == pytest.approx(expected, abs=0.01)
        assert nw.corners[2] == pytest.approx((X + 9, Y - 9), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inset_m": 5}, "an inset of 5 m leaves nothing of plot 7 of 10 m"),
        ({"inset_m": -1}, "an inset of -1 m cannot be"),
        ({"inset_m": float("nan")}, "an inset of nan m cannot be"),
        ({"size_px": 0}, "size of at least 1 px, not 0"),
        ({"plot_size_m": 3}, "plot 7 is 10.0 x 10.0 m, not 3 m; pass `size_m=10`"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        lay_out(**options)


def test_a_piece_of_the_image_that_is_too_large():
    wide = PixelGrid(80_000, 80_000, Affine(0.0002, 0, X, 0, -0.0002, Y), UTM)
    with pytest.raises(InputError, match=r"plot 7: a tile would be made of 25,004 x 25,004 px of the image"):
        lay_out(grid=wide, quarters="full")


def test_plots_are_squares():
    oblong = plot_at([(X + 4, Y - 4), (X + 14, Y - 4), (X + 14, Y - 9), (X + 4, Y - 9)])
    with pytest.raises(InputError, match=r"plot a is 10\.0 x 5\.0 m and its sides differ, while plots are squares"):
        lay_out(oblong)
