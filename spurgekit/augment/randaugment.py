"""RandAugment as timm has it, so that what it draws depends on a seed alone."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from torch import Tensor

from spurgekit.seeds import seed_of, seeded

POLICY = "rand-m9-mstd0.5-inc1"
"""The one that most of timm's own recipes use: two operations, magnitude 9 of 10 give or take 0.5."""

STRONGEST = 9.99
"""At a magnitude of 10 timm's posterize would keep no bit of a colour, which Pillow refuses."""


def randaugmented(image: Tensor, seed: int) -> Tensor:
    """Apply two random operations to an image: colour, contrast, sharpness, shear, shift, rotation and the like.

    Parameters
    ----------
    image : Tensor of uint8, shape (3, height, width)
        Red, green, blue; 0 in all three where there is no data.
    seed : int

    Returns
    -------
    Tensor of uint8, shape (3, height, width)
        What a shift or a rotation brings in from outside has the image's mean colour. So have pixels without data, ahead
        of all else: an inversion would make them white, and the stretch of a contrast would start at them.

    References
    ----------
    Cubuk et al. (2020), RandAugment: practical automated data augmentation with a reduced search space, arXiv:1909.13719.
    """
    pixels = image.permute(1, 2, 0).cpu().numpy()
    seen = pixels.any(axis=2, keepdims=True)
    # The image's own colour, not the set's: an image's change must not depend on others.
    colour = (pixels.sum(axis=(0, 1)) / max(1, seen.sum())).round().astype(np.uint8)
    operations = rand_augment_transform(POLICY, {"img_mean": tuple(map(int, colour)), "magnitude_max": STRONGEST})
    with seeded(seed_of(seed, "randaugment")):
        picture = operations(Image.fromarray(np.where(seen, pixels, colour)))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).to(image.device)
