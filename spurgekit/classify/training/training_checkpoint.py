"""Checkpoints of the training loop: one safetensors file that appears whole or not at all."""

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
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spurgekit.classify.training.batch_order import FinetuneTiles, PixelsOnDisk
from spurgekit.errors import ModelError
from spurgekit.outputs import fingerprint, output_file

KEY = "spurgekit_checkpoint"
VERSION = 1

Fingerprints = dict[str, str]
"""What a training is made from, by name, each as a hash; checkpoints of other stamps are refused."""


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


def save_checkpoint(
    path: Path,
    stamp: Fingerprints,
    state: TrainingState,
    learning: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
    stamp : dict
        See :func:`stamp_of_network` and :func:`stamp_of_tiles`.
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
        tensors[f"learning/{name}"] = parameter.detach()
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{key}/{name}"] = value
    tensors.update({f"best/{name}": value for name, value in state.best.items()})
    about = {
        "version": VERSION,
        "stamp": stamp,
        "step": state.step,
        "checked": [step for step, _ in state.checks],
        "best_step": state.best_step,
        "stopped": state.stopped,
    }
    with output_file(path) as partial:
        # All that is said goes under one key: safetensors writes several in a random order.
        save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, partial, {KEY: json.dumps(about)})


def load_checkpoint(
    path: Path, stamp: Fingerprints, learning: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> TrainingState:
    """Read a checkpoint into the parameters and the optimiser.

    Raises
    ------
    ModelError
        If it is damaged, or of a training that is made from something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[KEY])
            if about["version"] != VERSION:
                raise ModelError(f"{path} is a checkpoint of another version of spurgekit; delete it to start again")
            if other := [name for name, value in stamp.items() if about["stamp"].get(name) != value]:
                raise ModelError(
                    f"{path} is the checkpoint of a training with other {' and '.join(other)}; delete it to start again"
                )
            return _restore(about, {name: file.get_tensor(name) for name in file.keys()}, learning, optimiser)  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError, TypeError, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"the checkpoint {path} is damaged; delete it to start again") from error


def _restore(
    about: dict[str, Any],
    tensors: dict[str, Tensor],
    learning: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> TrainingState:
    """Put the tensors of a checkpoint where they belong."""
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
    best = {key.removeprefix("best/"): value for key, value in tensors.items() if key.startswith("best/")}
    return TrainingState(
        step=about["step"],
        losses=tensors["losses"].tolist(),
        checks=list(zip(about["checked"], tensors["checks"].tolist(), strict=True)),
        best_step=about["best_step"],
        best=best,
        stopped=about["stopped"],
    )


def stamp_of_network(network: nn.Module) -> str:
    """Return a hash of all weights."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(_bytes(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def stamp_of_tiles(tiles: FinetuneTiles) -> str:
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


def stamp_of_text(text: str) -> str:
    """Return a hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _bytes(values: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
