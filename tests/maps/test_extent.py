"""Maps of an area of interest: of its cells alone, which are some of those of the whole map."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from PIL import Image
from shapely import LineString, Point, Polygon, box

from spurgekit.errors import InputError
from spurgekit.imagery import Raster
from spurgekit.maps import MapOptions, map_site
from tests.command import refuse, succeed
from tests.conftest import CORNER
from tests.maps.brightness import brightness_model
from tests.maps.test_fine import CELL, light_model

ROWS, COLUMNS, TILE = 24, 30, 4
X, Y = CORNER


def ground(left, top, right, bottom, unit=TILE):
    """A rectangle, in fields of the image from its upper left corner."""
    u = 0.01 * unit
    return box(X + left * u, Y - bottom * u, X + right * u, Y - top * u)


def store(path, *shapes, crs="EPSG:32612", **columns):
    gpd.GeoDataFrame(columns or {"number": range(len(shapes))}, geometry=list(shapes), crs=crs).to_file(path)
    return path


def read(folder):
    with rasterio.open(folder / "presence.tif") as file:
        return file.read(), file.transform


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture
def site(tmp_path, make_tif):
    """Fields of 4 px of any brightness, every pixel a little different."""
    rng = np.random.default_rng(0)
    fields = np.kron(rng.integers(30, 220, (ROWS, COLUMNS)), np.ones((TILE, TILE))) + rng.integers(-20, 20, (96, 120))
    return make_tif(tmp_path / "site.tif", fields.astype(np.uint8)[None])


def mapped(site, name, model=None, **options):
    return map_site(site, model or brightness_model(TILE), site.parent / name, MapOptions(**options))


class TestCells:
    @pytest.mark.parametrize("stride_px", [4, 2])
    def test_they_are_those_of_the_whole_map(self, site, tmp_path, stride_px):
        """A disc in other coordinates, and a rectangle far from it."""
        shapes = gpd.GeoSeries([Point(X + 0.4, Y - 0.3).buffer(0.2), ground(20, 18, 27, 23)], crs="EPSG:32612")
        shapes.to_crs("EPSG:4326").to_file(tmp_path / "aoi.geojson")
        whole, _ = read(mapped(site, "whole", stride_px=stride_px).folder)
        part, transform = read(mapped(site, "part", stride_px=stride_px, aoi=tmp_path / "aoi.geojson").folder)
        side = 0.01 * stride_px
        left, top = round((transform.c - X) / side), round((Y - transform.f) / side)
        centres = X + side * (np.arange(whole.shape[2]) + 0.5), Y - side * (np.arange(whole.shape[1])[:, None] + 0.5)
        inside = np.hypot(centres[0] - X - 0.4, centres[1] - Y + 0.3) < 0.2
        inside |= (abs(centres[0] - X - 0.94) < 0.14) & (abs(centres[1] - Y + 0.82) < 0.10)
        rows, cols = np.nonzero(inside)
        assert (left, top) == (cols.min(), rows.min())
        assert part.shape[1:] == (np.ptp(rows) + 1, np.ptp(cols) + 1)
        window = np.s_[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
        np.testing.assert_array_equal(part, np.where(inside[window], whole[:, *window], np.nan))

    def test_a_tile_at_the_edge_sees_beyond_it(self, site, tmp_path):
        """One cell of 2 px: its tile is that of the whole map."""
        aoi = store(tmp_path / "aoi.gpkg", ground(10, 7, 10.5, 7.5))
        whole, _ = read(mapped(site, "whole", stride_px=2).folder)
        part, _ = read(mapped(site, "part", stride_px=2, aoi=aoi).folder)
        assert part.shape == (3, 1, 1)
        assert part[:, 0, 0].tolist() == whole[:, 14, 20].tolist()

    @pytest.mark.parametrize("guided", [False, True])
    @pytest.mark.parametrize("tile", [64, 224])
    def test_finer_than_a_tile(self, tmp_path, make_tif, guided, tile):
        bright = np.random.default_rng(1).integers(20, 240, (60, 50)).astype(np.uint8)
        site = make_tif(tmp_path / "site.tif", np.repeat(np.kron(bright, np.ones((CELL, CELL), np.uint8))[None], 3, axis=0))
        aoi = store(tmp_path / "aoi.gpkg", ground(31, 3, 37, 6, CELL), ground(35, 44, 40, 49, CELL))
        whole, part = (light_model(tile_px=tile, size_px=tile) for _ in range(2))
        options = {"resolution": "fine", "guided_filter": guided}
        all_of_it, _ = read(mapped(site, "whole", whole, **options).folder)
        found, transform = read(mapped(site, "part", part, aoi=aoi, **options).folder)
        assert (transform.c, transform.f) == pytest.approx((X + 31 * 0.16, Y - 3 * 0.16))
        expected = np.full((5, 46, 9), np.nan, np.float32)
        expected[:, :3, :6] = all_of_it[:, 3:6, 31:37]
        expected[:, 41:, 4:] = all_of_it[:, 44:49, 35:40]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        # Windows without a wanted cell, or one near it, are not looked at.
        assert sum(_areas(part)) <= 0.5 * sum(_areas(whole))

    def test_what_lies_outside_is_not_read(self, site, tmp_path, monkeypatch):
        monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", 1)  # strips of one row of cells
        windows = []
        inner = Raster.read
        monkeypatch.setattr(Raster, "read", lambda self, window: windows.append(window) or inner(self, window))
        aoi = store(tmp_path / "aoi.gpkg", ground(3, 2, 6, 4), ground(4, 20, 9, 21))
        mapped(site, "part", aoi=aoi)
        assert [(w.col, w.row, w.width, w.height) for w in windows] == [(12, 4 * row, 24, 4) for row in (2, 3, 20)]


def _areas(model):
    return next(module.areas for module in model.network.modules() if hasattr(module, "areas"))


class TestAreas:
    def test_they_are_of_the_area_of_interest_alone(self, site, tmp_path):
        # 6 x 4 fields and a little more, which holds no centre of a cell.
        aoi = store(tmp_path / "aoi.gpkg", ground(5, 2, 11.4, 6))
        made = mapped(site, "part", aoi=aoi)
        bands, _ = read(made.folder)
        assert bands.shape == (3, 4, 6)
        assert made.mapped_m2 == pytest.approx(24 * 0.04**2)
        assert made.image_m2 == pytest.approx(24 * 0.04**2)
        assert made.aoi_m2 == pytest.approx(6.4 * 4 * 0.04**2)
        assert made.occupied["bright"].counted_m2 == pytest.approx((bands[1] > 0.5).sum() * 0.04**2)
        polygons = gpd.read_file(made.folder / "presence.gpkg", layer="presence")
        assert polygons["area_m2"].sum() == pytest.approx(made.occupied["bright"].counted_m2)
        assert polygons.within(ground(5, 2, 11, 6).buffer(1e-6)).all()
        said = summary(made.folder)
        assert said["aoi_m2"] == pytest.approx(made.aoi_m2, abs=1e-3)
        assert "cells whose centre lies in it" in said["what_the_areas_mean"]
        assert made.notes == ()

    def test_without_one_nothing_is_said_of_it(self, site):
        made = mapped(site, "whole")
        assert made.aoi_m2 is None
        assert "aoi_m2" not in summary(made.folder)
        assert "area of interest" not in summary(made.folder)["what_the_areas_mean"]

    def test_pixels_without_data_are_no_ground_of_it(self, tmp_path, make_tif):
        mask = np.ones((16, 16), bool)
        mask[:, 8:10] = False
        site = make_tif(tmp_path / "site.tif", np.full((1, 16, 16), 140, np.uint8), mask=mask)
        made = mapped(site, "part", aoi=store(tmp_path / "aoi.gpkg", ground(1, 1, 3, 2)), min_valid=0.6)
        assert (made.image_m2, made.mapped_m2) == pytest.approx((1.5 * 0.04**2, 0.04**2))

    def test_the_picture_shows_it_alone(self, site, tmp_path):
        made = mapped(site, "part", aoi=store(tmp_path / "aoi.gpkg", ground(2, 2, 12, 7), ground(22, 12, 26, 22)))
        with Image.open(made.folder / "presence.png") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        wide = pixels.shape[1] - 32  # 24 fields
        assert (pixels[pixels.shape[0] // 2, 16 + wide // 4] == 255).all()  # between the two
        assert not (pixels[60 : pixels.shape[0] // 8, 40 : wide // 4] == 255).all(axis=2).any()

    def test_what_lies_off_the_image_is_said(self, site, tmp_path):
        wide = box(X - 10, Y - 0.4, X + 0.8, Y + 5)
        made = mapped(site, "part", aoi=store(tmp_path / "aoi.gpkg", wide))
        assert made.notes == ("58.0 of the 58.3 m2 of aoi.gpkg lie off the image",)
        assert made.mapped_m2 == pytest.approx(0.8 * 0.4)

    def test_a_polygon_that_crosses_itself_is_mended_and_that_is_said(self, site, tmp_path):
        left, right = X + 0.2, X + 0.6
        bow_tie = Polygon([(left, Y - 0.2), (right, Y - 0.6), (right, Y - 0.2), (left, Y - 0.6)])
        made = mapped(site, "part", aoi=store(tmp_path / "aoi.gpkg", ground(20, 20, 22, 22), bow_tie))
        (note,) = made.notes
        assert note == "1 polygon of aoi.gpkg is not valid (most cross themselves) and mended, the first of them in row 2"
        assert made.aoi_m2 == pytest.approx(0.08**2 + 0.4**2 / 2)

    def test_the_threshold_is_moved_by_tiles_of_it(self, tmp_path, make_tif):
        """Its fields part in two about 60, the rest of the site is all bright."""
        rng = np.random.default_rng(0)
        fields = rng.normal(200, 6, (30, 30))
        fields[:15, :15] = rng.permutation(np.concatenate([rng.normal(20, 6, 165), rng.normal(130, 6, 60)])).reshape(15, 15)
        site = make_tif(tmp_path / "site.tif", np.kron(fields.clip(1, 255), np.ones((4, 4))).astype(np.uint8)[None])
        made = mapped(site, "part", adapt="site", aoi=store(tmp_path / "aoi.gpkg", ground(0, 0, 15, 15)))
        (note,) = made.notes
        assert "64 tiles of it part in two" in note
        assert summary(made.folder)["moved_to_site"]["log_odds"] == pytest.approx(0.62, abs=0.2)
        made = mapped(site, "small", adapt="site", aoi=store(tmp_path / "small.gpkg", ground(0, 0, 7, 9)))
        assert made.notes == ("probabilities are not moved to the site: the area of interest has fewer than 64 tiles",)

    def test_provenance_names_the_files(self, site, tmp_path):
        aoi = store(tmp_path / "areas.gpkg", ground(2, 2, 12, 7))
        gpd.read_file(aoi).to_file(aoi, layer="other")
        made = mapped(site, "part", aoi=f"{aoi}|layername=other")
        record = json.loads((made.folder / "provenance.json").read_text())
        assert list(record["inputs"]) == [str(site), str(aoi)]
        assert record["parameters"]["aoi"] == f"{aoi}|layername=other"


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("shapes", "says"),
        [
            ([LineString([(X, Y), (X + 1, Y - 1)])], r"aoi\.gpkg holds LineStrings; an area of interest is made of polygons"),
            ([Point(X, Y)], r"aoi\.gpkg holds Points; an area of interest is made of polygons"),
            ([ground(0, 0, 3, 3), Point(X, Y)], r"aoi\.gpkg holds Points; an area of interest"),
            ([ground(100, 0, 101, 3)], r"site\.tif \(EPSG:32612\): they span x 500004\.0 to 500004\.0, y .* the image x"),
            ([ground(1.6, 2, 2.4, 9)], r"centre of no cell of .*site\.tif, which are of 0\.04 m; pass a larger area, or"),
            ([None], r"aoi\.gpkg holds no geometries"),
        ],
        ids=["lines", "points", "a point among polygons", "elsewhere", "narrow", "nothing"],
    )  # fmt: skip
    def test_files(self, site, tmp_path, shapes, says):
        aoi = store(tmp_path / "aoi.gpkg", *shapes)
        before = sorted(tmp_path.iterdir())
        with pytest.raises(InputError, match=says) as caught:
            mapped(site, "part", aoi=aoi)
        assert "\n" not in str(caught.value)
        assert sorted(tmp_path.iterdir()) == before

    def test_a_file_that_does_not_say_its_crs(self, site, tmp_path):
        aoi = store(tmp_path / "aoi.shp", ground(2, 2, 12, 7), crs=None)
        with pytest.raises(InputError, match=r"aoi\.shp does not say its CRS; pass `aoi_crs`"):
            mapped(site, "part", aoi=aoi)
        assert mapped(site, "part", aoi=aoi, aoi_crs="EPSG:32612").mapped_m2 == pytest.approx(50 * 0.04**2)

    def test_ground_without_data(self, tmp_path, make_tif):
        mask = np.ones((16, 16), bool)
        mask[:8] = False
        site = make_tif(tmp_path / "site.tif", np.full((1, 16, 16), 140, np.uint8), mask=mask)
        with pytest.raises(InputError, match=r"has no cell with data to map in .*aoi\.gpkg; look at its alpha"):
            mapped(site, "part", aoi=store(tmp_path / "aoi.gpkg", ground(0, 0, 4, 2)))
        assert not (tmp_path / "part").exists()

    @pytest.mark.parametrize("name", ["aoi_crs", "zones_crs", "zone_column"])
    def test_an_option_of_a_file_that_is_not_given(self, name):
        with pytest.raises(InputError, match=f"`{name}` says something of"):
            MapOptions(**{name: "EPSG:4326"})


class TestSurvey:
    @pytest.fixture
    def survey(self, chain, tmp_path, monkeypatch):
        """Two sites of the same pixels, a kilometre apart."""
        monkeypatch.chdir(tmp_path)
        with rasterio.open(chain.site) as file:
            profile, pixels = file.profile, file.read()
        for name, east in (("west", 0), ("east", 1000)):
            moved = profile | {"transform": profile["transform"].translation(east, 0) @ profile["transform"]}
            with rasterio.open(tmp_path / f"{name}.tif", "w", **moved) as file:
                file.write(pixels)
        sites = "".join(f'[[sites]]\nname = "{name}"\nimage = "{name}.tif"\n' for name in ("west", "east"))
        (tmp_path / "survey.toml").write_text(f'schema_version = 1\nname = "two"\n{sites}')
        left, bottom, right, top = rasterio.open("east.tif").bounds
        store(tmp_path / "east.gpkg", box(left, bottom, (left + right) / 2, top), name=["here"])
        store(tmp_path / "far.gpkg", box(left + 9, bottom, right + 9, top), name=["there"])
        return chain.model

    @pytest.mark.parametrize("option", ["--aoi", "--zones"])
    def test_sites_without_ground_of_it_are_skipped(self, survey, tmp_path, option):
        output = succeed("map", "--model", survey, option, "east.gpkg")
        assert output.startswith("note: west is not mapped: east.gpkg does not touch west.tif (EPSG:32612): they span x")
        assert [path.name for path in (tmp_path / "maps").iterdir()] == ["east"]

    def test_none_is_left(self, survey):
        line = refuse("map", "--model", survey, "--aoi", "far.gpkg")
        assert "no site is left to map: west is not mapped: far.gpkg does not touch west.tif" in line
        assert "east is not mapped" in line
