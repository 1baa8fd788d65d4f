import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rio_cogeo.cogeo import cog_validate

from spurgekit.errors import InputError, OutputExistsError
from spurgekit.imagery import PixelGrid
from spurgekit.maps import MapOptions, map_site
from tests.chain import CLASSES, COLUMNS, ROWS, TILE_PX, is_weed
from tests.maps.brightness import brightness_model, p_bright
from tests.outputs.listing import RECORDS

DEFAULT = MapOptions()
RGBA = ("red", "green", "blue", "alpha")

# Six fields of 4 x 4 px, the last without data.
MEANS = np.array([[60, 100, 140], [180, 20, 0]])


def fields():
    bright = np.kron(MEANS, np.ones((4, 4))).astype(np.uint8)
    return np.stack([bright, bright, bright, np.where(bright > 0, 255, 0).astype(np.uint8)])


def read(path):
    with rasterio.open(path) as file:
        return file.profile, file.read(), file.descriptions


def test_what_is_doubtful_about_the_image_is_said(tmp_path, make_tif):
    upside_down = Affine(0.01, 0, 500_000, 0, 0.01, 5_000_000)
    site = make_tif(tmp_path / "site.tif", fields(), colours=RGBA, transform=upside_down)
    report = map_site(site, brightness_model(4, bands=3), tmp_path / "map")
    assert report.notes == ("mirrored: rows run from south to north",)


def test_an_image_with_a_crs_alone_is_refused_before_anything_is_made(tmp_path, make_tif):
    site = make_tif(tmp_path / "site.tif", fields(), colours=RGBA, transform=Affine.identity())
    with pytest.raises(InputError, match=r"site.tif has a CRS but no geotransform; georeference it first"):
        map_site(site, brightness_model(4, bands=3), tmp_path / "map")
    assert not (tmp_path / "map").exists()


