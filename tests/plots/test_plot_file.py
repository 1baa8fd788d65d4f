"""Plots from surveyed corners and from drawn polygons."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from shapely import MultiPolygon, Point, Polygon, box

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, open_raster
from spurgekit.markers import Marker
from spurgekit.plots import PlotProtocol
from spurgekit.plots.plot_file import _around, _match, read_plots, snap_plots
from spurgekit.plots.protocol import CORNERS
from tests.conftest import CORNER

X, Y = CORNER
UTM = CRS.from_epsg(32612)
GRID = PixelGrid(4000, 4000, Affine(0.01, 0, X, 0, -0.01, Y), UTM)
"""40 x 40 m from ``CORNER`` to the south-east."""

PROTOCOL = PlotProtocol()
SQUARE = [(X + 5, Y - 5), (X + 15, Y - 5), (X + 15, Y - 15), (X + 5, Y - 15)]
"""A plot of 10 m: NW, NE, SE, SW."""

ON = {"crs": 32612}


def turned(points, degrees, around=(X + 20, Y - 20)):
    """Points turned anticlockwise."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (np.asarray(points) - around) @ np.array([[c, s], [-s, c]]) + around


@pytest.fixture
def write(tmp_path):
    """Write geometries with columns to a file: ``write(geometries, plot=[...])`` gives its path."""

    def to_file(geometries, crs=32612, file="plots.gpkg", **columns):
        gpd.GeoDataFrame(columns, geometry=list(geometries), crs=crs).to_file(tmp_path / file)
        return tmp_path / file

    return to_file


def read(path, grid=GRID, protocol=PROTOCOL, **options):
    return read_plots(path, grid, protocol, **options)[0]


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


class TestCorners:
    def test_by_name_whatever_their_order(self, write):
        points = [Point(SQUARE[i]) for i in (2, 0, 3, 1)]
        (plot,) = read(write(points, Plot=["a"] * 4, Corner=["SE", "nw", "SW ", "NE"]))
        assert plot.id == "a"
        assert plot.corners == tuple(SQUARE)
        assert plot.found == (True,) * 4
        assert plot.residual_cm is None

    def test_without_names_the_one_farthest_to_the_north_west_is_first(self, write):
        (plot,) = read(write([Point(SQUARE[i]) for i in (3, 1, 0, 2)], plot=[7.0] * 4))
        assert plot.id == "7"
        assert plot.corners == tuple(SQUARE)

    @given(st.floats(-44, 44), st.permutations(range(4)))
    def test_of_a_square_turned_by_less_than_45_degrees_too(self, degrees, order):
        square = turned(SQUARE, degrees)
        assert _around(square[order]) == pytest.approx(square)

    def test_csv_with_longitude_and_latitude(self, tmp_path):
        lonlat = gpd.GeoSeries(map(Point, SQUARE), **ON).to_crs(4326)
        rows = [f"1,{corner},{p.x:.9f},{p.y:.9f},{i}" for i, (corner, p) in enumerate(zip(CORNERS, lonlat, strict=True))]
        path = tmp_path / "corners.csv"
        path.write_text("\n".join(["plot,corner,longitude,latitude,elevation", *rows]))
        (plot,) = read(path)
        assert np.array(plot.corners) == pytest.approx(np.array(SQUARE), abs=1e-3)
        assert plot.attributes == {}

    def test_csv_with_easting_and_northing(self, tmp_path):
        path = tmp_path / "corners.csv"
        path.write_text("\n".join(["plot;easting;northing", *(f"1;{x};{y}" for x, y in SQUARE)]))
        assert "pass `declared_crs`" in refusal(path)
        (plot,) = read(path, declared_crs="EPSG:32612")
        assert plot.corners == tuple(SQUARE)

    def test_what_all_corners_share_is_the_plots(self, write):
        points = [Point(p) for p in SQUARE]
        (plot,) = read(write(points, plot=[1] * 4, present=[True] * 4, height=[1.0, 2.0, 3.0, 4.0]))
        assert plot.attributes == {"present": True}

    def test_rows_of_other_sites_are_passed_over(self, write):
        points = [Point(p) for p in SQUARE]
        path = write(points + points, plot=[1] * 8, corner=["NW", "NE", "SE", "SW"] * 2, site=["a"] * 4 + ["b"] * 4)
        assert len(read(path, site="b")) == 1
        assert "its corner NW 2 times" in refusal(path, site="c")

    @pytest.mark.parametrize(
        ("indices", "corners", "message"),
        [
            ((0, 1, 2), None, "plot 1 has 3 corners, not 4"),
            ((0, 1, 2, 3, 0), None, "plot 1 has 5 corners, not 4"),
            ((0, 1, 2), ["NW", "NE", "SE"], "plot 1 lacks its corner SW"),
            ((0, 1, 2, 3), ["NW", "NE", "SE", "SE"], "plot 1 has its corner SE 2 times"),
            ((0, 1, 2, 3), ["NW", "NE", "SE", "N"], "plot 1 has a corner 'N'; corners are NW, NE, SE, SW"),
            ((1, 0, 3, 2), ["NW", "NE", "SE", "SW"], "plot 1 do not go clockwise"),  # mirrored
            ((0, 2, 1, 3), ["NW", "NE", "SE", "SW"], "plot 1 do not go clockwise"),  # crossed
            ((0, 0, 1, 2), None, "plot 1 do not go clockwise"),
        ],
    )
    def test_corners_that_make_no_plot(self, write, indices, corners, message):
        columns = {"plot": [1] * len(indices)} | ({"corner": corners} if corners else {})
        assert message in refusal(write([Point(SQUARE[i]) for i in indices], **columns))

    def test_a_row_without_a_plot(self, write):
        assert "column plot is empty in row 2" in refusal(write(map(Point, SQUARE), plot=["a", None, "a", "a"]))


