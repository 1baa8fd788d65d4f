"""From plots to a folder of tiles: pixels, index, ``plots.gpkg``, overview, and what is made of them."""

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from PIL import Image
from pyproj import Transformer
from shapely import Point, Polygon, box

from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.errors import LeakageError
from spurgekit.imagery import open_raster
from spurgekit.markers import Marker
from spurgekit.plots import Plot
from spurgekit.tiles import PlotOptions, TileOptions, read_tiles, tile_images
from spurgekit.tiles.overview import FILLED_IN, MARKER, STRAY, WHOLE, draw_plots
from spurgekit.tiles.site_plots import SitePlots, markers_table
from tests.command import refuse, succeed
from tests.conftest import CORNER
from tests.outputs.listing import RECORDS
from tests.tiles import ramp, read_tile

X, Y = CORNER
GSD = 0.1
SIDE = 300
"""The site: 300 x 300 px of 10 cm, on which markers of half a metre cannot be seen."""


def smooth(col, row):
    """A sum of long waves, which cubic convolution follows to a tenth of a grey value."""
    return 120 + 50 * np.sin(col / 15 + 0.3) + 40 * np.cos(row / 20 - col / 30)


def square(col, row, side=100, degrees=0.0):
    """A square around a pixel of the site, as a polygon."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners = np.array([(-1, 1), (1, 1), (1, -1), (-1, -1)]) * side / 2 @ np.array([[c, s], [-s, c]])
    return Polygon(np.add(corners, (col, -row)) * GSD + CORNER)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tile(folder, make_tif):
    """Tile an array in the plots given: ``tile(array, [square(...)], size_px=20)`` gives the report and the index."""

    def make(array, plots, name="site", columns=None, **options):
        image = make_tif(folder / f"{name}.tif", array, gsd=GSD)
        gpd.GeoDataFrame(columns or {}, geometry=list(plots), crs=32612).to_file(folder / "drawn.gpkg")
        given = {key: options.pop(key) for key in ("quarters", "inset_m", "field_sheet") if key in options}
        chosen = TileOptions(size_px=options.pop("size_px", 20), plots=PlotOptions(file=Path("drawn.gpkg"), **given), **options)
        report = tile_images([image], folder / "tiles", chosen, overwrite=True)
        return report, read_tiles(folder / "tiles")

    return make


def image_of(function, dtype=np.float32):
    row, col = np.mgrid[:SIDE, :SIDE] + 0.5
    return function(col, row)[None].astype(dtype)


class TestPixels:
    def test_of_an_aligned_plot_are_the_images(self, tile, folder):
        array = ramp(3, SIDE, SIDE)
        tile(array, [square(100, 120)])
        assert (read_tile(folder / "tiles" / "site_1_NW.png") == array[:, 100:120, 80:100]).all()
        assert (read_tile(folder / "tiles" / "site_1_NE.png") == array[:, 100:120, 100:120]).all()
        assert (read_tile(folder / "tiles" / "site_1_SE.png") == array[:, 120:140, 100:120]).all()
        assert (read_tile(folder / "tiles" / "site_1_SW.png") == array[:, 120:140, 80:100]).all()

    def test_of_a_grid_of_tiles_are_the_images(self, tile, folder):
        array = ramp(3, SIDE, SIDE)
        _, index = tile(array, [square(100, 120)], quarters="grid", inset_m=1.0)  # 8 m hold 4 x 4 of 2 m
        assert len(index) == 16
        assert (read_tile(folder / "tiles" / "site_1_r01_c03.png") == array[:, 100:120, 120:140]).all()

    @pytest.mark.parametrize(("gsd_m", "size_px", "within"), [(0.07, 40, 0.1), (0.1, 30, 0.1), (0.25, 12, 1)])
    def test_of_a_turned_plot_are_what_lies_at_their_footprints(self, tile, folder, gsd_m, size_px, within):
        _, index = tile(image_of(smooth), [square(150, 140, degrees=28)], gsd_m=gsd_m, size_px=size_px)
        for row in index.itertuples():
            nw, ne, _, sw = np.array(row.geometry.exterior.coords)[:4]
            v, u = (np.mgrid[:size_px, :size_px] + 0.5)[..., None] / size_px
            x, y = np.moveaxis(nw + u * (ne - nw) + v * (sw - nw), -1, 0)
            expected = smooth((x - X) / GSD, (Y - y) / GSD)
            pixels = read_tile(folder / "tiles" / row.file_name)
            assert np.abs(pixels - expected).max() < within  # the mean of a curve is not its middle

    @pytest.mark.parametrize("dtype", [np.uint16, np.float32])
    def test_of_other_types(self, tile, folder, dtype):
        array = ramp(5, SIDE, SIDE).astype(dtype) * 100
        tile(array, [square(100, 120)])
        assert (read_tile(folder / "tiles" / "site_1_SE.tif") == array[:, 120:140, 100:120]).all()

    def test_are_the_same_on_one_core_and_on_three(self, tile, folder, monkeypatch):
        for threads, name in ((1, "one"), (3, "three")):
            monkeypatch.setattr("spurgekit.executors.workers.cores", lambda threads=threads: threads)
            tile(ramp(3, SIDE, SIDE), [square(100, 100, degrees=9), square(220, 200, degrees=9)], quarters="full")
            shutil.move(folder / "tiles", folder / name)
        for path in {*(folder / "one").iterdir()} - {folder / "one" / name for name in RECORDS}:  # of files written anew
            assert path.read_bytes() == (folder / "three" / path.name).read_bytes(), path.name

    def test_an_image_in_degrees_is_resampled_once(self, folder, make_tif):
        """Its pixels are 10 cm wide and high; a sample that a second resampling blurred would be off by more."""
        lon, lat = Transformer.from_crs(32612, 4326, always_xy=True).transform(X, Y)
        step = GSD / 111_320
        transform = Affine(step / np.cos(np.radians(lat)), 0, lon, 0, -step, lat)
        fine = image_of(lambda col, row: 127.5 + 120 * np.sin(col * 1.2) * np.sin(row * 1.2))
        make_tif(folder / "site.tif", fine, crs="EPSG:4326", transform=transform)
        gpd.GeoSeries([square(150, 150)], crs=32612).to_file(folder / "drawn.gpkg")
        plots = PlotOptions(file=Path("drawn.gpkg"))
        tile_images([Path("site.tif")], folder / "tiles", TileOptions(size_px=40, gsd_m=GSD, crs="EPSG:32612", plots=plots))
        index = read_tiles(folder / "tiles")
        assert index.crs == "EPSG:32612"
        assert index.geometry.iloc[0].area == pytest.approx(16)
        nw, ne, _, sw = np.array(index.geometry.iloc[0].exterior.coords)[:4]
        v, u = (np.mgrid[:40, :40] + 0.5)[..., None] / 40
        x, y = np.moveaxis(nw + u * (ne - nw) + v * (sw - nw), -1, 0)
        lon, lat = Transformer.from_crs(32612, 4326, always_xy=True).transform(x, y)
        col, row = ~transform @ (lon, lat)
        expected = 127.5 + 120 * np.sin(col * 1.2) * np.sin(row * 1.2)
        error = read_tile(folder / "tiles" / "site_1_NW.tif")[0] - expected
        assert np.sqrt((error**2).mean()) < 5  # of an amplitude of 120, five samples a wave


class TestIndex:
    def test_says_plot_and_quarter(self, tile):
        report, index = tile(ramp(3, SIDE, SIDE), [square(70, 70), square(200, 200, degrees=20)], columns={"name": ["b", "a"]})
        assert (report.layout, report.written, report.sites[0].plots) == ("plots", 8, 2)
        assert index["tile_id"].tolist()[:5] == ["site_b_NW", "site_b_NE", "site_b_SE", "site_b_SW", "site_a_NW"]
        assert index["plot"].tolist() == ["b"] * 4 + ["a"] * 4
        assert index["quarter"].tolist() == ["NW", "NE", "SE", "SW"] * 2
        assert set(index["layout"]) == {"plots"}
        assert (index["corners_found"] == 4).all()
        assert not index["filled_in"].any()
        assert index["gsd_m"].to_numpy() == pytest.approx(GSD)
        assert index["size_px"].eq(20).all()
        assert index.geometry.area.to_numpy() == pytest.approx(4)

    def test_a_fixed_gsd_makes_tiles_of_a_fixed_size_on_the_ground(self, tile):
        _, index = tile(ramp(3, SIDE, SIDE), [square(70, 70), square(200, 200, side=97)], gsd_m=0.05)
        assert index.geometry.area.to_numpy() == pytest.approx(1)

    def test_a_plot_partly_outside_is_kept_with_its_valid_share(self, tile):
        report, index = tile(ramp(3, SIDE, SIDE), [square(10, 150), square(0, 10)])
        share = index.set_index("tile_id")["valid_fraction"]
        assert share["site_1_NW"] == share["site_1_SW"] == 0.5
        assert share["site_1_NE"] == 1
        assert "site_2_NW" not in share  # x from -2 to 0 m
        assert report.sites[0].left_out == "2 tiles without data"

    def test_least_share(self, tile):
        _, index = tile(ramp(3, SIDE, SIDE), [square(10, 150)], min_valid=0.6)
        assert index["quarter"].tolist() == ["NE", "SE"]

    def test_geotiffs_lie_where_the_index_says(self, tile, folder):
        _, index = tile(ramp(3, SIDE, SIDE), [square(150, 140, degrees=28)], file_format="tif")
        for row in index.itertuples():
            with open_raster(folder / "tiles" / row.file_name) as raster:
                assert raster.grid.corners() == pytest.approx(np.array(row.geometry.exterior.coords)[:4], abs=1e-6)

    def test_columns_of_the_field_sheet_go_along(self, tile, folder):
        (folder / "sheet.csv").write_text("plot,present,cover,site_name\n1,True,5,x\n3,False,0,y\n")
        report, index = tile(ramp(3, SIDE, SIDE), [square(70, 70), square(200, 200)], field_sheet=Path("sheet.csv"))
        assert index["present"].fillna("").tolist() == ["True"] * 4 + [""] * 4
        assert report.sites[0].notes == (
            "sheet.csv says nothing of plot 2",
            "plot 3 of sheet.csv is not in the image",
        )
        plots = gpd.read_file(folder / "tiles" / "plots.gpkg", layer="plots")
        assert plots["cover"][0] == "5"


class TestPlotsFile:
    def test_plots_and_markers(self, tile, folder):
        tile(ramp(3, SIDE, SIDE), [square(70, 70), square(200, 200)])
        plots = gpd.read_file(folder / "tiles" / "plots.gpkg", layer="plots")
        assert plots[["id", "site", "corners_found", "filled_in"]].to_numpy().tolist() == [
            ["1", "site", 4, False],
            ["2", "site", 4, False],
        ]
        assert plots.geometry[0].symmetric_difference(square(70, 70)).area < 1e-6
        assert len(gpd.read_file(folder / "tiles" / "plots.gpkg", layer="markers")) == 0

    def test_corrected_in_qgis_it_can_be_read_again(self, tile, folder):
        tile(ramp(3, SIDE, SIDE), [square(70, 70), square(200, 200)])
        shutil.copy(folder / "tiles" / "plots.gpkg", folder / "corrected.gpkg")
        before = read_tiles(folder / "tiles")
        succeed("tile", "site.tif", "--plots", "corrected.gpkg", "--size", 20, "--out", "again")
        pd.testing.assert_frame_equal(read_tiles(folder / "again"), before)

    def test_where_markers_stand(self, make_tif, folder):
        make_tif(folder / "site.tif", ramp(3, SIDE, SIDE), gsd=GSD)
        with open_raster(folder / "site.tif") as raster:
            plots = [
                Plot(name, corners_of(square(col, 100)), (True, True, True, False)) for name, col in (("1", 60), ("2", 160))
            ]
            markers = [
                Marker(110, 50, 0.5, "cross", 0.9),
                Marker(10.5, 150.5, 0.5, "cross", 0.8),
                Marker(5, 5, 0.5, "aruco", 1, 7),
            ]
            table = markers_table(SitePlots(tuple(plots), tuple(markers), ""), "site", raster.grid)
        assert table["corners"].fillna("").tolist() == ["1 NE, 2 NW", "", ""]  # the corner SW of plot 1 was filled in
        assert table["id"].tolist()[2] == 7
        assert table.geometry[0].equals_exact(Point(X + 11, Y - 5), 1e-6)


def corners_of(polygon):
    return tuple(polygon.exterior.coords)[:4]


class TestOverview:
    @pytest.fixture
    def colours(self, make_tif, tmp_path):
        """Draw two plots, a marker at a corner, a corner filled in and a stray marker; return what counts a colour's pixels."""
        site = make_tif(tmp_path / "site.tif", np.full((3, SIDE, SIDE), 40, np.uint8), gsd=GSD)
        plots = (
            Plot("1", corners_of(square(60, 100)), (True, True, True, True)),
            Plot("2", corners_of(square(180, 100)), (True, True, True, False)),
        )
        markers = (Marker(10, 50, 0.5, "cross", 0.9), Marker(120, 150, 0.5, "cross", 0.9))
        index = gpd.GeoDataFrame({"valid_fraction": [1.0, 1.0]}, geometry=[square(50, 90, 20), square(70, 90, 20)], crs=32612)
        with open_raster(site) as raster:
            draw_plots(tmp_path / "o.png", raster, index, SitePlots(plots, markers, ""), title="two plots")
        with Image.open(tmp_path / "o.png") as picture:
            pixels = np.asarray(picture)
        return lambda colour: int((pixels == colour).all(axis=-1).sum())

    def test_each_kind_has_its_colour(self, colours):
        for colour in (MARKER, STRAY, FILLED_IN, WHOLE):
            assert colours(colour) > 50

    def test_it_shows_the_plots_and_half_a_plot_around_them(self, make_tif, tmp_path):
        site = make_tif(tmp_path / "site.tif", np.full((3, 40, 2000), 40, np.uint8), gsd=GSD)
        index = gpd.GeoDataFrame({"valid_fraction": [1.0]}, geometry=[square(20, 20, 10)], crs=32612)
        plots = (Plot("1", corners_of(square(20, 20, 20)), (True,) * 4),)
        with open_raster(site) as raster:
            draw_plots(tmp_path / "o.png", raster, index, SitePlots(plots, (), ""), title="one plot")
        with Image.open(tmp_path / "o.png") as picture:
            assert picture.width < 1.2 * picture.height


