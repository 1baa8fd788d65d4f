"""Weights in the place of a UNet's, such as those of one that a concept was erased from."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from spurgekit.diffusion.checkpoint_options import CheckpointOptions
from spurgekit.diffusion.load import check_backbone, load_backbone
from spurgekit.diffusion.unet_weights import NAME
from spurgekit.errors import ModelError
from tests.diffusion.pipelines import load_pipeline

KEY = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
"""Of those that erasing trains: what a cross-attention looks up of the prompt."""


@pytest.fixture
def erased(backbone):
    """The weights of the small UNet, one of them changed."""
    weights = {name: rows.clone().contiguous() for name, rows in backbone.unet.state_dict().items()}
    weights[KEY] = -weights[KEY]
    return weights


def load(tiny, path):
    return load_backbone(tiny, unet=path, device="cpu", precision="float32")


def test_all_of_them_or_those_that_were_trained(tiny, backbone, erased, tmp_path):
    save_file(erased, tmp_path / "all.safetensors")
    save_file({KEY: erased[KEY]}, tmp_path / "some.safetensors")
    for name in ("all.safetensors", "some.safetensors"):
        found = load(tiny, tmp_path / name)
        assert all(torch.equal(rows, erased[key]) for key, rows in found.unet.state_dict().items())
        assert found.info == replace(backbone.info, unet=str(tmp_path / name))
        assert check_backbone(tiny, unet=tmp_path / name, device="cpu") == found.info
    assert not torch.equal(backbone.unet.state_dict()[KEY], erased[KEY])


def test_the_folder_that_diffusers_saves(tiny, erased, tmp_path):
    unet = load_pipeline(tiny, "StableDiffusionPipeline").unet
    unet.load_state_dict(erased)
    unet.save_pretrained(tmp_path / "unet", safe_serialization=True)
    options = CheckpointOptions(backbone=str(tiny), unet=tmp_path / "unet", device="cpu")
    assert options.load().info.unet == options.look_up().unet == str(tmp_path / "unet" / NAME)
    assert torch.equal(options.load().unet.state_dict()[KEY], erased[KEY])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.safetensors", r"gone\.safetensors is no file; pass weights of a UNet as safetensors"),
        (".", rf"holds no {NAME}; pass weights of a UNet"),
        ("erased.pt", r"erased\.pt is no safetensors file; pickled weights must be converted first"),
        ("cut.safetensors", r"cut\.safetensors is damaged or not whole"),
    ],
)
def test_files_that_do_not_serve(tiny, tmp_path, name, said):
    for other in ("erased.pt", "cut.safetensors"):
        (tmp_path / other).write_bytes(b"\x80\x02")
    with pytest.raises(ModelError, match=said):
        load(tiny, tmp_path / name)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({}, "has a place for 0 of its 0 tensors; pass weights of its own kind"),
        ({"conv_in.weight": torch.zeros(32, 9, 3, 3)}, r"for 0 of its 1 tensor, and none for 'conv_in\.weight'; pass"),
        ({"conv_in.bias": torch.zeros(32), "unet.x": torch.zeros(1)}, r"for 1 of its 2 tensors, and none for 'unet\.x'"),
        ({"conv_in.bias": torch.full((32,), torch.nan)}, r"numbers in 'conv_in\.bias' that are not finite"),
    ],
)
def test_weights_that_do_not_fit(tiny, tmp_path, weights, said):
    save_file(weights, tmp_path / "erased.safetensors")
    with pytest.raises(ModelError, match=said):
        load(tiny, tmp_path / "erased.safetensors")
