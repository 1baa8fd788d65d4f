import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from spurgekit.classify import TrainOptions, load_model, read_model_info, train_model
from spurgekit.classify.model_card import write_card
from spurgekit.classify.setup import set_up
from spurgekit.classify.tile_reader import batches, read_tile
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError, ModelError, OutputExistsError
from spurgekit.tiles import TileOptions, tile_images
from tests.chain import BACKBONE, CLASSES, TILE_PX, draw_site

OPTIONS = TrainOptions(backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX)


def pixels_of_test(chain):
    rows = open_dataset(chain.dataset).split("test")
    return rows, np.stack([read_tile(path) for path in rows["path"]])


@pytest.fixture
def copy(chain, tmp_path):
    """The dataset, to be spoiled."""
    return shutil.copytree(chain.dataset, tmp_path / "dataset")


def refused(dataset, tmp_path, error, match, options=OPTIONS):
    with pytest.raises(error, match=match) as caught:
        train_model(dataset, tmp_path / "model", options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob(".*"))


class TestModelFolder:
    def test_holds_no_pickle(self, chain):
        names = sorted(path.name for path in chain.model.iterdir())
        assert names == [
            "README.md",
            "SHA256SUMS",
            "config.json",
            "model.json",
            "model.safetensors",
            "model.stac.json",
            "provenance.json",
            "reliability.png",
            "test_predictions.csv",
            "training_features.safetensors",
        ]

    def test_description(self, chain):
        found = json.loads((chain.model / "model.json").read_text())
        dataset = open_dataset(chain.dataset).info
        assert found["backbone"] == BACKBONE
        assert found["classes"] == list(CLASSES)
        assert (found["image_size_px"], found["tile_size_px"], found["gsd_m"]) == (32, 32, pytest.approx(0.01))
        assert (found["arm"], found["unit_features"], found["views"]) == ("probe", True, 8)
        assert found["calibration"]["method"] == "temperature"
        assert found["training_counts"] == dataset.counts["train"]
        assert found["held_out"]["split"] == dataset.split.model_dump()
        assert np.sum(found["held_out"]["confusion_matrix"], axis=1).tolist() == list(dataset.counts["test"].values())

    def test_two_obvious_textures_are_told_apart(self, chain):
        assert read_model_info(chain.model).held_out.balanced_accuracy == 1

    def test_scores_agree_with_the_predictions_listed(self, chain):
        held_out = read_model_info(chain.model).held_out
        listed = pd.read_csv(chain.model / "test_predictions.csv")
        assert len(listed) == sum(open_dataset(chain.dataset).info.counts["test"].values())
        assert held_out.balanced_accuracy == balanced_accuracy_score(listed["class"], listed["predicted"])
        matrix = confusion_matrix(listed["class"], listed["predicted"], labels=list(CLASSES))
        assert held_out.confusion_matrix == tuple(map(tuple, matrix.tolist()))
        assert listed[["p(sand)", "p(weed)"]].sum(axis=1).to_numpy() == pytest.approx(1, abs=2e-5)

    def test_scores_of_a_model_that_errs(self, copy, tmp_path):
        # Labels of three test tiles of each class are swapped: no model can know.
        metadata = pd.read_csv(copy / "test" / "metadata.csv")
        wrong = [i for name in CLASSES for i in metadata.index[metadata["class"] == name][:3]]
        metadata.loc[wrong, "class"] = metadata.loc[wrong, "class"].map(dict(zip(CLASSES, CLASSES[::-1], strict=True)))
        metadata.loc[wrong, "label"] = 1 - metadata.loc[wrong, "label"]
        metadata.to_csv(copy / "test" / "metadata.csv", index=False)
        info = train_model(copy, tmp_path / "model", OPTIONS)
        sand, weed = (metadata["class"] == name for name in CLASSES)
        assert info.held_out.confusion_matrix == ((sand.sum() - 3, 3), (3, weed.sum() - 3))
        recognised = [1 - 3 / sand.sum(), 1 - 3 / weed.sum()]
        assert info.held_out.balanced_accuracy == pytest.approx(np.mean(recognised))

    def test_predictions_are_those_of_the_model_read_back(self, chain):
        rows, tiles = pixels_of_test(chain)
        listed = pd.read_csv(chain.model / "test_predictions.csv").set_index("tile_id")
        found = load_model(chain.model, "cpu", precision="auto").predict(tiles)
        assert found == pytest.approx(listed.loc[rows["tile_id"], ["p(sand)", "p(weed)"]].to_numpy(), abs=2e-5)

    def test_timm_alone_gives_the_same(self, chain):
        _, tiles = pixels_of_test(chain)
        info = json.loads((chain.model / "model.json").read_text())
        network = timm.create_model(info["backbone"], num_classes=len(info["classes"]), **info["backbone_options"]).eval()
        network.load_state_dict(load_file(chain.model / "model.safetensors"))
        mean, std = (np.array(info[name], np.float32)[:, None, None] for name in ("mean", "std"))
        x = torch.from_numpy((tiles / np.float32(255) - mean) / std)
        views = [view.rot90(quarters, dims=(2, 3)) for view in (x, x.flip(3)) for quarters in range(4)]
        with torch.inference_mode():
            features = [network.forward_head(network.forward_features(view), pre_logits=True) for view in views]
            logits = [network.get_classifier()(torch.nn.functional.normalize(one, dim=1)) for one in features]
        probabilities = (torch.stack(logits).mean(dim=0) / info["temperature"]).softmax(dim=1).numpy()
        assert probabilities == pytest.approx(load_model(chain.model, "cpu").predict(tiles), abs=1e-5)

    def test_once_more_gives_the_same_bytes(self, chain, tmp_path):
        train_model(chain.dataset, tmp_path / "again", OPTIONS)
        for name in ("model.safetensors", "model.json", "config.json", "model.stac.json", "test_predictions.csv", "README.md"):
            assert (tmp_path / "again" / name).read_bytes() == (chain.model / name).read_bytes(), name

    def test_provenance(self, chain):
        record = json.loads((chain.model / "provenance.json").read_text())
        assert record["parameters"]["backbone"] == BACKBONE
        assert record["parameters"]["seed"] == 0
        assert list(record["inputs"]) == [str(chain.dataset)]
        assert "torch" in record["versions"]

    def test_an_existing_one_is_kept(self, chain):
        before = (chain.model / "model.safetensors").read_bytes()
        with pytest.raises(OutputExistsError, match="exists already; pass `overwrite`"):
            train_model(chain.dataset, chain.model, OPTIONS)
        assert (chain.model / "model.safetensors").read_bytes() == before


