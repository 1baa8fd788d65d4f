"""Low-rank adapters (Hu et al. 2021, LoRA, arXiv:2106.09685) on timm's networks, through peft."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from spurgekit.classify.training.network import Network
from spurgekit.errors import ModelError
from spurgekit.seeds import seeded

ADAPTER = "default"


def adaptable_layers(network: Network) -> tuple[str, ...]:
    """Return the names, within timm's model, of the layers that take an adapter.

    They are the linear layers (``qkv``, ``proj``, ``fc1`` and ``fc2`` of transformer blocks and their like) and the 1 x 1
    convolutions without groups, which are linear layers at each pixel; the classifier is none of them, since it learns whole.
    The projection inside ``torch.nn.MultiheadAttention`` is left out: that module reads its weights past the adapter.
    """
    return tuple(
        name
        for name, module in network.model.named_modules()
        if module is not network.classifier and (_is_linear(module) or _is_pointwise(module))
    )


@contextmanager
def adapted(network: Network, *, rank: int, alpha: int, dropout: float, seed: int) -> Iterator[tuple[str, ...]]:
    """Put adapters on a network, in place; in this block only they and the classifier learn.

    When the block ends they are merged into the layers' weights, and the network is as plain as before, with the same keys in
    its state. On an error they are taken off unmerged.

    Parameters
    ----------
    network : Network
    rank : int
    alpha : int
        What an adapter adds is scaled by ``alpha / rank``.
    dropout : float
        Share of an adapter's inputs that are dropped while it learns.
    seed : int
        Of the adapters' weights. What they add is zero at first.

    Yields
    ------
    tuple of str
        The names of :func:`adaptable_layers`.

    Raises
    ------
    ModelError
        If the network has no layer that takes an adapter.
    """
    layers = adaptable_layers(network)
    if not layers:
        raise ModelError(
            f"a {type(network.model).__name__} has neither linear layers nor 1 x 1 convolutions for LoRA to adapt; "
            "train it with `arm=finetune`, or pass another `backbone`"
        )
    from peft import LoraConfig, LoraModel  # takes seconds

    # A pattern for whole names: peft takes a list of names for endings, which other layers may share.
    pattern = "|".join(re.escape(name) for name in layers)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=pattern)
    with seeded(seed):
        tuner = LoraModel(network.model, config, ADAPTER)
    network.classifier.requires_grad_(True)
    try:
        yield layers
    except BaseException:
        tuner.unload()
        raise
    else:
        with torch.no_grad():
            tuner.merge_and_unload()
    finally:
        network.requires_grad_(True)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and not isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear)


def _is_pointwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1