class TestDatasets:
    """What ``build-dataset`` makes of the tiles of plots."""

    @pytest.fixture
    def nine(self, tile, folder):
        """Tiles of 3 x 3 plots of 9 m that touch each other, five of them with weed."""
        plots = [square(55 + 90 * j, 55 + 90 * i, side=90) for i in range(3) for j in range(3)]
        kinds = ["weed", "sand"] * 4 + ["weed"]

        def make(**options):
            tile(ramp(3, SIDE, SIDE), plots, columns={"plot": range(1, 10), "label": kinds}, **options)
            return folder / "tiles"

        return make

    def test_plots_are_held_out_whole(self, nine, folder):
        info = build_dataset(nine(), folder / "data", DatasetOptions(group_column="plot", seed=1))
        made = gpd.read_parquet(folder / "data" / "tiles.parquet")
        assert len(made) == 36
        assert not made.drop_duplicates(["plot", "split"])["plot"].duplicated().any()
        assert info.counts["test"]["weed"] % 4 == 0
        assert set(pd.read_csv(folder / "data" / "train" / "metadata.csv")["plot"]) <= set(range(1, 10))

    def test_quarters_of_one_plot_are_never_parted(self, nine, folder):
        # Blocks of 4 m cut through plots: tiles that touch one on the other side are left out.
        build_dataset(nine(), folder / "data", DatasetOptions(block_m=4.0, seed=1))
        made = gpd.read_parquet(folder / "data" / "tiles.parquet")
        assert not made.drop_duplicates(["plot", "split"])["plot"].duplicated().any()

    def test_full_quarters_of_neighbours_touch_and_that_is_said(self, nine, folder):
        tiles = nine(quarters="full")  # up to the edges, since nothing says that markers stand there
        with pytest.raises(LeakageError, match="pass `buffer_m=0` to leave such training tiles out"):
            build_dataset(tiles, folder / "data", DatasetOptions(group_column="plot", seed=1))
        nine(quarters="full", inset_m=0.1)
        build_dataset(tiles, folder / "data", DatasetOptions(group_column="plot", seed=1))


