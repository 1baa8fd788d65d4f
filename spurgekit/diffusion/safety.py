"""Safety checkers: the networks that some checkpoints bring along to flag images that are not safe for work."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spurgekit.diffusion.library_logs import quiet


@torch.inference_mode()
def flagged(checker: tuple[nn.Module, Any], images: NDArray[np.uint8]) -> list[bool]:
    """Tell which images a safety checker would not show.

    Parameters
    ----------
    checker : tuple of a module and an image processor
        ``StableDiffusionSafetyChecker`` and its ``CLIPImageProcessor``, see :attr:`spurgekit.diffusion.latent_model.Backbone`.
    images : ndarray of uint8, shape (n, height, width, 3)
        RGB. They are left as they are.

    Returns
    -------
    list of bool
        One for each image.
    """
    module, processor = checker
    if not len(images):
        return []
    weight = next(module.parameters())
    with quiet():
        pixels = processor(list(images), return_tensors="pt").pixel_values.to(weight.device, weight.dtype)
        # It blackens what it flags in place, so it is given something else than the images.
        _, found = module(clip_input=pixels, images=np.zeros((len(images), 1)))
    return [bool(flag) for flag in found]
