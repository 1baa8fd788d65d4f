"""Noise for images, each from its own generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def generators_of(seeds: Sequence[int]) -> list[torch.Generator]:
    """Return a generator for each image, on the CPU whatever the device: GPUs draw other numbers, and not all the same."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> Tensor:
    """Return standard normal noise.

    Parameters
    ----------
    generators : sequence of torch.Generator, length n
        Each goes on by one draw.
    shape : sequence of int
        Of the noise of one image.
    device : torch.device
        To put it on, without waiting for what goes on there.

    Returns
    -------
    Tensor of float32, shape (n, *shape)
        Row by row what diffusers draws for a list of generators, so an image's noise does not depend on the others.
    """
    return to_device(torch.cat([torch.randn(1, *shape, generator=generator) for generator in generators]), device)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy from the CPU to a device; a GPU goes on with its work meanwhile."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
