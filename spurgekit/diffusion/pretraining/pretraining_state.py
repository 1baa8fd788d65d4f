"""Checkpoints of a pretraining: all that a run needs to go on as if it had not been stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spurgekit.checkpoint import Fingerprints, load_checkpoint, save_checkpoint
from spurgekit.diffusion.pretraining.weight_average import PowerAverage

MOMENTS = ("exp_avg", "exp_avg_sq")
"""Of AdamW, by torch's names."""


@dataclass(slots=True)
class History:
    """How far a run is, and how it went.

    Attributes
    ----------
    losses : Tensor of float32, shape (step,)
        Weighted loss of each.
    judged : list of dict
        What was found whenever the model was looked at.
    """

    losses: Tensor = field(default_factory=lambda: torch.empty(0))
    judged: list[dict[str, Any]] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)


def save_state(
    path: Path,
    run: Fingerprints,
    parameters: Sequence[nn.Parameter],
    average: PowerAverage,
    optimizer: torch.optim.Optimizer,
    history: History,
) -> None:
    """Write a checkpoint, whole or not at all."""
    tensors: dict[str, Tensor] = {"losses": history.losses}
    for number, (parameter, mean) in enumerate(zip(parameters, average.means, strict=True)):
        tensors |= {f"weights.{number}": parameter, f"mean.{number}": mean}
        tensors |= {f"{name}.{number}": optimizer.state[parameter][name] for name in MOMENTS}
    save_checkpoint(path, run, tensors, {"judged": history.judged})


def load_state(
    path: Path,
    run: Fingerprints,
    parameters: Sequence[nn.Parameter],
    average: PowerAverage,
    optimizer: torch.optim.Optimizer,
) -> History:
    """Put weights, their means and moments back as a checkpoint has them; nothing is changed where there is none.

    Raises
    ------
    ModelError
        If the checkpoint is of another run, or damaged.
    """

    @torch.no_grad()
    def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> History:
        for number, (parameter, mean) in enumerate(zip(parameters, average.means, strict=True)):
            parameter.copy_(tensors[f"weights.{number}"])
            mean.copy_(tensors[f"mean.{number}"])
            moments = {name: torch.empty_like(parameter).copy_(tensors[f"{name}.{number}"]) for name in MOMENTS}
            optimizer.state[parameter] = {"step": torch.tensor(float(len(tensors["losses"]))), **moments}
        return History(tensors["losses"], list(about["judged"]))

    return load_checkpoint(path, run, restore) if path.is_file() else History()