class TestCards:
    def test_of_the_model(self, chain):
        card = (chain.model / "README.md").read_text()
        info = read_model_info(chain.model)
        assert card.startswith("---\n")
        assert f"The backbone is `{BACKBONE}` (weights random (seed 0))" in card
        assert "32 px = 0.32 m at 1.00 cm a pixel" in card
        (a, b), (c, d) = info.held_out.confusion_matrix
        assert f"Balanced accuracy 1.000 on {a + b + c + d} tiles, AUROC 1.000" in card
        assert f"| sand | {a} | {b} |\n| weed | {c} | {d} |" in card
        (balanced, *_) = results = ModelCard(card).data.eval_results
        assert (balanced.metric_type, balanced.metric_value) == ("balanced_accuracy", 1.0)
        assert {result.metric_type: result.metric_value for result in results[1:]} == info.held_out.metrics
        assert f"square blocks of {info.held_out.split.block_m:g} m are held out whole" in card

    def test_of_the_model_says_by_place_how_far_probabilities_are_off(self, chain, tmp_path):
        # At dune all ten are right at 0.9; at ridge, at 0.8, half of them.
        said = np.array(["weed"] * 20)
        tested = pd.DataFrame({"place": ["dune"] * 10 + ["ridge"] * 10, "class": said, "predicted": said})
        tested.loc[15:, "class"] = "sand"
        tested["p(weed)"] = np.repeat([0.9, 0.8], 10)
        tested["p(sand)"] = 1 - tested["p(weed)"]
        write_card(tmp_path, read_model_info(chain.model), tested, weights="none")
        card = (tmp_path / "README.md").read_text()
        assert "| place | tiles | sand recognised | weed recognised | calibration error |" in card
        assert "| dune | 10 | – | 10 of 10 | 0.100 |" in card
        assert "| ridge | 10 | 0 of 5 | 5 of 5 | 0.300 |" in card

    def test_of_the_dataset(self, chain):
        card = (chain.dataset / "README.md").read_text()
        counts = open_dataset(chain.dataset).info.counts
        for name in CLASSES:
            assert f"| {name} | {counts['train'][name]} | {counts['test'][name]} |" in card


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("unit", [False, True])
def test_the_probe_becomes_the_classifier_of_any_family(chain, name, unit):
    size = 64
    options = TrainOptions(backbone=name, pretrained=False, image_size_px=size)
    setup = set_up(options, open_dataset(chain.dataset).split("train"))
    x = torch.rand(2, 3, size, size)
    network = setup.network(3, unit_features=unit)
    with torch.inference_mode():
        features = setup.backbone(x)
        head = torch.nn.Linear(features.shape[1], 3)
        expected = head(torch.nn.functional.normalize(features, dim=1) if unit else features)
        network.classifier.load_state_dict(head.state_dict())
        assert network.eval()(x).numpy() == pytest.approx(expected.numpy(), abs=1e-5)


