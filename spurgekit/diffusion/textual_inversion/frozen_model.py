"""Models through which gradients flow, and which stay as they are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spurgekit.devices import choose_device, widest
from spurgekit.diffusion.checkpoint_options import ModelPrecision
from spurgekit.diffusion.latent_model import Backbone


def learning_precision(device: str, precision: ModelPrecision = "auto") -> ModelPrecision:
    """Return the precision in which to load a model that is to learn; ``auto`` is bfloat16 on GPUs that have it, else float32.

    Parameters
    ----------
    device : str
        As :func:`spurgekit.devices.choose_device` takes it.
    precision : {"auto", "float32", "float16", "bfloat16"}
    """
    if precision != "auto":
        return precision
    return "bfloat16" if _learning_dtype(choose_device(device)) == torch.bfloat16 else "float32"


def trainable(backbone: Backbone, warn: Callable[[str], None]) -> Backbone:
    """Return a model through which gradients can flow: a copy of one of float16, in which they vanish."""
    if backbone.dtype != torch.float16:
        return backbone
    dtype = _learning_dtype(backbone.device)
    warn(f"words are learned in {name_of(dtype)}, with a copy of the model: gradients vanish in float16")
    return backbone.in_dtype(dtype)


def sums_of(backbone: Backbone) -> Tensor:
    """Return the sum of each parameter of a model, in the widest floats that its device has."""
    return torch.stack([parameter.detach().sum(dtype=widest(backbone.device)) for parameter in _parameters(backbone)])


def check_unchanged(backbone: Backbone, sums: Tensor) -> None:
    """Make sure that nothing of a model was trained.

    Parameters
    ----------
    backbone : Backbone
    sums : Tensor
        From :func:`sums_of`, before.

    Raises
    ------
    RuntimeError
        If a parameter has another sum now, or gradients.
    """
    has_gradients = any(parameter.requires_grad or parameter.grad is not None for parameter in _parameters(backbone))
    if has_gradients or not torch.equal(sums_of(backbone), sums):
        raise RuntimeError(f"{backbone.info.name} was changed while words were learned; nothing but their vectors may be")


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a type.

    >>> name_of(torch.bfloat16)
    'bfloat16'
    """
    return str(dtype).removeprefix("torch.")


def _parameters(backbone: Backbone) -> list[torch.nn.Parameter]:
    return [parameter for module in backbone.modules for parameter in module.parameters()]


def _learning_dtype(device: torch.device) -> torch.dtype:
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float32
