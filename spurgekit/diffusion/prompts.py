"""Prompts as a diffusion model reads them, with concepts that its text encoders have never seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spurgekit.diffusion.concepts import Concept
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.noise import to_device
from spurgekit.diffusion.tokens import TOKEN
from spurgekit.errors import InputError, known_names


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """What a UNet is told about the images wanted.

    Attributes
    ----------
    embeds : Tensor, shape (n, tokens, d)
    pooled : Tensor of shape (n, d), or None
        For SDXL.
    """

    embeds: Tensor
    pooled: Tensor | None = None

    def pick(self, rows: Sequence[int]) -> Conditioning:
        """Return the conditioning of some of the prompts, which may be named several times."""
        return Conditioning(self.embeds[list(rows)], None if self.pooled is None else self.pooled[list(rows)])

    def added(self, size_px: int) -> dict[str, Tensor] | None:
        """Return what SDXL is told beside the prompts; None for other models.

        It is told of the size that a picture had before it was resized, and makes small ones blurred: it was none other than
        ``size_px``. Height, width, what was cropped above and to the left, height, width.
        """
        if self.pooled is None:
            return None
        size = torch.tensor([size_px, size_px, 0, 0, size_px, size_px], dtype=torch.float32).repeat(len(self.pooled), 1)
        return {"text_embeds": self.pooled, "time_ids": to_device(size, self.pooled.device)}

    def to(self, device: torch.device, dtype: torch.dtype) -> Conditioning:
        """Return it on a device, of a type."""
        return Conditioning(self.embeds.to(device, dtype), None if self.pooled is None else self.pooled.to(device, dtype))


def joined(conditionings: Sequence[Conditioning]) -> Conditioning:
    """Return several as one."""
    pooled = [one.pooled for one in conditionings if one.pooled is not None]
    return Conditioning(torch.cat([one.embeds for one in conditionings]), torch.cat(pooled) if pooled else None)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Prompts as numbers, for one text encoder.

    Attributes
    ----------
    ids : Tensor of int64, shape (n, length)
        Of the vocabulary. Where a vector stands it is 0: encoders find the end of a prompt by its first or its highest number.
    vectors : Tensor of int64, shape (n, length)
        Number of the vector that stands there, -1 where there is none. Vectors are counted through all concepts in order.
    """

    ids: Tensor
    vectors: Tensor


class PromptReader:
    """Turns prompts into conditioning.

    A concept's vectors take the place of what the table of embeddings would give: nothing of the model is changed, and any
    number of concepts, also of one token, can be used side by side.

    Parameters
    ----------
    backbone : Backbone
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.lengths = tuple(int(encoder.config.max_position_embeddings) for encoder in backbone.text_encoders)

    def tokenize(self, prompts: Sequence[str], concepts: Mapping[str, Concept]) -> tuple[Tokens, ...]:
        """Return prompts as numbers, for each text encoder.

        Parameters
        ----------
        prompts : sequence of str
        concepts : mapping
            By token: those that prompts may use.

        Raises
        ------
        InputError
            If a prompt has a token that is none of the concepts, or is too long for the model.
        """
        first = {}
        count = 0
        for token, concept in concepts.items():
            first[token] = count
            count += len(concept)
        pairs = zip(self.backbone.tokenizers, self.lengths, strict=True)
        return tuple(self._tokenize(tokenizer, length, prompts, concepts, first) for tokenizer, length in pairs)

    def _tokenize(
        self, tokenizer: Any, length: int, prompts: Sequence[str], concepts: Mapping[str, Concept], first: Mapping[str, int]
    ) -> Tokens:
        end = tokenizer.eos_token_id
        padding = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        ids = torch.full((len(prompts), length), padding)
        vectors = torch.full((len(prompts), length), -1)
        for row, prompt in enumerate(prompts):
            read, places = [tokenizer.bos_token_id], [-1]
            for text, token in _pieces(prompt):
                if text:
                    words = tokenizer(text, add_special_tokens=False).input_ids
                    read += words
                    places += [-1] * len(words)
                if token:
                    if token not in concepts:
                        known = known_names(token, concepts) if concepts else ""
                        raise InputError(f"the prompt {prompt!r} has the token {token}, which was not learned{known}")
                    read += [0] * len(concepts[token])
                    places += range(first[token], first[token] + len(concepts[token]))
            if len(read) + 1 > length:
                raise InputError(
                    f"the prompt {prompt!r} is {len(read) - 1} tokens long, and the model reads {length - 2}; shorten it"
                )
            ids[row, : len(read) + 1] = torch.tensor([*read, end])
            vectors[row, : len(read)] = torch.tensor(places)
        return Tokens(ids, vectors)

    def encode(self, tokens: Sequence[Tokens], vectors: Sequence[Tensor] | None = None) -> Conditioning:
        """Return the conditioning of prompts; gradients flow to ``vectors``.

        Parameters
        ----------
        tokens : sequence of Tokens
            For each text encoder.
        vectors : sequence of Tensor, each of shape (vectors, d), optional
            For each text encoder those of all concepts, one after the other.
        """
        is_xl = self.backbone.info.kind == "sdxl"
        states, pooled = [], None
        for i, (encoder, read) in enumerate(zip(self.backbone.text_encoders, tokens, strict=True)):
            ids, places = read.ids.to(self.backbone.device), read.vectors.to(self.backbone.device)
            with _placed(encoder, places, None if vectors is None else vectors[i]):
                found = encoder(ids, output_hidden_states=is_xl)
            states.append(found.hidden_states[-2] if is_xl else found.last_hidden_state)
            pooled = found[0] if is_xl else None  # of the last encoder
        return Conditioning(torch.cat(states, dim=-1), pooled)

    @torch.inference_mode()
    def read(self, prompts: Sequence[str], concepts: Mapping[str, Concept]) -> Conditioning:
        """Return the conditioning of prompts, which may use concepts by their tokens."""
        vectors = None
        if concepts:
            dims = range(len(self.backbone.text_encoders))
            vectors = [torch.cat([concept.vectors[i] for concept in concepts.values()]) for i in dims]
        return self.encode(self.tokenize(prompts, concepts), vectors)


def tokens_in(prompt: str) -> list[str]:
    """Return the tokens of concepts in a prompt.

    >>> tokens_in("a drone photo of <leafy_spurge> beside <no_spurge>")
    ['<leafy_spurge>', '<no_spurge>']
    """
    return TOKEN.findall(prompt)


def _pieces(prompt: str) -> Iterator[tuple[str, str | None]]:
    """Yield stretches of plain text, each with the token that comes after it."""
    start = 0
    for match in TOKEN.finditer(prompt):
        yield prompt[start : match.start()].strip(), match.group()
        start = match.end()
    yield prompt[start:].strip(), None


@contextmanager
def _placed(encoder: Any, places: Tensor, vectors: Tensor | None) -> Iterator[None]:
    """Have vectors stand where they belong while an encoder runs."""
    if vectors is None:  # whether there are places is not asked: a GPU would have to be waited for
        yield
        return

    def place(_module: Any, _arguments: Any, output: Tensor) -> Tensor:
        rows = vectors.to(output.device, output.dtype)[places.clamp(min=0)]
        return torch.where((places >= 0)[..., None], rows, output)

    hook = encoder.get_input_embeddings().register_forward_hook(place)
    try:
        yield
    finally:
        hook.remove()
