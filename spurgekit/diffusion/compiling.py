"""Networks that torch compiles: slower at their first call, faster at all others."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from spurgekit.errors import InputError, first_line


def check_compiles(device: torch.device) -> None:
    """Refuse to compile where torch has nothing to compile with.

    Raises
    ------
    InputError
        With what torch says.
    """
    try:
        compiled(torch.neg)(torch.zeros(1, device=device))
    except Exception as error:  # what is missing, a compiler or Triton, raises errors of torch's own, of many kinds
        raise InputError(f"torch cannot compile here ({first_line(error)}); leave `compile` out") from error


def compiled(network: nn.Module | Callable[..., Any]) -> Callable[..., Any]:
    """Return a network that is compiled at its first call, without what torch says of the code that it meets."""
    fast = torch.compile(network)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that there is no CUDA

    def call(*given: Any, **named: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fast(*given, **named)

    return call
