import json
import shutil

import pytest
import torch

from spurgekit.diffusion.load import load_backbone
from spurgekit.diffusion.pretraining.new_model import load_parts, new_backbone, save_pipeline, size_of
from spurgekit.diffusion.pretraining.pretraining_options import PretrainingOptions
from spurgekit.diffusion.pretraining.unet_sizes import UNET_SIZES
from spurgekit.errors import InputError, ModelError
from tests.diffusion.pipelines import load_pipeline

CPU = torch.device("cpu")


def altered(tiny, tmp_path, part, **changes):
    """Return a copy of a part whose configuration says something else."""
    folder = tmp_path / part
    shutil.copytree(tiny / part, folder)
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return folder


def test_is_loaded_here_and_by_diffusers(tiny, least, tmp_path):
    made = new_backbone(load_parts(tiny, tiny), PretrainingOptions(unet=least), 64, CPU)
    save_pipeline(made, tmp_path)
    loaded = load_backbone(tmp_path, device="cpu")
    assert (loaded.info.size_px, loaded.info.kind, loaded.info.inpaints) == (64, "sd", False)
    assert loaded.scheduler.config.prediction_type == "v_prediction"
    for own, theirs in zip(made.modules, loaded.modules, strict=True):
        assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in own.state_dict().items())
    pipeline = load_pipeline(tmp_path, "StableDiffusionPipeline")
    image = pipeline("a drone photo of sand", height=64, width=64, num_inference_steps=2).images[0]
    assert image.size == (64, 64)
    assert pipeline.safety_checker is None


def test_the_seed_gives_the_weights(tiny, least):
    parts = load_parts(tiny, tiny)
    first, again, other = (
        new_backbone(parts, PretrainingOptions(unet=least, seed=seed), 64, CPU).unet.conv_in.weight for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_text_encoder_that_is_given_stays(tiny, least):
    parts = load_parts(tiny, tiny, tiny)
    made = new_backbone(parts, PretrainingOptions(unet=least), 64, CPU)
    assert made.text_encoders[0] is parts.text_encoder
    assert made.unet.config.cross_attention_dim == parts.text_encoder.config.hidden_size


@pytest.mark.parametrize(("name", "millions"), [("small", 11), ("medium", 21), ("large", 34)])
def test_sizes_are_what_is_said_of_them(tiny, name, millions):
    with torch.device("meta"):
        made = new_backbone(load_parts(tiny, tiny), PretrainingOptions(unet=name), 128, torch.device("meta"))
    assert sum(weight.numel() for weight in made.unet.parameters()) / 1e6 == pytest.approx(millions, abs=0.6)
    assert f"{millions} M parameters" in UNET_SIZES[name].description


@pytest.mark.parametrize(("tile_px", "size_px"), [(39, 128), (128, 128), (129, 160), (250, 256)])
def test_the_size_follows_from_the_tile(tile_px, size_px):
    assert size_of(PretrainingOptions(), tile_px) == size_px


def test_a_size_that_cannot_be_halved(least):
    with pytest.raises(InputError, match=r"`size_px=72` does not fit the model; pass a multiple of 16"):
        size_of(PretrainingOptions(size_px=72, unet=least), 50)


class TestWhatDoesNotFit:
    def refuse(self, *arguments):
        with pytest.raises(ModelError) as caught:
            load_parts(*arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_no_vae(self, tiny):
        assert "images need a VAE; pass the folder of one" in self.refuse(None, tiny)

    def test_no_tokenizer(self, tiny):
        assert "prompts need a tokenizer; pass the folder of CLIP's" in self.refuse(tiny, None)

    def test_a_folder_that_is_not_there(self, tiny, tmp_path):
        assert self.refuse(tmp_path / "no", tiny) == f"{tmp_path}/no: no such folder; pass that of a vae as `vae`"

    def test_a_vae_of_other_channels(self, tiny, tmp_path):
        said = self.refuse(altered(tiny, tmp_path, "vae", latent_channels=16), tiny)
        assert said.endswith("has latents of 16 channels, Stable Diffusion's have 4; pass another `vae`")

    def test_a_vae_of_another_ratio(self, tiny, tmp_path):
        said = self.refuse(altered(tiny, tmp_path, "vae", block_out_channels=[32, 64, 64]), tiny)
        assert "stands for 4 px a side, and Stable Diffusion's for 8; pass another `vae`" in said

    def test_another_network_for_a_vae(self, tiny):
        assert "holds a UNet2DConditionModel; pass an AutoencoderKL or AutoencoderTiny" in self.refuse(tiny / "unet", tiny)

    def test_a_vae_without_weights(self, tiny, tmp_path):
        folder = altered(tiny, tmp_path, "vae")
        (folder / "diffusion_pytorch_model.safetensors").unlink()
        assert f"{folder} cannot be loaded" in self.refuse(folder, tiny)

    def test_a_vae_that_lacks_weights(self, tiny, tmp_path):
        folder = altered(tiny, tmp_path, "vae", layers_per_block=2)
        assert f"the weights in {folder} do not fill their network" in self.refuse(folder, tiny)

    def test_no_vocabulary(self, tiny, tmp_path):
        assert "tokenizer" in self.refuse(tiny, tmp_path)
        (tmp_path / "vocab.json").write_text('{"a": 0}')
        (tmp_path / "merges.txt").write_text("#version: 0.2\n")
        assert "holds no vocabulary of CLIP's (vocab.json and merges.txt)" in self.refuse(tiny, tmp_path)
        (tmp_path / "vocab.json").write_text("{")
        assert "holds no tokenizer of CLIP's" in self.refuse(tiny, tmp_path)

    def test_a_text_encoder_of_another_vocabulary(self, tiny, weights):
        said = self.refuse(tiny, weights / "clip_tokenizer", tiny)
        assert "knows 49,408 tokens, and the text encoder in" in said

    def test_another_network_for_a_text_encoder(self, tiny):
        assert "holds no CLIPTextModel" in self.refuse(tiny, tiny, tiny / "unet")