class TestSeveralSites:
    def test_each_takes_the_plots_that_lie_in_it(self, folder, make_tif):
        for name, x in (("north", 0), ("south", 1000)):
            make_tif(folder / f"{name}.tif", ramp(3, SIDE, SIDE), transform=Affine(GSD, 0, X + x, 0, -GSD, Y))
        plots = [square(100, 100), square(10_100, 120), square(10_200, 250)]
        gpd.GeoDataFrame({"id": ["a", "b", "c"]}, geometry=plots, crs=32612).to_file(folder / "drawn.gpkg")
        out = succeed("tile", "north.tif", "south.tif", "--plots", "drawn.gpkg", "--size", 20)
        assert out.splitlines() == [
            "layout  plots (auto: drawn.gpkg)",
            "north  4 png tiles of 1 plot at 10.00 cm a pixel",
            "south  8 png tiles of 2 plots at 10.00 cm a pixel",
            "tiles: tiles, tiles.parquet, tiles.gpkg, plots.gpkg, overviews",
        ]
        assert gpd.read_file("tiles/plots.gpkg", layer="plots")["site"].tolist() == ["north", "south", "south"]
        assert read_tiles(Path("tiles"))["plot"].unique().tolist() == ["a", "b", "c"]


class TestRefused:
    @pytest.fixture
    def shelf(self, folder, make_tif):
        make_tif(folder / "site.tif", ramp(3, SIDE, SIDE), gsd=GSD)
        shape = square(100, 100)
        gpd.GeoSeries([shape], crs=32612).to_file(folder / "good.gpkg")
        gpd.GeoSeries([shape], crs=32612).translate(5000).to_file(folder / "far.gpkg")
        gpd.GeoSeries([Polygon(corners_of(shape)[:3])], crs=32612).to_file(folder / "three.gpkg")
        gpd.GeoDataFrame({"id": [1, 1]}, geometry=[shape, square(200, 200)], crs=32612).to_file(folder / "twice.gpkg")
        points = gpd.GeoSeries(map(Point, corners_of(shape)), crs=32612).to_crs(4326)
        rows = [f"1,{point.y},{point.x}" for point in points]
        (folder / "swapped.csv").write_text("\n".join(["plot,longitude,latitude", *rows]))
        (folder / "sheet.csv").write_text("plot\n5\n")
        return folder

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--plots", "none.gpkg"], "none.gpkg: no such file"),
            (["--plots", "far.gpkg"], "far.gpkg: none of its plots lies in the image; they span x 505005.0"),
            (["--plots", "swapped.csv"], "are longitude and latitude swapped?"),
            (["--plots", "three.gpkg"], "three.gpkg: plot 1 has 3 corners"),
            (["--plots", "twice.gpkg"], "twice.gpkg: two plots have the id 1; make them differ"),
            (["--plots", "good.gpkg", "--inset", 6], "an inset of 6 m leaves nothing of plot 1 of 10 m"),
            (["--plots", "good.gpkg", "--inset", 4], "four tiles do not fit into plot 1 of 10 m less an inset of 4 m"),
            (["--plots", "good.gpkg", "--plot-size", 5], "plot 1 is 10.0 x 10.0 m, not 5 m; pass --plot-size 10"),
            (["--plots", "good.gpkg", "--plot-size", 0], "--plot-size 0.0 is not a size of a plot"),
            (["--plots", "good.gpkg", "--gap", "1,2,3"], "Invalid value for '--gap': '1,2,3' is more than two lengths"),
            (["--plots", "good.gpkg", "--gap", "-1"], "a gap between plots cannot be negative"),
            (["--plots", "good.gpkg", "--quarters", "full", "--gsd", 0.2], "drop --gsd"),
            (["--plots", "good.gpkg", "--snap", -1], "--snap -1.0 is not a distance"),
            (["--plots", "good.gpkg", "--snap", 1], "at 10.00 cm a pixel, markers of 0.45 m are 4.5 px across"),
            (["--plots", "good.gpkg", "--snap", 1, "--family", "flag"], "there is no family of markers 'flag'"),
            (["--plots", "good.gpkg", "--field-sheet", "sheet.csv"], "sheet.csv names plots 5, and none of them is here"),
            (["--plots", "good.gpkg", "--layout", "grid"], "--plots goes with --layout plots, not with grid"),
            (["--plots", "good.gpkg", "--points", "good.gpkg"], "--plots goes with --layout plots, not with points"),
            (["--plots", "good.gpkg", "--overlap", 2], "--overlap and --aoi go with --layout grid only"),
            (["--snap", 1], "--snap moves corners that a file gives to markers; it needs --plots"),
            (["--layout", "plots"], "at 10.00 cm a pixel, markers of 0.45 m are 4.5 px across"),
        ],
    )
    @pytest.mark.usefixtures("shelf")
    def test_in_one_line(self, arguments, message):
        assert message in refuse("tile", "site.tif", "--size", 20, *arguments)

    def test_plots_without_a_valid_pixel(self, folder, make_tif):
        array = ramp(4, SIDE, SIDE)
        array[3] = 255
        array[3, :200, :200] = 0
        make_tif(folder / "site.tif", array, gsd=GSD, colours=("red", "green", "blue", "alpha"))
        gpd.GeoSeries([square(100, 100)], crs=32612).to_file(folder / "drawn.gpkg")
        assert "site has no valid pixel where tiles lie" in refuse("tile", "site.tif", "--plots", "drawn.gpkg", "--size", 20)


