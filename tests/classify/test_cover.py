"""Cover as the target: which share of a tile is under the plant."""

import json
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from scipy.special import expit
from shapely import box

from spurgekit.classify import TrainOptions, load_model, train_model
from spurgekit.classify.calibration import PENALTY
from spurgekit.classify.cover import calibrate_cover, cover_error, cover_scores
from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.errors import InputError
from spurgekit.maps import MapOptions, map_site
from spurgekit.tiles import TileOptions, tile_images
from spurgekit.tiles.index import read_tiles

SIDE, TILES = 20, 14
SMALL = {"backbone": "resnet10t", "pretrained": False, "image_size_px": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def meadow(tmp_path_factory, make_tif):
    """A meadow of 14 x 14 tiles: of each a share is weed, drawn from its west, none of a third of them."""
    folder = tmp_path_factory.mktemp("cover")
    rng = np.random.default_rng(0)
    shares = np.round(rng.uniform(0, 1, (TILES, TILES)) ** 2 * SIDE) / SIDE * (rng.random((TILES, TILES)) > 0.33)
    weed = np.zeros((TILES * SIDE, TILES * SIDE), bool)
    for (row, col), share in np.ndenumerate(shares):
        weed[row * SIDE : (row + 1) * SIDE, col * SIDE : col * SIDE + round(share * SIDE)] = True
    pixels = np.where(weed, [[[200]], [[190]], [[40]]], [[[90]], [[110]], [[80]]]) + rng.normal(0, 12, (3, *weed.shape))
    site = make_tif(folder / "site.tif", pixels.clip(1, 255).astype(np.uint8))
    tile_images([site], folder / "tiles", TileOptions(size_px=SIDE))
    index = read_tiles(folder / "tiles")
    bounds = index.geometry.bounds.to_numpy()
    of_tile = [shares[row, col] for row, col in zip(index["row"], index["col"], strict=True)]
    drawn = [box(w, s, w + share * (e - w), n) for (w, s, e, n), share in zip(bounds, of_tile, strict=True) if share]
    gpd.GeoDataFrame(geometry=drawn, crs=index.crs).to_file(folder / "weed.gpkg")
    options = DatasetOptions(labels=folder / "weed.gpkg", classes=("bare", "weed"), min_cover=0.1)
    build_dataset(folder / "tiles", folder / "dataset", options)
    info = train_model(folder / "dataset", folder / "model", TrainOptions(target="cover", **SMALL))
    return folder, weed, info


class TestModel:
    def test_it_tells_how_much_of_a_tile_is_covered(self, meadow):
        folder, _, info = meadow
        assert (info.target, info.min_cover) == ("cover", 0.1)
        assert info.held_out.metrics["cover_r2"] > 0.8
        assert abs(info.held_out.metrics["cover_bias"]) < 0.05
        said = pd.read_csv(folder / "model" / "test_predictions.csv")
        away = said["p(weed)"] - said["cover"]
        assert info.held_out.metrics["cover_mae"] == pytest.approx(away.abs().mean(), abs=1e-4)
        assert set(said["class"].fillna("")) == {"bare", "weed", ""}  # unclear tiles are tested, too
        assert (said["predicted"] == np.where(said["p(weed)"] >= 0.1, "weed", "bare")).mean() > 0.99

    def test_it_learns_from_unclear_tiles_as_well(self, meadow):
        folder, _, info = meadow
        data = open_dataset(folder / "dataset")
        assert info.calibration.tiles == sum(info.training_counts.values()) + len(data.unclear("train"))
        assert len(data.unclear("train"))

    def test_the_card_says_it(self, meadow):
        folder, _, info = meadow
        card = (folder / "model" / "README.md").read_text()
        assert f"mean absolute error of {info.held_out.metrics['cover_mae']:.3f}" in card
        assert "from a cover of 10 % on" in card
        assert "Probabilities" not in card

    def test_few_shots(self, meadow, tmp_path):
        folder, _, _ = meadow
        info = train_model(folder / "dataset", tmp_path / "few", TrainOptions(target="cover", shots=8, **SMALL))
        assert info.training_counts == {"bare": 8, "weed": 8}
        assert info.held_out.metrics["auroc"] > 0.9


class TestTilesOfUnknownCover:
    def test_they_are_left_out_with_a_count(self, meadow, tmp_path):
        """As where a review contradicts what polygons say: two tiles to train on and two to test on."""
        dataset = shutil.copytree(meadow[0] / "dataset", tmp_path / "dataset")
        for side in ("train", "test"):
            rows = pd.read_csv(dataset / side / "metadata.csv")
            rows.loc[:1, "cover"] = np.nan
            rows.to_csv(dataset / side / "metadata.csv", index=False)
        info = train_model(dataset, tmp_path / "model", TrainOptions(target="cover", **SMALL))
        data = open_dataset(dataset)
        learned, unclear = sum(info.training_counts.values()), len(data.unclear("train"))
        first = data.split("train")["tile_id"].iloc[0]
        left_out = f"2 of {learned + unclear:,} tiles are left out of the training: their cover is not known ({first})"
        assert left_out in info.notes
        assert info.calibration.tiles == learned + unclear - 2
        assert info.held_out.metrics["cover_r2"] > 0.8
        assert (tmp_path / "model" / "reliability.png").is_file()


class TestMap:
    @pytest.fixture(scope="class")
    def mapped(self, meadow, tmp_path_factory):
        folder, weed, _ = meadow
        out = tmp_path_factory.mktemp("map") / "map"
        return map_site(folder / "site.tif", folder / "model", out, MapOptions(stride_px=10)), weed

    def test_a_band_of_cover_and_its_integral(self, mapped):
        made, weed = mapped
        with rasterio.open(made.folder / "presence.tif") as file:
            assert file.descriptions == ("cover of weed (share)", "dissimilarity from the training tiles")
            cover = file.read(1)
        assert made.cover["weed"].counted_m2 == pytest.approx(cover.sum() * 0.1**2, rel=1e-4)
        assert made.cover["weed"].estimate_m2 == pytest.approx(weed.sum() * 1e-4, rel=0.1)
        assert made.cover["weed"].low_m2 < made.cover["weed"].estimate_m2 < made.cover["weed"].high_m2

    def test_occupied_area_goes_by_the_rule_of_the_labels(self, mapped):
        made, _ = mapped
        with rasterio.open(made.folder / "presence.tif") as file:
            weedy = file.read(1) >= 0.1
        assert made.occupied["weed"].counted_m2 == pytest.approx(weedy.sum() * 0.1**2, rel=1e-4)

    def test_summary_and_polygons(self, mapped):
        made, _ = mapped
        summary = json.loads((made.folder / "summary.json").read_text())
        assert summary["cover"]["weed"]["estimate_m2"] == pytest.approx(made.cover["weed"].estimate_m2, abs=1e-3)
        polygons = gpd.read_file(made.folder / "presence.gpkg", layer="presence")
        assert polygons["mean_cover"].between(0.1, 1).all()

    def test_zones_tell_theirs(self, meadow, mapped, tmp_path):
        folder, whole = meadow[0], mapped[0]
        with rasterio.open(folder / "site.tif") as file:
            west, south, east, north = file.bounds
        halves = [box(west, south, (west + east) / 2, north), box((west + east) / 2, south, east, north)]
        gpd.GeoDataFrame({"zone": ["west", "east"]}, geometry=halves, crs="EPSG:32612").to_file(tmp_path / "zones.gpkg")
        options = MapOptions(stride_px=10, zones=tmp_path / "zones.gpkg")
        made = map_site(folder / "site.tif", folder / "model", tmp_path / "map", options)
        cover = [zone.cover["weed"] for zone in made.zones.values()]
        assert sum(area.counted_m2 for area in cover) == pytest.approx(whole.cover["weed"].counted_m2)
        assert sum(area.high_m2 - area.low_m2 for area in cover) > whole.cover["weed"].high_m2 - whole.cover["weed"].low_m2
        table = gpd.read_file(made.folder / "presence.gpkg", layer="zones")
        assert table["cover_estimate_m2 of weed"].tolist() == [area.estimate_m2 for area in cover]

    def test_no_prevalence_changes_cover(self, meadow):
        folder, _, _ = meadow
        with pytest.raises(InputError, match="says how much of a tile is covered, which no `prevalence` changes"):
            load_model(folder / "model", prevalence="0.1")


class TestCalibration:
    def test_slope_and_offset_are_found(self):
        rng = np.random.default_rng(0)
        logits = rng.normal(0, 2, 4000)
        cover = np.clip(expit(0.5 * logits - 1) + rng.normal(0, 0.05, 4000), 0, 1)
        line, calibration = calibrate_cover(logits, cover)
        assert (line.slope, line.offset) == (pytest.approx(0.5, abs=0.05), pytest.approx(-1, abs=0.1))
        assert calibration.ece_before > 0.1
        assert calibration.ece_after < 0.02

    def test_few_tiles_leave_logits_nearly_as_they_are(self):
        line, _ = calibrate_cover(np.array([0.2, -0.3]), np.array([0.9, 0.1]))
        assert PENALTY == 1
        assert abs(line.slope - 1) < 0.3
        assert abs(line.offset) < 0.3

    def test_the_mean_cover_is_met(self):
        rng = np.random.default_rng(1)
        logits, cover = rng.normal(1, 1, 500), rng.beta(1, 6, 500)
        line, _ = calibrate_cover(logits, cover)
        assert line(logits).mean() == pytest.approx(cover.mean(), abs=0.01)

    def test_scores_by_hand(self):
        scores = cover_scores(np.array([0.5, 0.1]), np.array([0.3, 0.1]))
        assert scores == pytest.approx({"cover_mae": 0.1, "cover_rmse": 0.02**0.5, "cover_bias": 0.1, "cover_r2": -1.0})
        assert cover_error(np.array([0.5, 0.1]), np.array([0.3, 0.1])) == pytest.approx(0.1)


class TestWhatDoesNotGoTogether:
    def test_labels_that_say_nothing_of_cover(self, chain, tmp_path):
        dataset = shutil.copytree(chain.dataset, tmp_path / "dataset")
        said = json.loads((dataset / "dataset.json").read_text())
        (dataset / "dataset.json").write_text(json.dumps(said | {"min_cover": None}))
        with pytest.raises(InputError, match="does not know how much of a tile is covered; label its tiles by polygons"):
            train_model(dataset, tmp_path / "model", TrainOptions(target="cover", **SMALL))
        assert not (tmp_path / "model").exists()

    @pytest.mark.parametrize("arm", ["lora", "probe+synthetic", "probe+retrieval", "mil"])
    def test_arms_that_do_not_learn_it(self, arm):
        with pytest.raises(InputError, match=f"the arm {arm.replace('+', '.')} does not learn cover"):
            TrainOptions(arm=arm, target="cover")
