import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from spurgekit.classify import load_model, read_model_info
from spurgekit.classify.model_info import Calibration
from tests.chain import BACKBONE, TILE_PX
from tests.command import refuse, succeed


def rewritten(chain, folder, **update):
    """The drawn site's model with another description."""
    shutil.copytree(chain.model, folder)
    info = read_model_info(folder).model_copy(update=update)
    (folder / "model.json").write_text(info.model_dump_json())
    return folder


class TestInfo:
    def test_in_words(self, chain):
        info = read_model_info(chain.model)
        lines = succeed("model", "info", chain.model).splitlines()
        said = {line[:11].strip(): line[12:] for line in lines[:8]}
        assert list(said) == ["model", "arm", "backbone", "classes", "tiles", "views", "calibration", "tested"]
        assert said["model"] == str(chain.model)
        assert said["arm"] == info.arm
        assert said["backbone"].startswith(f"{BACKBONE}, ")
        assert said["backbone"].endswith(f"shown {TILE_PX} x {TILE_PX} px")
        counts = info.training_counts
        assert said["classes"] == f"sand ({counts['sand']} to train), weed ({counts['weed']} to train)"
        assert said["tiles"] == "32 x 32 px, 0.32 m at 1.00 cm a pixel, 3 bands of uint8"
        assert f"square blocks of {info.held_out.split.block_m:g} m are held out whole" in said["tested"]

    def test_scores_and_confusion_matrix(self, chain, tmp_path):
        held_out = read_model_info(chain.model).held_out.model_copy(
            update={
                "balanced_accuracy": 0.875,
                "confusion_matrix": ((12, 4), (0, 1234)),
                "metrics": {"auroc": 0.9321, "f1": 0.8, "brier": 0.1, "ece": 0.0567},
            }
        )
        folder = rewritten(chain, tmp_path / "model", held_out=held_out)
        assert succeed("model", "info", folder).splitlines()[-4:] == [
            "held-out balanced accuracy 0.875, AUROC 0.932, F1 0.800, Brier score 0.100, calibration error (ECE) 0.057",
            "true \\ predicted     sand     weed",
            "sand                   12        4",
            "weed                    0     1234",
        ]

    def test_calibration_and_views(self, chain, tmp_path):
        found = Calibration(method="temperature", tiles=1200, groups=5, ece_before=0.08, ece_after=0.021)
        folder = rewritten(chain, tmp_path / "a", calibration=found, temperature=1.5, views=8)
        output = succeed("model", "info", folder)
        assert (
            "calibration temperature 1.50, fitted to 1,200 predictions in 5 groups; expected calibration error 0.080 -> 0.021\n"
            in output
        )
        assert "views       mean over the 8 ways to turn and mirror a tile\n" in output
        folder = rewritten(chain, tmp_path / "b", calibration=None, temperature=1.0, views=1)
        output = succeed("model", "info", folder)
        assert "calibration none: the probabilities are as the training left them\n" in output
        assert "views       one, as it lies\n" in output

    def test_nobody_knows_how_large_a_pixel_was(self, chain, tmp_path):
        folder = rewritten(chain, tmp_path / "model", gsd_m=None, backbone_options={"pad_type": "same"})
        output = succeed("model", "info", folder)
        assert "tiles       32 x 32 px, 3 bands of uint8\n" in output
        assert f"{BACKBONE}, pad_type='same', shown" in output

    def test_as_json(self, chain):
        assert json.loads(succeed("model", "info", "--json", chain.model)) == json.loads(
            (chain.model / "model.json").read_text()
        )

    def test_no_model(self, tmp_path):
        assert refuse("model", "info", tmp_path).endswith("holds no model.json; make a model with 'spurgekit train'")
        assert refuse("model", "info").startswith("spurgekit: models/probe does not exist")


class TestExport:
    def test_into_the_folder(self, chain, tmp_path):
        folder = Path(shutil.copytree(chain.model, tmp_path / "model"))
        assert succeed("model", "export", folder) == f"{folder}/model.onnx\n"
        tiles = np.random.default_rng(0).integers(1, 256, (4, 3, TILE_PX, TILE_PX)).astype(np.uint8)
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"tiles": tiles.astype(np.float32)})
        assert found == pytest.approx(load_model(folder, "cpu").predict(tiles), abs=1e-4)
        assert refuse("model", "export", folder).endswith(
            "model.onnx exists already; pass --overwrite to replace it, or another --out"
        )
        assert succeed("model", "export", folder, "--overwrite", "--out", "a/b.onnx") == "a/b.onnx\n"
        assert Path("a/b.onnx").read_bytes() == (folder / "model.onnx").read_bytes()

    def test_for_deepness(self, chain, tmp_path):
        folder = Path(shutil.copytree(chain.model, tmp_path / "model"))
        assert succeed("model", "export", folder, "--for", "deepness", "--views", 1) == f"{folder}/deepness.onnx\n"
        assert " *deepness.onnx\n" in (folder / "SHA256SUMS").read_text()
        session = onnxruntime.InferenceSession(str(folder / "deepness.onnx"), providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == ["n", 3, TILE_PX, TILE_PX]
        tiles = np.random.default_rng(0).integers(1, 256, (4, 3, TILE_PX, TILE_PX)).astype(np.uint8)
        (found,) = session.run(None, {"image": tiles.astype(np.float32) / 255})
        assert found[:, :, 0, 0] == pytest.approx(load_model(folder, "cpu", views=1).predict(tiles), abs=1e-4)
        assert refuse("model", "export", folder, "--for", "deepness").endswith(
            "deepness.onnx exists already; pass --overwrite to replace it, or another --out"
        )

    def test_what_these_programs_show_otherwise_is_said(self, chain, tmp_path):
        folder = rewritten(chain, tmp_path / "model", target="cover", min_cover=0.25)
        assert succeed("model", "export", folder, "--for", "deepness", "--views", 1).splitlines() == [
            "note: Deepness and GeoDeep draw weed where it covers more than half of a tile; in maps of spurgekit it is from "
            "0.25 of a tile on",
            f"{folder}/deepness.onnx",
        ]

    def test_what_cannot_be_exported(self, chain, tmp_path):
        blind = rewritten(chain, tmp_path / "blind", gsd_m=None)
        assert refuse("model", "export", blind, "--for", "deepness", "--out", "a.onnx") == (
            f"spurgekit: {blind} knows nothing of what a pixel measured on the ground in training, and Deepness and GeoDeep "
            "resample images to a model's resolution; build its dataset with --gsd, and train again"
        )
        wide = rewritten(chain, tmp_path / "wide", dtype="uint16")
        assert refuse("model", "export", wide, "--for", "deepness", "--out", "a.onnx") == (
            f"spurgekit: {wide} reads tiles of uint16, and Deepness and GeoDeep feed bytes alone (0 to 255); train a model on "
            "tiles of uint8, or export this one for another --for"
        )
        assert "'qgis' is not known; known are onnxruntime, deepness" in refuse("model", "export", chain.model, "--for", "qgis")
        assert "'3' is not one of '1', '4', '8'" in refuse("model", "export", chain.model, "--views", 3)
        assert refuse("model", "export", chain.model, "--out", "a.pt") == "spurgekit: a.pt: an ONNX file ends in .onnx"
        assert refuse("model", "export", chain.model, "--opset", 11, "--out", "a.onnx") == (
            f"spurgekit: {BACKBONE} cannot be written as ONNX (opset 11), but as opset 18; ask for that"
        )

    def test_no_model(self, tmp_path):
        assert "does not exist; make a model" in refuse("model", "export", tmp_path / "nowhere")
