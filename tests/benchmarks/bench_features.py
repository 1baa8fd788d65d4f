"""How fast features are extracted, against the backbone's bare forward passes; and bfloat16 against float32.

    python -m tests.benchmarks.bench_features [--tiles 512] [--backbones mobilenetv2_035,vit_small_patch14_reg4_dinov2.lvd142m]

Weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pandas as pd
import torch

from spurgekit.classify.features import FeatureStore
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.dihedral import VIEWS
from spurgekit.precision import autocast, pick_precision, put_on

CPU = torch.device("cpu")
SIDE = 250
BATCH = 32
ROUNDS = 3


def rate(count: int, work: Callable[[], object]) -> float:
    """Return how many images a second some work gets through."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def write_tiles(folder: Path, count: int) -> pd.DataFrame:
    """Write PNG tiles of grass-like noise."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        coarse = rng.integers(40, 200, (SIDE // 5, SIDE // 5, 3)).astype(np.uint8)
        pixels = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path := folder / f"t{number}.png"), pixels)
        rows.append({"tile_id": f"t{number}", "path": path})
    return pd.DataFrame(rows)


def bare(backbone: torch.nn.Module, size_px: int, dtype: torch.dtype | None, count: int) -> float:
    """Return images a second of forward passes on one batch that is ready."""
    images = torch.rand(BATCH, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode(), autocast(CPU, dtype):
            for _ in range(count // BATCH):
                backbone(images)

    return rate(count // BATCH * BATCH, work)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiles", type=int, default=512)
    parser.add_argument("--backbones", default="mobilenetv2_035,vit_small_patch14_reg4_dinov2.lvd142m")
    chosen = parser.parse_args()
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{torch.get_num_threads()} threads, {capability}; auto: {pick_precision(CPU) or 'float32'}")
    with tempfile.TemporaryDirectory() as temporary:
        tiles = write_tiles(Path(temporary), chosen.tiles)
        for name in chosen.backbones.split(","):
            size_px = 252 if "patch14" in name else 224
            few = tiles if name.startswith("mobile") else tiles.iloc[: max(BATCH, chosen.tiles // 8 // BATCH * BATCH)]
            backbone = put_on(make_backbone(name, image_size_px=size_px), CPU)
            plain: dict[str, list[float]] = {}
            for precision in ("float32", "bfloat16"):
                dtype = pick_precision(CPU, precision)
                preprocess = Preprocess(size_px, (0.5,) * 3, (0.5,) * 3, CPU)
                bare(backbone, size_px, dtype, BATCH)  # warm
                for views in (range(VIEWS), range(1)):
                    ratios, rates = [], []
                    for _ in range(ROUNDS):
                        store = FeatureStore(backbone, preprocess, batch_size=BATCH, precision=precision)
                        before = bare(backbone, size_px, dtype, len(few))
                        extracted = rate(len(few) * len(views), partial(store.views, few, views))
                        after = bare(backbone, size_px, dtype, len(few))
                        rates.append((before + after) / 2)
                        ratios.append(extracted / rates[-1])
                    plain[precision] = rates
                    print(
                        f"{name:36} {precision:9} bare {median(rates):6.1f} images/s   PNG tiles, views {len(views)}: "
                        f"{median(ratios):.2f} of that ({min(ratios):.2f} to {max(ratios):.2f})"
                    )
            gain = median(plain["bfloat16"]) / median(plain["float32"])
            print(f"{name:36} bfloat16 over float32, both channels-last: {gain:.2f}")


if __name__ == "__main__":
    main()
