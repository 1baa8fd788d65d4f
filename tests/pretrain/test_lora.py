"""A LoRA of a small model, trained on drawn ground: what its folder holds, who reads it, that it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from spurgekit.diffusion.load import load_backbone
from spurgekit.errors import InputError, ModelError, OutputExistsError
from spurgekit.pretrain import PretrainOptions, pretrain_backbone
from spurgekit.pretrain.backbone_card import PretrainedInfo
from tests.command import refuse, succeed
from tests.diffusion.pipelines import load_pipeline
from tests.diffusion.tiny import UNET_TERMS
from tests.pretrain.conftest import JUDGE
from tests.rounding import assert_close

NAME = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def options(tiny, judge):
    return PretrainOptions(
        lora=True, backbone=str(tiny), lora_rank=4, tile_px=16, size_px=32, steps=4, batch=2, crops=64, samples=32,
        validate_every=2, save_every=2, warmup_steps=0, learning_rate=0.02, held_out=0.25, judge_backbone=JUDGE,
        judge_weights=judge, device="cpu", precision="float32", threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(site, options, tmp_path_factory):
    """The folder of a LoRA, and what is said of it."""
    folder = tmp_path_factory.mktemp("trained") / "lora"
    return folder, pretrain_backbone(site, folder, options)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def answer(unet):
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        states = torch.randn(1, 7, 32, generator=generator)
        return unet(torch.randn(1, 4, 8, 8, generator=generator), 500, states).sample


class TestFolder:
    def test_what_it_holds(self, trained, tiny):
        folder, info = trained
        assert {path.name for path in folder.iterdir()} == {
            NAME, "README.md", "SHA256SUMS", "backbone.json", "losses.parquet", "nearest.png", "provenance.json", "sheet.png",
            "validation", "words.json",
        }  # fmt: skip
        assert PretrainedInfo.model_validate_json((folder / "backbone.json").read_text()) == info
        assert info.lora_of == str(tiny)
        assert (info.size_px, info.steps) == (32, 4)
        card = (folder / "README.md").read_text()
        assert "# A LoRA of one survey's own ground" in card
        assert f"A LoRA of {tiny.name}:" in card
        assert str(tiny) not in card

    def test_the_model_is_judged_without_it_first(self, trained):
        folder, info = trained
        assert [one["step"] for one in info.judged] == [0, 2, 4]
        assert sorted(path.name for path in (folder / "validation").iterdir()) == [
            f"step-0000000{step}.png" for step in (0, 2, 4)
        ]
        card = (folder / "README.md").read_text()
        assert f"| painted without the LoRA | {info.judged[0]['kid']:.1f}" in card
        assert f"| painted, after 2 steps | {info.judged[1]['kid']:.1f}" in card
        assert info.judged[0]["kid"] != info.judged[1]["kid"]

    def test_attention_of_the_unet_is_adapted_and_nothing_else(self, trained, backbone):
        layers = load_file(trained[0] / NAME)
        names = {name.split(".lora_")[0] for name in layers}
        attends = ("to_q", "to_k", "to_v", "to_out.0")
        attention = {f"unet.{name}" for name, _ in backbone.unet.named_modules() if name.endswith(attends)}
        assert names == attention
        assert {rows.shape[0] for name, rows in layers.items() if "lora_A" in name} == {4}
        assert trained[1].parameters == sum(rows.numel() for rows in layers.values())
        assert all(rows.abs().max() > 0 for rows in layers.values())

    def test_latents_stay_those_of_the_model(self, trained, tiny):
        """A new model has its VAE scale latents; a LoRA has no VAE to say so in."""
        merged = load_backbone(tiny, lora=trained[0], device="cpu")
        assert merged.vae.config.scaling_factor == 0.18215


class TestReaders:
    def test_it_is_merged_as_diffusers_applies_it(self, trained, tiny, backbone):
        merged = load_backbone(tiny, lora=trained[0], device="cpu")
        pipeline = load_pipeline(tiny, "StableDiffusionPipeline")
        plain = answer(backbone.unet)
        pipeline.load_lora_weights(str(trained[0]))
        applied = answer(pipeline.unet)
        assert_close(answer(merged.unet), applied, terms=UNET_TERMS)
        assert float((applied - plain).abs().max()) > 1e-3

    def test_words_are_learned_and_tiles_edited_with_it(self, trained, tiny, chain, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        few = ("--backbone", tiny, "--lora", trained[0], "--device", "cpu", "--shots", 1, "--trials", 1)
        succeed("invert", chain.dataset, *few, "--steps", 2, "--batch", 1, "--validate-every", 0)
        assert "in augmented" in succeed("augment", chain.dataset, *few, "--images", 1, "--steps", 4)


class TestResume:
    def test_stopped_and_gone_on_with_gives_the_same_bytes(self, trained, site, options, tmp_path):
        def stop(found):
            if found["step"] == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pretrain_backbone(site, tmp_path / "lora", options, report=stop)
        plans = []
        pretrain_backbone(site, tmp_path / "lora", options, announce=plans.append)
        assert plans[0].done == 2
        assert {**contents(tmp_path / "lora"), "provenance.json": b"", "SHA256SUMS": b""} == {
            **contents(trained[0]), "provenance.json": b"", "SHA256SUMS": b"",
        }  # fmt: skip

    def test_not_with_another_rank(self, site, options, tmp_path):
        def stop(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pretrain_backbone(site, tmp_path / "lora", options, report=stop)
        with pytest.raises(OutputExistsError, match=r"begun with other settings \(lora_rank\)"):
            pretrain_backbone(site, tmp_path / "lora", replace(options, lora_rank=2))


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"vae": "taesd"}, "`vae` is of a model that is new, and a LoRA has that of its `backbone`"),
            ({"unet": "large"}, "`unet` is of a model that is new"),
            ({"prediction_type": "epsilon"}, "`prediction_type` is of a model that is new"),
            ({"backbone": None}, "a LoRA is of a model that is there; pass its folder"),
            ({"lora_rank": 0}, "`lora_rank=0` is too small"),
            ({"lora": False}, "`backbone` is of a LoRA; pass `lora` with it, or leave it out"),
        ],
    )
    def test_options(self, options, changes, says):
        with pytest.raises(InputError, match=says):
            replace(options, **changes)

    def test_what_does_not_fit_leaves_nothing_behind(self, site, options, tmp_path):
        with pytest.raises(InputError, match="`size_px=40` does not fit the model; pass a multiple of 16"):
            pretrain_backbone(site, tmp_path / "lora", replace(options, size_px=40))
        with pytest.raises(ModelError, match="no such folder"):
            pretrain_backbone(site, tmp_path / "lora", replace(options, backbone=str(tmp_path / "nowhere")))
        assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]

    def test_on_the_command_line(self, site, tiny):
        line = refuse("pretrain-backbone", site, "--lora", "--backbone", tiny, "--unet", "large")
        assert "--unet is of a model that is new, and a LoRA has that of its --backbone; leave it out" in line
        assert "--backbone is of a LoRA; pass --lora with it" in refuse("pretrain-backbone", site, "--backbone", tiny)
