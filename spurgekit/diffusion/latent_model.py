"""Latent diffusion models of the Stable Diffusion family, from the Hugging Face Hub or a local folder."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from spurgekit.errors import InputError
from spurgekit.memory import keep_freed_memory

if TYPE_CHECKING:
    from diffusers import SchedulerMixin

Architecture = Literal["sd", "sdxl"]


@dataclass(frozen=True, slots=True)
class BackboneInfo:
    """What a diffusion model is.

    Attributes
    ----------
    name : str
        Repository on the Hub, or the path of a local folder.
    revision : str or None
        Commit of the repository.
    licence : str or None
    kind : {"sd", "sdxl"}
        Stable Diffusion 1.x, with one text encoder, or SDXL, with two.
    size_px : int
        Side of the images that it was trained on.
    inpaints : bool
        Whether its UNet takes a mask and the masked image beside the latents.
    lora : str or None
        Path of a LoRA that was merged into it.
    unet : str or None
        Path of weights that took the place of its UNet's.
    """

    name: str
    revision: str | None
    licence: str | None
    kind: Architecture
    size_px: int
    inpaints: bool = False
    lora: str | None = None
    unet: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What the encoder makes of images: a normal distribution of latents, scaled as the UNet wants them.

    Attributes
    ----------
    mean, std : Tensor of float32, shape (n, channels, h, w)
        ``std`` is 0 for encoders that are certain.
    """

    mean: Tensor
    std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Return latents, given standard normal noise of their shape."""
        return self.mean + self.std * noise

    def pick(self, rows: Sequence[int]) -> Posterior:
        """Return the posterior of some of the images, which may be named several times."""
        return Posterior(self.mean[list(rows)], self.std[list(rows)])


class Backbone:
    """The parts of a latent diffusion model, on one device, none of them trained.

    Parameters
    ----------
    info : BackboneInfo
    unet, vae : torch.nn.Module
        ``diffusers.UNet2DConditionModel``; ``AutoencoderKL`` or ``AutoencoderTiny``.
    tokenizers, text_encoders : sequence
        One of each, two for SDXL.
    scheduler : diffusers.SchedulerMixin
        The model's own: others are made from its configuration.
    device : torch.device
    dtype : torch.dtype
        Of UNet and text encoders; for the VAE see :func:`vae_dtype`.
    safety_checker : tuple of a module and an image processor, optional
    """

    def __init__(
        self,
        info: BackboneInfo,
        *,
        unet: nn.Module,
        vae: nn.Module,
        tokenizers: tuple[Any, ...],
        text_encoders: tuple[nn.Module, ...],
        scheduler: SchedulerMixin,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        safety_checker: tuple[nn.Module, Any] | None = None,
    ) -> None:
        if device.type == "cpu":
            keep_freed_memory()
        self.info = info
        self.scheduler: Any = scheduler
        self.tokenizers = tokenizers
        self.device = device
        self.dtype = dtype
        self.safety_checker = safety_checker
        self.unet: Any = _put(unet, device, dtype)
        self.vae: Any = _put(vae, device, vae_dtype(info.kind, cast("Any", vae).config, dtype))
        self.text_encoders: tuple[Any, ...] = tuple(_put(encoder, device, dtype) for encoder in text_encoders)
        for module in self.modules:
            module.requires_grad_(False).eval()

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """All its networks."""
        return (self.unet, self.vae, *self.text_encoders)

    @property
    def latent_px(self) -> int:
        """Pixels of an image that one latent stands for, a side."""
        widths = self.vae.config.get("block_out_channels") or self.vae.config["decoder_block_out_channels"]
        return int(2 ** (len(widths) - 1))

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Posterior:
        """Return the distribution of latents of images.

        Parameters
        ----------
        images : Tensor, shape (n, 3, side, side)
            From -1 to 1.
        """
        found = self.vae.encode(images.to(self.device, self.vae.dtype))
        scale = float(self.vae.config.scaling_factor)
        if hasattr(found, "latents"):  # AutoencoderTiny
            mean = scale * found.latents.float()
            return Posterior(mean, torch.zeros_like(mean))
        return Posterior(scale * found.latent_dist.mean.float(), scale * found.latent_dist.std.float())

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Return images of float32, [n, 3, side, side] from about -1 to 1, of latents as the UNet has them."""
        images: Tensor = self.vae.decode(
            (latents.float() / self.vae.config.scaling_factor).to(self.vae.dtype), return_dict=False
        )[0]
        return images.float()

    def in_float32(self) -> Backbone:
        """Return the same model that counts in float32, with copies of its weights."""
        return self.in_dtype(torch.float32)

    def check_size(self, size_px: int) -> None:
        """Raise an :class:`InputError` if the model cannot work with images of that side."""
        if size_px < 1 or size_px % self.latent_px:
            raise InputError(f"images of {size_px} px do not fit the model; pass a multiple of {self.latent_px}")

    def leave_device(self) -> None:
        """Move the weights to the CPU and give the memory of the GPU back; it cannot be used after that."""
        for module in self.modules:
            module.to("cpu")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def in_dtype(self, dtype: torch.dtype) -> Backbone:
        """Return the same model that counts in another type, with copies of its weights."""
        unet, vae, *encoders = (copy.deepcopy(module) for module in self.modules)
        return Backbone(
            self.info,
            unet=unet,
            vae=vae,
            tokenizers=self.tokenizers,
            text_encoders=tuple(encoders),
            scheduler=self.scheduler,
            device=self.device,
            dtype=dtype,
            safety_checker=self.safety_checker,
        )


def vae_dtype(kind: Architecture, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """Return the type that a VAE counts in beside a UNet that counts in ``dtype``.

    That of SDXL overflows in float16, unless its configuration says otherwise (``force_upcast``, which is the default there,
    and which diffusers heeds for SDXL only). bfloat16 has 8 significant bits, so that pixels would be off by whole grey levels.
    """
    if dtype == torch.bfloat16 or (dtype == torch.float16 and kind == "sdxl" and config.get("force_upcast", True)):
        return torch.float32
    return dtype


def _put(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Move a network, its convolutions in channels-last order, which is the faster one on CPUs and GPUs alike."""
    # diffusers' own ``to`` logs a warning about modules that need float32, of which these networks have none.
    return nn.Module.to(network, device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
