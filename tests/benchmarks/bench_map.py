"""Mapping a site against the bare model: images per second on the same batch size.

``python -m tests.benchmarks.bench_map [--size 12000]``

Each map is held against the bare model right before and right after it, since the machine's own rate drifts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from spurgekit.classify.classifier import load_model, save_model
from spurgekit.classify.model_info import HeldOut, ModelInfo
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.maps import MapOptions, map_site
from spurgekit.parallel import cores
from tests.benchmarks.sites import make_orthomosaic

BACKBONE = "mobilenetv2_035"
IMAGE_PX = 224
BATCH = MapOptions().batch_size


def make_model(folder: Path, tile_px: int) -> Path:
    """Write a model folder with random weights, which take as long as trained ones."""
    folder.mkdir()
    info = ModelInfo(
        backbone=BACKBONE,
        classes=("absent", "present"),
        image_size_px=IMAGE_PX,
        tile_size_px=tile_px,
        gsd_m=0.01,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        training_counts={"absent": 1, "present": 1},
        held_out=HeldOut(balanced_accuracy=0.5, confusion_matrix=((1, 1), (1, 1)), split=SplitInfo(by="blocks", block_m=10)),
    )
    save_model(folder, info, make_backbone(BACKBONE, num_classes=2))
    return folder


@torch.inference_mode()
def bare_rate(seconds: float = 10.0) -> float:
    """Return images/s of the network alone, on one batch that is ready in memory."""
    network = make_backbone(BACKBONE, num_classes=2).to(memory_format=torch.channels_last)
    batch = torch.rand(BATCH, 3, IMAGE_PX, IMAGE_PX).contiguous(memory_format=torch.channels_last)
    network(batch)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        network(batch)
        count += BATCH
    return count / (time.perf_counter() - start)


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=12_000, help="pixels a side")
    parser.add_argument("--tile", type=int, default=100, help="pixels a side of a tile")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_orthomosaic(folder / "site.tif", options.size)
        model = load_model(make_model(folder / "model", options.tile), "cpu")
        tiles = (-(-options.size // options.tile)) ** 2
        map_site(site, model, folder / "first", MapOptions(batch_size=BATCH))  # imports, and a warm machine
        bare, mapped = [bare_rate()], []
        for i in range(options.rounds):
            start = time.perf_counter()
            map_site(site, model, folder / f"map{i}", MapOptions(batch_size=BATCH))
            mapped.append(tiles / (time.perf_counter() - start))
            bare.append(bare_rate())
    ratios = [rate / np.mean(bare[i : i + 2]) for i, rate in enumerate(mapped)]
    print(f"{BACKBONE} at {IMAGE_PX} px, batch {BATCH}, {tiles:,} tiles of {options.tile} px, {cores()} cores")
    for what, values in (("bare model", bare), ("spurgekit map", mapped)):
        print(f"{what:15s} {np.median(values):7.1f} images/s   (rounds: {', '.join(f'{v:.1f}' for v in values)})")
    print(f"map / bare model  {np.median(ratios):.2f}   (rounds: {', '.join(f'{r:.2f}' for r in ratios)})")


if __name__ == "__main__":
    main()
