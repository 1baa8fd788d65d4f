"""Dense features: what a backbone sees at each position of an image, rather than in all of it."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from spurgekit.errors import ModelError


def position_features(backbone: nn.Module, images: Tensor) -> Tensor:
    """Return the features of each position, of length 1.

    Of a convolutional backbone they are those of its last two stages side by side, of length 1 each, the coarser one
    interpolated to the positions of the finer one (a position is 16 px of most, the coarser ones 32). Of a vision transformer
    they are its patches after the last block; class and register tokens are no positions. The backbone runs once, with the
    weights that it has.

    Parameters
    ----------
    backbone : torch.nn.Module
        Of timm.
    images : Tensor, shape (n, bands, height, width)

    Returns
    -------
    Tensor of float32, shape (n, d, rows, columns)

    Raises
    ------
    ModelError
        If the backbone has no feature maps that divide the image evenly.
    """
    return features_of_maps(*feature_maps(backbone, images))


def feature_maps(backbone: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """Return what :func:`features_of_maps` makes positions' features of, as a backbone gives it.

    Parameters
    ----------
    backbone, images
        See :func:`position_features`.

    Returns
    -------
    tuple of one or two Tensors, shape (n, d, rows, columns)
        The last stage; of a convolutional backbone behind the one before it, which is twice as fine.

    Raises
    ------
    ModelError
        As of :func:`position_features`.
    """
    forward = getattr(backbone, "forward_intermediates", None)
    if forward is None:
        raise _unsuitable(backbone, "gives no feature maps")
    try:
        last, stages = forward(images, indices=2)
    except (AttributeError, TypeError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise _unsuitable(backbone, "gives no feature maps") from error
    finer, coarser = stages
    coarse = _as_map(backbone, last, coarser.shape[-2:])
    if any(side % count for side, count in zip(images.shape[-2:], finer.shape[-2:], strict=True)):
        raise _unsuitable(backbone, f"has {' x '.join(str(n) for n in finer.shape[-2:])} positions, which do not divide images")
    if finer.shape[-2:] == coarse.shape[-2:]:
        return (coarse,)
    if any(a != 2 * b for a, b in zip(finer.shape[-2:], coarse.shape[-2:], strict=True)):
        raise _unsuitable(backbone, "has last stages of which one is not half as fine as the other")
    return finer, coarse


def features_of_maps(*maps: Tensor) -> Tensor:
    """Return the features of positions, [n, d, rows, columns], of what :func:`feature_maps` returns."""
    *finer, last = maps
    coarse = nnf.normalize(last.float(), dim=1)
    if not finer:
        return coarse
    raised = nnf.interpolate(coarse, scale_factor=2, mode="bilinear")
    return torch.cat([nnf.normalize(finer[0].float(), dim=1), raised], dim=1) / 2**0.5


def _as_map(backbone: nn.Module, last: Tensor, shape: torch.Size) -> Tensor:
    """Return what comes out of a backbone's last stage as [n, d, rows, columns]: of tokens, those that are positions."""
    rows, columns = shape
    if not isinstance(last, Tensor):  # of several branches
        raise _unsuitable(backbone, "gives no feature maps")
    if last.ndim == 3 and last.shape[1] >= rows * columns:
        return last[:, -rows * columns :].transpose(1, 2).reshape(len(last), -1, rows, columns)
    if last.ndim == 4 and last.shape[2:] == shape:
        return last
    if last.ndim == 4 and last.shape[1:3] == shape:
        return last.permute(0, 3, 1, 2)
    raise _unsuitable(backbone, "gives no feature maps")


def _unsuitable(backbone: nn.Module, what: str) -> ModelError:
    return ModelError(
        f"a {type(backbone).__name__} {what}: nothing can be told of places within a tile; pass another `backbone`, "
        "such as vit_small_patch14_reg4_dinov2 or convnext_tiny, or train a probe"
    )