class TestDatasetsThatDoNotServe:
    def test_none(self, tmp_path):
        refused(tmp_path / "nowhere", tmp_path, InputError, "does not exist; make a dataset with 'spurgekit build-dataset'")

    def test_a_damaged_tile(self, copy, tmp_path):
        path = open_dataset(copy).split("train")["path"].iloc[5]
        path.write_bytes(path.read_bytes()[:400])
        refused(copy, tmp_path, InputError, rf"{path.name} cannot be decoded; it is damaged or was cut off")

    def test_an_empty_tile(self, copy, tmp_path):
        path = open_dataset(copy).split("train")["path"].iloc[5]
        path.write_bytes(b"")
        refused(copy, tmp_path, InputError, rf"{path.name} cannot be decoded")

    def test_a_missing_tile(self, copy, tmp_path):
        path = open_dataset(copy).split("test")["path"].iloc[0]
        path.unlink()
        refused(copy, tmp_path, InputError, rf"{path.name}: no such file; the dataset lists it")

    def test_a_tile_of_another_size(self, copy, tmp_path, make_tif):
        site = make_tif(tmp_path / "a.tif", draw_site()[:, :40, :40])
        tile_images([site], tmp_path / "other", TileOptions(size_px=40))
        path = open_dataset(copy).split("train")["path"].iloc[5]
        shutil.copyfile(tmp_path / "other" / "a_r00000_c00000.png", path)
        shutil.rmtree(tmp_path / "other")
        refused(copy, tmp_path, InputError, rf"{path.name} is 40 x 40 px, others 32 x 32")

    @pytest.mark.parametrize(
        ("bands", "dtype", "says"),
        [
            (5, np.float32, "has 5 bands of float32"),
            (1, np.uint8, "has 1 band of uint8"),
            (3, np.uint16, "has 3 bands of uint16"),
        ],
    )
    def test_tiles_of_other_bands(self, copy, tmp_path, make_tif, bands, dtype, says):
        image = make_tif(tmp_path / "a.tif", np.ones((bands, 32, 32), dtype))
        tile_images(image, tmp_path / "other", TileOptions(size_px=32))
        (tile,) = (tmp_path / "other").glob("a_r*")
        metadata = pd.read_csv(copy / "train" / "metadata.csv")
        metadata.loc[5, "file_name"] = path = f"0-sand/{tile.name}"
        metadata.to_csv(copy / "train" / "metadata.csv", index=False)
        shutil.copyfile(tile, copy / "train" / path)
        shutil.rmtree(tmp_path / "other")
        refused(copy, tmp_path, InputError, rf"{tile.name} {says}, others 3 of uint8 .*; tile all images with the same `bands`")

    @pytest.mark.parametrize("split", ["train", "test"])
    def test_a_split_without_a_class(self, copy, tmp_path, split):
        metadata = pd.read_csv(copy / split / "metadata.csv")
        metadata[metadata["class"] == "sand"].to_csv(copy / split / "metadata.csv", index=False)
        refused(copy, tmp_path, InputError, f"holds no tile of class 'weed' in its {split} split")

    @pytest.mark.parametrize(
        ("changed", "says"),
        [({"batch_size": 0}, "`batch_size=0` is too small"), ({"image_size_px": 8}, "`image_size_px=8` is")],
    )
    def test_options_that_cannot_be(self, changed, says):
        with pytest.raises(InputError, match=says):
            TrainOptions(**changed)

    def test_no_such_device(self, chain, tmp_path):
        options = TrainOptions(backbone=BACKBONE, pretrained=False, device="abacus")
        refused(chain.dataset, tmp_path, ModelError, "no device 'abacus' on this machine; pass `device=cpu`", options)


