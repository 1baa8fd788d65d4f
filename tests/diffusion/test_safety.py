"""Safety checkers of checkpoints, small ones of the real class."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from spurgekit.diffusion.load import load_backbone
from spurgekit.diffusion.safety import flagged
from spurgekit.errors import ModelError
from spurgekit.seeds import seeded
from tests.diffusion.test_load import edit

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)


def add_checker(folder, threshold):
    """Give a checkpoint a safety checker that flags images whose cosine to a concept is above a threshold."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    small = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=32)
    with seeded(0):
        checker = StableDiffusionSafetyChecker(config)
    with torch.no_grad():
        for name in ("concept", "special_care"):
            rows = getattr(checker, f"{name}_embeds")
            rows.copy_(torch.randn(rows.shape, generator=torch.Generator().manual_seed(1)))
            getattr(checker, f"{name}_embeds_weights").fill_(threshold)
    checker.save_pretrained(folder / "safety_checker")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder / "feature_extractor"
    )
    edit(
        folder / "model_index.json",
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
        feature_extractor=["transformers", "CLIPImageProcessor"],
        requires_safety_checker=True,
    )
    return folder


@pytest.mark.parametrize(("threshold", "flags"), [(-2, True), (2, False)])
def test_flags_what_is_above_its_thresholds(tiny, tmp_path, threshold, flags, capfd, caplog):
    folder = add_checker(shutil.copytree(tiny, tmp_path / "sd"), threshold)
    checker = load_backbone(folder, device="cpu", safety_checker=True).safety_checker
    capfd.readouterr()
    images = IMAGES.copy()
    assert flagged(checker, images) == [flags] * 3
    np.testing.assert_array_equal(images, IMAGES)
    assert flagged(checker, images[:0]) == []
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_finds_in_a_batch_what_it_finds_in_single_images(tiny, tmp_path):
    """At a threshold between the images' own likenesses."""
    from diffusers.pipelines.stable_diffusion.safety_checker import cosine_distance

    checker = load_backbone(
        add_checker(shutil.copytree(tiny, tmp_path / "sd"), 2), device="cpu", safety_checker=True
    ).safety_checker
    module, processor = checker
    with torch.inference_mode():
        pixels = processor(list(IMAGES), return_tensors="pt").pixel_values
        seen = module.visual_projection(module.vision_model(pixels)[1])
        likeness = cosine_distance(seen, module.concept_embeds).amax(dim=1)
    order = likeness.argsort()
    module.concept_embeds_weights.fill_(float(likeness[order[1:]].mean()))  # between the two most alike
    found = flagged(checker, IMAGES)
    assert found == [flagged(checker, IMAGES[row : row + 1])[0] for row in range(3)]
    assert [row for row in range(3) if found[row]] == [int(order[2])]


def test_is_left_aside_unless_asked_for(tiny, tmp_path):
    folder = add_checker(shutil.copytree(tiny, tmp_path / "sd"), -2)
    assert load_backbone(folder, device="cpu").safety_checker is None
    shutil.rmtree(folder / "safety_checker")
    assert load_backbone(folder, device="cpu").safety_checker is None


def test_is_the_checkpoints_own(tiny, tmp_path):
    folder = add_checker(shutil.copytree(tiny, tmp_path / "sd"), -2)
    module, _ = load_backbone(folder, device="cpu", safety_checker=True, precision="float32").safety_checker
    saved = load_file(folder / "safety_checker" / "model.safetensors")
    assert torch.equal(module.state_dict()["visual_projection.weight"], saved["visual_projection.weight"])
    assert not module.training


def test_of_a_checkpoint_without_one(tiny):
    with pytest.raises(ModelError, match="has no safety checker; leave `safety_checker` out, or pass another checkpoint"):
        load_backbone(tiny, safety_checker=True)


def test_with_pickled_weights_only(tiny, tmp_path):
    folder = add_checker(shutil.copytree(tiny, tmp_path / "sd"), -2)
    (folder / "safety_checker" / "model.safetensors").rename(folder / "safety_checker" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="the safety_checker has pickled weights only"):
        load_backbone(folder, safety_checker=True)
    assert load_backbone(folder, device="cpu").safety_checker is None
