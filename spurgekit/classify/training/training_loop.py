"""The training loop: steps that depend on what was learned before them and on their number alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor, nn

from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.training.batch_order import BatchOrder, FinetuneTiles
from spurgekit.classify.training.finetune_options import FinetuneOptions
from spurgekit.classify.training.learning_rates import learning_rate_share, make_optimiser, set_learning_rate
from spurgekit.classify.training.network import Network
from spurgekit.classify.training.training_checkpoint import TrainingState
from spurgekit.errors import ModelError
from spurgekit.parallel import stream_map
from spurgekit.precision import autocast, precision_name
from spurgekit.seeds import seed_of, seeded

GRADIENT_NORM = 1.0
CHECKS = 20
"""How often a training looks at the validation tiles."""

PATIENCE = 5
"""Checks without a better one after which it stops."""


class TrainingLoop:
    """The steps of a training, and its looks at validation tiles.

    Parameters
    ----------
    network : Network
    preprocess : Preprocess
    tiles : FinetuneTiles
    options : FinetuneOptions
    dtype : torch.dtype or None
        What :func:`~spurgekit.precision.pick_precision` picked.
    learning : dict
        The parameters that learn, by name.
    """

    def __init__(
        self,
        network: Network,
        preprocess: Preprocess,
        tiles: FinetuneTiles,
        options: FinetuneOptions,
        dtype: torch.dtype | None,
        learning: dict[str, nn.Parameter],
    ) -> None:
        self.network = network
        self.preprocess = preprocess
        self.options = options
        self.dtype = dtype
        self.learning = learning
        self.draws = BatchOrder(tiles, options.batch_size, options.seed)
        self._buffer: Tensor | None = None
        self.check_steps = max(1, options.steps // CHECKS)
        head = {id(parameter) for parameter in network.classifier.parameters()}
        self.optimiser = make_optimiser(
            learning,
            learning_rate=options.full_rate,
            weight_decay=options.weight_decay,
            head=frozenset(name for name, parameter in learning.items() if id(parameter) in head),
            head_learning_rate=options.head_learning_rate,
            undecayed=frozenset(f"model.{name}" for name in getattr(network.model, "no_weight_decay", set)()),
        )

    def run(self, start: int, *, stopped: bool) -> Iterator[float]:
        """Do the steps from one on and yield the loss of each; a thread fetches tiles ahead."""
        if stopped:
            return
        set_learning(self.network)
        steps = range(start, self.options.steps)
        with ThreadPoolExecutor(1) as thread:
            for step, (rows, pixels) in zip(steps, stream_map(thread, self._fetch, steps, in_flight=2), strict=True):
                yield self._step(step, rows, pixels)

    def check(self, state: TrainingState, validation: FinetuneTiles) -> None:
        """Look at the validation tiles: keep what was learned where it is the best so far, stop where that was long ago."""
        loss = self._validation_loss(validation)
        best = min((found for _, found in state.checks), default=math.inf)
        state.checks.append((state.step, loss))
        if loss < best:
            state.best_step = state.step
            state.best = {name: parameter.detach().clone() for name, parameter in self.learning.items()}
        since = sum(step > (state.best_step or 0) for step, _ in state.checks)
        state.stopped = since >= PATIENCE

    def _fetch(self, step: int) -> tuple[NDArray[np.intp], NDArray[Any]]:
        rows = self.draws.batch(step)
        return rows, self.draws.tiles.pixels[rows]

    def _step(self, step: int, rows: NDArray[np.intp], pixels: NDArray[Any]) -> float:
        """Learn from a batch and return its loss."""
        options, device = self.options, self.preprocess.device
        share = learning_rate_share(step, options.steps, options.warmup)
        set_learning_rate(self.optimiser, share)
        images = options.augment.alter(torch.from_numpy(pixels), self.draws.seeds(step, rows))
        targets = torch.from_numpy(self.draws.tiles.targets[rows].astype(np.float32))
        images, targets = options.augment.mix(images, targets, seed_of(options.seed, "mix", step))
        with seeded(seed_of(options.seed, "step", step)):  # dropout, where the backbone has some
            loss = nnf.cross_entropy(self._logits(images), targets.to(device))
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.learning.values(), GRADIENT_NORM)
        found = float(loss.detach())
        if not math.isfinite(found) or not math.isfinite(float(norm)):
            raise self._diverged(step)
        self.optimiser.step()
        return found

    def _logits(self, images: Tensor) -> Tensor:
        with torch.inference_mode():
            ready = self.preprocess(images.numpy())
        if torch.is_grad_enabled():
            ready = self._copied(ready)
        with autocast(self.preprocess.device, self.dtype):
            logits: Tensor = self.network(ready)
        return logits.float()

    def _copied(self, images: Tensor) -> Tensor:
        """Copy images into a buffer of the loop: nothing is learned through those that were made in inference mode."""
        if self._buffer is None:
            self._buffer = images.clone()
        return self._buffer.copy_(images)

    @torch.inference_mode()
    def _validation_loss(self, validation: FinetuneTiles) -> float:
        """Return the mean over the classes of the negative log-likelihood of real tiles as they are, by weight."""
        self.network.eval()
        weights = validation.weights * ~validation.synthetic
        rows = np.flatnonzero(weights)
        found = []
        for start in range(0, len(rows), self.options.batch_size):
            batch = validation.pixels[rows[start : start + self.options.batch_size]]
            found.append(-self._logits(torch.from_numpy(batch)).log_softmax(dim=1).cpu().double().numpy())
        set_learning(self.network)
        shares = weights[rows, None] * validation.targets[rows]
        total = shares.sum(axis=0)
        there = total > 0
        loss = float(((shares * np.concatenate(found)).sum(axis=0)[there] / total[there]).mean())
        if not math.isfinite(loss):
            raise self._diverged(validation=True)
        return loss

    def _diverged(self, step: int | None = None, *, validation: bool = False) -> ModelError:
        where = "on the validation tiles" if validation else f"at step {(step or 0) + 1}"
        precision = precision_name(self.dtype)
        rescue = "pass a lower learning rate" + ("" if self.dtype is None else ", or the precision float32")
        return ModelError(
            f"the loss {where} is no number, in {precision} with the learning rate {self.options.full_rate:g}; {rescue}"
        )


def set_learning(network: Network) -> None:
    """Set a network to learn, all but the running statistics of its norms."""
    network.train()
    for module in network.modules():
        if hasattr(module, "running_var"):
            module.eval()
