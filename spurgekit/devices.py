"""Where networks run: the device of a name."""

from __future__ import annotations

import torch

from spurgekit.errors import ModelError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; ``auto`` is the GPU where there is one, Apple's included.

    Raises
    ------
    ModelError
        If this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() and _resizes(torch.device("mps")) else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # of meta there is nothing to be had
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"no device {name!r} on this machine; pass `device=cpu`, or auto") from error
    return device


def widest(device: torch.device) -> torch.dtype:
    """Return the type of floats to sum in on a device: Apple's GPUs have none of 64 bits."""
    return torch.float32 if device.type == "mps" else torch.float64


def _resizes(device: torch.device) -> bool:
    """Whether a device knows how tiles are resized for networks, which not every PyTorch taught Apple's GPUs."""
    try:
        torch.nn.functional.interpolate(torch.zeros(1, 3, 4, 4, device=device), size=(2, 2), mode="bilinear", antialias=True)
    except (RuntimeError, NotImplementedError):
        return False
    return True
