"""Checkpoints from folders: what they are, that they are loaded whole, and what is wrong with those that are not."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from spurgekit.diffusion.load import check_backbone, load_backbone, pick_dtype
from spurgekit.errors import InputError, ModelError

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def copied(tiny, tmp_path):
    """Return a copy of the small Stable Diffusion to damage."""
    return shutil.copytree(tiny, tmp_path / "sd")


@pytest.fixture(scope="module")
def plain(tiny):
    from diffusers import StableDiffusionPipeline

    from spurgekit.diffusion.library_logs import quiet

    with quiet():
        return StableDiffusionPipeline.from_pretrained(tiny)


def edit(path, **changes):
    """Change a JSON file; None takes an entry out."""
    found = json.loads(path.read_text())
    found.update(changes)
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class TestWhatItIs:
    @pytest.mark.parametrize(
        ("folder", "kind", "inpaints"), [("tiny", "sd", False), ("tiny_xl", "sdxl", False), ("tiny_inpaint", "sd", True)]
    )
    def test_is_told_without_loading_it(self, request, folder, kind, inpaints):
        path = request.getfixturevalue(folder)
        info = check_backbone(path, device="cpu")
        assert (info.kind, info.inpaints, info.size_px, info.name) == (kind, inpaints, 64, str(path))
        assert (info.revision, info.licence, info.lora) == (None, None, None)
        loaded = load_backbone(str(path), device="cpu")
        assert loaded.info == info
        assert loaded.latent_px == 8

    @pytest.mark.parametrize(
        ("card", "licence"),
        [
            ("---\nlicense: creativeml-openrail-m\n---\n# Model", "creativeml-openrail-m"),
            ("---\nlicense: other\nlicense_name: sai-nc-community\n---\n", "sai-nc-community"),
            ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
            ("---\ntags: [weeds]\n---\n", None),
            ("---\nlicense: {\n---\n", None),
            ("# Model", None),
        ],
    )
    def test_the_licence_is_that_of_its_card(self, copied, card, licence):
        (copied / "README.md").write_text(card)
        assert check_backbone(copied).licence == licence

    def test_a_copy_in_the_cache_of_the_hub_has_a_commit(self, tiny, tmp_path):
        folder = shutil.copytree(tiny, tmp_path / "snapshots" / ("1" * 40))
        assert check_backbone(folder).revision == "1" * 40


class TestWeights:
    def test_are_those_that_diffusers_loads(self, backbone, plain):
        assert same(backbone.unet, plain.unet)
        assert same(backbone.vae, plain.vae)
        assert same(backbone.text_encoders[0], plain.text_encoder)
        assert not any(parameter.requires_grad for module in backbone.modules for parameter in module.parameters())
        assert not any(module.training for module in backbone.modules)
        assert backbone.safety_checker is None

    def test_in_older_files_are_found_by_their_older_names(self, copied, plain):
        """Those of Stable Diffusion 1.5 name attention in the VAE otherwise, and have a prefix and positions."""
        old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        vae = load_file(copied / "vae" / WEIGHTS)
        for new, name in old.items():
            vae = {key.replace(f"attentions.0.{new}.", f"attentions.0.{name}."): rows for key, rows in vae.items()}
        assert any(".query." in key for key in vae)
        save_file(vae, copied / "vae" / WEIGHTS, metadata={"format": "pt"})
        path = copied / "text_encoder" / "model.safetensors"
        encoder = {f"text_model.{key.removeprefix('text_model.')}": rows for key, rows in load_file(path).items()}
        save_file({**encoder, "text_model.embeddings.position_ids": torch.arange(77)[None]}, path, metadata={"format": "pt"})
        loaded = load_backbone(copied, device="cpu")
        assert same(loaded.vae, plain.vae)
        assert same(loaded.text_encoders[0], plain.text_encoder)

    def test_stored_in_float16_are_taken_for_float16_only(self, copied):
        halves = {key: (rows + 1).half() for key, rows in load_file(copied / "unet" / WEIGHTS).items()}
        save_file(halves, copied / "unet" / "diffusion_pytorch_model.fp16.safetensors", metadata={"format": "pt"})
        whole = load_backbone(copied, device="cpu", precision="float32").unet.conv_in.bias
        half = load_backbone(copied, device="cpu", precision="float16").unet.conv_in.bias
        assert (whole.dtype, half.dtype) == (torch.float32, torch.float16)
        assert torch.equal(half, (whole + 1).half())
        (copied / "unet" / WEIGHTS).unlink()
        only = load_backbone(copied, device="cpu", precision="float32").unet.conv_in.bias
        assert torch.equal(only, half.float())

    def test_in_several_files(self, copied, backbone):
        shutil.rmtree(copied / "unet")
        backbone.unet.save_pretrained(copied / "unet", max_shard_size="800KB")
        shards = sorted((copied / "unet").glob("*-of-*.safetensors"))
        assert len(shards) > 1
        assert same(load_backbone(copied, device="cpu").unet, backbone.unet)
        shards[0].unlink()
        with pytest.raises(ModelError, match=rf"the unet has {len(shards) - 1} of its {len(shards)} files of weights"):
            check_backbone(copied)


class TestPrecision:
    @pytest.mark.parametrize(
        ("device", "precision", "dtype"),
        [
            ("cpu", "auto", torch.float32),
            ("cuda", "auto", torch.float16),
            ("cpu", "bfloat16", torch.bfloat16),
            ("cuda", "float32", torch.float32),
        ],
    )
    def test_is_half_on_gpus_unless_told_otherwise(self, device, precision, dtype):
        assert pick_dtype(torch.device(device), precision) == dtype

    @pytest.mark.parametrize(
        ("folder", "precision", "vae"),
        [
            ("tiny", "float16", torch.float16),  # diffusers ignores force_upcast for it
            ("tiny_xl", "float16", torch.float32),
            ("tiny", "bfloat16", torch.float32),
        ],
    )
    def test_of_the_vae_is_what_it_needs(self, request, folder, precision, vae):
        loaded = load_backbone(request.getfixturevalue(folder), device="cpu", precision=precision)
        dtype = pick_dtype(loaded.device, precision)
        assert (loaded.dtype, loaded.unet.dtype, loaded.vae.dtype) == (dtype, dtype, vae)
        assert {encoder.dtype for encoder in loaded.text_encoders} == {dtype}
        again = loaded.in_float32()
        assert {module.dtype for module in again.modules} == {torch.float32}
        assert loaded.unet.dtype == dtype

    def test_of_a_vae_that_was_mended_for_float16(self, tiny_xl, tmp_path):
        copied = shutil.copytree(tiny_xl, tmp_path / "xl")
        edit(copied / "vae" / "config.json", force_upcast=False)
        assert load_backbone(copied, device="cpu", precision="float16").vae.dtype == torch.float16

    def test_that_is_none(self, tiny):
        with pytest.raises(InputError, match=r"there is no precision 'float1', did you mean float16\? known are auto, float32"):
            load_backbone(tiny, device="cpu", precision="float1")


def test_nothing_is_said(tiny, capfd, recwarn, caplog):
    load_backbone(tiny, device="cpu", precision="float16")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not [warning for warning in recwarn if "spurgekit" in str(warning.filename)]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def pickle_only(folder, *parts):
    for part in parts:
        for file in (folder / part).glob("*.safetensors"):
            file.rename(file.with_suffix(".bin"))


def forget_a_weight(path):
    found = load_file(path)
    found.pop("conv_in.weight")
    save_file(found, path, metadata={"format": "pt"})


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda f: shutil.rmtree(f), "sd: no such folder; pass a checkpoint in diffusers' layout, or OWNER/NAME of one"),
            (lambda f: (f / "model_index.json").unlink(), "sd has no model_index.json; pass a checkpoint in diffusers' layout"),
            (lambda f: (f / "model_index.json").write_text("{"), "model_index.json is missing or damaged"),
            (lambda f: (f / "unet" / "config.json").write_text("[]"), "config.json holds no JSON object"),
            (lambda f: truncate(f / "unet" / WEIGHTS), f"{WEIGHTS} is damaged or not whole; get it again"),
            (lambda f: (f / "vae" / WEIGHTS).unlink(), "sd: the vae has no weights (.safetensors); pass a whole checkpoint"),
            (lambda f: shutil.rmtree(f / "tokenizer"), "sd has no tokenizer; pass a whole checkpoint in diffusers' layout"),
            (lambda f: shutil.rmtree(f / "scheduler"), "sd has no scheduler; pass a whole checkpoint"),
            (lambda f: edit(f / "model_index.json", text_encoder=[None, None]), "sd has no text_encoder; pass a whole"),
            (
                lambda f: pickle_only(f, "unet", "vae", "text_encoder"),
                "the unet has pickled weights only, which can run any code when loaded; pass a checkpoint with safetensors, "
                "or where you trust this one convert it: StableDiffusionPipeline.from_pretrained(...).save_pretrained(FOLDER)",
            ),
            (lambda f: forget_a_weight(f / "unet" / WEIGHTS), "unet lack 1 that its configuration asks for"),
            (lambda f: edit(f / "unet" / "config.json", down_block_types=["Other"] * 2), "cannot be loaded as UNet2DCondition"),
            (
                lambda f: edit(
                    f / "model_index.json",
                    _class_name="FluxPipeline", unet=None, transformer=["diffusers", "FluxTransformer2DModel"],
                ),
                "is a FluxPipeline with FluxTransformer2DModel as its transformer; pass a checkpoint of Stable Diffusion 1.x",
            ),
            (
                lambda f: edit(f / "model_index.json", text_encoder=["transformers", "ChineseCLIPTextModel"]),
                "is a StableDiffusionPipeline with ChineseCLIPTextModel as its text_encoder",
            ),
            (lambda f: edit(f / "unet" / "config.json", in_channels=8), "its UNet takes 8 channels; pass a checkpoint with 4"),
            (lambda f: edit(f / "unet" / "config.json", time_cond_proj_dim=256), "was distilled with the guidance as an input"),
            (lambda f: edit(f / "unet" / "config.json", num_class_embeds=9), "is a variation on sd with inputs of its own"),
            (
                lambda f: edit(f / "unet" / "config.json", cross_attention_dim=768),
                "its UNet reads 768 numbers a token, and its text encoders write 32; they do not belong together",
            ),
            (
                lambda f: edit(f / "scheduler" / "scheduler_config.json", beta_schedule=None, _class_name="FlowMatch"),
                "was trained for FlowMatch, which has no schedule of betas",
            ),
            (
                lambda f: (f / "tokenizer" / "tokenizer.json").unlink(),
                "tokenizer knows 2 tokens, and the text encoder 573; they do not belong together, or files of the tokenizer",
            ),
        ],
    )  # fmt: skip
    def test_is_said_in_a_line(self, copied, damage, message):
        damage(copied)
        with pytest.raises(ModelError) as error:
            load_backbone(copied, device="cpu")
        assert message in str(error.value)
        assert str(copied) in str(error.value)
        assert "\n" not in str(error.value)

    def test_with_a_single_file(self, tiny):
        with pytest.raises(
            ModelError, match=r"safetensors is one file; pass a folder in diffusers' layout, which from_single_f"
        ):
            load_backbone(tiny / "unet" / WEIGHTS)

    def test_with_a_revision_of_a_folder(self, tiny):
        with pytest.raises(ModelError, match=r"is a folder, which has no revision v2; leave `revision` out"):
            load_backbone(tiny, revision="v2")

    def test_with_a_device(self, tiny):
        with pytest.raises(ModelError, match="no device 'abacus' on this machine; pass `device=cpu`, or auto"):
            load_backbone(tiny, device="abacus")

    def test_with_a_refiner(self, tiny_xl, tmp_path):
        copied = shutil.copytree(tiny_xl, tmp_path / "xl")
        edit(copied / "model_index.json", text_encoder=[None, None], tokenizer=[None, None])
        with pytest.raises(ModelError, match="xl has no text_encoder; pass a whole checkpoint"):
            check_backbone(copied)


def test_what_models_predict_may_be_the_velocity(copied):
    edit(copied / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    assert load_backbone(copied, device="cpu").scheduler.config.prediction_type == "v_prediction"


@pytest.mark.parametrize("name", ["StableDiffusionPipeline", "DiffusionPipeline", "NoSuchScheduler", "logging"])
def test_a_scheduler_that_is_none_is_not_loaded(tiny, tmp_path, name):
    folder = shutil.copytree(tiny, tmp_path / "model")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "scheduler": ["diffusers", name]}))
    with pytest.raises(ModelError, match=rf"scheduler cannot be loaded as {name} \("):
        load_backbone(folder)
