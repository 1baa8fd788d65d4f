"""Tiles on a grid: each pixel of a tile is the file's pixel at that place."""

import json

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from shapely import Polygon, box

from spurgekit.errors import InputError
from spurgekit.executors import open_workers
from spurgekit.imagery import PixelGrid, Window, open_raster
from spurgekit.tiles import TileOptions, grid_layout, read_tiles, tile_images
from spurgekit.tiles.cut import cut_tiles
from spurgekit.tiles.tile_formats import TILE_FORMATS
from tests.conftest import CORNER
from tests.tiles import cut_out, ramp, read_tile

RGBA = ("red", "green", "blue", "alpha")
TENS = TileOptions(size_px=10)


@pytest.fixture
def tile(tmp_path, make_tif):
    """Tile an array: ``tile(array, gsd=0.02, TileOptions(...))`` gives the folder and its index."""

    def make(array, options=TENS, **tif):
        image = make_tif(tmp_path / "site.tif", array, **tif)
        report = tile_images([image], tmp_path / "tiles", options)
        return report, read_tiles(tmp_path / "tiles").set_index("tile_id")

    return make


class TestPixels:
    def test_every_tile_holds_the_files_pixels_at_its_window(self, tile, tmp_path):
        array = ramp(3, 30, 40)
        report, index = tile(array)
        assert (report.layout, report.file_format, report.written) == ("grid", "png", 12)
        assert list(index.index) == [f"site_r{row:05d}_c{col:05d}" for row in range(3) for col in range(4)]
        for tile_id, row in index.iterrows():
            assert row["file_name"] == f"{tile_id}.png"
            expected = array[:, row["row_off"] : row["row_off"] + 10, row["col_off"] : row["col_off"] + 10]
            assert (read_tile(tmp_path / "tiles" / row["file_name"]) == expected).all()

    def test_tiles_at_the_edge_are_padded_and_say_so(self, tile, tmp_path):
        array = ramp(3, 13, 25)
        _, index = tile(array)
        # 25 = 10 + 10 + 5 columns, 13 = 10 + 3 rows.
        assert index["valid_fraction"].tolist() == [1, 1, 0.5, 0.3, 0.3, 0.15]
        assert (index["col_off"].tolist(), index["row_off"].tolist()) == ([0, 10, 20] * 2, [0] * 3 + [10] * 3)
        corner = read_tile(tmp_path / "tiles" / "site_r00001_c00002.png")
        assert corner.shape == (3, 10, 10)
        assert (corner[:, :3, :5] == array[:, 10:, 20:]).all()
        assert corner.sum() == array[:, 10:, 20:].sum()  # and nothing else

    @pytest.mark.parametrize("overlap", [0, 1, 5, 9])
    @pytest.mark.parametrize("shape", [(10, 10), (23, 31), (7, 48)])
    def test_with_an_overlap_neighbours_share_pixels(self, tile, tmp_path, overlap, shape):
        array = ramp(1, *shape)
        _, index = tile(array, TileOptions(size_px=10, overlap_px=overlap))
        counts = np.zeros(shape, int)
        for _, row in index.iterrows():
            window = Window(row["col_off"], row["row_off"], 10, 10)
            assert row["col_off"] % (10 - overlap) == row["row_off"] % (10 - overlap) == 0
            assert (read_tile(tmp_path / "tiles" / row["file_name"]) == cut_out(array, window)).all()
            counts[(window & Window(0, 0, shape[1], shape[0])).slices] += 1
        assert counts.min() >= 1
        if overlap == 0:
            assert counts.max() == 1
        assert index["valid_fraction"].sum() * 100 == pytest.approx(counts.sum())

    def test_strips_that_are_wider_than_what_is_read_at_once(self, tile, tmp_path, monkeypatch):
        monkeypatch.setattr("spurgekit.tiles.cut.STRIP_PX", 35)
        monkeypatch.setattr("spurgekit.tiles.cut.CHUNK", 2)
        array = ramp(3, 20, 130)
        _, index = tile(array, TileOptions(size_px=10, overlap_px=3))
        assert len(index) == 3 * 19
        for _, row in index.iterrows():
            assert (
                read_tile(tmp_path / "tiles" / row["file_name"])
                == cut_out(array, Window(row["col_off"], row["row_off"], 10, 10))
            ).all()

    def test_transparent_pixels_are_black_and_not_valid(self, tile, tmp_path):
        array = ramp(4, 10, 20)
        array[3] = 255
        array[3, :4, :10] = 0
        array[3, 4:, 10:] = 1  # hardly opaque, as what lossy compression leaves beside the mosaic
        _, index = tile(array, colours=RGBA)
        assert index["valid_fraction"].tolist() == [0.6, 0.4]
        left = read_tile(tmp_path / "tiles" / "site_r00000_c00000.png")
        assert left.shape == (3, 10, 10)  # alpha is no band of a tile
        assert (left[:, :4] == 0).all()
        assert (left[:, 4:] == array[:3, 4:, :10]).all()

    def test_nodata_counts_as_little_as_alpha(self, tile):
        array = ramp(1, 10, 10)
        array[0, :, :3] = 0
        _, index = tile(array, nodata=0)
        assert index["valid_fraction"].tolist() == [0.7]

    def test_blocks_of_the_file_make_no_difference(self, tmp_path, make_tif):
        array = ramp(3, 100, 150)
        layouts = {"strips": {}, "blocks": {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate"}}
        for name, layout in layouts.items():
            image = make_tif(tmp_path / f"{name}.tif", array, **layout)
            tile_images({"site": image}, tmp_path / name, TileOptions(size_px=35))
        assert same_files(tmp_path / "strips", tmp_path / "blocks", "site_*.png")


class TestWhichTiles:
    def test_empty_tiles_are_left_out_and_counted(self, tile, tmp_path):
        array = ramp(4, 20, 30)
        array[3] = 0
        array[3, :10] = 255
        array[3, 12, 3] = 255
        report, index = tile(array, colours=RGBA)
        assert list(index.index) == ["site_r00000_c00000", "site_r00000_c00001", "site_r00000_c00002", "site_r00001_c00000"]
        assert index["valid_fraction"].tolist() == [1, 1, 1, 0.01]
        assert (report.sites[0].written, report.sites[0].empty, report.sites[0].sparse) == (4, 2, 0)
        assert len(list((tmp_path / "tiles").glob("site_*.png"))) == 4

    @pytest.mark.parametrize(("least", "kept", "sparse"), [(0, 6, 0), (0.15, 6, 0), (0.151, 5, 1), (0.5, 3, 3), (1, 2, 4)])
    def test_min_valid_is_the_least_share_that_is_kept(self, tile, least, kept, sparse):
        report, index = tile(ramp(1, 13, 25), TileOptions(size_px=10, min_valid=least))  # shares 1, 1, 0.5, 0.3, 0.3, 0.15
        assert (len(index), report.sites[0].sparse, report.sites[0].empty) == (kept, sparse, 0)
        assert (index["valid_fraction"] >= least).all()

    def test_an_area_of_interest_leaves_the_ids_as_they_are(self, tmp_path, make_tif):
        image = make_tif(tmp_path / "site.tif", ramp(3, 30, 40))
        x, y = CORNER
        # A triangle over columns 12 to 18 and rows 12 to 18: in the tile of row 1 and column 1 only.
        triangle = Polygon([(x + 0.12, y - 0.12), (x + 0.18, y - 0.12), (x + 0.12, y - 0.18)])
        # And a box over the corner of four tiles, in other coordinates.
        four = gpd.GeoSeries([box(x + 0.295, y - 0.105, x + 0.305, y - 0.095)], crs="EPSG:32612").to_crs("EPSG:4326")
        gpd.GeoSeries([triangle], crs="EPSG:32612").to_file(tmp_path / "one.gpkg")
        four.to_file(tmp_path / "four.geojson")
        ids = {}
        for name, aoi in {"all": None, "one": "one.gpkg", "four": "four.geojson"}.items():
            tile_images([image], tmp_path / name, TileOptions(size_px=10, aoi=aoi and tmp_path / aoi))
            ids[name] = read_tiles(tmp_path / name)["tile_id"].tolist()
        assert ids["one"] == ["site_r00001_c00001"]
        assert ids["four"] == [f"site_r0000{row}_c0000{col}" for row in (0, 1) for col in (2, 3)]
        assert set(ids["four"]) < set(ids["all"])
        for tile_id in ids["four"]:
            assert (tmp_path / "four" / f"{tile_id}.png").read_bytes() == (tmp_path / "all" / f"{tile_id}.png").read_bytes()

    def test_an_area_that_crosses_itself_is_still_an_area(self, tmp_path, make_tif):
        image = make_tif(tmp_path / "site.tif", ramp(3, 30, 40))
        x, y = CORNER
        bow_ties = [Polygon([(x, y), (x + s, y - s), (x + s, y), (x, y - s)]) for s in (0.15, 0.08)]
        gpd.GeoSeries(bow_ties, crs="EPSG:32612").to_file(tmp_path / "aoi.gpkg")
        report = tile_images([image], tmp_path / "tiles", TileOptions(size_px=10, aoi=tmp_path / "aoi.gpkg"))
        (note,) = report.sites[0].notes
        assert note == "2 polygons of aoi.gpkg are not valid (most cross themselves) and mended, the first of them in row 1"
        assert read_tiles(tmp_path / "tiles")["tile_id"].tolist() == [f"site_r0000{i}_c0000{j}" for i in (0, 1) for j in (0, 1)]

    def test_several_sites_share_one_folder(self, tmp_path, make_tif):
        arrays = {"north": ramp(3, 10, 20), "south field": ramp(3, 20, 10)}
        images = [make_tif(tmp_path / f"{name}.tif", array) for name, array in arrays.items()]
        report = tile_images(images, tmp_path / "tiles", TileOptions(size_px=10))
        index = read_tiles(tmp_path / "tiles")
        assert [site.written for site in report.sites] == [2, 2]
        assert index["site"].tolist() == ["north", "north", "south-field", "south-field"]
        assert index["source"].tolist() == ["north.tif", "north.tif", "south field.tif", "south field.tif"]
        assert {path.name for path in (tmp_path / "tiles").glob("overview*")} == {
            "overview_north.png",
            "overview_south-field.png",
        }
        assert (read_tile(tmp_path / "tiles" / "south-field_r00001_c00000.png") == arrays["south field"][:, 10:]).all()

    def test_of_two_data_the_shift_between_them_is_said(self, tmp_path, make_tif):
        images = [make_tif(tmp_path / f"{crs}.tif", ramp(3, 10, 10), crs=f"EPSG:{crs}") for crs in (32612, 26712)]
        report = tile_images(images, tmp_path / "tiles", TileOptions(size_px=10))
        (note,) = report.notes
        assert note.startswith("site 26712: coordinates brought from EPSG:26712 to EPSG:32612 are good to about ")
        assert tile_images(images[:1], tmp_path / "one", TileOptions(size_px=10)).notes == ()

    @pytest.mark.parametrize("passed", [lambda path: path, str, lambda path: [str(path)], lambda path: {"site": str(path)}])
    def test_images_are_passed_as_people_have_them(self, tmp_path, make_tif, passed):
        image = make_tif(tmp_path / "site.tif", ramp(3, 10, 20))
        tile_images(passed(image), str(tmp_path / "tiles"), TileOptions(size_px=10))
        assert read_tiles(str(tmp_path / "tiles"))["tile_id"].tolist() == ["site_r00000_c00000", "site_r00000_c00001"]

    def test_two_sites_of_one_name_would_overwrite_each_other(self, tmp_path, make_tif):
        images = [make_tif(tmp_path / name, ramp(1, 10, 10)) for name in ("a b.tif", "a-b.tif")]
        with pytest.raises(InputError, match="same site name"):
            tile_images(images, tmp_path / "tiles")
        assert not (tmp_path / "tiles").exists()


class TestIndex:
    def test_footprints_lie_on_the_ground(self, tile):
        _, index = tile(ramp(3, 20, 20), gsd=0.02)
        x, y = CORNER
        # Row 1, column 1 starts 10 pixels of 2 cm to the east and to the south of the corner.
        assert index.geometry["site_r00001_c00001"].bounds == pytest.approx((x + 0.2, y - 0.4, x + 0.4, y - 0.2))
        assert index.geometry.area.tolist() == pytest.approx([0.04] * 4)
        assert index["gsd_m"].tolist() == pytest.approx([0.02] * 4)
        assert index["size_px"].tolist() == [10] * 4
        assert index.crs == CRS.from_epsg(32612)

    def test_of_a_turned_image_too(self, tile):
        # Columns run to the north-east, rows to the south-east: a quarter of a right angle is 45 degrees.
        turned = Affine.translation(*CORNER) @ Affine.rotation(45) @ Affine.scale(1, -1)
        _, index = tile(ramp(1, 10, 20), transform=turned)
        s = 10 * np.sqrt(0.5)
        x, y = CORNER
        second = index.geometry["site_r00000_c00001"]
        expected = Polygon([(x + s, y + s), (x + 2 * s, y + 2 * s), (x + 3 * s, y + s), (x + 2 * s, y)])
        assert second.symmetric_difference(expected).area < 1e-6
        assert second.area == pytest.approx(100)

    def test_geopandas_opens_both_forms(self, tile, tmp_path):
        tile(ramp(3, 20, 20))
        parquet = gpd.read_parquet(tmp_path / "tiles" / "tiles.parquet")
        package = gpd.read_file(tmp_path / "tiles" / "tiles.gpkg", layer="tiles")
        assert parquet.crs.to_epsg() == package.crs.to_epsg() == 32612
        assert len(parquet) == 4
        assert package["tile_id"].tolist() == parquet["tile_id"].tolist()
        assert package.geometry.geom_equals_exact(parquet.geometry, 0).all()
        assert package["valid_fraction"].tolist() == parquet["valid_fraction"].tolist()
        assert parquet["row"].tolist() == [0, 0, 1, 1]
        assert parquet["col"].tolist() == [0, 1, 0, 1]
        assert set(parquet["layout"]) == {"grid"}

    def test_a_height_beside_the_plane_survives(self, tile, tmp_path):
        tile(ramp(1, 10, 10), crs="EPSG:32612+5703")
        assert gpd.read_parquet(tmp_path / "tiles" / "tiles.parquet").crs.is_compound

    def test_what_is_no_index(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            read_tiles(tmp_path / "nowhere")
        with pytest.raises(InputError, match=r"holds no tiles\.parquet"):
            read_tiles(tmp_path)
        (tmp_path / "tiles.parquet").write_text("hello")
        with pytest.raises(InputError, match=r"tiles\.parquet is not a GeoParquet file"):
            read_tiles(tmp_path)
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "tiles.parquet")
        with pytest.raises(InputError, match=r"tiles\.parquet is not a GeoParquet file"):
            read_tiles(tmp_path)
        gpd.GeoDataFrame({"tile_id": ["a"]}, geometry=[box(0, 0, 1, 1)], crs=32612).to_parquet(tmp_path / "tiles.parquet")
        with pytest.raises(InputError, match="lacks the columns file_name, site"):
            read_tiles(tmp_path)


class TestProvenance:
    def test_says_what_was_done_to_what(self, tile, tmp_path):
        tile(ramp(3, 20, 20), TileOptions(size_px=10, overlap_px=2))
        record = json.loads((tmp_path / "tiles" / "provenance.json").read_text())
        assert record["parameters"]["size_px"] == 10
        assert record["parameters"]["overlap_px"] == 2
        assert {"spurgekit", "numpy", "rasterio", "python"} <= set(record["versions"])
        (source,) = record["inputs"].items()
        assert source[0].endswith("site.tif")
        assert source[1]["bytes"] == (tmp_path / "site.tif").stat().st_size


class TestOverview:
    def test_tiles_are_drawn_where_they_are(self, tile, tmp_path):
        # 500 x 400 px is enlarged twice, to 1000 x 800, on a page with a margin of 16 px and a title above.
        array = np.full((3, 400, 500), 60, np.uint8)
        tile(array, TileOptions(size_px=200))
        page = np.asarray(Image.open(tmp_path / "tiles" / "overview.png").convert("RGB")).astype(int)
        assert page.shape[1] == 1000 + 2 * 16
        assert 800 + 2 * 16 < page.shape[0] < 800 + 200
        top = find_picture(page)
        yellow = close_to(page, (255, 225, 77))
        orange = close_to(page, (255, 127, 14))
        # The edge of the first two whole tiles lies at column 200, doubled; half-way down the first row of tiles.
        middle = top + 250
        assert yellow[middle, 16 + 400 - 3 : 16 + 400 + 3].any()
        assert not yellow[middle, 16 + 150 : 16 + 350].any()
        # Columns 400 to 600 are partly outside: their left edge is drawn in orange or, over it, in yellow.
        assert (yellow | orange)[middle, 16 + 800 - 3 : 16 + 800 + 3].any()
        # Their upper edge is at the top of the picture, where no whole tile is.
        assert orange[top : top + 4, 16 + 900].any()

    def test_of_float_bands_too(self, tile, tmp_path):
        array = np.random.default_rng(0).normal(1000, 10, (5, 20, 30)).astype(np.float32)
        tile(array)
        page = np.asarray(Image.open(tmp_path / "tiles" / "overview.png"))
        assert page[100:200, 100:200].std() > 10  # stretched, not one grey


def find_picture(page):
    """The first row of the picture on the page: below the first row with a dark frame from side to side."""
    dark = (page == 30).all(axis=2)
    return int(np.flatnonzero(dark[:, 16:-16].all(axis=1))[0]) + 1


def close_to(page, colour):
    return (np.abs(page - np.array(colour)) < 40).all(axis=2)


class TestResampling:
    def test_to_twice_the_gsd(self, tile, tmp_path):
        array = np.kron(ramp(3, 10, 20), np.ones((1, 2, 2), np.uint8))  # of 2 x 2 equal pixels each
        report, index = tile(array, TileOptions(size_px=10, gsd_m=0.02))
        assert report.sites[0].gsd_m == pytest.approx(0.02)
        assert index["gsd_m"].tolist() == pytest.approx([0.02] * 2)
        both = np.concatenate([read_tile(tmp_path / "tiles" / name) for name in index["file_name"]], axis=2)
        assert (both == ramp(3, 10, 20)).all()
        assert index.geometry.total_bounds == pytest.approx((CORNER[0], CORNER[1] - 0.2, CORNER[0] + 0.4, CORNER[1]))

    def test_degrees_are_reprojected_where_asked(self, tile):
        array = np.full((3, 60, 80), 90, np.uint8)
        transform = Affine(1e-7, 0, -111, 0, -1e-7, 46)
        report, index = tile(array, TileOptions(size_px=10, crs="EPSG:32612"), crs="EPSG:4326", transform=transform)
        assert index.crs.to_epsg() == 32612
        # A pixel of 1e-7 degrees is 7.74 mm wide and 11.1 mm high at 46 degrees north.
        assert report.sites[0].gsd_m == pytest.approx(np.sqrt(0.00774 * 0.01111), rel=0.01)


class TestFormats:
    def test_16_bits_stay_16_bits(self, tile, tmp_path):
        array = (ramp(3, 10, 20).astype(np.uint16) * 257 + 3).astype(np.uint16)
        tile(array, photometric="rgb")
        back = cv2.imread(str(tmp_path / "tiles" / "site_r00000_c00001.png"), cv2.IMREAD_UNCHANGED)
        assert back.dtype == np.uint16
        assert (back[..., ::-1] == np.moveaxis(array[:, :, 10:], 0, -1)).all()

    def test_jpeg_is_close(self, tile, tmp_path):
        rows, cols = np.mgrid[:16, :32]
        array = np.stack([8 * rows, 4 * cols, 200 - 4 * cols]).astype(np.uint8)
        _, index = tile(array, TileOptions(size_px=16, file_format="jpg"))
        for i, name in enumerate(index["file_name"]):
            assert name.endswith(".jpg")
            difference = read_tile(tmp_path / "tiles" / name).astype(int) - array[:, :, 16 * i : 16 * i + 16]
            assert np.abs(difference).mean() < 3
            assert np.abs(difference.mean(axis=(1, 2))).max() < 2  # red is red, blue is blue

    def test_five_float_bands_become_geotiffs_with_nan(self, tile, tmp_path):
        array = np.random.default_rng(0).normal(0, 1, (5, 13, 20)).astype(np.float32)
        array[2, 1, 4] = np.nan
        report, index = tile(array)
        assert report.file_format == "tif"
        assert index["valid_fraction"].tolist() == [0.99, 1, 0.3, 0.3]
        with rasterio.open(tmp_path / "tiles" / "site_r00001_c00001.tif") as file:
            pixels = file.read()
            assert file.crs.to_epsg() == 32612
            assert (file.transform.c, file.transform.f) == pytest.approx((CORNER[0] + 0.1, CORNER[1] - 0.1))
            assert np.isnan(file.nodata)
        assert (pixels[:, :3] == array[:, 10:, 10:]).all()
        assert np.isnan(pixels[:, 3:]).all()
        first = read_tile(tmp_path / "tiles" / "site_r00000_c00000.tif")
        assert np.isnan(first[:, 1, 4]).all()
        assert np.isnan(first).sum() == 5

    def test_geotiffs_of_integers_carry_a_mask(self, tile, tmp_path):
        array = ramp(4, 10, 15)
        _, index = tile(array, TileOptions(size_px=10, file_format="tif"), photometric="minisblack")
        with open_raster(tmp_path / "tiles" / index["file_name"].iloc[1]) as raster:
            pixels, valid = raster.read(raster.grid.window)
            assert raster.gsd_m == pytest.approx(0.01)
        assert (valid == (np.arange(10) < 5)).all()
        assert (pixels[:, :, :5] == array[:, :, 10:]).all()

    def test_chosen_bands_in_the_order_asked_for(self, tile, tmp_path):
        array = ramp(5, 10, 10)
        report, _ = tile(array, TileOptions(size_px=10, bands=(5, 3, 1)))
        assert report.file_format == "png"
        assert (read_tile(tmp_path / "tiles" / "site_r00000_c00000.png") == array[[4, 2, 0]]).all()

    def test_one_band_gives_grey_tiles(self, tile, tmp_path):
        tile(ramp(1, 10, 10))
        assert Image.open(tmp_path / "tiles" / "site_r00000_c00000.png").mode == "L"

    @pytest.mark.parametrize("file_format", ["png", "jpg"])
    def test_four_bands_do_not_fit(self, tile, tmp_path, file_format):
        with pytest.raises(InputError, match=f"4 bands of uint8 do not fit into {file_format.upper()}; pass `file_f"):
            tile(ramp(4, 10, 10), TileOptions(size_px=10, file_format=file_format), photometric="minisblack")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["site.tif"]


def same_files(one, other, pattern):
    names = sorted(path.name for path in one.glob(pattern))
    assert names == sorted(path.name for path in other.glob(pattern))
    return bool(names) and all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


class TestSameEveryTime:
    def test_two_runs_on_any_number_of_threads(self, tmp_path, make_tif, monkeypatch):
        noise = np.random.default_rng(3).integers(0, 255, (4, 90, 130), np.uint8)
        image = make_tif(tmp_path / "site.tif", noise, colours=RGBA, compress="deflate")
        for name, threads in (("one", 1), ("two", 5)):
            monkeypatch.setattr("spurgekit.executors.workers.cores", lambda threads=threads: threads)
            monkeypatch.setattr("spurgekit.tiles.site_tiling.cores", lambda threads=threads: threads)
            tile_images([image], tmp_path / name, TileOptions(size_px=20, overlap_px=4, gsd_m=0.013))
        assert same_files(tmp_path / "one", tmp_path / "two", "*.png")
        assert same_files(tmp_path / "one", tmp_path / "two", "*.parquet")

    def test_workers_that_are_open_are_left_open(self, tmp_path, make_tif):
        array = ramp(3, 40, 40)
        with open_raster(make_tif(tmp_path / "site.tif", array)) as raster, open_workers("threads") as workers:
            tiles = list(grid_layout(raster.grid, "site", size_px=10))
            cut = cut_tiles(raster, tiles, tmp_path, encode=TILE_FORMATS["png"].encoder(), suffix=".png", executor=workers)
            assert workers.executor.submit(int).result() == 0
        assert [c.tile for c in cut] == tiles
        assert all((read_tile(tmp_path / c.file_name) == cut_out(array, c.tile.window)).all() for c in cut)

    def test_tiles_in_any_order_are_right(self, tmp_path, make_tif):
        array = ramp(3, 40, 40)
        with open_raster(make_tif(tmp_path / "site.tif", array)) as raster:
            tiles = list(grid_layout(raster.grid, "site", size_px=10))
            np.random.default_rng(0).shuffle(tiles)
            cut = cut_tiles(raster, tiles, tmp_path, encode=TILE_FORMATS["png"].encoder(), suffix=".png")
        assert [c.tile for c in cut] == tiles
        assert all((read_tile(tmp_path / c.file_name) == cut_out(array, c.tile.window)).all() for c in cut)


@pytest.mark.parametrize(
    ("size", "overlap", "message"),
    [
        (0, 0, "at least 1 px, not 0"),
        (-5, 0, "at least 1 px, not -5"),
        (10, 10, "overlap of 10 px .* pass 0 to 9"),
        (10, -1, "overlap of -1"),
    ],
)
def test_layouts_that_cannot_be(size, overlap, message):
    grid = PixelGrid(40, 30, Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000), CRS.from_epsg(32612))
    with pytest.raises(InputError, match=message):
        list(grid_layout(grid, "site", size_px=size, overlap_px=overlap))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "points"}, "`layout=points` needs `points`"),
        ({"layout": "grid", "points": "p.gpkg"}, "`layout=grid` does not go with `points`"),
        ({"layout": "plots", "overlap_px": 5}, "`overlap_px` and `aoi` go with `layout=grid` only"),
        ({"points": "p.gpkg", "overlap_px": 5}, "`overlap_px` and `aoi` go with `layout=grid` only"),
        ({"points": "p.gpkg", "aoi": "a.gpkg"}, "`overlap_px` and `aoi` go with `layout=grid` only"),
        ({"min_valid": 1.01}, r"`min_valid=1\.01` is not a share"),
        ({"min_valid": float("nan")}, "`min_valid=nan` is not a number"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(InputError, match=message):
        TileOptions(**options)
