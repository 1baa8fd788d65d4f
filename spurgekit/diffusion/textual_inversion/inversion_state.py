"""Checkpoints of textual inversion: one file that holds all that a run needs to go on as if it had not been stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spurgekit.diffusion.latent_model import BackboneInfo
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.textual_inversion.training_samples import InversionTask
from spurgekit.errors import InputError
from spurgekit.outputs import output_file

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


def run_id(info: BackboneInfo, tasks: Sequence[InversionTask], options: InversionOptions) -> str:
    """Return what tells runs of other tasks, options or models apart."""
    record = [asdict(info), [asdict(task) for task in tasks], asdict(options)]
    return hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).hexdigest()


def save_state(
    path: Path, run: str, tables: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer, history: History
) -> None:
    """Write a checkpoint, whole or not at all."""
    tensors = {"before": history.before, "losses": history.losses}
    for number, table in enumerate(tables):
        tensors[f"vectors.{number}"] = table.detach()
        tensors |= {f"{name}.{number}": optimizer.state[table][name] for name in MOMENTS}
    with output_file(path) as partial:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata={"run": run})


def load_state(path: Path, run: str, tables: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> History | None:
    """Put vectors and moments back as a checkpoint has them, and return its history; None where there is no checkpoint.

    Raises
    ------
    InputError
        If the checkpoint is of another run, or damaged.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get("run")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is damaged; remove it and learn again") from error
    if found != run:
        raise InputError(f"{path} is of a run with other tasks, options or another model; remove it and learn again")
    history = History(tensors["before"], tensors["losses"])
    with torch.no_grad():
        for number, table in enumerate(tables):
            table.copy_(tensors[f"vectors.{number}"])
            optimizer.state[table] = {"step": torch.tensor(float(history.step))} | {
                name: tensors[f"{name}.{number}"].to(table.device) for name in MOMENTS
            }
    return history
