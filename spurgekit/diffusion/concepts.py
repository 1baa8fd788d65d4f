"""Concepts: new words of a diffusion model, as the vectors that stand for them in its text encoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from spurgekit.diffusion.tokens import TOKEN
from spurgekit.errors import ModelError
from spurgekit.outputs import save_tensors

_SDXL_KEYS = ("clip_l", "clip_g")


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """A word and its vectors.

    Attributes
    ----------
    token : str
        As prompts have it, e.g. ``<leafy_spurge>``.
    vectors : tuple of Tensor of float32, each of shape (k, d)
        One for each text encoder.
    """

    token: str
    vectors: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if not TOKEN.fullmatch(self.token):
            raise ValueError(f"{self.token!r} is no token: <name>, without spaces")
        if not self.vectors or any(rows.ndim != 2 for rows in self.vectors) or len({len(rows) for rows in self.vectors}) != 1:
            raise ValueError(f"the vectors of {self.token} are no tables of one length")

    def __len__(self) -> int:
        """Return how many vectors it has."""
        return len(self.vectors[0])


def save_concept(concept: Concept, path: Path) -> None:
    """Write a concept as safetensors, as ``load_textual_inversion`` of diffusers reads it.

    One tensor named by the token for a model of one text encoder; ``clip_l`` and ``clip_g`` for SDXL, each to be given to its
    encoder. The token is in the metadata too.
    """
    names = (concept.token,) if len(concept.vectors) == 1 else _SDXL_KEYS
    tensors = {name: rows.float() for name, rows in zip(names, concept.vectors, strict=True)}
    save_tensors(path, tensors, {"token": concept.token})


def load_concept(path: Path) -> Concept:
    """Read a concept that :func:`save_concept`, diffusers' example or another program wrote as safetensors.

    Raises
    ------
    ModelError
        If the file is missing, no safetensors, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; learn it with 'spurgekit invert'")
    try:
        with safe_open(path, framework="pt") as file:
            token = (file.metadata() or {}).get("token")
            tensors = {name: _table(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file; pickled embeddings must be converted first") from error
    names: tuple[str, ...]
    if len(tensors) == 1:
        (name,) = tensors
        names, token = (name,), token or name
    else:
        names = _SDXL_KEYS
    if token is None or set(tensors) != set(names):
        raise ModelError(f"{path} holds {', '.join(sorted(tensors))}; a concept is one tensor, or clip_l and clip_g")
    try:
        return Concept(token, tuple(tensors[name] for name in names))
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error


def _table(rows: Tensor) -> Tensor:
    """Return one vector as a table of one, others as they are."""
    return (rows[None] if rows.ndim == 1 else rows).float()
