import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from spurgekit.classify import OnnxOptions, TrainOptions, export_model, load_model, read_model_info, train_model
from spurgekit.classify.dense import _chosen, some_positions
from spurgekit.classify.position_head import Bags, Components, PositionHead, fit_positions
from spurgekit.classify.probe_samples import SupportSet
from spurgekit.classify.tile_reader import read_tile
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError, ModelError
from tests.chain import BACKBONE, CLASSES, TILE_PX

OPTIONS = TrainOptions(arm="mil", backbone=BACKBONE, pretrained=False, image_size_px=2 * TILE_PX)


@pytest.fixture(scope="module")
def trained(chain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mil") / "model"
    train_model(chain.dataset, folder, OPTIONS)
    return folder


def pixels_of_test(chain):
    return np.stack([read_tile(path) for path in open_dataset(chain.dataset).split("test")["path"]])


class TestModelFolder:
    def test_two_obvious_textures_are_told_apart(self, trained):
        assert read_model_info(trained).held_out.balanced_accuracy == 1

    def test_description(self, trained):
        found = json.loads((trained / "model.json").read_text())
        # test_resnet: 192 channels of 16 px and 96 of 32 px; a tile of 64 px has 4 x 4 positions.
        assert found["positions"] == {"features": 288, "stride_px": 16, "sharpness": 4.0}
        assert (found["arm"], found["head"], found["views"]) == ("mil", "multiple-instance", 8)
        assert found["calibration"]["method"] == "temperature"

    def test_predictions_are_those_of_the_model_read_back(self, chain, trained):
        listed = pd.read_csv(trained / "test_predictions.csv")
        found = load_model(trained, "cpu", precision="auto").predict(pixels_of_test(chain))
        assert found == pytest.approx(listed[["p(sand)", "p(weed)"]].to_numpy(), abs=2e-5)

    def test_a_tile_is_the_log_sum_exp_of_its_positions(self, chain, trained):
        model = load_model(trained, "cpu", views=1)
        tiles = pixels_of_test(chain)
        with torch.inference_mode():
            z = model.network.of_positions(model._preprocess(tiles), 1)[0][0].numpy()
        assert z.shape == (len(tiles), 2, 4, 4)
        assert (z[:, 0] == 0).all()
        pooled = np.log(np.exp(4 * z).mean(axis=(2, 3))) / 4
        counts = list(model.info.training_counts.values())
        pooled[:, 1] += np.log(counts[1] / counts[0])  # the classes weighed alike in training
        p = 1 / (1 + np.exp(-(pooled[:, 1] - pooled[:, 0]) / model.info.temperature))
        assert model.predict(tiles)[:, 1] == pytest.approx(p, abs=1e-5)

    def test_the_card_says_what_the_head_is(self, trained):
        card = (trained / "README.md").read_text()
        assert "linear logits of each of 4 x 4 positions (288 features of length 1)" in card
        assert "spurgekit map --resolution fine" in card
        assert "timm.create_model" not in card

    def test_once_more_gives_the_same_bytes(self, chain, trained, tmp_path):
        train_model(chain.dataset, tmp_path / "again", OPTIONS)
        for name in ("model.safetensors", "model.json", "test_predictions.csv"):
            assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes(), name

    def test_as_onnx(self, trained, tmp_path):
        file = export_model(trained, tmp_path / "model.onnx", OnnxOptions(views=1))
        assert file.is_file()  # export compares the probabilities itself

    def test_vector_scaling_scales_what_is_pooled(self, chain, trained):
        model = load_model(trained, "cpu", views=1)
        tiles = pixels_of_test(chain)
        images = model._preprocess(tiles)
        with torch.inference_mode():
            before = model.network(images).numpy()
            model.network.rescale((np.array([1.0, 2.0]), np.array([0.5, -0.25])))
            after = model.network(images).numpy()
        assert after == pytest.approx(before * [1, 2] + [0.5, -0.25], abs=1e-5)


class TestWhatCannotBe:
    def refused(self, chain, tmp_path, error, match, **changed):
        with pytest.raises(error, match=match) as caught:
            train_model(chain.dataset, tmp_path / "model", TrainOptions(**{"arm": "mil", "pretrained": False, **changed}))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "model").exists()

    def test_one_tile_of_a_class(self, chain, tmp_path):
        match = "the arm mil needs 2 tiles of each class to learn where in a tile it is; label more, or train a probe"
        self.refused(chain, tmp_path, InputError, match, backbone=BACKBONE, image_size_px=64, shots=1)

    def test_one_position(self, chain, tmp_path):
        match = "a tile is one position of the backbone, which tells of no places within it; raise `image_size_px`"
        patch = {"patch_size": 32}
        self.refused(
            chain, tmp_path, InputError, match, backbone="vit_tiny_patch16_224", image_size_px=32, backbone_options=patch
        )

    def test_a_backbone_without_feature_maps(self, chain, tmp_path):
        match = "a CrossVit gives no feature maps: nothing can be told of places within a tile; pass another `backbone`"
        self.refused(chain, tmp_path, ModelError, match, backbone="crossvit_tiny_240")

    def test_a_description_that_does_not_fit(self, trained, tmp_path):
        folder = shutil.copytree(trained, tmp_path / "model")
        text = (folder / "model.json").read_text()
        (folder / "model.json").write_text(text.replace('"features": 288', '"features": 700'))
        with pytest.raises(ModelError, match=r"model.safetensors does not fit model.json: it has other shapes for head.linear"):
            load_model(folder)
        (folder / "model.json").write_text(text.replace('"multiple-instance"', '"linear"'))
        with pytest.raises(ModelError, match="a linear head has positions"):
            load_model(folder)


