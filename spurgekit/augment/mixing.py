"""CutMix and MixUp as timm has them, of any number of images and with labels that may be soft already."""

from __future__ import annotations

import torch
from timm.data.mixup import Mixup
from torch import Tensor

from spurgekit.seeds import seed_of, seeded


def mixed(
    images: Tensor, targets: Tensor, *, cutmix_alpha: float = 0.0, mixup_alpha: float = 0.0, probability: float = 1.0, seed: int
) -> tuple[Tensor, Tensor]:
    """Mix images of a batch with one other each: the first with the last, the second with the last but one, and so on.

    timm mixes an even number of images and takes labels for numbers of classes. Here the "class" of an image is its own
    number in the batch, so that what timm returns as labels is the share that each image has in each mixed one; the true
    labels, soft or not, are weighted with it. To an odd batch the image in the middle, which would be its own partner, is
    appended for the first one to be mixed with, and dropped after.

    Parameters
    ----------
    images : Tensor, shape (n, bands, height, width)
        Integers are mixed as float32 and rounded.
    targets : Tensor of floats, shape (n, classes)
    cutmix_alpha, mixup_alpha : float
        Of the beta distribution that a share is drawn from, for each image; 0 leaves that way of mixing out.
    probability : float
        That an image is mixed at all.
    seed : int

    Returns
    -------
    images : Tensor, shape (n, bands, height, width)
        Of the same dtype. A batch of one stays as it is.
    targets : Tensor, shape (n, classes)
        A label's weight is the share of the pixels (CutMix) or of their value (MixUp) that came from that image.

    References
    ----------
    Yun et al. (2019), CutMix, arXiv:1905.04899. Zhang et al. (2018), mixup, arXiv:1710.09412.
    """
    n = len(images)
    if n < 2:
        return images, targets
    order = torch.arange(n + n % 2, device=images.device)
    if n % 2:
        order[-1] = n // 2
    batch = (images if images.is_floating_point() else images.float())[order]  # a copy: timm mixes in place
    mixup = Mixup(  # type: ignore[no-untyped-call]
        mixup_alpha=mixup_alpha, cutmix_alpha=cutmix_alpha, prob=probability, mode="elem", label_smoothing=0.0, num_classes=n
    )
    with seeded(seed_of(seed, "mix")):
        batch, shares = mixup(batch, order)
    if not images.is_floating_point():
        batch = batch.round().to(images.dtype)
    return batch[:n], shares[:n].to(targets) @ targets
