"""timm makes our models on its own, from their folders."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from spurgekit.classify import TrainOptions, load_model, read_model_info, train_model
from spurgekit.classify.classifier import save_model
from spurgekit.classify.model_card import write_card
from spurgekit.classify.model_info import ModelInfo
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.classify.timm_config import timm_config
from spurgekit.dataset import open_dataset
from tests.chain import BACKBONE, TILE_PX

BATCH = 3


@pytest.fixture
def saved(chain, tmp_path):
    """Save an untrained network as a model folder, and return the folder and the network."""

    def save(backbone, size_px, bands=3, **update):
        found = read_model_info(chain.model).model_dump()
        found |= {"backbone": backbone, "image_size_px": size_px, "mean": (0.4,) * bands, "std": (0.2,) * bands, **update}
        info = ModelInfo(**found)
        options = info.backbone_options
        network = make_backbone(backbone, options=options, image_size_px=size_px, num_classes=2, bands=bands, seed=1)
        folder = tmp_path / "model"
        folder.mkdir()
        save_model(folder, info, network)
        return folder, network

    return save


class TestLocalDir:
    @pytest.mark.parametrize(
        ("backbone", "size_px", "bands", "options"),
        [
            ("resnet10t", 32, 3, {}),
            ("resnet10t", 32, 5, {}),
            ("tf_efficientnet_lite0", 64, 1, {"drop_rate": 0.2}),
            ("vit_tiny_patch16_224", 48, 3, {}),
            ("vit_tiny_patch16_224", 48, 4, {"dynamic_img_size": True, "global_pool": "avg"}),
            ("vit_small_patch14_reg4_dinov2.lvd142m", 56, 3, {}),
            ("swin_tiny_patch4_window7_224", 64, 3, {}),
            ("repvit_m0_9", 64, 3, {}),  # takes a size of images, and does not say so
        ],
    )
    def test_logits_are_ours(self, saved, backbone, size_px, bands, options):
        folder, network = saved(backbone, size_px, bands, backbone_options=options, unit_features=False)
        made = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        images = torch.randn((BATCH, bands, size_px, size_px), generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            assert torch.allclose(made(images), network(images), atol=0, rtol=0)
        assert made.pretrained_cfg["label_names"] == ["sand", "weed"]
        assert made.pretrained_cfg["mean"] == [0.4] * bands

    def test_tiles_go_in_as_timm_reads_pictures(self, chain):
        made = timm.create_model(f"local-dir:{chain.model}", pretrained=True).eval()
        config = resolve_model_data_config(made)
        assert config["input_size"] == (3, TILE_PX, TILE_PX)
        path = open_dataset(chain.dataset).split("test")["path"].iloc[0]
        with Image.open(path) as picture:
            seen = create_transform(**config, is_training=False)(picture.convert("RGB"))
            pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)[None]
        ours = load_model(chain.model, "cpu")._preprocess(np.ascontiguousarray(pixels))
        assert torch.allclose(seen[None], ours, atol=1e-5)

    def test_another_number_of_classes_takes_the_backbone_alone(self, chain):
        made = timm.create_model(f"local-dir:{chain.model}", pretrained=True, num_classes=7)
        ours = load_model(chain.model, "cpu").network.model.state_dict()
        assert torch.equal(made.state_dict()["conv1.0.weight"], ours["conv1.0.weight"])
        assert made.get_classifier().out_features == 7

    def test_a_process_that_knows_timm_alone(self, chain):
        code = (
            "import sys, timm\n"
            f"model = timm.create_model('local-dir:{chain.model}', pretrained=True)\n"
            "print(type(model).__name__, model.num_classes, 'spurgekit' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout == "ResNet 2 False\n"

    def test_it_is_a_backbone_to_train_on(self, chain, tmp_path):
        options = TrainOptions(weights=chain.model, image_size_px=TILE_PX, arm="plain")
        info = train_model(chain.dataset, tmp_path / "plain", options)
        assert info.backbone == BACKBONE
        made = timm.create_model(f"local-dir:{tmp_path / 'plain'}", pretrained=True).eval()
        tiles = np.random.default_rng(0).integers(1, 256, (BATCH, 3, TILE_PX, TILE_PX)).astype(np.uint8)
        model = load_model(tmp_path / "plain", "cpu")
        assert not info.unit_features
        with torch.inference_mode():
            images = model._preprocess(tiles)
            assert torch.allclose(made(images), model.network(images), atol=1e-6)


class TestCode:
    """What the card shows is run as it stands there."""

    @pytest.mark.parametrize(
        "update",
        [{}, {"unit_features": False}, {"dtype": "uint16", "mean": (900.0,) * 3, "std": (300.0,) * 3}, {"temperature": 2.5}],
    )
    def test_of_the_card_gives_our_probabilities(self, chain, tmp_path, update):
        folder = tmp_path / "model"
        shutil.copytree(chain.model, folder)
        info = read_model_info(folder).model_copy(update={**update, "views": 1})
        save_model(folder, info, load_model(folder, "cpu").network.model)
        said = load_model(folder, "cpu")
        write_card(folder, info, said_of_nothing(info), weights="none")
        (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
        assert "hf-hub:OWNER/NAME" in code
        tiles = np.random.default_rng(0).integers(1, 256, (BATCH, 3, TILE_PX, TILE_PX)).astype(info.dtype)
        scope = {"tiles": torch.from_numpy(tiles.astype(np.float32))}
        exec(code.replace("hf-hub:OWNER/NAME", f"local-dir:{folder}"), scope)
        assert scope["probabilities"].detach().numpy() == pytest.approx(said.predict(tiles), abs=1e-5)

    def test_what_timm_leaves_out_is_said(self, chain):
        (one, two, three) = json.loads((chain.model / "config.json").read_text())["pretrained_cfg"]["notes"]
        assert "features of length 1" in one
        assert "mean of logits over the 8 ways" in two
        assert three.startswith("Probabilities are the softmax of logits / ")
        made = timm.create_model(f"local-dir:{chain.model}", pretrained=True).eval()
        images = torch.randn((BATCH, 3, TILE_PX, TILE_PX), generator=torch.Generator().manual_seed(0))
        ours = load_model(chain.model, "cpu").network
        with torch.inference_mode():
            assert not torch.allclose(made(images), ours(images), atol=1e-2)  # as the first of them says


class TestPositions:
    def test_timm_has_no_such_head(self, chain, tmp_path):
        options = TrainOptions(arm="mil", backbone=BACKBONE, pretrained=False, image_size_px=64)
        info = train_model(chain.dataset, tmp_path / "mil", options)
        assert timm_config(info) is None
        assert not (tmp_path / "mil" / "config.json").exists()
        card = (tmp_path / "mil" / "README.md").read_text()
        assert "library_name: spurgekit\n" in card
        assert "timm on its own cannot load the model" in card
        with pytest.raises(FileNotFoundError, match=r"config\.json"):
            timm.create_model(f"local-dir:{tmp_path / 'mil'}", pretrained=True)


def said_of_nothing(info):
    """Return the table of the predictions of one test tile."""
    row = {"place": "a", "class": info.classes[0], "predicted": info.classes[0], "p(sand)": 1.0, "p(weed)": 0.0}
    return pd.DataFrame([row])
