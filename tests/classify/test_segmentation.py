"""The recipe ``segment``: from masks, how much of each position of a tile is covered."""

import json
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from shapely import box

from spurgekit.classify import OnnxOptions, TrainOptions, export_model, load_model, train_model
from spurgekit.classify.cover import calibrate_cover
from spurgekit.classify.dense import position_cover
from spurgekit.classify.position_head import PositionHead, fit_cover
from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.errors import InputError, ModelError
from spurgekit.evaluate import EvaluateOptions
from spurgekit.maps import MapOptions, map_site
from spurgekit.tiles import TileOptions, tile_images
from spurgekit.tiles.index import read_tiles
from tests.chain import BACKBONE

SIDE, TILES, CELL = 32, 12, 8  # a tile of 32 px is shown as 64 px: 4 x 4 positions of 8 px of the ground
OPTIONS = TrainOptions(arm="segment", target="cover", backbone=BACKBONE, pretrained=False, image_size_px=64, device="cpu")


@pytest.fixture(scope="module")
def meadow(tmp_path_factory, make_tif):
    """A meadow of 12 x 12 tiles: a rectangle of weed in the north-west of two thirds of them."""
    folder = tmp_path_factory.mktemp("segmentation")
    rng = np.random.default_rng(0)
    sides = rng.integers(1, SIDE + 1, (TILES, TILES, 2)) * (rng.random((TILES, TILES, 1)) > 0.33)
    weed = np.zeros((TILES * SIDE, TILES * SIDE), bool)
    for row, col in np.ndindex(TILES, TILES):
        high, wide = sides[row, col]
        weed[row * SIDE : row * SIDE + high, col * SIDE : col * SIDE + wide] = True
    pixels = np.where(weed, [[[200]], [[190]], [[40]]], [[[90]], [[110]], [[80]]]) + rng.normal(0, 12, (3, *weed.shape))
    site = make_tif(folder / "site.tif", pixels.clip(1, 255).astype(np.uint8))
    tile_images([site], folder / "tiles", TileOptions(size_px=SIDE))
    index = read_tiles(folder / "tiles")
    drawn = []
    for (west, _, _, north), row, col in zip(index.geometry.bounds.to_numpy(), index["row"], index["col"], strict=True):
        high, wide = sides[row, col] * 0.01
        drawn += [box(west, north - high, west + wide, north)] if high else []
    gpd.GeoDataFrame(geometry=drawn, crs=index.crs).to_file(folder / "weed.gpkg")
    build_dataset(
        folder / "tiles",
        folder / "dataset",
        DatasetOptions(labels=folder / "weed.gpkg", classes=("bare", "weed"), min_cover=0.1),
    )
    info = train_model(folder / "dataset", folder / "model", OPTIONS)
    return folder, weed, info


