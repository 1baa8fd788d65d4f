"""RandAugment as torchvision has it, so that what it draws depends on a seed alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import RandAugment

from spurgekit.seeds import seed_of, seeded


def randaugmented(image: Tensor, seed: int) -> Tensor:
    """Apply two random operations to an image: colour, contrast, sharpness, shear, shift, rotation and the like.

    They are torchvision's defaults, which DA-Fusion's reference code takes: two operations of magnitude 9 in bins from 0 to 30,
    which turns by 9 degrees, shears by 0.09 and leaves 6 or 7 bits of a colour. (In timm's recipes 9 is of 10, three times as
    far.)

    Parameters
    ----------
    image : Tensor of uint8, shape (3, height, width)
        Red, green, blue; 0 in all three where there is no data.
    seed : int

    Returns
    -------
    Tensor of uint8, shape (3, height, width)
        What a shift or a rotation brings in from outside has the image's mean colour. So have pixels without data, ahead
        of all else: an inversion would make them white, and the stretch of a contrast would start at them. What becomes black
        is 1 in all three, and data.

    References
    ----------
    Cubuk et al. (2020), RandAugment: practical automated data augmentation with a reduced search space, arXiv:1909.13719.
    """
    seen = (image > 0).any(dim=0, keepdim=True)
    # The image's own colour, not the set's: an image's change must not depend on others.
    colour = (image.sum(dim=(1, 2)) / seen.sum().clamp(min=1)).round().to(torch.uint8)
    operations = RandAugment(fill=colour.tolist())
    with seeded(seed_of(seed, "randaugment")):
        altered: Tensor = operations(torch.where(seen, image, colour[:, None, None]))
    return torch.where((altered.amax(dim=0, keepdim=True) == 0) & seen.any(), 1, altered)
