"""LoRAs, small ones that peft makes and diffusers saves, merged into a model."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from spurgekit.diffusion.library_logs import quiet
from spurgekit.diffusion.load import check_backbone, load_backbone
from spurgekit.diffusion.lora_weights import _settings
from spurgekit.errors import ModelError
from spurgekit.seeds import seeded
from tests.diffusion.pipelines import load_pipeline
from tests.diffusion.tiny import UNET_TERMS
from tests.rounding import assert_close

NAME = "pytorch_lora_weights.safetensors"


def save_lora(pipeline, folder):
    """Add a LoRA to UNet and text encoders, which changes what they say, and save it as training scripts do.

    Return the folder. The pipeline goes on with the LoRA beside its weights.
    """
    from diffusers.training_utils import _collate_lora_metadata
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig, inject_adapter_in_model
    from peft.utils import get_peft_model_state_dict

    is_xl = hasattr(pipeline, "text_encoder_2")
    layers, networks = {}, {}
    for name in ("unet", "text_encoder", *(["text_encoder_2"] if is_xl else [])):
        network = networks[name] = getattr(pipeline, name)
        targets = ["to_q", "to_v", "conv1"] if name == "unet" else ["q_proj", "v_proj", "out_proj"]
        config = LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, target_modules=targets)
        with seeded(0):
            inject_adapter_in_model(config, network)
        network.peft_config = {"default": config}
        layers[f"{name}_lora_layers"] = convert_state_dict_to_diffusers(get_peft_model_state_dict(network))
    pipeline.save_lora_weights(folder, **layers, **_collate_lora_metadata(networks))
    return folder


@pytest.fixture(scope="module")
def trained(tiny):
    """Return a pipeline of the small Stable Diffusion with a LoRA beside its weights, once that is saved."""
    return load_pipeline(tiny, "StableDiffusionPipeline")


@pytest.fixture(scope="module")
def lora(trained, tmp_path_factory):
    """Return the folder of that LoRA; not to be changed."""
    return save_lora(trained, tmp_path_factory.mktemp("lora") / "domain")


def answers(unet, encoder, is_xl=False):
    """Return what a UNet and a text encoder say to something fixed."""
    generator = torch.Generator().manual_seed(0)
    added = {"text_embeds": torch.ones(1, 32), "time_ids": torch.ones(1, 6)} if is_xl else None
    with torch.inference_mode():
        states = torch.randn(1, 7, 64 if is_xl else 32, generator=generator)
        noise = unet(torch.randn(1, 4, 8, 8, generator=generator), 500, states, added_cond_kwargs=added).sample
        words = torch.tensor([[encoder.config.bos_token_id, 320, encoder.config.eos_token_id]])
        return noise, encoder(words).last_hidden_state


@pytest.mark.parametrize("which", ["folder", "file"])
def test_a_merged_one_is_as_it_was_trained(tiny, lora, trained, backbone, which):
    path = lora if which == "folder" else lora / NAME
    merged = load_backbone(tiny, lora=path, device="cpu")
    found = answers(merged.unet, merged.text_encoders[0])
    plain = answers(backbone.unet, backbone.text_encoders[0])
    for one, other, without in zip(found, answers(trained.unet, trained.text_encoder), plain, strict=True):
        assert_close(one, other, terms=UNET_TERMS)
        assert float((one - without).abs().max()) > 1e-2
    assert merged.info.lora == str(lora / NAME) == check_backbone(tiny, lora=path, device="cpu").lora
    assert merged.unet.state_dict().keys() == backbone.unet.state_dict().keys()
    assert merged.text_encoders[0].state_dict().keys() == backbone.text_encoders[0].state_dict().keys()


def test_one_of_the_unet_alone_is_as_diffusers_applies_it(tiny, lora, backbone, tmp_path):
    """In names of one kind: from files of two, which its own scripts write, it takes a part."""
    names = {"lora.down": "lora_A", "lora.up": "lora_B"}
    unet_only = {key: rows for key, rows in load_file(lora / NAME).items() if key.startswith("unet.")}
    for older, name in names.items():
        unet_only = {key.replace(older, name): rows for key, rows in unet_only.items()}
    save_file(unet_only, tmp_path / NAME, metadata={"format": "pt"})
    merged = load_backbone(tiny, lora=tmp_path, device="cpu")
    pipeline = load_pipeline(tiny, "StableDiffusionPipeline")
    with quiet():
        pipeline.load_lora_weights(str(tmp_path), weight_name=NAME)
    found, words = answers(merged.unet, merged.text_encoders[0])
    assert_close(found, answers(pipeline.unet, pipeline.text_encoder)[0], terms=UNET_TERMS)
    plain, same_words = answers(backbone.unet, backbone.text_encoders[0])
    assert float((found - plain).abs().max()) > 1e-2
    assert torch.equal(words, same_words)


def test_one_in_the_names_of_kohyas_scripts(tiny, lora, trained, tmp_path):
    """Which keep the scale of each layer, here 8 / 4, beside it."""
    kohya = {}
    for key, rows in load_file(lora / NAME).items():
        layer, _, end = next(
            key.partition(f".{name}") for name in ("lora.", "lora_linear_layer.", "lora_") if f".{name}" in key
        )
        name = layer.replace("unet.", "lora_unet_", 1).replace("text_encoder.", "lora_te_text_model_", 1).replace(".", "_")
        kohya[f"{name}.lora_{'down' if end.startswith(('down', 'A')) else 'up'}.weight"] = rows
        kohya[f"{name}.alpha"] = torch.tensor(8.0)
    save_file(kohya, tmp_path / "domain.safetensors")
    merged = load_backbone(tiny, lora=tmp_path, device="cpu")
    wanted = answers(trained.unet, trained.text_encoder)
    for one, other in zip(answers(merged.unet, merged.text_encoders[0]), wanted, strict=True):
        assert_close(one, other, terms=UNET_TERMS)


def test_of_sdxl(tiny_xl, tmp_path):
    trained = load_pipeline(tiny_xl, "StableDiffusionXLPipeline")
    folder = save_lora(trained, tmp_path / "xl")
    merged = load_backbone(tiny_xl, lora=folder, device="cpu")
    for number, encoder in enumerate((trained.text_encoder, trained.text_encoder_2)):
        wanted = answers(trained.unet, encoder, is_xl=True)
        for one, other in zip(answers(merged.unet, merged.text_encoders[number], is_xl=True), wanted, strict=True):
            assert_close(one, other, terms=UNET_TERMS)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_in_half_precision(tiny, lora, precision):
    half = load_backbone(tiny, lora=lora, device="cpu", precision=precision).unet
    whole = load_backbone(tiny, lora=lora, device="cpu").unet
    assert half.dtype == getattr(torch, precision)
    for name, rows in whole.state_dict().items():
        torch.testing.assert_close(half.state_dict()[name].float(), rows, rtol=2e-2, atol=2e-2)


def rewrite(path, change):
    tensors = dict(change(key, rows) for key, rows in load_file(path).items())
    save_file(tensors, path, metadata={"format": "pt"})


class TestWhatDoesNotFit:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda f: shutil.rmtree(f), "domain: no such LoRA; pass its folder, or its .safetensors file"),
            (lambda f: (f / NAME).unlink(), f"domain holds no LoRA: {NAME}"),
            (lambda f: (f / NAME).rename(f / "a.bin"), "domain holds no LoRA as safetensors; convert it where you trust it"),
            (
                lambda f: [shutil.copy(f / NAME, f / "a.safetensors"), (f / NAME).rename(f / "b.safetensors")],
                "domain holds 2 files of weights; pass one of them as `lora`",
            ),
            (lambda f: (f / NAME).write_bytes((f / NAME).read_bytes()[:999]), "cannot be merged into this model"),
            (
                lambda f: rewrite(f / NAME, lambda key, rows: (key, torch.ones(rows.shape[0] + 1, rows.shape[1]))),
                "cannot be merged into this model",
            ),
            (
                lambda f: rewrite(f / NAME, lambda key, rows: (key.replace("to_q", "to_q9"), rows)),
                "does not fit: the model has a place for",
            ),
            (
                lambda f: rewrite(f / NAME, lambda key, rows: (key.replace("text_encoder.", "text_encoder_2."), rows)),
                "does not fit: the model has a place for",
            ),
            (lambda f: save_file({"a": torch.ones(2)}, f / NAME), "pass a LoRA made for it"),
        ],
    )
    def test_is_said_in_a_line(self, tiny, lora, tmp_path, damage, message):
        copied = shutil.copytree(lora, tmp_path / "domain")
        damage(copied)
        with pytest.raises(ModelError) as error:
            load_backbone(tiny, lora=copied, device="cpu")
        assert message in str(error.value)
        assert str(copied) in str(error.value)
        assert "\n" not in str(error.value)

    def test_a_pickled_file(self, tiny, tmp_path):
        (tmp_path / "lora.bin").write_bytes(b"")
        with pytest.raises(ModelError, match=r"lora.bin is no safetensors file; a pickled LoRA must be converted first"):
            load_backbone(tiny, lora=tmp_path / "lora.bin")

    def test_one_of_another_kind(self, tiny_xl, lora):
        with pytest.raises(ModelError, match=r"pass a LoRA made for it"):
            load_backbone(tiny_xl, lora=lora, device="cpu")


def test_what_a_file_says_beyond_what_merging_goes_by_is_left_aside():
    said = {"unet.r": 4, "unet.megatron_config": {}, "unet.megatron_core": "os", "text_encoder.r": 2}
    assert _settings(said, "unet.") == {"unet.r": 4}
    assert _settings({"r": 4, "lora_alpha": 8, "runtime_config": {}}) == {"r": 4, "lora_alpha": 8}
