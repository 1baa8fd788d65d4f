"""Schedulers by name: each goes from noise to the image that a model foresees, from any strength on."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
import torch

from spurgekit.diffusion.library_logs import quiet
from spurgekit.diffusion.schedulers import DEFAULT, SCHEDULERS, make_scheduler
from spurgekit.errors import InputError
from tests.diffusion.tiny import NOISE

STEPS = 20

TOLERANCE = {"pndm": 1.0}
"""PNDM's last step ends at the first noise level of training, not at none; that of others is of float32."""

SHARES = (1 - torch.linspace(NOISE["beta_start"] ** 0.5, NOISE["beta_end"] ** 0.5, 1000, dtype=torch.float64) ** 2).cumprod(0)
"""Share of an image's variance that is left at each step of training: "scaled_linear"."""


def model(prediction="epsilon"):
    """Return a backbone that has a scheduler, that of Stable Diffusion 1.x, and nothing else."""
    from diffusers import PNDMScheduler

    own = PNDMScheduler(**NOISE, skip_prk_steps=True, steps_offset=1, prediction_type=prediction)
    return SimpleNamespace(scheduler=own)


def denoised(scheduler, wanted, strength, prediction="epsilon"):
    """Edit latents by a model that foresees others, as the pipelines of diffusers step."""
    generator = torch.Generator().manual_seed(0)
    scheduler.set_timesteps(STEPS)
    begin = (STEPS - int(STEPS * strength)) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    timesteps = scheduler.timesteps[begin:]
    noise = torch.randn(wanted.shape, generator=generator)
    latents = scheduler.add_noise(torch.zeros_like(wanted), noise, timesteps[:1])
    for step in timesteps:
        seen = scheduler.scale_model_input(latents, step)
        low = int(step)
        share = torch.lerp(SHARES[low], SHARES[min(low + 1, 999)], float(step) - low)  # between two steps of training
        signal, rest = share.sqrt(), (1 - share).sqrt()
        found = (seen - signal * wanted) / rest
        if prediction == "v_prediction":
            found = signal * found - rest * wanted
        drawn = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
        latents = scheduler.step(found, step, latents, **drawn, return_dict=False)[0]
    return latents


@pytest.mark.parametrize("strength", [0.05, 0.3, 0.75, 1.0])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_ends_at_what_the_model_foresees(name, strength):
    """Latents of 4 and -4, which are not clipped."""
    wanted = 4 * torch.sign(torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    found = denoised(make_scheduler(model(), name), wanted, strength)
    assert float((found - wanted).abs().max()) < TOLERANCE.get(name, 1e-3)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_predictions_of_the_velocity_are_taken_as_such(name):
    wanted = 4 * torch.sign(torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    scheduler = make_scheduler(model("v_prediction"), name)
    assert float((denoised(scheduler, wanted, 0.5, "v_prediction") - wanted).abs().max()) < TOLERANCE.get(name, 1e-3)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_noise_is_that_of_the_model(name):
    config = make_scheduler(model(), name).config
    assert {key: config[key] for key in NOISE} == NOISE
    assert config.prediction_type == "epsilon"


@pytest.fixture(scope="module")
def pipeline(tiny):
    from diffusers import StableDiffusionImg2ImgPipeline

    with quiet():
        found = StableDiffusionImg2ImgPipeline.from_pretrained(tiny)
    found.set_progress_bar_config(disable=True)
    return found


@pytest.mark.parametrize("name", SCHEDULERS)
def test_edits_more_the_stronger(name, backbone, pipeline):
    """In diffusers' own pipeline, with the small UNet."""
    tile = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    start = backbone.encode(2 * tile - 1).mean
    changes = []
    for strength in (0.25, 0.5, 1.0):
        pipeline.scheduler = make_scheduler(backbone, name)
        latents = pipeline(
            prompt="a drone photo", image=tile, strength=strength, num_inference_steps=8, guidance_scale=1.0,
            generator=torch.Generator().manual_seed(3), output_type="latent",
        ).images  # fmt: skip
        changes.append(float((latents - start).abs().mean()))
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_the_default_is_one_of_them():
    assert DEFAULT in SCHEDULERS


@pytest.mark.parametrize(("name", "message"), [
    ("dpm", "there is no scheduler 'dpm', did you mean ddpm? known are dpm++, dpm++-karras, ddim, "),
    ("plain", "there is no scheduler 'plain'; known are dpm++, "),
])  # fmt: skip
def test_of_no_such_name(name, message):
    with pytest.raises(InputError) as error:
        make_scheduler(model(), name)
    assert str(error.value).startswith(message)


def test_making_one_says_nothing(capfd, caplog):
    for name in SCHEDULERS:
        make_scheduler(model(), name)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
