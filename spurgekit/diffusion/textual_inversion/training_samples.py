"""What a diffusion model is to learn, and the samples that it learns from.

A sample depends on its task, its step and its number alone: which tasks are learned beside it, and how many samples go
through the model at once, change nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.textual_inversion.prompt_templates import templates_of
from spurgekit.diffusion.tokens import TOKEN
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

EVALUATED = 16
"""Samples of each task, always the same ones, that tell how well its word is known."""


@dataclass(frozen=True, slots=True)
class InversionTask:
    """A word to learn.

    Attributes
    ----------
    key : str
        Of this task among others, and the name of its file without the suffix: several may teach the same token, each from
        other images. All its chance derives from it.
    token : str
        As prompts have it, e.g. ``<leafy_spurge>``.
    images : tuple of pathlib.Path
        Tiles that show it.
    init : str
        Word, or several, whose vectors it begins with.
    templates : tuple of str
        Prompts of its own, each with one gap ``{}``; by default those of the options.
    """

    key: str
    token: str
    images: tuple[Path, ...]
    init: str
    templates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not TOKEN.fullmatch(self.token):
            raise InputError(f"{self.token!r} is no token; pass one such as <leafy_spurge>, without spaces")
        if not self.images:
            raise InputError(f"{self.key} has no images to learn {self.token} from; a word takes at least one")
        if not self.init.strip():
            raise InputError(f"the init word of {self.key} is empty; pass a word such as 'plant'")


@dataclass(frozen=True, slots=True, eq=False)
class InversionSamples:
    """What the model is shown in a step, task after task.

    Attributes
    ----------
    images : tuple of pathlib.Path, length n
    views : tuple of int
        Of each image, as numbers of :attr:`InversionOptions.views`.
    prompts : Tensor of int64, shape (n,)
        Numbers of prompts, counted through the templates of the first task, then through those of the second, ...
    timesteps : Tensor of int64, shape (n,)
    encoder_noise, noise : Tensor of float32, shape (n, channels, h, w)
        What a latent is drawn from the encoder's distribution with, and what it is hidden under.
    """

    images: tuple[Path, ...]
    views: tuple[int, ...]
    prompts: Tensor
    timesteps: Tensor
    encoder_noise: Tensor
    noise: Tensor

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.images)

    def part(self, rows: slice) -> InversionSamples:
        """Return some of them."""
        tensors = (self.prompts, self.timesteps, self.encoder_noise, self.noise)
        return InversionSamples(self.images[rows], self.views[rows], *(tensor[rows] for tensor in tensors))


def prompts_of(task: InversionTask, options: InversionOptions) -> tuple[str, ...]:
    """Return the templates that a task's samples are drawn with."""
    return task.templates or templates_of(options.templates)


def samples_each(options: InversionOptions, step: int | None) -> int:
    """Return how many samples of each task a step has, or the evaluation (None)."""
    return EVALUATED if step is None else options.batch


def shown_images(task: InversionTask, options: InversionOptions) -> tuple[Path, ...]:
    """Return the images of a task that its samples show; of very many and few steps, not all."""
    order = _order(task, options, 0)
    return tuple(task.images[place] for place in sorted(order[: max(EVALUATED, options.steps * options.batch)]))


def draw_samples(
    tasks: Sequence[InversionTask],
    options: InversionOptions,
    step: int | None,
    rows: slice,
    *,
    shape: tuple[int, int, int],
    levels: int,
) -> InversionSamples:
    """Draw samples of a step.

    Parameters
    ----------
    tasks : sequence of InversionTask
    options : InversionOptions
    step : int or None
        None: the samples that tell how well words are known, :data:`EVALUATED` of each task.
    rows : slice
        Which of them, counted through all tasks.
    shape : tuple of int
        Of a latent: (channels, h, w).
    levels : int
        Timesteps of the model.
    """
    places = [divmod(row, samples_each(options, step)) for row in range(rows.start, rows.stop)]
    drawn = [_draw(tasks[task], options, step, number, shape, levels) for task, number in places]
    images, views, templates, timesteps, noise = zip(*drawn, strict=True)
    first = list(accumulate((len(prompts_of(task, options)) for task in tasks), initial=0))
    prompts = torch.tensor(templates) + torch.tensor([first[task] for task, _ in places])
    noises = torch.stack(noise)
    return InversionSamples(images, views, prompts, torch.tensor(timesteps), noises[:, 0], noises[:, 1])


def _draw(
    task: InversionTask, options: InversionOptions, step: int | None, number: int, shape: tuple[int, int, int], levels: int
) -> tuple[Path, int, int, int, Tensor]:
    """Draw image, view, template, timestep and both noises of one sample of a task."""
    count = samples_each(options, step)
    when = "evaluation" if step is None else step
    generator = torch.Generator().manual_seed(seed_of(options.seed, task.key, when, number))
    # All images before one comes again, in a new order each time.
    turn, place = divmod(number if step is None else step * count + number, len(task.images))
    image = task.images[_order(task, options, turn)[place]]
    view = _below(len(options.views), generator)
    template = _below(len(prompts_of(task, options)), generator)
    low, high = 0, levels
    if step is None or options.timesteps == "stratified":
        low, high = number * levels // count, (number + 1) * levels // count
    timestep = low + _below(max(1, high - low), generator)
    return image, view, template, timestep, torch.randn((2, *shape), generator=generator)


def _order(task: InversionTask, options: InversionOptions, turn: int) -> list[int]:
    """Return the order in which a task's images are shown for the first time (turn 0), the second, ..."""
    generator = torch.Generator().manual_seed(seed_of(options.seed, task.key, "order", turn))
    order: list[int] = torch.randperm(len(task.images), generator=generator).tolist()
    return order


def _below(end: int, generator: torch.Generator) -> int:
    """Draw a whole number from 0 to ``end - 1``."""
    return int(torch.randint(end, (1,), generator=generator))
