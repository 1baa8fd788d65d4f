"""Checkpoints of trainings: one safetensors file that appears whole or not at all, and says what it is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from safetensors import SafetensorError, safe_open

from spurgekit.errors import ModelError
from spurgekit.outputs import save_tensors

if TYPE_CHECKING:
    from torch import Tensor

State = TypeVar("State")

KEY = "spurgekit_checkpoint"
VERSION = 2

Fingerprints = Mapping[str, str]
"""What a training is made from, by name, each as a hash; checkpoints of other ones are refused."""


def hash_of(text: str) -> str:
    """Return a hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def save_checkpoint(
    path: Path, made_from: Fingerprints, tensors: Mapping[str, Tensor], about: Mapping[str, Any] | None = None
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
    made_from : mapping of str to str
    tensors : mapping of str to Tensor
    about : mapping, optional
        What else there is to keep, as JSON.
    """
    # All that is said goes under one key: safetensors writes several in a random order.
    said = json.dumps({"version": VERSION, "made_from": dict(made_from), **(about or {})})
    save_tensors(path, tensors, {KEY: said})


def load_checkpoint(
    path: Path, made_from: Fingerprints, restore: Callable[[Mapping[str, Tensor], Mapping[str, Any]], State]
) -> State:
    """Read a checkpoint, and return what ``restore`` makes of its tensors and of what else was kept.

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
            if other := [name for name, value in made_from.items() if about["made_from"].get(name) != value]:
                raise ModelError(
                    f"{path} is the checkpoint of a training with other {' and '.join(other)}; delete it to start again"
                )
            return restore({name: file.get_tensor(name) for name in file.keys()}, about)  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError, TypeError, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"the checkpoint {path} is damaged; delete it to start again") from error
