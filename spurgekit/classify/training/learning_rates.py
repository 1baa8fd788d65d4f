"""What learns how fast: groups of parameters, and the learning rate over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def learning_rate_share(step: int, steps: int, warmup: float) -> float:
    """Return the share of the full learning rate at a step: a linear rise, then half a cosine down to nearly 0.

    Parameters
    ----------
    step : int
        From 0.
    steps : int
    warmup : float
        Share of the steps in which it rises.

    Examples
    --------
    >>> [round(learning_rate_share(step, 8, 0.25), 2) for step in range(8)]
    [0.5, 1.0, 1.0, 0.93, 0.75, 0.5, 0.25, 0.07]
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def make_optimiser(
    learning: Mapping[str, nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float,
    head: frozenset[str],
    head_learning_rate: float,
    undecayed: frozenset[str],
) -> torch.optim.AdamW:
    """Make AdamW over what learns.

    Parameters
    ----------
    learning : mapping
        Parameters by name, in an order that is the same in every run.
    learning_rate, weight_decay : float
        Weights only decay: biases, the scales of norms and what ``undecayed`` names do not (as timm has it).
    head : frozenset of str
        Names of the classifier's parameters.
    head_learning_rate : float
    undecayed : frozenset of str
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in learning.items():
        decays = parameter.ndim > 1 and name not in undecayed
        groups.setdefault((name in head, decays), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": weight_decay if decays else 0.0,
                "full_rate": head_learning_rate if in_head else learning_rate,
            }
            for (in_head, decays), parameters in groups.items()
        ]
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Give each group of an optimiser of :func:`make_optimiser` a share of its full learning rate."""
    group: dict[str, Any]
    for group in optimiser.param_groups:
        group["lr"] = share * group["full_rate"]
