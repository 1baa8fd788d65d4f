"""Batch normalisation folded into the convolutions ahead of it, where a network is only looked through.

What a layer of batch normalisation does where nothing is learned is a factor and a summand for each channel, which can be those
of the convolution as well (Jacob et al. 2018, section 3.2). A pass over memory for each is saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

CLOSE = 1e-3
"""How far features may move, as a share of the largest: float32 sums in another order."""


def noise_images(count: int, bands: int, height: int, width: int) -> Tensor:
    """Return images of always the same noise, shape (count, bands, height, width), to try a network on."""
    return torch.randn((count, bands, height, width), generator=torch.Generator().manual_seed(0))


def folded(model: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy of a network that :func:`fold_norms` made faster; the network itself where it has nothing to fold.

    Parameters
    ----------
    model, example
        As of :func:`fold_norms`; the network stays as it is, to be learned from.
    """
    if not _has_norms(model):
        return model
    copy = deepcopy(model)
    fold_norms(copy, example)
    return copy


@torch.no_grad()
def fold_norms(model: nn.Module, example: Tensor) -> int:
    """Fold what batch normalisation there is right behind a convolution into it, in place, and return how many layers.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    example : Tensor, shape (n, bands, h, w)
        Images that it takes: which layer follows which is seen as they pass. Where what comes out does not stay the same, as
        where a convolution is used twice, nothing is folded.
    """
    if not _has_norms(model):
        return 0
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = _out(model, example)
    pairs = _pairs(model, example)
    folded = [(conv, norm, conv.bias, norm.forward) for conv, norm in pairs]
    for conv, norm in pairs:
        assert norm.running_mean is not None  # _pairs sees to it
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = weight, bias
        norm.forward = _what_is_left(norm)  # type: ignore[method-assign]
    if pairs and not torch.allclose(_out(model, example), expected, rtol=0, atol=CLOSE * float(expected.abs().max())):
        for conv, norm, own_bias, forward in folded:
            conv.bias, norm.forward = own_bias, forward  # type: ignore[method-assign]
        model.load_state_dict(before)
        return 0
    return len(pairs)


def _has_norms(model: nn.Module) -> bool:
    return any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())


def _out(model: nn.Module, example: Tensor) -> Tensor:
    found: Tensor = model(example)
    return found.float()


def _what_is_left(norm: nn.BatchNorm2d) -> Any:
    """Return what a layer does beside normalising: timm's end in an activation."""
    rest = [layer for name in ("drop", "act") if isinstance(layer := getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*rest).forward


def _pairs(model: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return convolutions, and the batch normalisation that takes what comes out of each, both used once."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    uses: dict[nn.Module, int] = {}

    def after_conv(conv: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        uses[conv] = uses.get(conv, 0) + 1
        made[id(out)] = conv, out  # kept, so that no other tensor takes its number

    def before_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        uses[norm] = uses.get(norm, 0) + 1
        if id(inputs[0]) in made and norm.running_mean is not None:
            pairs.append((made[id(inputs[0])][0], norm))

    with _hooks(model, after_conv, before_norm):
        model(example)
    return [(conv, norm) for conv, norm in pairs if uses[conv] == uses[norm] == 1]


@contextmanager
def _hooks(model: nn.Module, after_conv: Any, before_norm: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                stack.callback(layer.register_forward_hook(after_conv).remove)
            elif isinstance(layer, nn.BatchNorm2d):
                stack.callback(layer.register_forward_pre_hook(before_norm).remove)
        yield