class TestElsewhere:
    def test_easting_and_northing_swapped(self, write):
        line = refusal(write([Point(y, x) for x, y in SQUARE], plot=[1] * 4))
        assert "would be in EPSG:32612, but its coordinates, about (4999990, 500010), lie outside of where that is used" in line
        assert "are easting and northing swapped?" in line

    def test_longitude_and_latitude_swapped(self, tmp_path):
        path = tmp_path / "corners.csv"
        path.write_text("\n".join(["plot,longitude,latitude", *["1,45.15,-111.0"] * 4]))
        assert refusal(path).endswith("are longitude and latitude swapped?")

    def test_the_zone_beside(self, write):
        line = refusal(write(map(Point, SQUARE), crs=32613, plot=[1] * 4))
        assert "none of its plots lies in the image; they span x 97" in line
        assert line.endswith("check the CRS and the order of coordinates")

    def test_plots_outside_are_left_out_and_those_partly_outside_kept(self, write):
        plots = [box(X + 5, Y - 15, X + 15, Y - 5), box(X - 5, Y - 15, X + 5, Y - 5), box(X - 15, Y - 15, X - 5, Y - 5)]
        assert [plot.id for plot in read(write(plots))] == ["1", "2"]


class TestNodes:
    """One point for each node of the lattice, in any order."""

    NODES = np.add(PROTOCOL.nodes_m, (X + 5, Y - 35))

    def test_plots_are_numbered_from_the_north_west(self, write):
        shuffled = np.random.default_rng(0).permutation(self.NODES)
        plots = read(write(map(Point, shuffled), id=range(16)))  # the id is the point's
        assert [plot.id for plot in plots] == list("123456789")
        assert plots[0].corners == ((X + 5, Y - 5), (X + 15, Y - 5), (X + 15, Y - 15), (X + 5, Y - 15))
        assert plots[5].corners[0] == (X + 25, Y - 15)
        assert max(plot.residual_cm for plot in plots) < 1e-3

    @given(st.floats(-44, 44), st.integers(0, 99), st.sampled_from([(3, 3), (1, 3), (2, 1)]))
    def test_a_turned_lattice_with_errors(self, degrees, seed, shape):
        rng = np.random.default_rng(seed)
        nodes = PlotProtocol(rows=shape[0], columns=shape[1]).nodes_m
        order = rng.permutation(len(nodes))
        points = turned(nodes, degrees, (0, 0))[order] + rng.normal(0, 0.1, nodes.shape)
        assert (order[_match(points, nodes, 2.5)] == np.arange(len(nodes))).all()

    def test_the_residual_is_of_the_points_from_the_lattice(self, write):
        moved = self.NODES.copy()
        moved[0] += (-0.08, 0.06)  # 10 cm, of which the fit takes up some
        plots = read(write(map(Point, moved)))
        assert 3 < plots[0].residual_cm < 5  # one corner in four
        assert plots[8].residual_cm < 1

    def test_too_few_points(self, write):
        assert "holds 15 points without a column plot, and the lattice of 3 x 3 plots of 10 m has 16 corners" in refusal(
            write(map(Point, self.NODES[1:]))
        )

    def test_points_of_another_lattice(self, write):
        path = write(map(Point, self.NODES))
        assert "do not lie as the corners of 3 x 3 plots of 5 m" in refusal(path, protocol=PlotProtocol(size_m=5))
        assert "do not lie as the corners of 1 x 7 plots" in refusal(path, protocol=PlotProtocol(rows=1, columns=7))


