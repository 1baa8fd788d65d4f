"""How badly a diffusion model tells noise from tile, which is what it was trained on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spurgekit.diffusion.backbone import Backbone
from spurgekit.diffusion.prompts import Conditioning
from spurgekit.errors import ModelError

_NOISE = (
    "num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas", "rescale_betas_zero_snr",
    "prediction_type",
)  # fmt: skip


def noise_of(scheduler: Any) -> dict[str, Any]:
    """Return what a scheduler's configuration says of the noise in training; the rest is about how it samples."""
    return {name: scheduler.config[name] for name in _NOISE if name in scheduler.config}


class DenoisingLoss:
    """The loss of denoising diffusion models, of each sample.

    Parameters
    ----------
    backbone : Backbone
    size_px : int
        Side of the images.

    Attributes
    ----------
    levels : int
        Timesteps that there are.

    Raises
    ------
    ModelError
        If the model predicts something else than the noise or the velocity.

    References
    ----------
    Ho et al. (2020), Denoising Diffusion Probabilistic Models, arXiv:2006.11239, equation 14, for models that predict the
    noise; Salimans and Ho (2022), Progressive Distillation, arXiv:2202.00512, appendix D, for the velocity.
    """

    def __init__(self, backbone: Backbone, size_px: int) -> None:
        from diffusers import DDPMScheduler

        self._backbone = backbone
        self._scheduler: Any = DDPMScheduler(**noise_of(backbone.scheduler))  # type: ignore[no-untyped-call]
        self._target = str(self._scheduler.config.prediction_type)
        if self._target not in ("epsilon", "v_prediction"):
            raise ModelError(
                f"{backbone.info.name} predicts {self._target!r}; words can be learned for epsilon or v_prediction"
            )
        self.levels = int(self._scheduler.config.num_train_timesteps)
        self._size_px = size_px
        self._blank = blank_latents(backbone, size_px)

    def __call__(self, latents: Tensor, noise: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """Return the mean squared error of each sample.

        Parameters
        ----------
        latents, noise : Tensor of float32, shape (n, channels, h, w)
        timesteps : Tensor of int64, shape (n,)
        conditioning : Conditioning
            Of each sample.

        Returns
        -------
        Tensor of float32, shape (n,)
        """
        noise, timesteps = (tensor.to(latents.device, non_blocking=True) for tensor in (noise, timesteps))
        noisy = self._scheduler.add_noise(latents, noise, timesteps)
        is_velocity = self._target == "v_prediction"
        target = self._scheduler.get_velocity(latents, noise, timesteps) if is_velocity else noise
        predicted = predict_noise(self._backbone, noisy, timesteps, conditioning, self._size_px, self._blank)
        return (predicted - target).square().mean(dim=(1, 2, 3))


def blank_latents(backbone: Backbone, size_px: int) -> Tensor | None:
    """Return the latents of an image of which nothing is given, for models that inpaint; None for others."""
    return backbone.encode(torch.zeros(1, 3, size_px, size_px)).mean if backbone.info.inpaints else None


def predict_noise(
    backbone: Backbone, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning, size_px: int, blank: Tensor | None
) -> Tensor:
    """Return what the UNet makes of noisy latents, all of which are to be painted.

    Parameters
    ----------
    backbone : Backbone
    noisy : Tensor of float32, shape (n, channels, h, w)
    timesteps : Tensor of int64, shape (n,) or ()
    conditioning : Conditioning
        Of each sample.
    size_px : int
        Side of the images: SDXL is told that they have their full size and were not cropped.
    blank : Tensor of float32, shape (1, channels, h, w), optional
        From :func:`blank_latents`.

    Returns
    -------
    Tensor of float32, shape (n, channels, h, w)
        Noise or velocity, as the model was trained to predict.
    """
    if blank is not None:
        noisy = torch.cat([noisy, torch.ones_like(noisy[:, :1]), blank.expand(len(noisy), -1, -1, -1)], dim=1)
    pooled, added = conditioning.pooled, None
    if pooled is not None:
        sizes = torch.tensor([size_px, size_px, 0, 0, size_px, size_px], device=pooled.device, dtype=pooled.dtype)
        added = {"text_embeds": pooled, "time_ids": sizes.expand(len(pooled), -1)}
    predicted: Tensor = backbone.unet(
        noisy.to(backbone.dtype, memory_format=torch.channels_last),
        timesteps,
        encoder_hidden_states=conditioning.embeds,
        added_cond_kwargs=added,
        return_dict=False,
    )[0]
    return predicted.float()
