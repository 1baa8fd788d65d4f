"""Textual inversion of two classes: this one, and the training of diffusers' example, one class after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.load import load_backbone
from spurgekit.diffusion.textual_inversion.inversion import invert
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.textual_inversion.training_samples import InversionTask
from tests.benchmarks.diffusion.clock import Budget, forget, peak_gib, seconds_of
from tests.benchmarks.diffusion.reference import ExampleSettings, ExampleTraining
from tests.benchmarks.figures import Rows

CLASSES = ("no_spurge", "leafy_spurge")
STEPS = 1000
"""Of a whole training, which what is done once is spread over."""
SHORT = 2
"""Steps of the shorter training."""


def measure_inversion(
    folder: Path,
    tiles: Sequence[Path],
    *,
    size_px: int,
    batches: Sequence[int],
    examples: Sequence[ExampleSettings],
    device: torch.device,
    rows: Rows,
    budget: Budget,
) -> None:
    """Print the figures and add them to the rows; the tiles are shared out among the classes."""
    half = len(tiles) // 2
    shares = dict(zip(CLASSES, (tiles[:half], tiles[half : 2 * half]), strict=True))
    theirs: dict[str, float] = {}
    for settings in examples:
        if settings.half and device.type != "cuda":
            print(f"left out: {settings} trains on a GPU only", flush=True)
        elif budget.allows(2 * budget.measurement, str(settings)):
            measure = partial(example_rate, folder, shares, settings, size_px, device, budget.measurement)
            rate, peak = _tried(measure, str(settings), device)
            if rate:
                theirs[str(settings)] = rate
                rows.add(way=str(settings), samples_s=rate, peak_gib=peak)
                print(f"diffusers' example, {settings}: {rate:.3f} samples/s{_memory(peak)}", flush=True)
    backbone = load_backbone(folder, device=str(device), precision="bfloat16" if device.type == "cuda" else "float32")
    for batch in batches:
        if not budget.allows(2 * budget.measurement, f"batch {batch} of each class"):
            break
        forget(device)
        once, step = inversion_seconds(backbone, shares, batch, size_px, budget.measurement)
        peak = peak_gib(device)
        samples = batch * len(CLASSES)
        rate, whole = samples / step, samples * STEPS / (once + STEPS * step)
        ratios = {settings: whole / rate_of_it for settings, rate_of_it in theirs.items()}
        bare, _ = _tried(partial(unet_rate, backbone, samples, size_px), "the UNet alone", device)
        share = rate / bare if bare else None
        rows.add(
            way="spurgekit", batch=batch, samples_s=rate, whole_samples_s=whole, once_s=once, peak_gib=peak, times=ratios,
            unet_samples_s=bare, share_of_unet=share,
        )  # fmt: skip
        print(
            f"spurgekit, both classes at once, {batch} samples of each: {rate:.3f} samples/s, {once:.1f} s once, "
            f"{whole:.3f} samples/s over {STEPS} steps{_memory(peak)}"
            + (f"   UNet alone {bare:.3f}: {share:.2f} of that" if share else ""),
            flush=True,
        )
        for name, ratio in ratios.items():
            print(f"    {ratio:6.2f} x diffusers' example, {name}", flush=True)


def example_rate(
    folder: Path,
    shares: dict[str, Sequence[Path]],
    settings: ExampleSettings,
    size_px: int,
    device: torch.device,
    should_take: float,
) -> tuple[float, float | None]:
    """Return samples a second of the example's training of one class after the other, loading aside, and the peak of memory."""
    seconds, samples, peaks = 0.0, 0, []
    for name, tiles in shares.items():
        forget(device)
        training = ExampleTraining(folder, tiles, f"<{name}>", settings, size_px=size_px, device=device)
        training.step()  # warm
        once = seconds_of(training.step, device)
        count = max(2, int(should_take / len(shares) / once))
        seconds += seconds_of(partial(_take_steps, training, count), device)
        samples += count * settings.batch * settings.accumulate
        peaks.append(peak_gib(device))
        del training
    forget(device)
    return samples / seconds, peaks[-1]


def inversion_seconds(
    backbone: Backbone, shares: dict[str, Sequence[Path]], batch: int, size_px: int, should_take: float
) -> tuple[float, float]:
    """Return the seconds that are spent once, and those of a step: from two trainings of different lengths.

    What differs between them is steps alone, whatever runs ahead of the GPU or is done only at the ends.
    """
    tasks = [
        InversionTask(key=name, token=f"<{name}>", images=tuple(tiles), init=name.replace("_", " "))
        for name, tiles in shares.items()
    ]

    def trained(steps: int) -> float:
        options = InversionOptions(steps=steps, batch=batch, size_px=size_px, validate_every=0, save_every=STEPS)
        with TemporaryDirectory() as temporary:
            return seconds_of(lambda: invert(backbone, tasks, options, Path(temporary) / "words"), backbone.device)

    trained(SHORT)  # warm
    few = trained(SHORT)
    guess = max((trained(3 * SHORT) - few) / (2 * SHORT), 1e-4)
    more = int(np.clip(should_take / guess, 10, 200))
    step = (trained(SHORT + more) - few) / more
    return few - SHORT * step, step


def unet_rate(backbone: Backbone, samples: int, size_px: int) -> tuple[float, float | None]:
    """Return samples a second of the UNet alone, there and back, and the peak of memory: gradients by what it is told."""
    forget(backbone.device)
    side = size_px // backbone.latent_px
    given: dict[str, Any] = {"device": backbone.device, "dtype": backbone.dtype}
    latents = torch.randn(samples, 4, side, side, **given).contiguous(memory_format=torch.channels_last)
    length = backbone.text_encoders[0].config.max_position_embeddings
    states = torch.randn(samples, length, backbone.unet.config.cross_attention_dim, **given).requires_grad_()
    times = torch.full((samples,), 500, device=backbone.device)

    def passes(count: int) -> None:
        for _ in range(count):
            predicted = backbone.unet(latents, times, encoder_hidden_states=states, return_dict=False)[0]
            torch.autograd.grad(predicted.float().square().mean(), states)

    passes(2)
    count = int(np.clip(2 / seconds_of(partial(passes, 1), backbone.device), 3, 20))
    return samples * count / seconds_of(partial(passes, count), backbone.device), peak_gib(backbone.device)


def _tried(
    measure: Callable[[], tuple[float, float | None]], what: str, device: torch.device
) -> tuple[float | None, float | None]:
    """Measure something that may not fit into memory."""
    try:
        return measure()
    except torch.OutOfMemoryError:
        print(f"{what} does not fit into memory", flush=True)
        forget(device)
        return None, None


def _memory(peak: float | None) -> str:
    return "" if peak is None else f", {peak:.1f} GiB"


def _take_steps(training: ExampleTraining, count: int) -> None:
    for _ in range(count):
        training.step()
