"""Latents and images are those of the VAE by itself."""

from __future__ import annotations

import pytest
import torch

from spurgekit.diffusion.latent_model import Posterior, vae_dtype
from spurgekit.diffusion.load import load_backbone
from tests.diffusion.pipelines import load_pipeline
from tests.diffusion.tiny import make_tiny
from tests.rounding import assert_close, terms_of


@pytest.fixture(scope="module")
def tiles():
    return 2 * torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 1


@pytest.fixture(scope="module")
def taesd(tmp_path_factory, weights):
    """Return a backbone with the real TAESD."""
    from diffusers import AutoencoderTiny

    vae = AutoencoderTiny.from_pretrained(weights / "taesd")
    folder = make_tiny(tmp_path_factory.mktemp("taesd") / "tiny", vae=vae)
    return load_backbone(folder, device="cpu")


@pytest.mark.parametrize(("name", "pipeline", "scale"), [
    ("backbone", "StableDiffusionPipeline", 0.18215), ("backbone_xl", "StableDiffusionXLPipeline", 0.13025),
])  # fmt: skip
def test_latents_are_those_of_the_vae(request, name, pipeline, scale, tiles):
    model = request.getfixturevalue(name)
    plain = load_pipeline(model.info.name, pipeline).vae
    with torch.inference_mode():
        wanted = plain.encode(tiles).latent_dist
        image = plain.decode(wanted.mean, return_dict=False)[0]
    found = model.encode(tiles)
    assert_close(found.mean, wanted.mean * scale, terms=terms_of(plain.encoder))
    assert_close(found.std, wanted.std * scale, terms=terms_of(plain.encoder))
    assert found.mean.shape == (3, 4, 64 // model.latent_px, 64 // model.latent_px)
    assert_close(model.decode(found.mean), image, terms=terms_of(plain))


def test_an_encoder_that_is_certain_comes_back_near_the_image(taesd):
    ramp = torch.linspace(-0.5, 0.5, 64)
    tile = torch.stack([ramp[None].expand(64, 64), ramp[:, None].expand(64, 64), torch.zeros(64, 64)])[None]
    found = taesd.encode(tile)
    assert not found.std.any()
    assert torch.equal(found.sample(torch.ones_like(found.mean)), found.mean)
    assert float((taesd.decode(found.mean) - tile).abs().mean()) < 0.05
    assert taesd.latent_px == 8


def test_a_batch_is_as_single_tiles(backbone, tiles):
    together = backbone.encode(tiles)
    for row in range(3):
        alone = backbone.encode(tiles[row : row + 1]).mean
        assert_close(alone, together.mean[row : row + 1], terms=terms_of(backbone.vae.encoder))
    images = backbone.decode(together.mean)
    assert_close(backbone.decode(together.mean[2:]), images[2:], terms=terms_of(backbone.vae.decoder))


def test_samples_of_a_posterior():
    posterior = Posterior(torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [0.0]]))
    assert posterior.sample(torch.tensor([[2.0], [9.0]])).tolist() == [[2.0], [2.0]]
    picked = posterior.pick([1, 0, 1])
    assert (picked.mean.tolist(), picked.std.tolist()) == ([[2.0], [1.0], [2.0]], [[0.0], [0.5], [0.0]])


def test_a_copy_in_another_type_leaves_the_model_as_it_was(backbone, tiles):
    before = backbone.unet.conv_in.weight.clone()
    half = backbone.in_dtype(torch.float16)
    assert half.unet.dtype == torch.float16
    assert half.encode(tiles).mean.dtype == torch.float32
    half.unet.conv_in.weight.zero_()
    assert torch.equal(backbone.unet.conv_in.weight, before)
    assert backbone.unet.dtype == torch.float32
    assert half.info == backbone.info
    assert not any(parameter.requires_grad for module in half.modules for parameter in module.parameters())


@pytest.mark.parametrize(
    ("kind", "config", "dtype", "found"),
    [
        ("sd", {"force_upcast": True}, torch.float16, torch.float16),
        ("sdxl", {"force_upcast": True}, torch.float16, torch.float32),
        ("sdxl", {}, torch.float16, torch.float32),
        ("sdxl", {"force_upcast": False}, torch.float16, torch.float16),
        ("sdxl", {}, torch.float32, torch.float32),
        ("sd", {}, torch.bfloat16, torch.float32),
    ],
)
def test_the_type_of_the_vae(kind, config, dtype, found):
    assert vae_dtype(kind, config, dtype) == found
