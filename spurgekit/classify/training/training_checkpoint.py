"""Checkpoints of the training loop: what is in them, and what the training that they are of is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spurgekit.checkpoint import Fingerprints, load_checkpoint, save_checkpoint
from spurgekit.classify.training.batch_order import FinetuneTiles, PixelsOnDisk
from spurgekit.outputs import fingerprint


@dataclass(slots=True)
class TrainingState:
    """How far a training is. With the parameters and the optimiser's state it is all that the next step depends on.

    Attributes
    ----------
    step : int
        Steps that are done.
    losses : list of float
        Of each of them.
    checks : list of (int, float)
        Steps done and the loss on the validation tiles then.
    best_step : int or None
        That of the least of these losses.
    best : dict
        What was learned then.
    stopped : bool
        Whether it stopped early.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    checks: list[tuple[int, float]] = field(default_factory=list)
    best_step: int | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    stopped: bool = False


def save_training(
    path: Path,
    made_from: Fingerprints,
    state: TrainingState,
    learning: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
    made_from : mapping of str to str
        See :func:`hash_of_network` and :func:`hash_of_tiles`.
    state : TrainingState
    learning : mapping
        The parameters that learn, by name; the others are as they were given.
    optimiser : torch.optim.Optimizer
    """
    tensors: dict[str, Tensor] = {
        "losses": torch.tensor(state.losses, dtype=torch.float64),
        "checks": torch.tensor([loss for _, loss in state.checks], dtype=torch.float64),
    }
    for name, parameter in learning.items():
        tensors[f"learning/{name}"] = parameter
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{key}/{name}"] = value
    tensors.update({f"best/{name}": value for name, value in state.best.items()})
    about = {
        "step": state.step,
        "checked": [step for step, _ in state.checks],
        "best_step": state.best_step,
        "stopped": state.stopped,
    }
    save_checkpoint(path, made_from, tensors, about)


def load_training(
    path: Path, made_from: Fingerprints, learning: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> TrainingState:
    """Read a checkpoint into the parameters and the optimiser.

    Raises
    ------
    ModelError
        If it is damaged, or of a training that is made from something else.
    """

    def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> TrainingState:
        with torch.no_grad():
            for name, parameter in learning.items():
                parameter.copy_(tensors[f"learning/{name}"])
        for key, value in tensors.items():
            if key.startswith("optimiser/"):
                _, quantity, name = key.split("/", 2)
                parameter = learning[name]
                # Counts of steps stay on the CPU, as AdamW keeps them; averages lie in memory as their parameters do.
                kept = value if value.ndim == 0 else torch.empty_like(parameter, requires_grad=False).copy_(value)
                optimiser.state[parameter][quantity] = kept
        return TrainingState(
            step=about["step"],
            losses=tensors["losses"].tolist(),
            checks=list(zip(about["checked"], tensors["checks"].tolist(), strict=True)),
            best_step=about["best_step"],
            best={key.removeprefix("best/"): value for key, value in tensors.items() if key.startswith("best/")},
            stopped=about["stopped"],
        )

    return load_checkpoint(path, made_from, restore)


def hash_of_network(network: nn.Module) -> str:
    """Return a hash of all weights."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(_bytes(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def hash_of_tiles(tiles: FinetuneTiles) -> str:
    """Return a hash of all that is said of tiles and of their pixels; of files of the ends alone, which tell them apart."""
    digest = hashlib.sha256(json.dumps([list(tiles.tile_ids), tiles.mixing]).encode())
    for values in (tiles.targets, tiles.weights, tiles.synthetic):
        digest.update(_bytes(np.asarray(values, np.float64)))
    if isinstance(tiles.pixels, PixelsOnDisk):
        digest.update(json.dumps([fingerprint(path) for path in tiles.pixels.paths]).encode())
    else:
        digest.update(f"{tiles.pixels.dtype} {tiles.pixels.shape}".encode())
        digest.update(_bytes(tiles.pixels))
    return digest.hexdigest()


def _bytes(values: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
