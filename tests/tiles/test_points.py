"""Tiles around points: the centre of each within half a pixel of its point."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from shapely import LineString, MultiPoint, Point, box

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Window
from spurgekit.tiles import TileOptions, points_layout, read_tiles, tile_images
from tests.conftest import CORNER
from tests.tiles import cut_out, ramp, read_tile

UTM = CRS.from_epsg(32612)
NORTH_UP = Affine(0.01, 0, CORNER[0], 0, -0.01, CORNER[1])
GRID = PixelGrid(40, 30, NORTH_UP, UTM)


def at(pixels, grid=GRID, **columns):
    """Points at (col, row) of a grid."""
    x, y = grid.to_world(*np.transpose(pixels).astype(float))
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(x, y), crs="EPSG:32612")


def lay_out(points, size_px=10, grid=GRID):
    return points_layout(grid, "site", points, size_px=size_px, path=Path("points.gpkg"))


class TestWindows:
    def test_an_even_size_is_centred_on_the_corner_of_pixels(self):
        (tile,) = lay_out(at([(20, 15)]))
        assert tile.window == Window(15, 10, 10, 10)

    def test_an_odd_size_is_centred_on_a_pixel(self):
        (tile,) = lay_out(at([(20.5, 15.5)]), size_px=5)
        assert tile.window == Window(18, 13, 5, 5)  # its middle pixel is (20, 15)

    def test_at_the_edge_it_reaches_outside(self):
        (tile,) = lay_out(at([(1, 29)]))
        assert tile.window == Window(-4, 24, 10, 10)

    @given(
        st.integers(1, 60),
        st.floats(0, 40, exclude_max=True),
        st.floats(0, 30, exclude_max=True),
        st.floats(-180, 180),
    )
    def test_the_centre_is_within_half_a_pixel_of_the_point(self, size, col, row, degrees):
        turned = Affine.translation(*CORNER) @ Affine.rotation(degrees) @ Affine.scale(0.01, -0.01)
        grid = PixelGrid(40, 30, turned, UTM)
        points = at([(col, row)], grid)
        found = grid.to_pixel(points.geometry.x, points.geometry.y)  # what is left of it after rounding at 5e6 m
        if not (0 <= found[0][0] < 40 and 0 <= found[1][0] < 30):
            return
        (tile,) = lay_out(points, size, grid)
        assert abs(tile.window.col + size / 2 - col) <= 0.5 + 1e-6
        assert abs(tile.window.row + size / 2 - row) <= 0.5 + 1e-6

    def test_points_outside_are_left_out(self):
        tiles = lay_out(at([(-0.1, 5), (5, 5), (40.1, 5), (5, 30.1), (39.9, 29.9)]))
        assert [tile.id for tile in tiles] == ["site_p00001", "site_p00004"]

    def test_a_point_without_coordinates_is_nowhere(self):
        points = at([(5, 5), (6, 6)])
        points.geometry = [Point(np.nan, np.nan), points.geometry[1]]
        assert [tile.id for tile in lay_out(points)] == ["site_p00001"]


class TestNumbers:
    def test_the_place_in_the_file_where_there_is_no_idx(self):
        assert [tile.id for tile in lay_out(at([(5, 5), (6, 6)]))] == ["site_p00000", "site_p00001"]

    def test_idx_names_the_tile(self):
        tiles = lay_out(at([(5, 5), (6, 6)], idx=[70, 3], label=["weed", "sand"]))
        assert [tile.id for tile in tiles] == ["site_p00070", "site_p00003"]
        assert tiles[0].attributes == {"idx": 70, "label": "weed"}

    def test_columns_keep_their_types(self):
        (tile,) = lay_out(at([(5, 5)], cluster=[3], height=[1.5]))
        assert tile.attributes == {"idx": 0, "cluster": 3, "height": 1.5}
        assert isinstance(tile.attributes["cluster"], (int, np.integer))

    @pytest.mark.parametrize(
        ("idx", "message"),
        [
            ([1, 1], "column idx names 1 points twice"),
            (["a", "b"], "idx 'a' in row 1 cannot be read"),
            ([1.5, 2], "idx 1.5 in row 1 is no whole number"),
            ([1, None], "idx nan in row 2 is no whole number"),
            ([1, np.inf], "idx inf in row 2 is no whole number"),
        ],
    )
    def test_idx_that_cannot_name_tiles(self, idx, message):
        with pytest.raises(InputError, match=rf"points\.gpkg: {message}"):
            lay_out(at([(5, 5), (6, 6)], idx=idx))

    def test_whole_numbers_as_text_or_with_decimals_will_do(self):
        assert [tile.id for tile in lay_out(at([(5, 5), (6, 6)], idx=[1.0, 2.0]))] == ["site_p00001", "site_p00002"]
        assert [tile.id for tile in lay_out(at([(5, 5), (6, 6)], idx=["1", "2"]))] == ["site_p00001", "site_p00002"]


class TestRefused:
    def test_none_in_the_image_says_where_both_lie(self):
        with pytest.raises(
            InputError, match=r"none of its 1 points lies in the image; they span x 500005\.0 .* the image x 500000\.0"
        ):
            lay_out(at([(500, 5)]))

    @pytest.mark.parametrize(
        ("shape", "name"),
        [(box(500_000, 4_999_999, 500_001, 5_000_000), "Polygon"), (LineString([(0, 0), (1, 1)]), "LineString")],
    )
    def test_other_shapes_are_no_points(self, shape, name):
        with pytest.raises(InputError, match=rf"points\.gpkg holds {name}s, not points; pass polygons as `aoi`"):
            lay_out(gpd.GeoDataFrame(geometry=[shape], crs=32612))

    def test_nor_are_several_points_in_one(self):
        with pytest.raises(InputError, match="holds MultiPoints, not points"):
            lay_out(gpd.GeoDataFrame(geometry=[MultiPoint([(500_000, 4_999_999.9), (0, 0)])], crs=32612))

    def test_a_tile_of_nothing(self):
        with pytest.raises(InputError, match="at least 1 px"):
            lay_out(at([(5, 5)]), size_px=0)


ARRAY = ramp(3, 30, 40)
PLACES = [(20.3, 15.2), (1, 29), (33, 4), (100, 100)]


@pytest.fixture
def site(tmp_path, make_tif):
    return make_tif(tmp_path / "site.tif", ARRAY)


def tile(site, points, **options):
    folder = site.with_name("tiles")
    report = tile_images([site], folder, TileOptions(points=points, size_px=10, **options))
    return report, read_tiles(folder)


class TestFiles:
    """The same three points inside and one outside, in every form that comes from the field."""

    windows = (Window(15, 10, 10, 10), Window(-4, 24, 10, 10), Window(28, -1, 10, 10))

    def check(self, report, index, site):
        assert report.layout == "points"
        assert report.sites[0].outside == 1
        assert index["tile_id"].tolist() == ["site_p00000", "site_p00001", "site_p00002"]
        assert index["idx"].tolist() == [0, 1, 2]
        assert set(index["layout"]) == {"points"}
        for window, (_, row) in zip(self.windows, index.iterrows(), strict=True):
            assert (row["col_off"], row["row_off"]) == (window.col, window.row)
            assert (read_tile(site.with_name("tiles") / row["file_name"]) == cut_out(ARRAY, window)).all()
        assert index["valid_fraction"].tolist() == [1, 0.36, 0.9]  # 6 x 6 and 10 x 9 pixels of 100
        assert index["weed"].tolist() == ["a", "b", "c"]

    @pytest.fixture
    def points(self):
        return at(PLACES, weed=list("abcd"))

    @pytest.mark.parametrize("name", ["p.gpkg", "p.geojson", "p.shp"])
    def test_vector_files(self, site, tmp_path, points, name):
        points.to_file(tmp_path / name)
        self.check(*tile(site, tmp_path / name), site)

    def test_in_another_crs(self, site, tmp_path, points):
        points.to_crs("EPSG:32613").to_file(tmp_path / "p.gpkg")
        self.check(*tile(site, tmp_path / "p.gpkg"), site)

    @pytest.mark.parametrize("names", [("longitude", "latitude"), ("Lon", "Lat"), (" LONG", "lat ")])
    def test_a_table_in_degrees(self, site, tmp_path, points, names):
        degrees = points.to_crs("EPSG:4326").geometry
        pd.DataFrame({"weed": points["weed"], names[0]: degrees.x, names[1]: degrees.y}).to_csv(tmp_path / "p.csv", index=False)
        self.check(*tile(site, tmp_path / "p.csv"), site)

    def test_a_table_in_metres_with_its_crs(self, site, tmp_path, points):
        table = pd.DataFrame({"weed": points["weed"], "easting": points.geometry.x, "northing": points.geometry.y})
        table.to_csv(tmp_path / "p.csv", index=False, sep=";")
        self.check(*tile(site, tmp_path / "p.csv", points_crs="EPSG:32612"), site)

    def test_a_file_that_does_not_say_its_crs(self, site, tmp_path, points):
        points.to_file(tmp_path / "p.shp")
        (tmp_path / "p.prj").unlink()
        with pytest.raises(InputError, match=r"p\.shp does not say its CRS; pass `points_crs`"):
            tile(site, tmp_path / "p.shp")
        assert not (tmp_path / "tiles").exists()
        self.check(*tile(site, tmp_path / "p.shp", points_crs="EPSG:32612"), site)

    def test_one_layer_of_several(self, site, tmp_path, points):
        points.to_file(tmp_path / "field.gpkg", layer="weeds")
        points.iloc[:1].to_file(tmp_path / "field.gpkg", layer="gates")
        self.check(*tile(site, tmp_path / "field.gpkg|layername=weeds"), site)


def test_columns_of_a_table_stay_as_they_are_written(site, tmp_path):
    degrees = at([(20, 15)]).to_crs("EPSG:4326").geometry[0]
    (tmp_path / "p.csv").write_text(f"idx,cluster,plot,longitude,latitude\n7,03,1E1,{degrees.x:.12f},{degrees.y:.12f}\n")
    _, index = tile(site, tmp_path / "p.csv")
    assert (index["cluster"][0], index["plot"][0], index["idx"][0]) == ("03", "1E1", 7)
    assert index["tile_id"].tolist() == ["site_p00007"]


@pytest.mark.parametrize("name", ["fid", "FID", "geom", "Site", "TILE_ID", "tile_id", "source", "row", "geometry_"])
@pytest.mark.parametrize("value", ["east", "7", "0.5"])
def test_columns_of_the_field_book_do_not_get_in_the_way(site, tmp_path, name, value):
    degrees = at([(20, 15), (10, 10)]).to_crs("EPSG:4326").geometry
    table = pd.DataFrame({name: [value, value], "longitude": degrees.x, "latitude": degrees.y})
    table.to_csv(tmp_path / "p.csv", index=False)
    _, index = tile(site, tmp_path / "p.csv")
    assert index["tile_id"].tolist() == ["site_p00000", "site_p00001"]
    assert index["site"].tolist() == ["site"] * 2
    held = [column for column in index.columns if column != "geometry" and index[column].tolist() == [value, value]]
    assert held  # under its own name or another one, but not lost
    assert len(gpd.read_file(tmp_path / "tiles" / "tiles.gpkg")) == 2


def test_columns_that_differ_in_case_only(site, tmp_path):
    degrees = at([(20, 15)]).to_crs("EPSG:4326").geometry[0]
    (tmp_path / "p.csv").write_text(f"Label,label,longitude,latitude\nx,y,{degrees.x:.12f},{degrees.y:.12f}\n")
    _, index = tile(site, tmp_path / "p.csv")
    assert (index["Label"].tolist(), index["label"].tolist()) == (["x"], ["y"])
    assert len(gpd.read_file(tmp_path / "tiles" / "tiles.gpkg")) == 1


def test_files_stay_in_the_order_of_the_points(site, tmp_path):
    at([(5, 25), (35, 5), (5, 5), (20, 15)], idx=[4, 1, 3, 2]).to_file(tmp_path / "p.gpkg")
    _, index = tile(site, tmp_path / "p.gpkg")
    assert index["idx"].tolist() == [1, 2, 3, 4]
    for _, row in index.iterrows():
        window = Window(row["col_off"], row["row_off"], 10, 10)
        assert (read_tile(tmp_path / "tiles" / row["file_name"]) == cut_out(ARRAY, window)).all()


def test_at_another_gsd_the_point_stays_the_centre(tmp_path, make_tif):
    site = make_tif(tmp_path / "site.tif", np.kron(ARRAY, np.ones((1, 2, 2), np.uint8)))
    at([(40, 30)]).to_file(tmp_path / "p.gpkg")  # pixels of the file, half as many of the tiles
    _, index = tile(site, tmp_path / "p.gpkg", gsd_m=0.02)
    assert (index["col_off"].item(), index["row_off"].item()) == (15, 10)
    assert (read_tile(tmp_path / "tiles" / "site_p00000.png") == cut_out(ARRAY, Window(15, 10, 10, 10))).all()


class TestConfigs:
    @pytest.fixture
    def tiles(self, make_tif, tmp_path):
        image = make_tif(tmp_path / "site.tif", ramp(3, 30, 40))
        at([(20, 15), (12, 8)]).to_file(tmp_path / "points.gpkg")
        options = TileOptions(points=tmp_path / "points.gpkg", size_px=4, context_px=12, unlabelled_px=8)
        report = tile_images([image], tmp_path / "tiles", options)
        assert {name: config.written for name, config in report.configs.items()} == {"context": 2, "unlabelled": 3 * 5}
        return tmp_path / "tiles"

    def test_the_context_lies_around_the_same_point_under_the_same_id(self, tiles):
        crop, context = read_tiles(tiles), read_tiles(tiles / "context")
        assert crop["tile_id"].tolist() == context["tile_id"].tolist()
        assert set(context["size_px"]) == {12}
        assert context.geometry.centroid.geom_equals_exact(crop.geometry.centroid, 1e-6).all()
        for name in crop["file_name"]:
            assert (read_tile(tiles / "context" / name)[:, 4:8, 4:8] == read_tile(tiles / name)).all()

    def test_unlabelled_tiles_are_a_grid_without_gaps(self, tiles):
        unlabelled = read_tiles(tiles / "unlabelled")  # of 4 x 5 squares of 8 px the last row reaches outside
        assert (unlabelled["valid_fraction"] == 1).all()
        assert set(unlabelled["layout"]) == {"grid"}

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"context_px": 20}, "needs `points`"),
            ({"points": Path("p.gpkg"), "size_px": 20, "context_px": 20}, "shows no more than a tile of 20"),
            ({"layout": "grid", "unlabelled_px": 20}, "covers the whole site already"),
        ],
    )
    def test_what_makes_no_view(self, options, said):
        with pytest.raises(InputError, match=said):
            TileOptions(**options)
