"""The one loop of steps that takes noise out of latents: for edits, images from noise alone, and edits within masks.

It gives what the pipelines of diffusers give for the same seeds (``StableDiffusionPipeline``, ``...Img2ImgPipeline``,
``...InpaintPipeline`` with UNets of 4 and 9 channels, and SDXL's of the first two), for all of them in one place, and differs
in how it gets there:

- Each image draws from its own generator on the CPU, so neither the batch nor the device changes what it draws.
- Latents are in float32 between the steps also where the UNet counts in half precision: a step changes them by less and less,
  and in bfloat16, of 8 binary digits, the last changes would be rounded away. They are small beside the UNet's activations.
- A GPU does not wait for the CPU within the loop, as what schedulers look up stays on the CPU, as plain numbers. Only those
  that draw noise at each step (``euler-a``, ``ddpm``, ``lcm``) or solve small systems (``unipc``) have it wait.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spurgekit.diffusion.edits import steps_of
from spurgekit.diffusion.latent_model import Backbone, Posterior
from spurgekit.diffusion.noise import draw, to_device
from spurgekit.diffusion.prompts import Conditioning, joined
from spurgekit.errors import InputError, first_line

Unet = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Hole:
    """Where images may change.

    Attributes
    ----------
    mask : Tensor of float32, shape (n, 1, h, w)
        A number for each latent: 1 where it may change, 0 where it may not.
    around : Posterior or None
        Of the images with what may change painted grey; for UNets that see it.
    """

    mask: Tensor
    around: Posterior | None = None


@torch.inference_mode()
def denoise(
    backbone: Backbone,
    scheduler: Any,
    conditioning: Conditioning,
    negative: Conditioning | None,
    generators: Sequence[torch.Generator],
    *,
    steps: int,
    guidance: float,
    size_px: int,
    strength: float = 1.0,
    image: Posterior | None = None,
    hole: Hole | None = None,
    unet: Unet | None = None,
) -> Tensor:
    """Return latents without noise.

    Without an image they come from noise alone. With one they come from the image with noise of the scheduler's level at
    ``int(steps * strength)`` steps before the end (SDEdit: Meng et al. 2022, section 3; DA-Fusion: Trabucco et al. 2024,
    section 4). At each step the prediction is ``e(negative) + guidance * (e(prompt) - e(negative))`` (classifier-free guidance:
    Ho and Salimans 2022, eq. 6). Outside of a hole a UNet of 4 channels has its latents replaced by the image's, with noise of
    the level reached, after each step (RePaint: Lugmayr et al. 2022, eq. 8); one of 9 channels sees mask and surroundings.

    Parameters
    ----------
    backbone : Backbone
    scheduler : diffusers.SchedulerMixin
        For this run alone while it goes on.
    conditioning : Conditioning of n prompts
    negative : Conditioning of n prompts, or None
        Not looked at where ``guidance`` is 1 or less.
    generators : sequence of torch.Generator, length n
        On the CPU. Each draws for its image in diffusers' order: the image's latents, noise, the latents around its hole, and
        what the scheduler draws at steps.
    steps : int
        Of the scheduler over the whole of its noise.
    guidance : float
        Weight of the prompt. At 1 or less the UNet runs once a step, not twice.
    size_px : int
        Side of the images, a multiple of the pixels that a latent stands for.
    strength : float
        Share of the noise that an image is given, above 0, at most 1. At 1 a hole begins from noise alone, as in diffusers.
    image : Posterior of n images, optional
        On the CPU, better, so that nothing waits for a GPU.
    hole : Hole, optional
        A UNet of 9 channels needs one.
    unet : callable, optional
        What runs in the place of the backbone's own UNet, such as the same compiled.

    Returns
    -------
    Tensor of float32, shape (n, channels, h, w)
        Scaled as the UNet has them.

    Raises
    ------
    InputError
        If the strength leaves no step.
    """
    inpaints = backbone.info.inpaints
    if hole is None and inpaints:
        raise ValueError("a UNet that takes a mask needs a hole")
    if hole is not None and (image is None if not inpaints else hole.around is None):
        raise ValueError("a hole needs the image, or for a UNet that takes a mask what is around it")
    timesteps = _begin(scheduler, steps, steps_of(steps, 1.0 if image is None else strength))
    shape = (int(backbone.vae.config.latent_channels), size_px // backbone.latent_px, size_px // backbone.latent_px)
    is_noise_alone = image is None or (hole is not None and strength == 1)

    device = backbone.device
    needs_image = image is not None and not (inpaints and is_noise_alone)
    real = _sample(image, generators, device) if image is not None and needs_image else None
    noise = draw(generators, shape, device)
    extra: tuple[Tensor, ...] = ()
    if hole is not None and inpaints and hole.around is not None:
        extra = (to_device(hole.mask, device), _sample(hole.around, generators, device))
    elif hole is not None and image is not None and image.std.any():
        draw(generators, shape, torch.device("cpu"))  # as diffusers does, though 4 channels do not take it

    if is_noise_alone or real is None:
        latents: Tensor = noise * scheduler.init_noise_sigma
    else:
        latents = _with_noise(scheduler, real, noise, timesteps[0])
    keeps = None if hole is None or inpaints or real is None else (to_device(hole.mask, device), real)
    told = _Guide(backbone, conditioning, negative if guidance > 1 else None, guidance, size_px, unet or backbone.unet)
    draws = {"generator": list(generators)} if "generator" in inspect.signature(scheduler.step).parameters else {}
    on_device = to_device(timesteps, device)
    for number, step in enumerate(timesteps):
        predicted = told(scheduler.scale_model_input(latents, step), on_device[number], extra)
        latents = scheduler.step(predicted, step, latents, **draws, return_dict=False)[0]
        if keeps is not None:
            mask, kept = keeps
            if number + 1 < len(timesteps):
                kept = _with_noise(scheduler, kept, noise, timesteps[number + 1])
            latents = (1 - mask) * kept + mask * latents
    return latents


class _Guide:
    """The UNet's prediction for latents, with the prompt's weight in it."""

    def __init__(
        self,
        backbone: Backbone,
        conditioning: Conditioning,
        negative: Conditioning | None,
        guidance: float,
        size_px: int,
        unet: Unet,
    ) -> None:
        self.dtype = backbone.dtype
        self.guidance = guidance
        self.unet = unet
        self.halves = 1 if negative is None else 2
        told = joined([conditioning] if negative is None else [negative, conditioning]).to(backbone.device, self.dtype)
        self.embeds, self.added = told.embeds, told.added(size_px)

    def __call__(self, latents: Tensor, step: Tensor, extra: tuple[Tensor, ...]) -> Tensor:
        inputs = torch.cat([latents, *extra], dim=1).to(self.dtype)
        predicted = self.unet(
            torch.cat([inputs] * self.halves).contiguous(memory_format=torch.channels_last),
            step,
            encoder_hidden_states=self.embeds,
            added_cond_kwargs=self.added,
            return_dict=False,
        )[0].float()
        if self.halves == 1:
            return predicted  # type: ignore[no-any-return]
        without, with_prompt = predicted.chunk(2)
        return without + self.guidance * (with_prompt - without)  # type: ignore[no-any-return]


def _begin(scheduler: Any, steps: int, count: int) -> Tensor:
    """Have a scheduler begin at the last ``count`` of its steps; return when they are, on the CPU."""
    try:
        scheduler.set_timesteps(steps, device="cpu")
    except ValueError as error:  # LCM's takes no more than it was distilled for
        raise InputError(f"the scheduler cannot go in {steps} steps ({first_line(error)}); pass fewer `steps`") from error
    skipped = (steps - count) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    return scheduler.timesteps[skipped:]  # type: ignore[no-any-return]


def _sample(posterior: Posterior, generators: Sequence[torch.Generator], device: torch.device) -> Tensor:
    """Return latents of images; an encoder that is certain draws nothing."""
    if not posterior.std.any():
        return to_device(posterior.mean, device)
    noise = draw(generators, posterior.mean.shape[1:], posterior.mean.device)
    return to_device(posterior.sample(noise), device)


def _with_noise(scheduler: Any, latents: Tensor, noise: Tensor, step: Tensor) -> Tensor:
    """Return latents with the noise of a step.

    ``add_noise`` weighs and adds. It is asked on the CPU for the two weights: on a GPU it would wait for its own look-ups.
    """
    one, none = torch.ones(1), torch.zeros(1)
    kept, added = scheduler.add_noise(one, none, step[None]), scheduler.add_noise(none, one, step[None])
    return kept[0] * latents + added[0] * noise  # type: ignore[no-any-return]
