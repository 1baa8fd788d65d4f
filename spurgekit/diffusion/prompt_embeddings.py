"""What a model is told about each image, from its prompt and the concepts in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from spurgekit.byte_cache import ByteCache
from spurgekit.diffusion.concepts import Concept, load_concept
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.prompts import Conditioning, PromptReader, tokens_in
from spurgekit.errors import InputError, ModelError
from spurgekit.seeds import seed_of

LIMIT_BYTES = 64 << 20
"""Some hundred prompts, on the model's device."""


class Conditions:
    """Reads prompts, each by itself and once.

    Parameters
    ----------
    backbone : Backbone
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self._reader = PromptReader(backbone)
        self._read: ByteCache[Conditioning] = ByteCache(LIMIT_BYTES, _bytes_of)
        self._concepts: dict[Path, Concept] = {}

    def of(
        self, prompt: str, concepts: Sequence[Path], *, scale: float = 1.0, noise: float = 0.0, seed: int = 0
    ) -> Conditioning:
        """Return the conditioning of a prompt.

        Parameters
        ----------
        prompt : str
        concepts : sequence of pathlib.Path
            Files of the concepts that the prompt may use.
        scale : float
            Multiplies their vectors.
        noise : float
            Standard deviation of normal noise that is added to them (DIAGen, Lingenberg et al. 2024: 0.005 to 0.025).
        seed : int
            Of the noise: each image has its own.

        Raises
        ------
        InputError
            If the prompt has a token of none of the concepts, of two, or is too long.
        ModelError
            If a concept was learned with another kind of model.
        """
        found: dict[str, Path] = {}
        for path in concepts:
            other = found.setdefault(token := self._concept(path).token, path)
            if other != path:
                raise InputError(f"{other} and {path} are both of {token}; pass one of them")
        tokens = set(tokens_in(prompt))
        used = tuple(path for token, path in found.items() if token in tokens)
        # Where a token is unknown all are handed on, for the message.
        listed = used if tokens <= found.keys() else tuple(found.values())

        def make() -> Conditioning:
            altered = [self._altered(path, scale, noise, seed) for path in listed]
            return self._reader.read([prompt], {concept.token: concept for concept in altered})

        if used and noise:
            return make()
        return self._read.get((prompt, used, scale if used else 1.0), make)

    def of_nothing(self) -> Conditioning:
        """Return the conditioning of no negative prompt.

        SDXL was trained with zeros in its place, Stable Diffusion with the empty prompt.
        """
        empty = self.of("", ())
        if self.backbone.info.kind != "sdxl":
            return empty
        return Conditioning(torch.zeros_like(empty.embeds), None if empty.pooled is None else torch.zeros_like(empty.pooled))

    def _concept(self, path: Path) -> Concept:
        if path not in self._concepts:
            concept = load_concept(path)
            widths = [rows.shape[1] for rows in concept.vectors]
            own = [encoder.get_input_embeddings().weight.shape[1] for encoder in self.backbone.text_encoders]
            if widths != own:
                raise ModelError(
                    f"{path} holds vectors of {' and '.join(map(str, widths))} numbers, and {self.backbone.info.name} takes "
                    f"{' and '.join(map(str, own))}; learn the concept with this model"
                )
            self._concepts[path] = concept
        return self._concepts[path]

    def _altered(self, path: Path, scale: float, noise: float, seed: int) -> Concept:
        """Return a concept's vectors, stronger or weaker, and with noise."""
        concept = self._concept(path)
        vectors = [scale * rows for rows in concept.vectors]
        if noise:
            # Not of the image's own generator: the noise that it starts from stays the same.
            generator = torch.Generator().manual_seed(seed_of(seed, "concept", concept.token))
            vectors = [rows + noise * torch.randn(rows.shape, generator=generator) for rows in vectors]
        return Concept(concept.token, tuple(vectors))


def _bytes_of(conditioning: Conditioning) -> int:
    return conditioning.embeds.nbytes + (0 if conditioning.pooled is None else conditioning.pooled.nbytes)