class TestPolygons:
    def test_four_corners_and_columns(self, write):
        path = write([Polygon(SQUARE), Polygon(np.add(SQUARE, (12, 0)))], id=[3, 5], present=["yes", "no"])
        first, second = read(path)
        assert (first.id, second.id) == ("3", "5")
        assert first.corners == tuple(SQUARE)
        assert second.attributes == {"present": "no"}

    def test_points_along_the_sides_are_no_corners(self, write):
        points = [(X + 5, Y - 10), *SQUARE[:2], (X + 15.05, Y - 9), *SQUARE[2:]]
        (plot,) = read(write([Polygon(points)]))
        assert plot.corners == tuple(SQUARE)

    def test_any_direction_and_one_part(self, write):
        (plot,) = read(write([MultiPolygon([Polygon(SQUARE[::-1])])]))
        assert plot.corners == tuple(SQUARE)

    def test_the_layer_of_plots_of_a_file_with_several(self, write):
        path = write([Polygon(SQUARE)])
        gpd.GeoSeries([Point(X, Y)], **ON).to_file(path, layer="markers")
        assert len(read(path)) == 1

    @pytest.mark.parametrize(
        ("shapes", "columns", "message"),
        [
            ([Polygon(SQUARE[:3])], {}, "plot 1 has 3 corners"),
            ([Point(X + 5, Y - 5).buffer(3)], {}, "corners, and a plot is one polygon with 4 corners"),
            ([MultiPolygon([box(X, Y - 1, X + 1, Y), box(X + 3, Y - 1, X + 4, Y)])], {}, "plot 1 has 2 parts"),
            ([Polygon([*SQUARE[:2], (X + 8, Y - 8), SQUARE[3]])], {}, "plot 1 do not go clockwise around a square"),
            ([Polygon(SQUARE)] * 2, {"plot": ["A 1", "A-1"]}, "two plots have the id A-1; make them differ"),
            ([Polygon(SQUARE)] * 2, {"name": ["a", " "]}, "column name is empty in row 2"),
            ([Polygon(SQUARE), Point(X, Y)], {}, "holds Point and Polygons; plots come from points or from polygons"),
        ],
    )
    def test_shapes_that_are_no_plots(self, write, shapes, columns, message):
        assert message in refusal(write(shapes, file="plots.geojson", **columns))


class TestSnap:
    """Markers stand at three corners, each a little off the surveyed place."""

    @pytest.fixture
    def plot(self, write):
        return read(write([Polygon(SQUARE)]))[0]

    def marker(self, x, y):
        col, row = GRID.to_pixel(x, y)
        return Marker(float(col), float(row), 0.45, "cross", 0.9)

    def test_corners_move_to_markers_that_are_near(self, plot):
        near = [self.marker(X + 5.3, Y - 5.4), self.marker(X + 15, Y - 5.1), self.marker(X + 17, Y - 15)]
        (moved,), count, residual_cm = snap_plots([plot], near, GRID, 0.6)
        assert np.array(moved.corners) == pytest.approx(
            np.array([(X + 5.3, Y - 5.4), (X + 15, Y - 5.1), SQUARE[2], SQUARE[3]]), abs=1e-6
        )
        assert count == 2
        assert residual_cm == moved.residual_cm == pytest.approx(100 * np.sqrt((0.5**2 + 0.1**2) / 2))

    def test_one_marker_takes_one_corner_of_a_plot(self, plot):
        between = [self.marker(X + 9, Y - 5)]
        (moved,), count, _ = snap_plots([plot], between, GRID, 8)
        assert moved.corners[0] == pytest.approx((X + 9, Y - 5))
        assert moved.corners[1:] == plot.corners[1:]
        assert count == 1

    def test_nothing_near(self, plot):
        assert snap_plots([plot], [self.marker(X + 10, Y - 10)], GRID, 0.5) == ([plot], 0, None)
        assert snap_plots([plot], [], GRID, 0.5) == ([plot], 0, None)


def test_polygons_on_a_real_site(data, tmp_path):
    """Squares around two of the targets, in degrees, come to lie where the targets are."""
    markers = gpd.read_file(data / "copr" / "markers.geojson")
    with open_raster(data / "copr" / "site.tif") as raster:
        x, y = raster.grid.to_world(markers["col"][:2], markers["row"][:2])
        squares = gpd.GeoSeries([box(a - 1, b - 1, a + 1, b + 1) for a, b in zip(x, y, strict=True)], crs=32611).to_crs(4326)
        squares.to_file(tmp_path / "plots.geojson")
        plots = read_plots(Path(tmp_path / "plots.geojson"), raster.grid, PROTOCOL)[0]
    for plot, a, b in zip(plots, x, y, strict=True):
        assert np.array(plot.corners) == pytest.approx(np.add([(-1, 1), (1, 1), (1, -1), (-1, -1)], (a, b)), abs=0.01)