class TestModelsThatDoNotServe:
    @pytest.fixture
    def model(self, chain, tmp_path):
        return shutil.copytree(chain.model, tmp_path / "model")

    def refused(self, folder, match):
        with pytest.raises(ModelError, match=match) as caught:
            load_model(folder)
        assert "\n" not in str(caught.value)

    def test_none(self, tmp_path):
        self.refused(tmp_path / "nowhere", "nowhere does not exist; make a model with 'spurgekit train'")

    def test_another_folder(self, tmp_path):
        self.refused(tmp_path, "holds no model.json; make a model with 'spurgekit train'")

    def with_entries(self, model, **entries):
        described = json.loads((model / "model.json").read_text())
        (model / "model.json").write_text(json.dumps(described | entries))
        return model

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "it is not JSON"),
            ("{]", "it is not JSON"),
            ("[]", "it should be an object"),
            ("{}", "backbone is missing"),
            ("[" * 100_000, "it is not JSON"),
        ],
    )
    def test_a_damaged_description(self, model, text, says):
        (model / "model.json").write_text(text)
        self.refused(model, rf"model\.json: {says}.*; get the model folder again, or train the model again$")

    def test_a_description_that_is_not_text(self, model):
        (model / "model.json").write_bytes(b'{"backbone": "\xff"}')
        self.refused(model, r"model\.json is not text in UTF-8 \(byte 14\)")

    @pytest.mark.parametrize(
        ("entries", "says"),
        [
            ({"gsd_m": "far"}, "gsd_m is 'far': it should be a valid number"),
            ({"gsd_m": -1}, "gsd_m is -1: it should be greater than 0"),
            ({"gsd_m": math.nan}, "gsd_m is nan: it should be a finite number"),
            ({"temperature": -1}, "temperature is -1: it should be greater than 0"),
            ({"temperature": 0}, "temperature is 0: it should be greater than 0"),
            ({"schema_version": 99}, "schema_version is 99: it is of another spurgekit, and this one knows 1"),
            ({"classes": ["weed", "weed"]}, "the class 'weed' is named twice; name each once"),
            ({"classes": ["sand", "weed\n"]}, r"the class 'weed\\n' is no line of text"),
            ({"image_size_px": 10**9}, "image_size_px is 1000000000: it should be less than or equal to 16384"),
            ({"std": [0.1, 0.0, 0.1]}, r"std\.1 is 0\.0: it should be greater than 0"),
            ({"std": [0.1]}, "mean is of 3 bands, std of 1"),
            ({"training_counts": {"sand": 3, "weed": 0}}, "training_counts says of a class that it was not in training"),
            ({"training_counts": {"weed": 3, "sand": 3}}, "training_counts are not of the classes, in their order"),
            ({"backbone": "hf-hub:somebody/net"}, "backbone is 'hf-hub:somebody/net': it should match pattern"),
            ({"backbone_options": {"checkpoint_path": "x.pth"}}, "'checkpoint_path' is not passed on to timm"),
            ({"backbone_options": {"pretrained_cfg": {"file": "x"}}}, "'pretrained_cfg' is not passed on to timm"),
            ({"backbone_options": {"act_layer": "../x"}}, "act_layer='../x' cannot be: it should match pattern"),
            ({"backbone_options": {"patch_size": 10**6}}, "patch_size=1000000 cannot be"),
            ({"no_such_entry": 1}, "there is no entry no_such_entry"),
        ],
    )
    def test_an_entry_that_cannot_be(self, model, entries, says):
        self.refused(self.with_entries(model, **entries), rf"model\.json: .*{says}")

    def test_test_tiles_that_nobody_counted(self, model):
        held_out = json.loads((model / "model.json").read_text())["held_out"] | {"confusion_matrix": [[3, 1], [0, 0]]}
        refused = r"model\.json: held_out\.confusion_matrix has no tested tile of 'weed'"
        self.refused(self.with_entries(model, held_out=held_out), refused)

    def test_a_pickle_beside_the_model_is_not_opened(self, model, monkeypatch):
        monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
        (model / "x.pth").write_bytes(b"\x80\x04.")
        self.refused(self.with_entries(model, backbone_options={"checkpoint_path": str(model / "x.pth")}), "checkpoint_path")

    def test_an_unknown_backbone(self, model):
        self.refused(self.with_entries(model, backbone="spurgenet"), "timm has no backbone 'spurgenet'")

    def test_a_backbone_that_needs_more_memory_than_its_file_holds(self, model):
        huge = {"backbone": "vit_giant_patch14_dinov2", "image_size_px": 14_000}
        self.refused(self.with_entries(model, **huge), r"model\.safetensors does not fit model\.json: it lacks ")

    def test_weights_that_are_not_numbers(self, model):
        tensors = load_file(model / "model.safetensors")
        tensors["conv1.0.weight"][0, 0, 0, 0] = math.nan
        save_file(tensors, model / "model.safetensors")
        self.refused(model, r"model\.safetensors has weights that are not numbers, in 'conv1\.0\.weight'; get the file again")

    def test_missing_weights(self, model):
        (model / "model.safetensors").unlink()
        self.refused(model, r"model\.safetensors is missing or damaged; get the model folder again, or train the model again")

    def test_damaged_weights(self, model):
        (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:1000])
        self.refused(model, r"model\.safetensors is missing or damaged")

    def test_weights_of_another_number_of_classes(self, model):
        held_out = json.loads((model / "model.json").read_text())["held_out"] | {"confusion_matrix": [[1, 0, 0]] * 3}
        counts = {"a": 1, "b": 1, "c": 1}
        self.with_entries(model, classes=list(counts), training_counts=counts, held_out=held_out)
        self.refused(model, r"model\.safetensors does not fit model\.json: it has other shapes for fc\.weight, fc\.bias; ")


class TestReadingTiles:
    def test_a_geotiff_with_a_mask(self, tmp_path, make_tif):
        pixels = draw_site()[:, :TILE_PX, :TILE_PX]
        mask = np.arange(TILE_PX**2).reshape(TILE_PX, TILE_PX) % 3 > 0
        tile_images(
            [make_tif(tmp_path / "a.tif", pixels, mask=mask)], tmp_path / "t", TileOptions(size_px=TILE_PX, file_format="tif")
        )
        assert (read_tile(tmp_path / "t" / "a_r00000_c00000.tif") == np.where(mask, pixels, 0)).all()

    def test_bands_come_in_the_order_of_the_file(self, chain):
        (tile,) = chain.tiles.glob("*_r00000_c00000.png")
        assert (read_tile(tile) == draw_site()[:, :TILE_PX, :TILE_PX]).all()

    def test_batches_are_full_but_for_the_last(self, chain):
        paths = sorted(chain.tiles.glob("*_r*.png"))[:7]
        found = list(batches(paths, 3))
        assert [len(batch) for batch in found] == [3, 3, 1]
        assert (np.concatenate(found) == np.stack([read_tile(path) for path in paths])).all()
