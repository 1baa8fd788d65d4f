"""Training a latent diffusion model from nothing on a survey's own ground, without a label.

Crops at every offset of the ground are shown to a small UNet, with noise, and with a prompt that says what a machine sees of
them; a small text encoder learns with it. What is kept is a mean of past weights. A run of some steps is the beginning of a run
of more, to the byte: nothing depends on how many there are to be.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spurgekit.checkpoint import Fingerprints
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.noise import to_device
from spurgekit.diffusion.pretraining.crop_draws import Step, draw_step
from spurgekit.diffusion.pretraining.crop_pool import CropPool
from spurgekit.diffusion.pretraining.ground_words import GroundWords
from spurgekit.diffusion.pretraining.noise_weights import min_snr_weights
from spurgekit.diffusion.pretraining.pretraining_options import PretrainingOptions
from spurgekit.diffusion.pretraining.pretraining_state import History, load_state, save_state
from spurgekit.diffusion.pretraining.weight_average import PowerAverage
from spurgekit.diffusion.prompts import PromptReader, Tokens
from spurgekit.diffusion.small_attention import attention_with_gradients
from spurgekit.diffusion.textual_inversion.denoising_loss import DenoisingLoss
from spurgekit.errors import InputError, ModelError
from spurgekit.parallel import cores, stream_map
from spurgekit.precision import autocast, pick_precision
from spurgekit.progress import Progress, silent

CHECKPOINT = "checkpoint.safetensors"
BETAS = (0.9, 0.99)
"""Of AdamW, without decay: gradients of noise levels that differ are remembered for a hundred steps, not a thousand."""

MOST_GRADIENT = 1.0
"""Norm that gradients are cut to."""

LOOK_EVERY = 20
"""Steps after which losses are looked at: each look makes the CPU wait for a GPU."""

AHEAD = 4
"""Steps that are drawn while the model is busy."""

TIMED = 3
"""Steps that a step's time is measured on, after one that is not counted."""

Look = Callable[[Backbone, int], dict[str, Any]]
"""Told the model, its mean weights in place, and the steps done; returns these as ``step``, and what it found, as JSON."""


