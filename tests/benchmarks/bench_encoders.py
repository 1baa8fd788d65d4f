"""Encoders without pretrained weights: SimCLR on a survey's own ground, and the UNet of its own diffusion model.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_encoders OUT [--sets carrots,copr,simulated] [--steps 1000]
        [--architecture mobilenet] [--diffusion copr=FOLDER] [--levels 50,200] [--trials 20]

Each is a frozen backbone of ``evaluate``'s arm ``probe``, on the same support sets, beside ImageNet's weights and random ones;
differences are from ImageNet's. SimCLR (Chen et al. 2020) learns from crops of the training side alone, at every offset, in all
8 views, at 64 px. Of a UNet the means of two of its blocks are taken, with noise of a level added (Baranchuk et al. 2022).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from spurgekit import EvaluateOptions, evaluate_arms
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.dataset import open_dataset
from spurgekit.diffusion import load_backbone
from spurgekit.diffusion.pretraining.crop_pool import GroundPiece, crop_at
from spurgekit.diffusion.prompts import PromptReader
from spurgekit.diffusion.schedulers import make_scheduler
from spurgekit.dihedral import VIEWS, view_of
from spurgekit.evaluate.bootstrap import resample
from spurgekit.evaluate.intervals import paired_differences, summarise
from spurgekit.evaluate.predictions import pair_predictions
from spurgekit.image_names import image_name
from spurgekit.pretrain.ground_sources import gather_ground
from spurgekit.pretrain.pretrain_options import PretrainOptions
from spurgekit.seeds import seeded
from tests.benchmarks.bench_arms import HALF, IMAGE_PX, SHOTS, TRIALS, show
from tests.benchmarks.bench_shift import BACKBONES, DATA
from tests.benchmarks.own_backbones import ground_of

PX = 64
BATCH = 128
TEMPERATURE = 0.2
LEAST_AREA = 0.35
"""Of a view, of a crop."""

OWN_UNET = "own_unet"
JITTER, TINT = 0.4, 0.1
EACH_PIECE = 64
"""Crops of a piece of ground that are held in memory."""


def crops_of(pieces: Sequence[GroundPiece], side: int, seed: int = 0) -> Tensor:
    """Draw crops of pieces, each at an offset of its own: uint8, [n, 3, PX, PX] and a little more for what is cut away."""
    random, size, found = np.random.default_rng(seed), round(PX * 1.25), []
    for piece in pieces:
        picture, valid = piece.read()
        for number in random.integers(piece.origins, size=min(EACH_PIECE, piece.origins)):
            crop = crop_at(picture, valid, side, int(number))
            found.append(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)


def altered(images: Tensor) -> Tensor:
    """Cut, turn, mirror, tint and blur images of 0 to 1, each in its own way; return them at PX, from -1 to 1."""
    count = len(images)
    scale = torch.empty(count).uniform_(LEAST_AREA, 1).sqrt()
    shift = (torch.rand(count, 2) * 2 - 1) * (1 - scale)[:, None]
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = scale
    affine[:, :, 2] = shift
    images = functional.grid_sample(
        images, functional.affine_grid(affine, [count, 3, PX, PX], align_corners=False), align_corners=False
    )
    views = torch.randint(VIEWS, (count,)).tolist()
    images = torch.stack([view_of(image, view) for image, view in zip(images, views, strict=True)])

    def draw(width: float, channels: int = 1) -> Tensor:
        return torch.empty(count, channels, 1, 1).uniform_(1 - width, 1 + width)

    images = images * draw(JITTER)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * draw(JITTER) + mean
    grey = images.mean(1, keepdim=True)
    images = ((images - grey) * draw(JITTER) + grey) * draw(TINT, 3)
    blurred = torch.rand(count, 1, 1, 1) < 0.3
    return torch.where(blurred, functional.avg_pool2d(images, 3, 1, 1), images).clamp(0, 1) * 2 - 1


def simclr(network: nn.Module, crops: Tensor, steps: int, seed: int = 0) -> Iterator[tuple[int, float]]:
    """Teach a network which views are of the same crop; yield the steps done and the loss."""
    width = int(network.num_features)  # type: ignore[arg-type]
    head = nn.Sequential(nn.Linear(width, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 128))
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1e-3, weight_decay=1e-4)
    same = (torch.arange(2 * BATCH) + BATCH) % (2 * BATCH)
    network.train()
    with seeded(seed):
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 1e-3 * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
            batch = crops[torch.randint(len(crops), (BATCH,))].float() / 255
            found = functional.normalize(head(network(torch.cat([altered(batch), altered(batch)]))), dim=1)
            alike = (found @ found.T / TEMPERATURE).fill_diagonal_(-math.inf)
            loss = functional.cross_entropy(alike, same)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield step + 1, loss.item()
    network.eval()


class UnetFeatures(nn.Module):
    """The means of the middle and of the block after it of a diffusion model's UNet, for images from -1 to 1."""

    def __init__(self, folder: str, level: int) -> None:
        super().__init__()
        backbone = load_backbone(folder, device="cpu", precision="float32")
        self.unet = backbone.unet
        self._backbone, self._level = backbone, torch.tensor([level])
        self._scheduler = make_scheduler(backbone, "ddpm")
        self._embeds = PromptReader(backbone).read([""], {}).embeds
        self._found: list[Tensor] = []
        blocks = backbone.unet.mid_block, backbone.unet.up_blocks[0]
        for block in blocks:
            block.register_forward_hook(lambda _module, _given, output: self._found.append(output.mean((2, 3))))
        self.pretrained_cfg = {"input_size": (3, backbone.info.size_px, backbone.info.size_px), "mean": HALF, "std": HALF}
        self.num_features = self.forward(torch.zeros(1, 3, PX, PX)).shape[1]

    def forward(self, images: Tensor) -> Tensor:
        """Return features, [n, width]."""
        self._found.clear()
        images = functional.interpolate(images, (self._backbone.info.size_px,) * 2, mode="bilinear", antialias=True)
        latents = self._backbone.encode(images).mean
        noise = torch.randn(latents[:1].shape, generator=torch.Generator().manual_seed(0)).expand_as(latents)
        level = self._level.expand(len(latents))
        noisy = self._scheduler.add_noise(latents, noise, level)
        self.unet(noisy, level, encoder_hidden_states=self._embeds.expand(len(latents), -1, -1))
        return torch.cat(self._found, dim=1)


