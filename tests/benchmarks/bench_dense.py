"""How fine maps are, by which way, and what they cost: windows cropped one by one, a tile's head on each position, and ``mil``.

    python -m tests.benchmarks.bench_dense --weights DIR [--seeds 301,303] [--part 1120] [--keep FOLDER]

For each seed a model is trained on tiles of one simulated site and maps a part of the next one, and a part of its own, on which
a threshold is chosen. Cells of 0.4 m are held against whether at least half of their pixels are weed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from sklearn.metrics import roc_auc_score

from spurgekit.classify import TileClassifier, load_model
from spurgekit.classify.model_info import Positions
from spurgekit.classify.position_head import PositionHead
from spurgekit.classify.training.network import PositionModel
from spurgekit.maps import MapOptions, map_site

BACKBONE = "tf_efficientnet_lite0"
TILE_PX = 224
CELL_PX = 32
"""Of the cells that are scored: two positions, a seventh of a tile."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """A way to a map finer than a tile."""

    name: str
    load: Callable[[Path], TileClassifier]
    options: MapOptions


def main() -> None:
    """Print a line for each way and pair of sites."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"folder of {BACKBONE}")
    parser.add_argument("--seeds", default="301,303")
    parser.add_argument("--shots", default="16,-1", help="tiles a class; -1: all")
    parser.add_argument("--part", type=int, default=1120, help="pixels a side that are mapped")
    parser.add_argument("--keep", type=Path, help="folder to work in; what is there is not made again")
    options = parser.parse_args()
    print("| test site | shots | way | AUROC | IoU, p > .5 | IoU, threshold | cells | edge | s | passes |")
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        for seed in map(int, options.seeds.split(",")):
            for shots in map(int, options.shots.split(",")):
                for line in compare(folder, seed, shots, options.part, options.weights):
                    print(line, flush=True)


def compare(folder: Path, seed: int, shots: int, side: int, weights: Path) -> Iterator[str]:
    """Yield a line for each way."""
    sites = [folder / f"s{seed}", folder / f"s{seed + 1}"]
    for site, number in zip(sites, (seed, seed + 1), strict=True):
        spurgekit(site, "simulate", site, "--family", "none", "--size", 48, "--seed", number)
    tiles, dataset = folder / f"tiles{seed}", folder / f"dataset{seed}"
    spurgekit(tiles, "tile", sites[0] / "site.tif", "--layout", "grid", "--size", TILE_PX, "--out", tiles)
    spurgekit(dataset, "build-dataset", tiles, "--labels", sites[0] / "weed.gpkg", "--out", dataset)
    models = {arm: folder / f"{arm}{seed}-{shots}" for arm in ("probe", "mil")}
    few = [] if shots < 0 else ["--shots", shots]
    for arm, model in models.items():
        spurgekit(
            model, "train", dataset, "--out", model, "--arm", arm, "--backbone", BACKBONE, "--weights", weights, *few
        )  # fmt: skip
    parts = [part(site, side, folder / f"{site.name}-{side}.tif") for site in sites]
    truths = [truth(site, side) for site in sites]
    fine = MapOptions(resolution="fine")
    for way in (
        Way("windows", lambda model: load_model(model, "cpu", views=1), MapOptions(stride_px=CELL_PX)),
        Way("tile's head, dense", lambda model: dense(load_model(model, "cpu", views=1)), fine),
        Way("mil", lambda models: load_model(models, "cpu", views=1), fine),
        Way(
            "mil, guided", lambda models: load_model(models, "cpu", views=1), MapOptions(resolution="fine", guided_filter=True)
        ),
        Way("mil, 8 views", lambda models: load_model(models, "cpu", views=8), fine),
    ):
        model = way.load(models["mil" if way.name.startswith("mil") else "probe"])
        found = [mapped(image, model, folder, way.options) for image in parts]
        chosen = best_threshold(found[0][0], truths[0])
        p, seconds, passes = found[1]
        yield f"| s{seed + 1} | {shots} | {way.name} | {scores(p, truths[1], chosen)} | {seconds:.0f} | {passes:.2f} |"