def test_a_survey_with_plots(folder, make_tif):
    (folder / "survey.toml").write_text(
        'schema_version = 1\nname = "s"\n[tiles]\nsize_px = 20\n'
        '[plots]\nfile = "drawn.gpkg"\ninset_m = 1.5\nquarters = "grid"\n'
        '[[sites]]\nname = "north"\nimage = "site.tif"\n'
    )
    make_tif(folder / "site.tif", ramp(3, SIDE, SIDE), gsd=GSD)
    gpd.GeoSeries([square(100, 100)], crs=32612).to_file(folder / "drawn.gpkg")
    assert "north  9 png tiles of 1 plot at" in succeed("tile")  # 7 m hold 3 x 3 of 2 m
    assert "north  4 png tiles of 1 plot at" in succeed("tile", "--quarters", "crop", "--out", "crop")
    assert "north  225 png tiles at" in succeed("tile", "--layout", "grid", "--out", "grid")


def test_polygons_on_a_real_site(data, folder):
    site = data / "copr" / "site.tif"
    with open_raster(site) as raster:
        x, y = (float(v) for v in raster.grid.to_world(2700, 2600))
    gpd.GeoSeries([box(x - 5, y - 5, x + 5, y + 5), box(x + 5, y - 5, x + 15, y + 5)], crs=32611).to_file(folder / "p.gpkg")
    out = succeed("tile", site, "--plots", "p.gpkg", "--inset", 0.5, "--gsd", 0.014)
    assert "site  8 png tiles of 2 plots at 1.40 cm a pixel" in out
    with rasterio.open(site) as file:
        assert read_tiles(Path("tiles")).crs == file.crs
    assert {read_tile(path).shape for path in Path("tiles").glob("site_*.png")} == {(3, 250, 250)}