def cells_of(weed):
    rows, cols = (n // CELL for n in weed.shape)
    return weed.reshape(rows, CELL, cols, CELL).mean(axis=(1, 3))


class TestModel:
    def test_it_tells_how_much_of_a_tile_is_covered(self, meadow):
        folder, _, info = meadow
        assert (info.head, info.target, info.views) == ("segmentation", "cover", 8)
        assert info.held_out.metrics["cover_r2"] > 0.95
        assert abs(info.held_out.metrics["cover_bias"]) < 0.03
        said = json.loads((folder / "model" / "model.json").read_text())
        assert said["positions"] == {"features": 288, "stride_px": 16, "sharpness": None}

    def test_positions_are_calibrated_and_tiles_counted(self, meadow):
        folder, _, info = meadow
        data = open_dataset(folder / "dataset")
        assert info.calibration.tiles == sum(info.training_counts.values()) + len(data.unclear("train"))
        assert info.calibration.ece_after < 0.03

    def test_a_tile_is_the_mean_of_its_positions(self, meadow):
        folder, _, _ = meadow
        model = load_model(folder / "model", "cpu")
        tiles = np.stack([rasterio.open(path).read() for path in open_dataset(folder / "dataset").split("test")["path"][:5]])
        logits, _ = model.network.of_positions(model._preprocess(tiles), 8)
        cells = model.cell_probabilities(logits.mean(0).permute(0, 2, 3, 1).reshape(-1, 2).detach().numpy())[:, 1]
        assert model.predict(tiles)[:, 1] == pytest.approx(cells.reshape(5, 16).mean(axis=1), abs=1e-5)

    def test_predictions_are_those_of_the_model_read_back(self, meadow):
        folder, _, _ = meadow
        listed = pd.read_csv(folder / "model" / "test_predictions.csv")
        data = open_dataset(folder / "dataset")
        paths = dict(pd.concat([data.split("test"), data.unclear("test")])[["tile_id", "path"]].to_numpy())
        tiles = np.stack([rasterio.open(paths[tile]).read() for tile in listed["tile_id"]])
        for views, column in ((8, "p(weed)"), (1, "p1(weed)")):
            found = load_model(folder / "model", "cpu", views=views, precision="auto").predict(tiles)[:, 1]
            assert found == pytest.approx(listed[column].to_numpy(), abs=2e-5)

    def test_the_card_says_what_the_head_is(self, meadow):
        card = (meadow[0] / "model" / "README.md").read_text()
        assert "Its head is a segmentation head: it has linear logits of each of 4 x 4 positions" in card
        assert "Cover is calibrated by a slope and an offset" in card

    def test_once_more_gives_the_same_bytes(self, meadow, tmp_path):
        folder, _, _ = meadow
        train_model(folder / "dataset", tmp_path / "again", OPTIONS)
        for name in ("model.safetensors", "model.json", "test_predictions.csv"):
            assert (tmp_path / "again" / name).read_bytes() == (folder / "model" / name).read_bytes(), name

    @pytest.mark.parametrize("views", [1, 8])
    def test_as_onnx_with_cells(self, meadow, tmp_path, views):
        onnxruntime = pytest.importorskip("onnxruntime")
        folder, _, _ = meadow
        file = export_model(folder / "model", tmp_path / "model.onnx", OnnxOptions(views=views))
        session = onnxruntime.InferenceSession(file)
        model = load_model(folder / "model", "cpu", views=views)
        tiles = np.random.default_rng(0).integers(1, 255, (3, 3, 64, 64)).astype(np.uint8)
        probabilities, cells = session.run(["probabilities", "cells"], {"tiles": tiles.astype(np.float32)})
        assert probabilities == pytest.approx(model.predict(tiles), abs=1e-4)
        assert cells.shape == (3, 2, 4, 4)
        assert cells.mean(axis=(2, 3)) == pytest.approx(probabilities, abs=1e-4)
        said = session.get_modelmeta().custom_metadata_map
        assert (said["target"], said["cell_px"]) == ("cover", "16")


class TestMap:
    @pytest.fixture(scope="class")
    def mapped(self, meadow, tmp_path_factory):
        folder, weed, _ = meadow
        model = load_model(folder / "model", "cpu", views=1)
        return map_site(folder / "site.tif", model, tmp_path_factory.mktemp("map") / "map", MapOptions(resolution="fine")), weed

    def test_cells_say_how_much_of_them_is_covered(self, mapped):
        made, weed = mapped
        with rasterio.open(made.folder / "presence.tif") as file:
            assert file.descriptions == (
                "cover of weed (share)",
                "cover of weed in the tile around (share)",
                "dissimilarity from the training tiles",
            )
            cover, around, unlike = file.read()
        true = cells_of(weed)
        assert cover.shape == true.shape == (48, 48)
        assert np.corrcoef(cover.ravel(), true.ravel())[0, 1] > 0.9
        # The tile around a cell: half of the outer ones of five.
        side = np.array([0.5, 1, 1, 1, 0.5]) / 4
        assert around[10, 10] == pytest.approx(side @ cover[8:13, 8:13] @ side, abs=1e-5)
        assert np.isfinite(unlike).all()

    def test_areas_and_polygons(self, mapped):
        made, weed = mapped
        with rasterio.open(made.folder / "presence.tif") as file:
            cover, around, _ = file.read()
        true_m2 = weed.sum() * 1e-4
        assert made.cover["weed"].counted_m2 == pytest.approx(cover.sum() * 0.08**2, rel=1e-4)
        assert made.cover["weed"].counted_m2 == pytest.approx(true_m2, rel=0.1)
        assert made.cover["weed"].estimate_m2 == pytest.approx(true_m2, rel=0.1)
        assert made.occupied["weed"].counted_m2 == pytest.approx((around >= 0.1).sum() * 0.08**2, rel=1e-4)
        polygons = gpd.read_file(made.folder / "presence.gpkg", layer="presence")
        assert polygons["area_m2"].sum() == pytest.approx((cover >= 0.5).sum() * 0.08**2, rel=1e-4)
        assert polygons["mean_cover"].between(0.5, 1).all()

    def test_in_cells_of_tiles(self, meadow, tmp_path):
        folder, weed, _ = meadow
        made = map_site(folder / "site.tif", load_model(folder / "model", "cpu", views=1), tmp_path / "map")
        assert made.cover["weed"].counted_m2 == pytest.approx(weed.sum() * 1e-4, rel=0.1)


class TestCoverOfPositions:
    def test_by_area_where_positions_are_no_whole_pixels(self):
        mask = np.zeros((3, 3), np.uint8)
        mask[0] = 1
        # Positions of 1.5 px: of the upper ones a row of 1 px is covered.
        assert position_cover(mask, 2) == pytest.approx(np.array([[2 / 3, 2 / 3], [0, 0]]))

    def test_what_nobody_knows(self):
        mask = np.array([[1, 255, 255, 255], [0, 255, 255, 1]] * 2, np.uint8)
        # Half of the left positions is known, and half of that is covered; of the right ones a quarter is known.
        assert position_cover(mask, 2) == pytest.approx(np.array([[0.5, np.nan], [0.5, np.nan]]), nan_ok=True)

    def test_any_class_but_the_first_covers(self):
        assert position_cover(np.array([[0, 1], [2, 3]], np.uint8), 1) == pytest.approx(np.array([[0.75]]))


class TestHead:
    def test_the_share_of_positions_is_met(self):
        rng = np.random.default_rng(0)
        features = rng.normal(size=(50, 2, 16, 2)).astype(np.float32)
        cover = 1 / (1 + np.exp(1 - 2 * features[..., 0].astype(np.float64)))
        weight, bias = fit_cover(features, cover, c=1e6)
        assert weight[1] == pytest.approx([2, 0], abs=0.02)
        assert bias[1] == pytest.approx(-1, abs=0.02)

    def test_tiles_weigh_alike_however_much_of_them_is_known(self):
        cover = np.full((2, 1, 4), np.nan)
        cover[0] = 0.8
        cover[1, 0, 0] = 0.2
        _, bias = fit_cover(np.eye(4, dtype=np.float32)[None, None].repeat(2, axis=0), cover, c=1e-6)
        assert bias[1] == pytest.approx(0, abs=1e-4)  # a cover of a half, whatever the position

    def test_scale_and_shift_are_of_positions(self):
        head = PositionHead(1, 2, None)
        head.rescale((np.ones(2), np.array([0.0, 1.0])))
        logits = torch.zeros(1, 1, 2, 1, 2)
        logits[0, 0, 1, 0, 1] = 3
        share = 1 / (1 + np.exp(-np.array([1.0, 4.0])))
        assert head.pool(logits).softmax(dim=1)[0, 1].item() == pytest.approx(share.mean(), abs=1e-6)

    def test_calibration_counts_tiles_and_not_positions(self):
        # One position with a cover of 1 in each of two tiles, 50 without any in a third.
        logits, cover = np.zeros(52), np.array([1.0, 1.0] + [0.0] * 50)
        line, calibration = calibrate_cover(logits, cover, tiles=np.array([0, 1] + [2] * 50))
        assert calibration.tiles == 3
        assert line.offset > 0  # as of two in three


class TestWhatCannotBe:
    def test_other_targets_and_commands(self):
        with pytest.raises(InputError, match="the arm segment learns cover; pass `target=cover`, or another `arm`"):
            TrainOptions(arm="segment")
        with pytest.raises(InputError, match="the arm segment learns cover, and arms are compared by the classes of tiles"):
            EvaluateOptions(arms=("probe", "segment"))

    def test_a_dataset_without_masks(self, meadow, tmp_path):
        dataset = shutil.copytree(meadow[0] / "dataset", tmp_path / "dataset")
        said = json.loads((dataset / "dataset.json").read_text())
        (dataset / "dataset.json").write_text(json.dumps(said | {"masks": False}))
        with pytest.raises(InputError, match="label its tiles by polygons or a mask"):
            train_model(dataset, tmp_path / "model", OPTIONS)
        assert not (tmp_path / "model").exists()

    def test_a_mask_that_is_gone(self, meadow, tmp_path):
        dataset = shutil.copytree(meadow[0] / "dataset", tmp_path / "dataset")
        tile = open_dataset(dataset).split("train")["tile_id"].iloc[0]
        (dataset / "masks" / f"{tile}.png").unlink()
        with pytest.raises(InputError, match=f"has no mask of 1 tile whose cover is known, such as {tile}; build it again"):
            train_model(dataset, tmp_path / "model", OPTIONS)
        assert not (tmp_path / "model").exists()

    def test_a_damaged_mask(self, meadow, tmp_path):
        dataset = shutil.copytree(meadow[0] / "dataset", tmp_path / "dataset")
        tile = open_dataset(dataset).split("train")["tile_id"].iloc[0]
        mask = dataset / "masks" / f"{tile}.png"
        mask.write_bytes(mask.read_bytes()[:40])
        with pytest.raises(InputError, match=mask.name):
            train_model(dataset, tmp_path / "model", OPTIONS)
        assert not (tmp_path / "model").exists()

    def test_a_description_that_does_not_fit(self, meadow, tmp_path):
        folder = shutil.copytree(meadow[0] / "model", tmp_path / "model")
        said = json.loads((folder / "model.json").read_text())
        for changed, match in (
            ({"head": "multiple-instance"}, "a multiple-instance head has no sharpness"),
            ({"target": "presence"}, "a segmentation head is of cover"),
        ):
            (folder / "model.json").write_text(json.dumps(said | changed))
            with pytest.raises(ModelError, match=match):
                load_model(folder)
