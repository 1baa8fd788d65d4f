"""Walks over the map of a drawn site of 8 x 12 tiles of 0.32 m, by a model of it."""

import json
import re
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
from affine import Affine

from spurgekit import MapOptions, NextSurveyOptions, load_model, map_site, plan_survey
from spurgekit.imagery.site_picture import is_site_picture
from tests.chain import COLUMNS, ROWS, TILE_PX
from tests.command import refuse, succeed
from tests.conftest import CORNER

SIDE_M = TILE_PX / 100
WEST, NORTH = CORNER
EAST, SOUTH = WEST + COLUMNS * SIDE_M, NORTH - ROWS * SIDE_M


@pytest.fixture(scope="module")
def mapped(chain, tmp_path_factory):
    """Return the folder of a map; not to be changed."""
    folder = tmp_path_factory.mktemp("mapped") / "dune"
    map_site(chain.site, load_model(chain.model, "cpu", views=1), folder)
    return folder


@pytest.fixture
def here(mapped, tmp_path, monkeypatch):
    """The working folder, with a copy of the map in ``maps/dune``."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(mapped, "maps/dune")
    return tmp_path


def plan(**options):
    return plan_survey("maps/dune", "walk", NextSurveyOptions(**{"tiles": 5} | options))


def change_summary(**entries):
    path = Path("maps/dune/summary.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def change_map(**changes):
    """Write the map again, with other parts of its profile or other descriptions of its bands."""
    names = changes.pop("descriptions", None)
    with rasterio.open("maps/dune/presence.tif") as file:
        values, profile, said = file.read(), file.profile, file.descriptions
    with rasterio.open("maps/dune/presence.tif", "w", **profile | {"driver": "GTiff"} | changes) as file:
        file.write(values)
        file.descriptions = names or said


def test_a_map_of_several_images_leads_to_the_same_tiles(chain, mapped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    halves, model = [], load_model(chain.model, "cpu", views=1)
    with rasterio.open(chain.site) as file:
        pixels, profile, cut = file.read(), file.profile, 5 * TILE_PX
    for name, part, left in (("west", pixels[:, :, :cut], 0), ("east", pixels[:, :, cut:], cut)):
        at = profile["transform"] @ Affine.translation(left, 0)
        halves.append(Path(f"{name}.tif"))
        with rasterio.open(halves[-1], "w", **profile | {"width": part.shape[2], "transform": at}) as file:
            file.write(part)
    map_site(halves, model, "halves/dune", MapOptions(cell_m=SIDE_M))
    map_site(chain.site, model, "whole/dune", MapOptions(cell_m=SIDE_M))
    for name in ("halves", "whole"):
        plan_survey(f"{name}/dune", f"walk-{name}", NextSurveyOptions(tiles=5))
    assert Path("walk-halves/points.csv").read_text() == Path("walk-whole/points.csv").read_text()
    assert is_site_picture(Path("walk-halves/next-survey.png"))


@pytest.mark.usefixtures("here")
class TestFiles:
    def test_points_route_summary_and_picture(self):
        report = plan()
        points = gpd.read_file("walk/points.gpkg")
        assert points["stop"].tolist() == [1, 2, 3, 4, 5]
        assert points.crs.to_epsg() == 32612
        table = pd.read_csv("walk/points.csv")
        assert table.drop(columns=["label", "note"]).equals(
            pd.DataFrame(points.drop(columns=["geometry", "label", "note"])).astype(table.dtypes.drop(["label", "note"]))
        )
        assert table["label"].isna().all()
        # Each is in the middle of the cell that its id has the row and the column of.
        for row in points.itertuples():
            down, across = map(int, re.fullmatch(r"dune_r(\d{5})_c(\d{5})", row.tile).groups())
            assert row.geometry.x == pytest.approx(WEST + (across + 0.5) * SIDE_M)
            assert row.geometry.y == pytest.approx(NORTH - (down + 0.5) * SIDE_M)
        legs = np.hypot(np.diff(points.geometry.x), np.diff(points.geometry.y))
        assert report.walk_m == pytest.approx(legs.sum())
        route = gpd.read_file("walk/route.gpx", layer="routes")
        assert np.array(route.to_crs(32612).geometry[0].coords)[:, :2] == pytest.approx(points.get_coordinates(), abs=0.01)
        waypoints = gpd.read_file("walk/points.gpx", layer="waypoints")
        assert waypoints["name"].tolist() == list("12345")
        assert waypoints["desc"][0].startswith(points["tile"][0])
        said = json.loads(Path("walk/summary.json").read_text())
        assert (said["map"], said["stops"], said["crs"], said["support_m"]) == ("dune", 5, "EPSG:32612", SIDE_M)
        assert said["unlike"] == report.unlike == (points["novelty"] > said["unlike_from"]).sum()
        assert is_site_picture(Path("walk/next-survey.png"))
        record = json.loads(Path("walk/provenance.json").read_text())
        assert record["kind"] == "next survey"
        assert next(iter(record["inputs"])) == "maps/dune"
        assert sorted(report.files) == sorted(
            path.name for path in Path("walk").iterdir() if path.name not in ("provenance.json", "SHA256SUMS")
        )

    def test_what_is_said_of_a_tile_is_what_the_map_says_of_it(self):
        plan()
        with rasterio.open("maps/dune/presence.tif") as file:
            bands = dict(zip(file.descriptions, file.read(), strict=True))
        for row in pd.read_csv("walk/points.csv").itertuples():
            at = tuple(map(int, re.findall(r"\d{5}", row.tile)))
            said = {name: bands[f"probability of {name}"][at] for name in ("sand", "weed")}
            assert row.mapped == max(said, key=said.get)
            assert row.probability == pytest.approx(max(said.values()), abs=1e-3)
            assert row.uncertainty == pytest.approx(bands["uncertainty (entropy, 0 to 1)"][at], abs=1e-3)
            # The model looks again, at the same pixels.
            assert row.novelty == pytest.approx(bands["dissimilarity from the training tiles"][at], abs=2e-3)

    def test_the_same_map_gives_the_same_bytes(self):
        plan()
        plan_survey("maps/dune", "again", NextSurveyOptions(tiles=5))
        for path in Path("walk").iterdir():
            if path.name not in ("provenance.json", "SHA256SUMS"):
                assert path.read_bytes() == Path("again", path.name).read_bytes(), path.name

    def test_its_points_are_points_to_cut_tiles_at(self, chain):
        plan()
        table = pd.read_csv("walk/points.csv", dtype=str)
        table["label"] = ["weed", "sand", "weed", "sand", "sand"]
        table.to_csv("walk/points.csv", index=False)
        succeed("tile", chain.site, "--layout", "points", "--points", "walk/points.csv", "--size", TILE_PX)
        tiles = gpd.read_parquet("tiles/tiles.parquet")
        assert tiles["label"].tolist() == table["label"].tolist()
        assert tiles.area.tolist() == pytest.approx([SIDE_M**2] * 5)

    def test_one_tile_has_no_route(self):
        report = plan(tiles=1)
        assert report.walk_m == 0
        assert not Path("walk/route.gpx").exists()


@pytest.mark.usefixtures("here")
class TestWalk:
    def test_from_a_start_and_back(self):
        report = plan(start=(WEST, NORTH))
        route = gpd.read_file("walk/route.gpx", layer="routes").to_crs(32612).geometry[0]
        assert route.coords[0][:2] == route.coords[-1][:2] == pytest.approx((WEST, NORTH), abs=0.01)
        assert report.walk_m == pytest.approx(route.length, abs=0.05)
        assert json.loads(Path("walk/summary.json").read_text())["from_start_and_back"] is True

    def test_a_start_in_degrees_is_the_same(self):
        transformer = pyproj.Transformer.from_crs(32612, 4326, always_xy=True)
        there = plan(start=(WEST + 1, NORTH - 1)).walk_m
        degrees = NextSurveyOptions(tiles=5, start=transformer.transform(WEST + 1, NORTH - 1), start_crs="EPSG:4326")
        assert plan_survey("maps/dune", "degrees", degrees).walk_m == pytest.approx(there, abs=1e-4)

    def test_no_longer_than_it_may_be(self):
        report = plan(tiles=20, walk_m=3)
        assert 1 < report.tiles < 20
        assert report.walk_m <= 3
        assert report.notes == (f"`walk_m=3` reaches {report.tiles} of the 20 tiles that were asked for",)

    def test_tiles_of_a_map_with_a_stride_lie_apart(self, chain):
        map_site(chain.site, load_model(chain.model, "cpu", views=1), "maps/strided", MapOptions(stride_px=16))
        plan_survey("maps/strided", "strided", NextSurveyOptions(tiles=30))
        squares = gpd.read_file("strided/points.gpkg").buffer(SIDE_M / 2 - 1e-6, cap_style="square")
        assert squares.union_all().area == pytest.approx(30 * SIDE_M**2, rel=1e-3)

    def test_of_many_tiles_some_are_looked_at(self):
        report = plan(candidates=40)
        assert report.notes == ("40 of the 96 tiles of the map are looked at, drawn at random",)


class TestCommand:
    @pytest.mark.usefixtures("here")
    def test_what_it_says(self):
        said = succeed("next-survey", "maps/dune", "--tiles", 20, "--walk", 3).splitlines()
        assert re.fullmatch(r"note: --walk 3 reaches \d+ of the 20 tiles that were asked for", said[0]), said[0]
        assert re.fullmatch(r"\d+ tiles of 0.32 m to look at, [0-3] m to walk", said[1])
        assert said[-1] == (
            "fill in the column label of next-surveys/dune/points.csv, then cut these tiles with 'spurgekit tile --points'"
        )

    def test_no_map(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "nowhere is no folder; name a folder that 'spurgekit map' made" in refuse("next-survey", "nowhere")
        Path("empty").mkdir()
        assert "empty holds no presence.tif" in refuse("next-survey", "empty")

    @pytest.mark.usefixtures("here")
    def test_a_map_without_probabilities(self):
        change_map(descriptions=[f"band {n}" for n in range(4)])
        assert "presence.tif has no bands of probability; make the map again" in refuse("next-survey", "maps/dune")

    @pytest.mark.usefixtures("here")
    def test_a_map_of_cover(self):
        change_summary(cover={"weed": {}})
        assert "is a map of cover" in refuse("next-survey", "maps/dune")

    @pytest.mark.usefixtures("here")
    def test_a_map_without_a_place_on_earth(self):
        change_map(crs=None)
        assert "has no place on Earth to walk to; georeference its image" in refuse("next-survey", "maps/dune")

    @pytest.mark.usefixtures("here")
    def test_fewer_tiles_than_are_asked_for(self):
        said = refuse("next-survey", "maps/dune", "--tiles", 97)
        assert "maps/dune has 96 tiles of 0.32 m side by side, fewer than --tiles 97; pass fewer" in said

    @pytest.mark.usefixtures("here")
    def test_a_start_off_the_map(self):
        said = refuse("next-survey", "maps/dune", "--start", f"{EAST + 30},{SOUTH - 40}")
        assert "lies 50 m off maps/dune; pass a place on it" in said
        said = refuse("next-survey", "maps/dune", "--start=-111,45.7")
        assert "pass one on it, or --start-crs, the CRS that it is in" in said

    @pytest.mark.usefixtures("here")
    def test_options_that_cannot_be(self):
        for options, said in (
            (["--start", "here"], "'here' is no place; pass two coordinates"),
            (["--start", "inf,2"], "--start inf,2.0 is no place; pass x and y"),
            (["--start-crs", "EPSG:4326"], "--start-crs says something of --start, which is not given"),
            (["--walk", "0"], "--walk 0.0 cannot be; pass metres, or leave it out"),
            (["--tiles", "0"], "--tiles 0 is too few; pass 1 or more"),
            (["--tiles", "9", "--candidates", "8"], "--candidates 8 are fewer than the --tiles 9 to choose of them"),
        ):
            assert said in refuse("next-survey", "maps/dune", *options)

    @pytest.mark.usefixtures("here")
    def test_a_walk_that_reaches_nothing(self):
        said = refuse("next-survey", "maps/dune", "--start", f"{WEST},{NORTH}", "--walk", "0.1")
        assert "--walk 0.1 reaches no tile from the start and back; pass more" in said

    @pytest.mark.usefixtures("here")
    def test_a_model_that_is_gone_another_or_without_its_training_tiles(self, chain):
        record = json.loads(Path("maps/dune/provenance.json").read_text())
        model = next(name for name in record["inputs"] if name == str(chain.model))
        known = record["inputs"].pop(model)
        Path("maps/dune/provenance.json").write_text(json.dumps(record))
        assert "the model of maps/dune is not where it was when mapped" in refuse("next-survey", "maps/dune")
        shutil.copytree(chain.model, "model")
        assert "to look at" in succeed("next-survey", "maps/dune", "--model", "model", "--tiles", 2)
        said = Path("model/model.json").read_text()
        Path("model/model.json").write_text(said.replace('"weed"', '"herb"'))
        refused = refuse("next-survey", "maps/dune", "--model", "model", "--out", "b")
        assert "model is not the model of maps/dune: its classes are sand, herb; pass --model" in refused
        Path("model/model.json").write_text(said)
        Path("model/training_features.safetensors").unlink()
        refused = refuse("next-survey", "maps/dune", "--model", "model", "--out", "c")
        assert "model does not know its training tiles, so nothing tells what is new to it" in refused
        assert known

    @pytest.mark.usefixtures("here")
    def test_an_image_that_is_gone_or_another(self, chain, make_tif):
        record = json.loads(Path("maps/dune/provenance.json").read_text())
        record["inputs"] = {name: known for name, known in record["inputs"].items() if name != str(chain.site)}
        Path("maps/dune/provenance.json").write_text(json.dumps(record))
        said = refuse("next-survey", "maps/dune")
        assert "dune.tif is not where it was when mapped, and tiles are looked at on it; pass --image" in said
        said = succeed("next-survey", "maps/dune", "--image", chain.site, "--tiles", 2)
        assert said.startswith("note: dune.tif is not the file that was mapped, or was changed since")
        grey = make_tif(Path("grey.tif"), np.full((1, 256, 384), 90, np.uint8))
        assert "grey.tif has 1 band of uint8, the model reads 3 of uint8" in refuse(
            "next-survey", "maps/dune", "--image", grey, "--out", "other"
        )
        elsewhere = make_tif(
            Path("elsewhere.tif"), np.full((3, 64, 64), 90, np.uint8), transform=rasterio.Affine(0.01, 0, EAST, 0, -0.01, SOUTH)
        )
        assert "shows nothing of the map's tiles" in refuse("next-survey", "maps/dune", "--image", elsewhere, "--out", "other")
