"""Where networks run: the device of a name."""

from __future__ import annotations

import torch

from spurgekit.errors import ModelError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; ``auto`` is the GPU where there is one.

    Raises
    ------
    ModelError
        If this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"no device {name!r} on this machine; pass `device=cpu`, or auto") from error
    return device