class TestMarkers:
    """Light crosses on dark panels at the corners of 2 x 2 plots of 4 m, but one."""

    PROTOCOL = ("--plot-size", 4, "--plot-rows", 2, "--plot-columns", 2)

    @pytest.fixture(scope="class")
    @classmethod
    def drawn(cls, tmp_path_factory, make_tif):
        ground = np.random.default_rng(0).normal(120, 12, (3, 440, 440))
        corners = [(60 + 160 * j, 60 + 160 * i) for i in range(3) for j in range(3)]
        for col, row in corners[:-1]:
            draw_cross(ground, col, row)
        sparse = np.random.default_rng(1).normal(120, 12, (3, 440, 440))
        draw_cross(sparse, 200, 100)
        folder = tmp_path_factory.mktemp("markers")
        for name, array in (("site", ground), ("sparse", sparse)):
            make_tif(folder / f"{name}.tif", np.clip(array, 1, 255).astype(np.uint8), gsd=0.025)
        plots = [box(X + 1.6, Y - 5.4, X + 5.6, Y - 1.4), box(X + 5.6, Y - 5.4, X + 9.6, Y - 1.4)]  # 10 cm off
        gpd.GeoDataFrame({"id": ["a", "b"]}, geometry=plots, crs=32612).to_file(folder / "drawn.gpkg")
        return folder

    @pytest.fixture
    def here(self, drawn, tmp_path, monkeypatch):
        monkeypatch.chdir(shutil.copytree(drawn, tmp_path / "here"))

    @pytest.mark.usefixtures("here")
    def test_plots_are_found_and_quartered(self):
        out = succeed("tile", "site.tif", "--size", 60, *self.PROTOCOL)
        assert out.splitlines()[:3] == [
            "layout  plots (auto: 8 markers of family cross, 0.45 m)",
            "site  16 png tiles of 4 plots at 2.50 cm a pixel",
            out.splitlines()[2],
        ]
        assert out.splitlines()[2].startswith("site  note: 8 of 9 corners have a marker, the others were filled in; ")
        index = read_tiles(Path("tiles"))
        assert index["tile_id"].tolist()[:5] == ["site_1_NW", "site_1_NE", "site_1_SE", "site_1_SW", "site_2_NW"]
        assert index.groupby("plot")["filled_in"].first().to_dict() == {"1": False, "2": False, "3": False, "4": True}
        assert index["residual_cm"].max() < 2
        # The first plot's centre is at column and row 140.
        corner = np.array(index.geometry[2].exterior.coords)[0]
        assert corner == pytest.approx((X + 140 * 0.025, Y - 140 * 0.025), abs=0.02)
        markers = gpd.read_file("tiles/plots.gpkg", layer="markers")
        assert set(markers["corners"]) == {
            "1 NW", "1 NE, 2 NW", "2 NE", "1 SW, 3 NW", "1 SE, 2 SW, 3 NE, 4 NW", "2 SE, 4 NE", "3 SW", "3 SE, 4 SW"
        }  # fmt: skip

    @pytest.mark.usefixtures("here")
    def test_tiles_stay_clear_of_markers(self):
        succeed("tile", "site.tif", *self.PROTOCOL, "--quarters", "full", "--out", "full")
        markers = gpd.read_file("full/plots.gpkg", layer="markers").geometry.buffer(0.45 * np.sqrt(0.5))
        assert not read_tiles(Path("full")).geometry.intersects(markers.union_all()).any()
        line = refuse("tile", "site.tif", *self.PROTOCOL, "--size", 70)
        assert "four tiles do not fit into plot 1 of 4 m less an inset of 0.338 m" in line
        assert "pass --size 66 or --gsd 0.02375 or less" in line

    @pytest.mark.usefixtures("here")
    def test_plots_of_a_file_without_markers_have_no_inset_and_that_is_said(self):
        edges = "note: tiles reach to the edges of plots, and show what markers stand there; pass --inset to keep clear"
        assert edges in succeed("tile", "site.tif", "--plots", "drawn.gpkg", "--quarters", "full", "--size", 60)
        clear = ("--inset", 0.4), ("--marker-size", 0.45), ("--snap", 0.5)
        for option in clear:
            out = succeed("tile", "site.tif", "--plots", "drawn.gpkg", "--quarters", "full", "--overwrite", *option)
            assert edges not in out

    @pytest.mark.usefixtures("here")
    def test_corners_of_a_file_are_snapped_to_markers(self):
        out = succeed("tile", "site.tif", "--plots", "drawn.gpkg", "--snap", 0.5, "--size", 60)
        assert "note: 8 of 8 corners snapped to markers within 0.5 m, by 14." in out  # 10 cm across and down
        plots = gpd.read_file("tiles/plots.gpkg", layer="plots")
        assert plots.geometry[0].symmetric_difference(box(X + 1.5, Y - 5.5, X + 5.5, Y - 1.5)).area < 0.1
        assert plots["residual_cm"].to_numpy() == pytest.approx(14.1, abs=1)

    @pytest.mark.usefixtures("here")
    def test_the_field_sheet_names_them_by_row_and_column(self):
        Path("sheet.csv").write_text("row,column,plot,present\n1,1,N1,1\n1,2,N2,0\n2,1,S1,0\n2,2,S2,1\n")
        succeed("tile", "site.tif", "--size", 60, *self.PROTOCOL, "--field-sheet", "sheet.csv")
        index = read_tiles(Path("tiles"))
        assert index.groupby("plot")["present"].first().to_dict() == {"N1": "1", "N2": "0", "S1": "0", "S2": "1"}
        assert index["tile_id"][12] == "site_S2_NW"

    @pytest.mark.usefixtures("here")
    def test_without_a_lattice_it_is_a_grid_and_says_why(self):
        out = succeed("tile", "sparse.tif", "--size", 220, *self.PROTOCOL)
        assert out.startswith("layout  grid (auto: 1 marker of family cross, 0.45 m; no plots, since 1 marker was found, where")
        assert "sparse.tif: 1 marker was found" in refuse(
            "tile", "sparse.tif", *self.PROTOCOL, "--layout", "plots", "--out", "p"
        )

    @pytest.mark.usefixtures("here")
    def test_sites_with_and_without_markers(self):
        out = succeed("tile", "site.tif", "sparse.tif", "--size", 60, *self.PROTOCOL)
        assert "site  layout plots (auto: 8 markers" in out
        assert "sparse  layout grid (auto: 1 marker" in out
        assert read_tiles(Path("tiles")).groupby("site")["layout"].first().to_dict() == {"site": "plots", "sparse": "grid"}


def draw_cross(ground, col, row, half=9):
    """Draw a dark panel with a light cross, 18 px = 0.45 m wide, its centre on a corner of pixels."""
    ground[:, row - half : row + half, col - half : col + half] = 35
    ground[:, row - 1 : row + 1, col - half : col + half] = 235
    ground[:, row - half : row + half, col - 1 : col + 1] = 235
