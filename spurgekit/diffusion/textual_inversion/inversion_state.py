"""Checkpoints of textual inversion: all that a run needs to go on as if it had not been stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spurgekit.checkpoint import Fingerprints, hash_of, load_checkpoint, save_checkpoint
from spurgekit.diffusion.latent_model import BackboneInfo
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.textual_inversion.training_samples import InversionTask

MOMENTS = ("exp_avg", "exp_avg_sq")
"""Of AdamW, by torch's names."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """How far a run is, and how it went.

    Attributes
    ----------
    before : Tensor of float32, shape (tasks,)
        Loss on the samples of the evaluation ahead of the first step.
    losses : Tensor of float32, shape (steps done, tasks)
    """

    before: Tensor
    losses: Tensor

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)


def made_from(info: BackboneInfo, tasks: Sequence[InversionTask], options: InversionOptions) -> Fingerprints:
    """Return what tells runs of other models, tasks or options apart."""
    told = {"model": asdict(info), "tasks": [asdict(task) for task in tasks], "options": asdict(options)}
    return {name: hash_of(json.dumps(record, sort_keys=True, default=str)) for name, record in told.items()}


def save_state(
    path: Path, run: Fingerprints, tables: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer, history: History
) -> None:
    """Write a checkpoint, whole or not at all."""
    tensors = {"before": history.before, "losses": history.losses}
    for number, table in enumerate(tables):
        tensors[f"vectors.{number}"] = table
        tensors |= {f"{name}.{number}": optimizer.state[table][name] for name in MOMENTS}
    save_checkpoint(path, run, tensors)


def load_state(
    path: Path, run: Fingerprints, tables: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer
) -> History | None:
    """Put vectors and moments back as a checkpoint has them, and return its history; None where there is no checkpoint.

    Raises
    ------
    ModelError
        If the checkpoint is of another run, or damaged.
    """

    def restore(tensors: Mapping[str, Tensor], _: Mapping[str, Any]) -> History:
        history = History(tensors["before"], tensors["losses"])
        with torch.no_grad():
            for number, table in enumerate(tables):
                table.copy_(tensors[f"vectors.{number}"])
                optimizer.state[table] = {"step": torch.tensor(float(history.step))} | {
                    name: tensors[f"{name}.{number}"].to(table.device) for name in MOMENTS
                }
        return history

    return load_checkpoint(path, run, restore) if path.is_file() else None
