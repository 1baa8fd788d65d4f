"""The words that a diffusion model is learning: their vectors, and the prompts that use them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spurgekit.diffusion.concepts import Concept
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.noise import to_device
from spurgekit.diffusion.prompts import Conditioning, PromptReader, Tokens
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.textual_inversion.prompt_templates import filled
from spurgekit.diffusion.textual_inversion.training_samples import InversionTask, prompts_of
from spurgekit.errors import InputError


class PlaceholderTokens:
    """The vectors of all tasks, and nothing else of the model, as parameters.

    Parameters
    ----------
    backbone : Backbone
    tasks : sequence of InversionTask
    options : InversionOptions

    Attributes
    ----------
    tables : tuple of nn.Parameter of float32, each of shape (tasks * vectors, d)
        One for each text encoder: the vectors of the first task, then those of the second, ...

    Raises
    ------
    InputError
        If a template is too long for the model, or has a token of its own.
    """

    def __init__(self, backbone: Backbone, tasks: Sequence[InversionTask], options: InversionOptions) -> None:
        self._tasks = tuple(tasks)
        self._count = options.vectors
        self._reader = PromptReader(backbone)
        first = [initial_vectors(backbone, task.init, options.vectors) for task in tasks]
        self.tables = tuple(nn.Parameter(torch.cat(rows)) for rows in zip(*first, strict=True))
        read = [self._tokenize(number, prompts_of(task, options)) for number, task in enumerate(tasks)]
        device = backbone.device
        self._tokens = tuple(
            Tokens(torch.cat([one.ids for one in parts]).to(device), torch.cat([one.vectors for one in parts]).to(device))
            for parts in zip(*read, strict=True)
        )

    def concept(self, number: int) -> Concept:
        """Return what the word of a task is now, as a copy on the CPU."""
        rows = slice(number * self._count, (number + 1) * self._count)
        return Concept(self._tasks[number].token, tuple(table.detach()[rows].cpu().clone() for table in self.tables))

    def conditioning(self, prompts: Tensor) -> Conditioning:
        """Return the conditioning of prompts, through which gradients flow to :attr:`tables`.

        Parameters
        ----------
        prompts : Tensor of int64, shape (n,)
            Numbers of prompts, as :class:`spurgekit.diffusion.textual_inversion.training_samples.InversionSamples` counts them.
        """
        rows = to_device(prompts, self._tokens[0].ids.device)
        return self._reader.encode([Tokens(read.ids[rows], read.vectors[rows]) for read in self._tokens], self.tables)

    def _tokenize(self, number: int, templates: Sequence[str]) -> tuple[Tokens, ...]:
        """Return the prompts of a task; its vectors are counted among those of all tasks."""
        token = self._tasks[number].token
        read = self._reader.tokenize([filled(template, token) for template in templates], {token: self.concept(number)})
        start = number * self._count
        return tuple(Tokens(one.ids, torch.where(one.vectors >= 0, one.vectors + start, -1)) for one in read)


def initial_vectors(backbone: Backbone, word: str, count: int) -> tuple[Tensor, ...]:
    """Return the vectors that a new word begins with: those of a word, or of several, that the model knows.

    Of more tokens than vectors, each vector has the mean of a stretch of them (one vector that of all); fewer are repeated.

    Parameters
    ----------
    backbone : Backbone
    word : str
    count : int

    Returns
    -------
    tuple of Tensor of float32, each of shape (count, d)
        One for each text encoder.

    Raises
    ------
    InputError
        If the word has no tokens.
    """
    found = []
    for tokenizer, encoder in zip(backbone.tokenizers, backbone.text_encoders, strict=True):
        ids = tokenizer(word, add_special_tokens=False).input_ids
        if not ids:
            raise InputError(f"the init word {word!r} is empty to the model; pass a word such as 'plant'")
        rows = encoder.get_input_embeddings().weight.detach()[torch.tensor(ids, device=backbone.device)].float()
        if len(rows) < count:
            rows = rows[torch.arange(count, device=rows.device) % len(rows)]
        found.append(torch.stack([part.mean(dim=0) for part in torch.tensor_split(rows, count)]))
    return tuple(found)
