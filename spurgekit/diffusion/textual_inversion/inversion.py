"""Textual inversion: teaching a diffusion model words for what it has never seen, from a few tiles.

Only the vectors of the words are learned (Gal et al. 2022, An Image is Worth One Word, arXiv:2208.01618). All words are learned
side by side: a step's batch has samples of every task, and each word gets gradients from its own samples alone. The loss is a
sum over tasks, and AdamW works on each number by itself, so that a word becomes what it would become alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spurgekit.diffusion.concepts import Concept, save_concept
from spurgekit.diffusion.latent_cache import LatentBank, check_there
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.oom_batching import Chunks
from spurgekit.diffusion.textual_inversion.denoising_loss import DenoisingLoss
from spurgekit.diffusion.textual_inversion.frozen_model import check_unchanged, name_of, sums_of, trainable
from spurgekit.diffusion.textual_inversion.inversion_options import PRESETS, InversionOptions
from spurgekit.diffusion.textual_inversion.inversion_state import History, load_state, made_from, save_state
from spurgekit.diffusion.textual_inversion.placeholder_tokens import PlaceholderTokens
from spurgekit.diffusion.textual_inversion.training_samples import (
    InversionSamples,
    InversionTask,
    draw_samples,
    samples_each,
    shown_images,
)
from spurgekit.diffusion.textual_inversion.validation_sheet import write_sheet
from spurgekit.errors import InputError, ModelError
from spurgekit.outputs import output_file
from spurgekit.parallel import stream_map
from spurgekit.progress import Progress, silent
from spurgekit.text import counted

__all__ = [
    "CHECKPOINT",
    "LOSSES",
    "PRESETS",
    "InversionOptions",
    "InversionTask",
    "Learned",
    "check_inversion",
    "invert",
]

CHECKPOINT = "checkpoint.safetensors"
LOSSES = "losses.parquet"
VALIDATION = "validation"

AT_ONCE = {"cuda": 64, "cpu": 16}
"""Samples that go through the model at a time, where they fit: more are no faster."""

LOOK_EVERY = 20
"""Steps after which losses are looked at: each look makes the CPU wait for the GPU."""

AHEAD = 3
"""Parts of a batch that are drawn while the model is busy."""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A word that was learned.

    Attributes
    ----------
    concept : Concept
    loss_before, loss_after : float
        Mean over fixed samples of all noise levels, with the vectors that it began with and with what they became.
    """

    concept: Concept
    loss_before: float
    loss_after: float


def invert(
    backbone: Backbone,
    tasks: Sequence[InversionTask],
    options: InversionOptions,
    folder: Path,
    *,
    progress: Progress = silent,
    warn: Callable[[str], None] = lambda _: None,
) -> dict[str, Learned]:
    """Learn words.

    Parameters
    ----------
    backbone : Backbone
        One of float16 is copied, and learns in bfloat16 (float32 on GPUs without it): gradients vanish in float16.
    tasks : sequence of InversionTask
    options : InversionOptions
    folder : pathlib.Path
        Gets ``{key}.safetensors`` for each task, ``losses.parquet`` (step, key, loss) and ``validation/*.png``. A run that
        was stopped goes on from ``checkpoint.safetensors`` in it, which stays for the owner of the folder to remove.
    progress : Progress
    warn : callable
        Told what a user should know, such as that memory ran out.

    Returns
    -------
    dict of Learned
        By key.

    Raises
    ------
    InputError
        If there are no tasks, two have one key, or a tile cannot be read.
    ModelError
        If the loss is not finite, the memory of the GPU does not hold a single sample, or the checkpoint is damaged or of
        another run.
    """
    check_inversion(backbone, tasks, options)
    keys = [task.key for task in tasks]
    model = trainable(backbone, warn)
    fixed = sums_of(model)
    inversion = _Inversion(model, tasks, options, warn)
    checkpoint, run = folder / CHECKPOINT, made_from(model.info, tasks, options)
    history = load_state(checkpoint, run, inversion.words.tables, inversion.optimizer)
    inversion.bank.fill([image for task in tasks for image in shown_images(task, options)], progress)
    if history is None:
        history = History(inversion.evaluate(), torch.empty(0, len(tasks)))
    with progress(f"learning {counted(len(tasks), 'word')}", options.steps) as advance:
        advance(history.step)
        recent: list[Tensor] = []
        for step, losses in inversion.run(history.step):
            recent.append(losses)
            done = step + 1
            is_shown = options.validate_every > 0 and done % options.validate_every == 0
            is_saved = done % options.save_every == 0 or done == options.steps
            if is_shown or is_saved or len(recent) == LOOK_EVERY:
                history = _added(history, recent, keys, model)
                recent = []
            if is_shown:  # ahead of the checkpoint, after which it would not be drawn again
                concepts = [inversion.words.concept(number) for number in range(len(tasks))]
                write_sheet(model, tasks, concepts, folder / VALIDATION / f"step-{done:05d}.png", options)
            if is_saved:
                save_state(checkpoint, run, inversion.words.tables, inversion.optimizer, history)
            advance(1)
    after = inversion.evaluate()
    if not after.isfinite().all():
        raise _not_finite(keys[int((~after.isfinite()).nonzero()[0])], options.steps, model)
    check_unchanged(model, fixed)
    learned = {}
    for number, key in enumerate(keys):
        learned[key] = Learned(inversion.words.concept(number), float(history.before[number]), float(after[number]))
        save_concept(learned[key].concept, folder / f"{key}.safetensors")
    _write_losses(history, keys, folder / LOSSES)
    return learned