class Pretraining:
    """A model in training.

    Parameters
    ----------
    backbone : Backbone
        From :func:`spurgekit.diffusion.pretraining.new_model.new_backbone`, or one that layers were added to.
    pool : CropPool
        Encoded.
    words : GroundWords
    options : PretrainingOptions
    trains_text : bool
        Whether the text encoder learns too.
    parameters : sequence of nn.Parameter, optional
        Those that are trained, of a model that is not new. Default: all of the UNet's, and of the text encoder's.
    """

    def __init__(
        self,
        backbone: Backbone,
        pool: CropPool,
        words: GroundWords,
        options: PretrainingOptions,
        *,
        trains_text: bool = True,
        parameters: Sequence[nn.Parameter] | None = None,
    ) -> None:
        self.backbone = backbone
        self.options = options
        self.dtype = pick_precision(backbone.device, options.precision)
        networks: list[nn.Module] = [backbone.unet, *(backbone.text_encoders if trains_text else ())]
        every = [parameter for network in networks for parameter in network.parameters()]
        self.parameters = every if parameters is None else list(parameters)
        self.average = PowerAverage(self.parameters, options.ema_width)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=options.learning_rate, betas=BETAS, weight_decay=0.0, fused=backbone.device.type != "mps"
        )
        self._loss = DenoisingLoss(backbone, backbone.info.size_px, compiles=options.compile)
        self._weights = to_device(min_snr_weights(backbone.scheduler, options.snr_gamma), backbone.device)
        self._reader = PromptReader(backbone)
        self._tokens: dict[str, Tokens] = {}
        self._draw = partial(
            draw_step,
            pool,
            words,
            seed=options.seed,
            batch=options.batch,
            levels=self._loss.levels,
            prompt_dropout=options.prompt_dropout,
        )

    @property
    def size(self) -> int:
        """Numbers that are trained."""
        return sum(parameter.numel() for parameter in self.parameters)

    def seconds_each(self) -> float:
        """Return how long a step takes, after a few that change nothing."""
        taken = []
        with self._in_training():
            for number in range(1 + TIMED):
                start = time.perf_counter()
                self._learn(self._draw(number))
                self.optimizer.zero_grad()
                if self.backbone.device.type == "cuda":
                    torch.cuda.synchronize(self.backbone.device)
                taken.append(time.perf_counter() - start)
        return min(taken[1:])

    def resume(self, folder: Path, made_from: Fingerprints) -> History:
        """Return how far a run came that was stopped, and take it up there; without a checkpoint all is as it was.

        Parameters
        ----------
        folder : pathlib.Path
            That may hold ``checkpoint.safetensors``.
        made_from : mapping of str to str
            What the training depends on beside its number of steps.

        Raises
        ------
        InputError
            If the run has gone further than it is to go.
        ModelError
            If the checkpoint is damaged or of another run.
        """
        history = load_state(folder / CHECKPOINT, made_from, self.parameters, self.average, self.optimizer)
        if history.step > self.options.steps:
            raise InputError(
                f"the run has done {history.step:,} steps; pass `steps={history.step}` to end it there, or more to go on"
            )
        return history

    def run(
        self, folder: Path, history: History, made_from: Fingerprints, look: Look, *, progress: Progress = silent
    ) -> History:
        """Train, and leave the mean weights in the model.

        Parameters
        ----------
        folder : pathlib.Path
            Gets ``checkpoint.safetensors``, from which a run that was stopped goes on, and which stays for the owner of the
            folder to remove.
        history : History
            From :meth:`resume`.
        made_from : mapping of str to str
            What the training depends on beside its number of steps.
        look : callable
            Called every ``validate_every`` steps and at the end.
        progress : Progress

        Raises
        ------
        ModelError
            If the loss is not finite.
        """
        options, checkpoint = self.options, folder / CHECKPOINT
        end = math.inf if options.minutes is None else time.monotonic() + 60 * options.minutes
        with (
            progress("training", options.steps) as advance,
            self._in_training(),
            closing(self._steps(history.step)) as steps,
        ):
            advance(history.step)
            recent: list[Tensor] = []
            for step, loss in steps:
                recent.append(loss)
                done = step + 1
                is_last = done == options.steps or time.monotonic() >= end
                is_shown = is_last or (options.validate_every > 0 and done % options.validate_every == 0)
                is_saved = is_last or done % options.save_every == 0
                if is_shown or is_saved or len(recent) == LOOK_EVERY:
                    history = _added(history, recent, self.dtype)
                    recent = []
                if is_shown:  # ahead of the checkpoint, after which it would not be looked at again
                    with self._averaged():
                        history.judged.append(look(self.backbone, done))
                if is_saved:
                    save_state(checkpoint, made_from, self.parameters, self.average, self.optimizer, history)
                advance(1)
                if is_last:
                    break
        self.average.exchange()
        return history

    def _steps(self, start: int) -> Generator[tuple[int, Tensor], None, None]:
        """Do each step from the one numbered ``start`` on; yield it and its loss, on the device."""
        steps = range(start, self.options.steps)
        with ThreadPoolExecutor(1) as thread:
            for step, drawn in zip(steps, stream_map(thread, self._draw, steps, in_flight=AHEAD), strict=True):
                loss = self._learn(drawn)
                nn.utils.clip_grad_norm_(self.parameters, MOST_GRADIENT)
                self.optimizer.param_groups[0]["lr"] = self.options.rate_at(step)
                self.optimizer.step()
                self.optimizer.zero_grad()
                self.average.update(step + 1)
                yield step, loss

    def _learn(self, drawn: Step) -> Tensor:
        """Compute the gradients of a step, and return its loss."""
        device = self.backbone.device
        latents, timesteps = to_device(drawn.latents, device), to_device(drawn.timesteps, device)
        with autocast(device, self.dtype):
            tokens = self._tokenized(drawn.prompts)
            with attention_with_gradients(device, tokens.ids.shape[1]):
                conditioning = self._reader.encode([tokens])
            errors = self._loss(latents, drawn.noise, timesteps, conditioning)
        loss = (self._weights[timesteps] * errors).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _tokenized(self, prompts: Sequence[str]) -> Tokens:
        for prompt in prompts:
            if prompt not in self._tokens:
                (self._tokens[prompt],) = self._reader.tokenize([prompt], {})
        read = [self._tokens[prompt] for prompt in prompts]
        return Tokens(torch.cat([one.ids for one in read]), torch.cat([one.vectors for one in read]))

    @contextmanager
    def _in_training(self) -> Iterator[None]:
        """Have gradients flow to what is trained."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        try:
            yield
        finally:
            for parameter in self.parameters:
                parameter.requires_grad_(False)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Have the mean weights stand in the model."""
        self.average.exchange()
        try:
            yield
        finally:
            self.average.exchange()


@contextmanager
def cpu_threads(count: int | None) -> Iterator[int]:
    """Have torch take some threads of the CPU, by default one for each core that is free to this process; yield how many."""
    before = torch.get_num_threads()
    count = count or min(before, cores())
    torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)


def _added(history: History, recent: Sequence[Tensor], dtype: torch.dtype | None) -> History:
    """Return the history with the losses of some more steps.

    Raises
    ------
    ModelError
        If one is not finite.
    """
    losses = torch.stack(list(recent)).float().cpu()
    if not losses.isfinite().all():
        step = history.step + int((~losses.isfinite()).nonzero()[0]) + 1
        hint = "pass a smaller `learning_rate`" + ("" if dtype is None else ", or `precision=float32`")
        raise ModelError(f"the loss is not a number at step {step}; {hint}")
    return History(torch.cat([history.losses, losses]), history.judged)
