"""Diffusion models of the ground of benchmarks' data sets, trained on their training sides alone; weights stay out of the tree.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.own_backbones OUT [--sets carrots,copr,simulated,letters,...]
        [--packages DIR] [--steps 10000] [--lora-of FOLDER]

Of COPR crops are taken at every offset of the orthomosaic, without the ground of the clusters that are tested on; of the
simulated survey without its test tiles; of carrots the tiles of the training photos are, of a task of ``common_tasks`` its
training images, none of them turned. ``OUT`` keeps all, so that a run goes on, and has a ``SET/backbone`` each, for
``bench_study --diffusion SET=OUT/SET/backbone``. Ten thousand steps take a core 1.5 h. With ``--lora-of`` a LoRA of another
model, such as that of another set, is trained in its place, into ``SET/lora``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import geopandas as gpd

from spurgekit import PretrainOptions, pretrain_backbone
from spurgekit.progress import bar
from tests.benchmarks.bench_shift import DATA
from tests.benchmarks.bench_study import PACKAGES, TASK_PX, dataset_of
from tests.benchmarks.common_tasks import TASKS

SIZE_PX = 128
LICENCES = {"copr": "cc-by-sa-4.0", "simulated": "mit"}
TILE_PX = {"copr": 50, "simulated": 112}
IMAGES = {"copr": lambda _: DATA / "copr" / "site.tif", "simulated": lambda folder: folder / "survey" / "site.tif"}
MARGIN_M = 0.5
"""Around the ground of a cluster that is tested on."""


def ground_of(name: str, out: Path, packages: Path = PACKAGES) -> tuple[Path, dict[str, Any]]:
    """Return what may be learned from of a set, and the options that keep its test side out of it; builds its dataset."""
    folder = out / name
    dataset = dataset_of(name, out, packages)
    if name in TASKS:
        return dataset, {"augmentation": "none"}
    if name not in IMAGES:
        return dataset, {}
    without = folder / "test-ground.gpkg"
    tiles = gpd.read_parquet(dataset / "tiles.parquet")
    tested = tiles[tiles["split"] == "test"]
    shapes = tested.dissolve("cluster").convex_hull.buffer(MARGIN_M) if name == "copr" else tested.geometry
    if not without.is_file():  # written again, it would have other bytes, and the run would not go on
        gpd.GeoDataFrame(geometry=shapes, crs=tiles.crs).to_file(without)
    return IMAGES[name](folder), {"tile_px": TILE_PX[name], "without": without}


def main() -> None:
    """Train the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", default="carrots,copr,simulated")
    parser.add_argument("--packages", type=Path, default=PACKAGES)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lora-of", type=Path)
    chosen = parser.parse_args()
    weights = DATA / "weights"
    parts = {"vae": weights / "taesd", "tokenizer": weights / "clip_tokenizer"}
    for name in chosen.sets.split(","):
        source, told = ground_of(name, chosen.out, chosen.packages)
        if chosen.lora_of is None:
            told |= {**parts, "size_px": TASK_PX if name in TASKS else SIZE_PX}
        else:
            told |= {"lora": True, "backbone": str(chosen.lora_of)}
        options = PretrainOptions(
            steps=chosen.steps, compile=True, learning_rate=chosen.learning_rate, threads=chosen.threads,
            judge_backbone="tf_efficientnet_lite0", judge_weights=weights / "tf_efficientnet_lite0",
            licence=LICENCES.get(name), **told,
        )  # fmt: skip
        folder = chosen.out / name / ("backbone" if chosen.lora_of is None else "lora")
        info = pretrain_backbone(source, folder, options, report=lambda found: print(found, flush=True), progress=bar)
        print(name, info.references, info.judged, flush=True)


if __name__ == "__main__":
    main()
