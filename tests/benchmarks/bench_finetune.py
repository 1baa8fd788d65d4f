"""The training loop against bare forward and backward passes, and bfloat16 in channels-last order against float32.

``python -m tests.benchmarks.bench_finetune [--backbones mobilenetv2_035 vit_small_patch16_224] [--rounds 3]``

Each training is held against the bare network right before and right after it, since the machine's own rate drifts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from spurgekit.augment import parse_augmentation
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.classify.training.adapters import adapted
from spurgekit.classify.training.finetune import FinetuneOptions, FinetuneTiles, finetune
from spurgekit.classify.training.network import Network
from spurgekit.classify.training.training_loop import set_learning
from spurgekit.parallel import cores
from spurgekit.precision import autocast, pick_precision

CPU = torch.device("cpu")
IMAGE_PX = 224
TILE_PX = 250
SHOTS = 16


class Clock:
    """Progress that takes the time of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    @contextmanager
    def __call__(self, description: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        self.times.append(time.perf_counter())

        def advance(count: int) -> None:
            if count:
                self.times.append(time.perf_counter())

        yield advance

    def rate(self, batch: int) -> float:
        """Return images/s of the median step, the first aside."""
        return batch / float(np.median(np.diff(self.times)[1:]))


def draw_tiles() -> FinetuneTiles:
    """Draw tiles of noise, which take as long as any."""
    pixels = np.random.default_rng(0).integers(1, 255, (2 * SHOTS, 3, TILE_PX, TILE_PX), np.uint8)
    return FinetuneTiles(pixels, np.repeat(np.eye(2), SHOTS, axis=0), [str(i) for i in range(2 * SHOTS)])


def bare_rate(name: str, recipe: str, batch: int, steps: int, dtype: torch.dtype | None, layout: torch.memory_format) -> float:
    """Return images/s of forward and backward passes alone, on one batch that is ready in memory."""
    network = Network(make_backbone(name, num_classes=2))
    set_learning(network)
    images = torch.rand(batch, 3, IMAGE_PX, IMAGE_PX).contiguous(memory_format=layout)
    targets = torch.full((batch, 2), 0.5)

    def passes() -> float:
        start = time.perf_counter()
        network.zero_grad(set_to_none=True)
        with autocast(CPU, dtype):
            logits = network(images)
        torch.nn.functional.cross_entropy(logits.float(), targets).backward()
        return time.perf_counter() - start

    def measure() -> float:
        network.to(memory_format=layout)
        passes()
        return batch / float(np.median([passes() for _ in range(steps)]))

    if recipe == "finetune":
        return measure()
    with adapted(network, rank=8, alpha=8, dropout=0.0, seed=0):
        return measure()


def loop_rate(name: str, tiles: FinetuneTiles, options: FinetuneOptions) -> float:
    """Return images/s of a training."""
    clock = Clock()
    preprocess = Preprocess(IMAGE_PX, (0.5,) * 3, (0.5,) * 3, CPU)
    finetune(Network(make_backbone(name, num_classes=2)), preprocess, tiles, options, progress=clock)
    return clock.rate(options.batch_size)


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv2_035", "vit_small_patch16_224"])
    parser.add_argument("--recipes", nargs="+", default=["lora", "finetune"], choices=["lora", "finetune"])
    parser.add_argument("--augment", default="dihedral+cutmix")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    tiles, batch, steps = draw_tiles(), options.batch, options.steps
    dtype = pick_precision(CPU)
    fast = (dtype or torch.bfloat16, torch.channels_last)
    for name in options.backbones:
        for recipe in options.recipes:
            tuned = FinetuneOptions(
                learning="adapters" if recipe == "lora" else "all",
                steps=steps + 1,
                batch_size=batch,
                augment=parse_augmentation(options.augment),
                precision="bfloat16",
            )
            plain, bare, loop = [], [bare_rate(name, recipe, batch, steps, *fast)], []
            for _ in range(options.rounds):
                plain.append(bare_rate(name, recipe, batch, steps, None, torch.contiguous_format))
                loop.append(loop_rate(name, tiles, tuned))
                bare.append(bare_rate(name, recipe, batch, steps, *fast))
            around = [float(np.mean(bare[i : i + 2])) for i in range(options.rounds)]
            overhead = [rate / near for rate, near in zip(loop, around, strict=True)]
            gain = [near / rate for rate, near in zip(plain, around, strict=True)]
            where = "" if dtype else ", which this CPU emulates"
            print(f"{name}, {recipe}, {IMAGE_PX} px, batch {batch}, {options.augment}, {cores()} cores{where}")
            for what, values in (
                ("float32, as made", plain),
                ("bfloat16, channels last", bare),
                ("training loop", loop),
            ):
                print(f"{what:24s} {np.median(values):7.1f} images/s   (rounds: {', '.join(f'{v:.1f}' for v in values)})")
            for what, values in (("loop / bare passes", overhead), ("bfloat16 / float32", gain)):
                print(f"{what:24s} {np.median(values):7.2f}            (rounds: {', '.join(f'{v:.2f}' for v in values)})")


if __name__ == "__main__":
    main()