class TestFolder:
    @pytest.fixture
    def made(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", fields(), colours=RGBA)
        confusion = ((80, 20), (10, 90))
        return map_site(site, brightness_model(4, bands=3, confusion=confusion), tmp_path / "map")

    def test_files(self, made):
        names = {"presence.tif", "presence.qml", "presence.gpkg", "presence.png", "summary.json", *RECORDS}
        assert {path.name for path in made.folder.iterdir()} == names

    def test_raster(self, made):
        profile, bands, descriptions = read(made.folder / "presence.tif")
        assert (profile["width"], profile["height"], profile["count"]) == (3, 2, 3)
        assert profile["crs"] == "EPSG:32612"
        assert profile["transform"] == Affine(0.04, 0, 500_000, 0, -0.04, 5_000_000)
        assert descriptions == ("probability of dark", "probability of bright", "uncertainty (entropy, 0 to 1)")
        assert np.isnan(profile["nodata"])
        assert np.isnan(bands).sum(axis=(1, 2)).tolist() == [1, 1, 1]
        assert np.isnan(bands[:, 1, 2]).all()
        p = p_bright(MEANS)
        seen = MEANS > 0
        assert bands[1][seen] == pytest.approx(p[seen], abs=1e-5)
        assert bands[0][seen] == pytest.approx(1 - p[seen], abs=1e-5)
        entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
        assert bands[2][seen] == pytest.approx(entropy[seen], abs=1e-4)
        assert bands[2][0, 1] == pytest.approx(1)

    def test_it_is_a_cog(self, made):
        assert cog_validate(made.folder / "presence.tif", strict=True)[0]

    def test_polygons(self, made):
        found = gpd.read_file(made.folder / "presence.gpkg", layer="presence")
        # 140 and 180 are bright; they share a corner only. 100 is a tie, which the first class takes.
        assert found["class"].tolist() == ["bright", "bright"]
        assert found["area_m2"].tolist() == pytest.approx([0.0016, 0.0016])
        assert sorted(found["mean_probability"]) == pytest.approx(p_bright([140, 180]), abs=1e-5)
        assert made.polygons == 2

    def test_summary(self, made):
        summary = json.loads((made.folder / "summary.json").read_text())
        assert (summary["images"], summary["crs"]) == (["site.tif"], "EPSG:32612")
        assert (summary["cell_m"], summary["support_m"], made.support_m) == (0.04, 0.04, 0.04)
        assert made.mapped_m2 == pytest.approx(5 * 0.0016)
        assert made.occupied["bright"].counted_m2 == pytest.approx(0.0032)
        assert set(summary["occupied"]) == {"bright"}
        assert summary["mapped_m2"] == summary["image_m2"]
        assert "Rogan and Gladen" in summary["what_the_areas_mean"]

    def test_picture(self, made):
        with Image.open(made.folder / "presence.png") as picture:
            assert min(picture.size) > 500
            colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        assert (colours == (216, 27, 140)).all(axis=1).any()  # the outlines of presence


class TestGeometry:
    def test_a_cell_lies_where_its_tile_lay(self, chain, tmp_path):
        """The drawn site, mapped with the model that was trained on its tiles: two columns of sand, two of weed."""
        made = map_site(chain.site, chain.model, tmp_path / "map")
        profile, bands, _ = read(made.folder / "presence.tif")
        tiles = gpd.read_parquet(chain.tiles / "tiles.parquet")
        cells = PixelGrid(profile["width"], profile["height"], profile["transform"], profile["crs"])
        assert (cells.width, cells.height) == (COLUMNS, ROWS)
        for tile in tiles.itertuples():
            col, row = (int(v) for v in cells.to_pixel(tile.geometry.centroid.x, tile.geometry.centroid.y))
            assert (col, row) == (tile.col_off // TILE_PX, tile.row_off // TILE_PX)
            assert (bands[1, row, col] > 0.5) == is_weed(row, col)
        polygons = gpd.read_file(made.folder / "presence.gpkg", layer="presence")
        # Three stripes of two columns, each as large as the tiles that it is made of.
        assert polygons["class"].tolist() == [CLASSES[1]] * 3
        assert polygons.geometry.area.tolist() == pytest.approx([2 * ROWS * 0.32**2] * 3)
        stripe = tiles[[is_weed(0, c // TILE_PX) for c in tiles["col_off"]]].union_all()
        assert polygons.union_all().symmetric_difference(stripe).area < 1e-6

    def test_a_turned_site_gives_a_turned_map(self, tmp_path, make_tif):
        turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(0.01, -0.01)
        site = make_tif(tmp_path / "site.tif", fields(), transform=turned, colours=RGBA)
        made = map_site(site, brightness_model(4, bands=3), tmp_path / "map")
        profile, bands, _ = read(made.folder / "presence.tif")
        assert profile["transform"].almost_equals(turned @ Affine.scale(4), 1e-9)
        assert bands[1][MEANS > 0] == pytest.approx(p_bright(MEANS[MEANS > 0]), abs=1e-5)
        grid = PixelGrid(12, 8, turned)
        expected = [grid.footprint(window) for _, _, window in grid.squares(4) if (window.col, window.row) in ((8, 0), (0, 4))]
        polygons = gpd.read_file(made.folder / "presence.gpkg", layer="presence")
        assert polygons["area_m2"].tolist() == pytest.approx([0.0016, 0.0016])
        for polygon in expected:
            assert polygons.geometry.symmetric_difference(polygon).area.min() < 1e-9

    def test_resampled_to_the_ground_size_that_the_model_knows(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", fields(), gsd=0.005, colours=RGBA)  # tiles of 2 px at 1 cm are fields of 4 px
        made = map_site(site, brightness_model(2, bands=3), tmp_path / "map")
        profile, bands, _ = read(made.folder / "presence.tif")
        assert profile["transform"].almost_equals(Affine(0.02, 0, 500_000, 0, -0.02, 5_000_000), 1e-9)
        assert bands[1][MEANS > 0] == pytest.approx(p_bright(MEANS[MEANS > 0]), abs=1e-3)

    def test_a_stride_makes_cells_smaller_than_tiles(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", np.full((3, 8, 12), 140, np.uint8))
        made = map_site(site, brightness_model(4, bands=3), tmp_path / "map", MapOptions(stride_px=2))
        profile, bands, _ = read(made.folder / "presence.tif")
        assert bands[1] == pytest.approx(np.full((4, 6), p_bright(140)), abs=1e-5)
        assert made.cell_m == pytest.approx(0.02)
        assert json.loads((made.folder / "summary.json").read_text())["support_m"] == 0.04
        assert profile["transform"].a == pytest.approx(0.02)


class TestOtherBands:
    """Multispectral and elevation: more bands, other types, holes that are no number."""

    @pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 65535), ("float32", -10_000), ("float32", np.nan)])
    def test_a_map_of_five(self, tmp_path, make_tif, dtype, nodata):
        bright = np.kron(MEANS, np.ones((4, 4)))
        # The bands differ, and their mean is that of the field.
        image = np.where(bright > 0, bright + np.array([-10, -5, 0, 5, 10])[:, None, None], nodata).astype(dtype)
        site = make_tif(tmp_path / "site.tif", image, nodata=nodata)
        made = map_site(site, brightness_model(4, bands=5, dtype=dtype), tmp_path / "map")
        profile, bands, _ = read(made.folder / "presence.tif")
        assert profile["transform"] == Affine(0.04, 0, 500_000, 0, -0.04, 5_000_000)
        seen = MEANS > 0
        np.testing.assert_array_equal(np.isfinite(bands), np.broadcast_to(seen, (3, 2, 3)))
        assert bands[1][seen] == pytest.approx(p_bright(MEANS[seen]), abs=1e-5)
        assert made.mapped_m2 == pytest.approx(5 * 0.0016)
        with Image.open(made.folder / "presence.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 4

    def test_resampling_does_not_smear_holes(self, tmp_path, make_tif):
        """At half the image's resolution, the declared value of missing pixels would pull their neighbours down."""
        image = np.full((2, 8, 8), 140, np.float32)
        image[:, :3, :3] = -10_000
        site = make_tif(tmp_path / "site.tif", image, gsd=0.005, nodata=-10_000)
        made = map_site(site, brightness_model(2, bands=2, dtype="float32"), tmp_path / "map", MapOptions(min_valid=0.25))
        _, bands, _ = read(made.folder / "presence.tif")
        assert bands[1] == pytest.approx(np.full((2, 2), p_bright(140)), abs=1e-5)


class TestProvenance:
    @pytest.mark.parametrize("loaded", [False, True])
    def test_names_image_and_model(self, chain, tmp_path, loaded):
        from spurgekit.classify import load_model

        made = map_site(chain.site, load_model(chain.model, "cpu") if loaded else chain.model, tmp_path / "map")
        record = json.loads((made.folder / "provenance.json").read_text())
        assert list(record["inputs"]) == [str(chain.site), str(chain.model)]
        assert record["parameters"]["min_valid"] == 0.5

    def test_once_more_gives_the_same_raster(self, chain, tmp_path):
        for name in "ab":
            map_site(chain.site, chain.model, tmp_path / name, MapOptions(batch_size=64))
        for name in ("presence.tif", "summary.json", "presence.png"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


class TestWhatCannotBeMapped:
    def refused(self, tmp_path, site, match, error=InputError, options=DEFAULT):
        with pytest.raises(error, match=match) as caught:
            map_site(site, brightness_model(4, bands=3), tmp_path / "map", options)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "map").exists()
        assert not list(tmp_path.glob(".*"))

    def test_no_data_at_all(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", np.zeros((4, 8, 8), np.uint8), colours=RGBA)
        self.refused(tmp_path, site, r"site\.tif has no cell with data to map; look at its alpha band")

    @pytest.mark.parametrize(
        ("bands", "dtype"), [(1, np.uint8), (4, np.uint8), (3, np.uint16), (3, np.float32), (5, np.float32)]
    )
    def test_other_bands_than_the_model_reads(self, tmp_path, make_tif, bands, dtype):
        site = make_tif(tmp_path / "site.tif", np.ones((bands, 8, 8), dtype), photometric="minisblack")
        s = "s" if bands > 1 else ""
        self.refused(tmp_path, site, rf"has {bands} band{s} of {np.dtype(dtype)}, the model reads 3 of uint8; choose them with")

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_whole_numbers_are_not_taken_for_the_floats_of_the_model(self, tmp_path, make_tif, dtype):
        site = make_tif(tmp_path / "site.tif", np.ones((3, 8, 8), dtype))
        with pytest.raises(
            InputError, match=rf"site\.tif has 3 bands of {dtype}, the model reads 3 of float32; choose them with"
        ):
            map_site(site, brightness_model(4, bands=3, dtype="float32"), tmp_path / "map")

    def test_but_bands_can_be_chosen(self, tmp_path, make_tif):
        pixels = np.stack([np.full((4, 4), value, np.uint8) for value in (1, 30, 90, 240, 7)])
        site = make_tif(tmp_path / "site.tif", pixels)
        made = map_site(site, brightness_model(4, bands=3), tmp_path / "map", MapOptions(bands=(2, 3, 4)))
        assert read(made.folder / "presence.tif")[1][1, 0, 0] == pytest.approx(p_bright(120), abs=1e-5)

    def test_an_odd_stride(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", fields(), colours=RGBA)
        self.refused(tmp_path, site, "half a pixel off", options=MapOptions(stride_px=3))

    def test_an_existing_folder(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", fields(), colours=RGBA)
        model = brightness_model(4, bands=3)
        map_site(site, model, tmp_path / "map")
        with pytest.raises(OutputExistsError, match="exists already; pass `overwrite`"):
            map_site(site, model, tmp_path / "map")
        map_site(site, model, tmp_path / "map", overwrite=True)

    @pytest.mark.parametrize(
        ("changed", "says"), [({"min_valid": 1.5}, "`min_valid=1.5`"), ({"batch_size": 0}, "`batch_size=0`")]
    )
    def test_options_that_cannot_be(self, changed, says):
        with pytest.raises(InputError, match=says):
            MapOptions(**changed)