def spurgekit(made: Path, *arguments: object) -> None:
    """Run a command, unless what it makes is there."""
    if not made.exists():
        subprocess.run([sys.executable, "-m", "spurgekit", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def part(site: Path, side: int, path: Path) -> Path:
    """Write the middle of a site."""
    with rasterio.open(site / "site.tif") as file:
        window = middle(file.width, side)
        profile = file.profile | {"width": side, "height": side, "transform": file.window_transform(window)}
        with rasterio.open(path, "w", **profile) as out:
            out.write(file.read(window=window))
            out.colorinterp = file.colorinterp
    return path


def middle(whole: int, side: int) -> Window:
    """Return the window."""
    start = (whole - side) // 2
    return Window(start, start, side, side)


def truth(site: Path, side: int) -> Floats:
    """Return the share of weed of each cell; NaN where less than half of it is known."""
    with rasterio.open(site / "weed.tif") as file:
        weed = file.read(1, window=middle(file.width, side))
    known, is_weed = cells(weed != 255), cells(weed == 1)
    return np.where(known >= 0.5, is_weed / np.maximum(known, 1e-9), np.nan)


def cells(values: NDArray[np.generic], side: int = CELL_PX) -> Floats:
    """Return means over squares."""
    rows, columns = (n // side for n in values.shape)
    return np.asarray(values.reshape(rows, side, columns, side).mean(axis=(1, 3)), np.float64)


def dense(model: TileClassifier) -> TileClassifier:
    """Return a model that has a probe's head at each position of the last stage."""
    backbone, layer = model.network.model, model.network.classifier
    backbone.reset_classifier(0)
    finer = 112  # channels of the stage before
    head = PositionHead(finer + layer.in_features, layer.out_features)
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.weight[:, finer:] = 2**0.5 * layer.weight  # both stages are of length 1 together
        head.linear.bias.copy_(layer.bias)
    positions = Positions(features=finer + layer.in_features, stride_px=16, sharpness=head.sharpness)
    info = model.info.model_copy(update={"head": "multiple-instance", "positions": positions})
    return TileClassifier(info, PositionModel(backbone, head), model.device)


def mapped(image: Path, model: TileClassifier, folder: Path, options: MapOptions) -> tuple[Floats, float, float]:
    """Map an image.

    Returns
    -------
    probabilities : ndarray, shape (rows, columns)
        Of weed, in cells of ``CELL_PX``.
    seconds : float
        Of a core's time.
    passes : float
        Pixels that the backbone saw, over those of the image.
    """
    start = time.process_time()
    with pixels_seen(model) as seen:
        made = map_site(image, model, folder / "map", options, overwrite=True)
    seconds = time.process_time() - start
    with rasterio.open(made.folder / "presence.tif") as file:
        p = file.read(2).astype(np.float64)
        factor = round(CELL_PX * 0.0125 / made.cell_m)
    with rasterio.open(image) as file:
        passes = sum(seen) / (file.width * file.height)
    return cells(p, factor), seconds, passes


@contextmanager
def pixels_seen(model: TileClassifier) -> Iterator[list[int]]:
    """Gather the pixels of images that a backbone is shown."""
    network = model.network.model
    first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    seen: list[int] = []
    hook = first.register_forward_pre_hook(lambda _, given: seen.append(len(given[0]) * given[0][0, 0].numel()))
    try:
        yield seen
    finally:
        hook.remove()


def scores(p: Floats, share: Floats, chosen: float) -> str:
    """Return AUROC, IoU at .5 and at a chosen threshold, mapped over true cells, and the width of edges."""
    known = np.isfinite(p) & np.isfinite(share)
    true = share[known] >= 0.5
    area = (p[known] > chosen).sum() / true.sum()
    return (
        f"{roc_auc_score(true, p[known]):.3f} | {iou(p[known] > 0.5, true):.2f} | {iou(p[known] > chosen, true):.2f} | "
        f"{(p[known] > 0.5).sum() / true.sum():.2f} / {area:.2f} | {edge_width(p, share):.1f}"
    )


def iou(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return the intersection over the union."""
    return float((found & true).sum() / max((found | true).sum(), 1))


def best_threshold(p: Floats, share: Floats) -> float:
    """Return the probability above which cells overlap most with the true ones."""
    known = np.isfinite(p) & np.isfinite(share)
    found, true = p[known], share[known] >= 0.5
    return float(max(np.unique(np.quantile(found, np.linspace(0.3, 0.999, 300))), key=lambda level: iou(found > level, true)))


def edge_width(p: Floats, share: Floats) -> float:
    """Return over how many cells the mean probability rises from 20 to 80 % of the way across the edges of weed."""
    true = (np.nan_to_num(share) >= 0.5).astype(np.uint8)
    inside = cv2.distanceTransform(true, cv2.DIST_L2, 5) - 0.5
    outside = cv2.distanceTransform(1 - true, cv2.DIST_L2, 5) - 0.5
    distance = np.where(true > 0, inside, -outside)
    known = np.isfinite(p) & np.isfinite(share)
    at = np.arange(-6, 2.01, 0.5)
    means = np.array([p[known & (np.abs(distance - d) <= 0.5)].mean() for d in at])
    low, high = means[0], means[-1]
    rise = np.maximum.accumulate((means - low) / (high - low))
    return float(np.interp(0.8, rise, at) - np.interp(0.2, rise, at))


if __name__ == "__main__":
    main()
