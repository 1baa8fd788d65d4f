"""How badly a diffusion model tells noise from tile, which is what it was trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from spurgekit.diffusion.compiling import compiled
from spurgekit.diffusion.latent_model import Backbone, Posterior
from spurgekit.diffusion.noise import to_device
from spurgekit.diffusion.prompts import Conditioning
from spurgekit.diffusion.schedulers import make_scheduler
from spurgekit.diffusion.small_attention import attention_with_gradients
from spurgekit.errors import ModelError


class DenoisingLoss:
    """The loss of denoising diffusion models, of each sample.

    Parameters
    ----------
    backbone : Backbone
    size_px : int
        Side of the images.
    compiles : bool
        Have torch compile the UNet, which takes a minute and pays in long runs.

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

    def __init__(self, backbone: Backbone, size_px: int, *, compiles: bool = False) -> None:
        self._backbone = backbone
        self._unet = compiled(backbone.unet) if compiles else backbone.unet
        self._scheduler = make_scheduler(backbone, "ddpm")
        self._target = str(self._scheduler.config.prediction_type)
        if self._target not in ("epsilon", "v_prediction"):
            raise ModelError(
                f"{backbone.info.name} predicts {self._target!r}; words can be learned for epsilon or v_prediction"
            )
        self.levels = int(self._scheduler.config.num_train_timesteps)
        self._size_px = size_px
        self._blank = blank(backbone, size_px).mean if backbone.info.inpaints else None

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
        noise, timesteps = to_device(noise, latents.device), to_device(timesteps, latents.device)
        noisy = self._scheduler.add_noise(latents, noise, timesteps)
        is_velocity = self._target == "v_prediction"
        target = self._scheduler.get_velocity(latents, noise, timesteps) if is_velocity else noise
        with attention_with_gradients(latents.device, latents[0, 0].numel()):
            predicted: Tensor = self._unet(
                self._seen(noisy).to(self._backbone.dtype, memory_format=torch.channels_last),
                timesteps,
                encoder_hidden_states=conditioning.embeds,
                added_cond_kwargs=conditioning.added(self._size_px),
                return_dict=False,
            )[0]
        return (predicted.float() - target).square().mean(dim=(1, 2, 3))

    def _seen(self, noisy: Tensor) -> Tensor:
        """Return what the UNet sees; one that inpaints is told that all is to be painted, and nothing given."""
        if self._blank is None:
            return noisy
        return torch.cat([noisy, torch.ones_like(noisy[:, :1]), self._blank.expand(len(noisy), -1, -1, -1)], dim=1)


def blank(backbone: Backbone, size_px: int) -> Posterior:
    """Return the latents of a grey image, of which a model that inpaints sees nothing."""
    return backbone.encode(torch.zeros(1, 3, size_px, size_px))