def check_inversion(backbone: Backbone, tasks: Sequence[InversionTask], options: InversionOptions) -> None:
    """Make sure that tasks can be learned, as far as can be known before tiles are read.

    Raises
    ------
    InputError
        If there are no tasks, two have one key, a tile is missing, or a prompt or the size of images does not fit the model.
    """
    keys = [task.key for task in tasks]
    if not keys:
        raise InputError("there is nothing to learn; name a support set or a class")
    if len(set(keys)) < len(keys):
        raise InputError(f"two tasks have the key {next(key for key in keys if keys.count(key) > 1)}; give each its own")
    LatentBank(backbone, options.views, options.size_px or backbone.info.size_px)
    PlaceholderTokens(backbone, list({(task.token, task.init, task.templates): task for task in tasks}.values()), options)
    check_there([image for task in tasks for image in task.images])


class _Inversion:
    """Words, what they learn from, and how."""

    def __init__(
        self, backbone: Backbone, tasks: Sequence[InversionTask], options: InversionOptions, warn: Callable[[str], None]
    ) -> None:
        size_px = options.size_px or backbone.info.size_px
        self.options = options
        self.tasks = tuple(tasks)
        self.bank = LatentBank(backbone, options.views, size_px, warn=warn)
        self.words = PlaceholderTokens(backbone, tasks, options)
        self.optimizer = torch.optim.AdamW(self.words.tables, lr=options.learning_rate, weight_decay=options.weight_decay)
        self._loss = DenoisingLoss(backbone, size_px)
        self._at_once = options.samples_at_once or AT_ONCE.get(backbone.device.type, min(AT_ONCE.values()))
        self._chunks = Chunks(self._at_once, "samples", warn)

    def run(self, start: int) -> Iterator[tuple[int, Tensor]]:
        """Yield each step from the one numbered ``start`` on, and the losses of its tasks, [tasks] on the device."""
        units = [(step, rows) for step in range(start, self.options.steps) for rows in self._parts(step)]
        losses: list[Tensor] = []
        with ThreadPoolExecutor(AHEAD) as threads:
            for (step, _), samples in zip(units, stream_map(threads, self._draw, units, in_flight=AHEAD), strict=True):
                losses += self._learn(samples)
                if sum(map(len, losses)) < len(self.tasks) * self.options.batch:
                    continue
                self._update(step)
                yield step, torch.cat(losses).view(len(self.tasks), -1).mean(dim=1)
                losses = []

    @torch.no_grad()
    def evaluate(self) -> Tensor:
        """Return the loss of each task on samples that are always the same, [tasks] on the CPU."""
        losses: list[Tensor] = []
        for part in self._parts(None):
            samples = self._draw((None, part))
            losses += self._chunks.run(len(samples), partial(self._losses, samples))
        return torch.cat(losses).view(len(self.tasks), -1).mean(dim=1).cpu()

    def _parts(self, step: int | None) -> list[slice]:
        """Return the samples of a step, counted through all tasks, in parts that go through the model at once."""
        count = len(self.tasks) * samples_each(self.options, step)
        return [slice(first, min(count, first + self._at_once)) for first in range(0, count, self._at_once)]

    def _draw(self, unit: tuple[int | None, slice]) -> InversionSamples:
        step, rows = unit
        return draw_samples(self.tasks, self.options, step, rows, shape=self.bank.shape, levels=self._loss.levels)

    def _losses(self, samples: InversionSamples, rows: slice) -> Tensor:
        """Return the loss of each of some samples, through which gradients flow to the words."""
        samples = samples.part(rows)
        latents = self.bank.sample(samples.images, samples.views, samples.encoder_noise)
        return self._loss(latents, samples.noise, samples.timesteps, self.words.conditioning(samples.prompts))

    def _learn(self, samples: InversionSamples) -> list[Tensor]:
        """Add the gradients of samples to those of the step, and return their losses."""

        def work(rows: slice) -> tuple[Tensor, tuple[Tensor, ...]]:
            losses = self._losses(samples, rows)
            # Returned, not accumulated on the way: work that runs out of memory half-way is done again.
            return losses.detach(), torch.autograd.grad(losses.sum() / self.options.batch, self.words.tables)

        found = self._chunks.run(len(samples), work)
        for _, gradients in found:
            for table, gradient in zip(self.words.tables, gradients, strict=True):
                table.grad = gradient if table.grad is None else table.grad + gradient
        return [losses for losses, _ in found]

    def _update(self, step: int) -> None:
        self.optimizer.param_groups[0]["lr"] = self.options.rate_at(step)
        self.optimizer.step()
        self.optimizer.zero_grad()


def _added(history: History, recent: Sequence[Tensor], keys: Sequence[str], model: Backbone) -> History:
    """Return the history with the losses of some more steps.

    Raises
    ------
    ModelError
        If one is not finite.
    """
    losses = torch.stack(list(recent)).float().cpu()
    if not losses.isfinite().all():
        step, number = (~losses.isfinite()).nonzero()[0].tolist()
        raise _not_finite(keys[number], history.step + step + 1, model)
    return History(history.before, torch.cat([history.losses, losses]))


def _not_finite(key: str, step: int, model: Backbone) -> ModelError:
    counts_exactly = model.dtype == torch.float32
    hint = "pass a smaller `learning_rate`, or another `backbone`" if counts_exactly else "pass `precision=float32`"
    return ModelError(f"the loss of {key} is not a number at step {step} in {name_of(model.dtype)}; {hint}")


def _write_losses(history: History, keys: Sequence[str], path: Path) -> None:
    """Write the loss of each task in each step."""
    steps = np.repeat(np.arange(1, history.step + 1), len(keys))
    table = pd.DataFrame({"step": steps, "key": list(keys) * history.step, "loss": history.losses.flatten().numpy()})
    with output_file(path) as file:
        table.to_parquet(file, index=False)