def own_unet(folder: str, level: int) -> str:
    """Make the features of a UNet a model of timm, which `evaluate` takes as a backbone; return its name there."""

    def make(pretrained: bool = False, *, in_chans: int = 3, num_classes: int = 0, **_: Any) -> nn.Module:
        return UnetFeatures(folder, level)

    make.__name__ = f"{OWN_UNET}_{level}"
    timm.models.register_model(make)
    return make.__name__


Encoder = tuple[str, str, dict[str, Any], Path | None]
"""What it is called, timm's name, arguments of it, and the file of its weights."""


def learned(name: str, architecture: str, out: Path, steps: int) -> Path:
    """Return the weights of an encoder that SimCLR taught on the ground of a set, taught where they are not there."""
    file = out / name / f"simclr-{architecture}-{steps}.safetensors"
    if file.is_file():
        return file
    source, told = ground_of(name, out)
    ground = gather_ground([image_name(source)], PretrainOptions(**told))
    crops = crops_of(ground.training, ground.tile_px)
    timm_name, arguments = BACKBONES[architecture]
    network = make_backbone(timm_name, options=arguments)
    print(f"{name}: {len(crops):,} crops of {ground.training_tiles:,} tiles", flush=True)
    for step, loss in simclr(network, crops, steps):
        if step % 50 == 0 or step == steps:
            print(f"{name}: step {step}, loss {loss:.3f}", flush=True)
    save_file(network.state_dict(), file)
    return file


def compare(name: str, encoders: Sequence[Encoder], out: Path, trials: int) -> None:
    """Print how encoders do on a set, and how they differ from the first."""
    found = []
    for title, timm_name, arguments, weights in encoders:
        options = EvaluateOptions(
            arms=("probe",), shots=SHOTS, trials=trials, backbone=timm_name, backbone_options=arguments, weights=weights,
            pretrained=False, precision="float32", image_size_px=IMAGE_PX if timm_name.startswith(OWN_UNET) else PX,
            mean=HALF, std=HALF,
        )  # fmt: skip
        folder = out / name / "encoders" / title.replace(" ", "-")
        report = evaluate_arms(out / name / "dataset", folder, options)
        found.append(pd.read_parquet(report.folder / "predictions.parquet").assign(arm=title))
    bootstrap = resample(
        pair_predictions(pd.concat(found, ignore_index=True), open_dataset(out / name / "dataset").info.classes)
    )
    means = summarise(bootstrap)
    print(f"\n{name}, balanced accuracy, n = {' '.join(map(str, SHOTS))}")
    for title, rows in means[means["metric"] == "balanced_accuracy"].groupby("arm", sort=False):
        print(f"{title:28s} " + " ".join(f"{value:.3f}" for value in rows["mean"]), flush=True)
    show(f"{name}: difference from {encoders[0][0]}", paired_differences(bootstrap, encoders[0][0]))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", default="carrots,copr,simulated")
    parser.add_argument("--architecture", default="mobilenet")
    parser.add_argument("--steps", type=int, default=1000, help="of SimCLR; 0 leaves it out")
    parser.add_argument("--diffusion", action="append", default=[], metavar="SET=FOLDER")
    parser.add_argument("--levels", default="50,200")
    parser.add_argument("--trials", type=int, default=TRIALS)
    chosen = parser.parse_args()
    generators = dict(each.split("=", 1) for each in chosen.diffusion)
    timm_name, arguments = BACKBONES[chosen.architecture]
    for name in chosen.sets.split(","):
        ground_of(name, chosen.out)
        encoders: list[Encoder] = [
            ("ImageNet", timm_name, arguments, DATA / "weights" / timm_name),
            ("random weights", timm_name, arguments, None),
        ]
        if chosen.steps:
            weights = learned(name, chosen.architecture, chosen.out, chosen.steps)
            encoders.append((f"SimCLR {chosen.steps}", timm_name, arguments, weights))
        if name in generators:
            encoders += [
                (f"UNet at {level}", own_unet(generators[name], int(level)), {}, None) for level in chosen.levels.split(",")
            ]
        compare(name, encoders, chosen.out, chosen.trials)


if __name__ == "__main__":
    main()