class TestWhatIsLookedAt:
    def test_positions_for_components_are_spread_over_each_tile(self):
        # Three tiles of two features and five positions: 100 tile + 10 feature + position.
        tile, feature, position = np.ogrid[:3, :2, :5]
        features = (100 * tile + 10 * feature + position).astype(np.float32)
        assert some_positions(features, 2).tolist() == [[0, 10], [4, 14], [100, 110], [104, 114], [200, 210], [204, 214]]
        assert len(some_positions(features, 9)) == 3 * 5

    def test_of_many_tiles_fewer_turns_and_then_fewer_tiles(self, monkeypatch):
        rows = pd.DataFrame({"tile_id": [f"t{i}" for i in range(10)], "target": [0] * 7 + [1] * 3})
        support = SupportSet(rows, 2)
        monkeypatch.setattr("spurgekit.classify.dense.MOST_POSITIONS", 4 * 90)
        assert _chosen(support, 4)[1:] == (8, ())
        assert _chosen(support, 16)[1:] == (2, ())
        tiles, views, notes = _chosen(support, 60)
        assert (views, notes) == (1, ("the head learned from 6 of 10 tiles, drawn evenly from the classes",))
        assert tiles["target"].tolist() == [0] * 3 + [1] * 3


class TestHead:
    def test_a_bag_is_told_by_one_of_its_positions(self):
        """Bags of noise; in half of them one position of nine has the first feature."""
        rng = np.random.default_rng(0)
        positions = rng.normal(0, 0.1, (40, 9, 3)).astype(np.float32)
        targets = np.repeat([0, 1], 20)
        where = rng.integers(0, 9, 20)
        positions[20 + np.arange(20), where, 0] += 1
        weight, bias = fit_positions(Bags(positions, targets, np.ones(40)), 2)
        assert (weight[0] == 0).all() and bias[0] == 0
        found = positions[20:] @ weight[1] + bias[1]
        assert (found.argmax(axis=1) == where).all()
        assert ((found > 0).sum(axis=1) == 1).all()  # and it alone is above a half

    def test_each_class_weighs_as_much_as_the_others(self):
        rng = np.random.default_rng(1)
        positions = rng.normal(0, 1, (12, 4, 2)).astype(np.float32)
        targets = np.array([0, 1, 2] * 4)
        once = fit_positions(Bags(positions, targets, np.ones(12)), 3)
        of_first = np.where(targets == 0, 5.0, 1.0)
        for one, other in zip(once, fit_positions(Bags(positions, targets, of_first), 3), strict=True):
            assert other == pytest.approx(one, abs=1e-3)

    def test_components_fold_into_the_weights(self):
        rng = np.random.default_rng(2)
        features = rng.normal(size=(50, 6)).astype(np.float32)
        components = Components.of(features)
        assert components.basis.T @ components.basis == pytest.approx(np.eye(6), abs=1e-5)
        weight, bias = rng.normal(size=(3, 6)), rng.normal(size=3)
        head = PositionHead(6, 3)
        head.put(components, weight, bias)
        expected = components.reduce(features) @ weight.T + bias
        found = head(torch.from_numpy(features.T[None, :, :, None])).detach().numpy()[0, :, :, 0].T
        assert found == pytest.approx(expected, abs=1e-4)


def test_classes_are_what_the_chain_drew(trained):
    assert read_model_info(trained).classes == CLASSES
