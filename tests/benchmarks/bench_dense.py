"""How fine maps are, by which way, and what they cost: windows cropped one by one, a tile's head on each position, ``mil``, and
``segment``, which learns from masks.

    python -m tests.benchmarks.bench_dense --weights DIR [--seeds 301,303] [--copr DIR] [--trials 3] [--keep FOLDER]

For each seed a model is trained on tiles of one simulated site and maps a part of the next one, and a part of its own, on
which a threshold is chosen. Of the dune of COPR, the west is trained on and the east mapped, in tiles of 1 m; its truth is a
threshold of excess green, which parts the 294 points that were checked by eye (AUROC 0.9996). Cells of a seventh of a tile are
held against whether at least half of their pixels are weed. Figures are means over support sets, +- their standard deviation.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio import features
from rasterio.windows import Window
from shapely.geometry import shape as to_shape
from sklearn.metrics import roc_auc_score

from spurgekit.classify import TileClassifier, load_model
from spurgekit.classify.model_info import Positions
from spurgekit.classify.position_head import PositionHead
from spurgekit.classify.training.network import PositionModel
from spurgekit.maps import MapOptions, map_site

BACKBONE = "tf_efficientnet_lite0"
CELLS = 7
"""To a side of a tile: each is two positions of the backbone."""

GREEN = 0.03
"""Of 2 g - r - b, as shares of r + g + b."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Survey:
    """A site to train on and one to map, and how long a tile is; where the part begins that is mapped of each."""

    name: str
    sites: tuple[Path, Path]
    tile_px: int
    corners: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Way:
    """A way to a map finer than a tile, by a model of an arm."""

    name: str
    arm: str
    load: Callable[[Path], TileClassifier]
    options: MapOptions


def main() -> None:
    """Print a line for each way and pair of sites."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"folder of {BACKBONE}")
    parser.add_argument("--seeds", default="301,303", help="of simulated sites to train on; the next one is mapped")
    parser.add_argument("--copr", type=Path, help="folder of the real site")
    parser.add_argument("--shots", default="4,16", help="tiles a class")
    parser.add_argument("--trials", type=int, default=3, help="support sets of each")
    parser.add_argument("--tiles", type=int, default=5, help="tiles a side of the part that is mapped")
    parser.add_argument("--ways", default="", help="parted by commas; by default all")
    parser.add_argument("--keep", type=Path, help="folder to work in; what is there is not made again")
    options = parser.parse_args()
    print("| test site | shots | way | AUROC | IoU, p > .5 | IoU, threshold | mapped / true | edge | s | passes |")
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        surveys = [simulated(folder, int(seed)) for seed in options.seeds.split(",") if seed]
        for survey in [*surveys, *([copr(folder, options.copr)] if options.copr else [])]:
            for shots in options.shots.split(","):
                found: dict[str, list[list[float]]] = {}
                for trial in range(1 if shots == "all" else options.trials):
                    way_options = (options.tiles, options.weights, options.ways.split(","))
                    for way, figures in compare(folder, survey, shots, trial, *way_options):
                        found.setdefault(way, []).append(figures)
                for way, rows in found.items():
                    print(f"| {survey.name} | {shots} | {way} | {described(rows)} |", flush=True)


def simulated(folder: Path, seed: int) -> Survey:
    """Make two sites of 48 m."""
    sites = folder / f"s{seed}", folder / f"s{seed + 1}"
    for site, number in zip(sites, (seed, seed + 1), strict=True):
        spurgekit(site, "simulate", site, "--family", "none", "--size", 48, "--seed", number)
    return Survey(f"s{seed + 1}", sites, 224, ((1360, 1360), (1360, 1360)))


def copr(folder: Path, data: Path) -> Survey:
    """Cut the dune into its west and its east."""
    sites = folder / "copr-west", folder / "copr-east"
    with rasterio.open(data / "site.tif") as file:
        half = file.width // 2
        for site, column in zip(sites, (0, half), strict=True):
            if site.exists():
                continue
            site.mkdir()
            window = Window(column, 0, half, file.height)
            pixels = file.read(window=window)
            profile = file.profile | {"width": half, "transform": file.window_transform(window)}
            with rasterio.open(site / "site.tif", "w", **profile) as out:
                out.write(pixels)
                out.colorinterp = file.colorinterp
            red, green, blue = pixels[:3].astype(np.float32) / np.maximum(pixels[:3].sum(axis=0), 1)
            plant = ((2 * green - red - blue > GREEN) & (pixels[3] > 0)).astype(np.uint8)
            plant = cv2.morphologyEx(plant, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
            profile |= {"count": 1, "nodata": 255, "photometric": None}
            with rasterio.open(site / "weed.tif", "w", **profile) as out:
                out.write(np.where(pixels[3] > 0, plant, 255).astype(np.uint8), 1)
            shapes = [to_shape(one) for one, _ in features.shapes(plant, plant > 0, transform=profile["transform"])]
            frame = gpd.GeoDataFrame({"class": ["plant"] * len(shapes)}, geometry=shapes, crs=file.crs.to_wkt())
            frame.to_file(site / "weed.gpkg")
    return Survey("copr-east", sites, 100, ((900, 2200), (900, 2200)))


def described(rows: list[list[float]]) -> str:
    """Return means and standard deviations of figures."""
    digits = (3, 2, 2, 2, 1, 0, 2)
    means, spreads = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0, ddof=min(1, len(rows) - 1))
    return " | ".join(
        f"{mean:.{n}f}" + (f" +- {spread:.{n}f}" if number in (1, 2, 3) and len(rows) > 1 else "")
        for number, (mean, spread, n) in enumerate(zip(means, spreads, digits, strict=True))
    )


def compare(
    folder: Path, survey: Survey, shots: str, trial: int, side: int, weights: Path, chosen: list[str]
) -> Iterator[tuple[str, list[float]]]:
    """Yield the figures of each way, by a support set."""
    name, site = survey.name, survey.sites[0]
    tiles, dataset = folder / f"tiles-{name}", folder / f"dataset-{name}"
    spurgekit(tiles, "tile", site / "site.tif", "--layout", "grid", "--size", survey.tile_px, "--out", tiles)
    spurgekit(dataset, "build-dataset", tiles, "--labels", site / "weed.gpkg", "--out", dataset)
    targets = {"probe": "presence", "mil": "presence", "segment": "cover"}
    how = ["--backbone", BACKBONE, "--weights", weights, "--shots", shots, "--trial", trial]
    windows = [Window(*corner, side * survey.tile_px, side * survey.tile_px) for corner in survey.corners]
    parts = [part(one, window, folder / f"{one.name}-{side}.tif") for one, window in zip(survey.sites, windows, strict=True)]
    stride = survey.tile_px // CELLS
    fine = MapOptions(resolution="fine")
    ways = (
        Way("windows", "probe", lambda model: load_model(model, "cpu", views=1), MapOptions(stride_px=stride)),
        Way("dense", "probe", lambda model: dense(load_model(model, "cpu", views=1)), fine),
        Way("mil", "mil", lambda model: load_model(model, "cpu", views=1), fine),
        Way("mil guided", "mil", lambda model: load_model(model, "cpu", views=1), replace(fine, guided_filter=True)),
        Way("mil 8 views", "mil", lambda model: load_model(model, "cpu", views=8), fine),
        Way("segment", "segment", lambda model: load_model(model, "cpu", views=1), fine),
        Way("segment guided", "segment", lambda model: load_model(model, "cpu", views=1), replace(fine, guided_filter=True)),
    )
    for way in ways:
        if chosen != [""] and way.name not in chosen:
            continue
        model = folder / f"{way.arm}-{name}-{shots}-{trial}"
        spurgekit(model, "train", dataset, "--out", model, "--arm", way.arm, "--target", targets[way.arm], *how)
        classifier = way.load(model)
        found = [mapped(image, classifier, folder / f"map-{name}", way.options) for image in parts]
        cell_px = stride if way.name == "windows" else survey.tile_px / CELLS
        truths = [
            truth(one, window, found[i][0].shape, cell_px)
            for i, (one, window) in enumerate(zip(survey.sites, windows, strict=True))
        ]
        p, seconds, passes = found[1]
        yield way.name, [*scores(p, truths[1], best_threshold(found[0][0], truths[0])), seconds, passes]


def spurgekit(made: Path, *arguments: object) -> None:
    """Run a command, unless what it makes is there."""
    if not made.exists():
        subprocess.run([sys.executable, "-m", "spurgekit", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def part(site: Path, window: Window, path: Path) -> Path:
    """Write a part of a site."""
    with rasterio.open(site / "site.tif") as file:
        size = {"width": window.width, "height": window.height, "transform": file.window_transform(window)}
        with rasterio.open(path, "w", **(file.profile | size)) as out:
            out.write(file.read(window=window))
            out.colorinterp = file.colorinterp
    return path


def truth(site: Path, window: Window, shape: tuple[int, int], cell_px: float) -> Floats:
    """Return the share of weed of each cell; NaN where less than half of it is known."""
    with rasterio.open(site / "weed.tif") as file:
        weed = file.read(1, window=window)
    edges = [np.round(np.arange(n + 1) * cell_px).astype(int) for n in shape]

    def sums(values: NDArray[np.bool_]) -> Floats:
        padded = np.pad(values, [(0, max(0, e[-1] - n)) for e, n in zip(edges, values.shape, strict=True)])
        rows = np.add.reduceat(padded[: edges[0][-1]].astype(np.float64), edges[0][:-1], axis=0)
        return np.asarray(np.add.reduceat(rows[:, : edges[1][-1]], edges[1][:-1], axis=1))

    known = sums(weed != 255)
    return np.where(known >= cell_px**2 / 2, sums(weed == 1) / np.maximum(known, 1), np.nan)


def dense(model: TileClassifier) -> TileClassifier:
    """Return a model that has a probe's head at each position of the last stage."""
    backbone, layer = model.network.model, model.network.classifier
    backbone.reset_classifier(0)  # type: ignore[operator]
    finer = 112  # channels of the stage before
    head = PositionHead(finer + layer.in_features, layer.out_features)
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.weight[:, finer:] = 2**0.5 * layer.weight  # both stages are of length 1 together
        head.linear.bias.copy_(layer.bias)
    positions = Positions(features=finer + layer.in_features, stride_px=16, sharpness=head.sharpness)
    info = model.info.model_copy(update={"head": "multiple-instance", "positions": positions})
    return TileClassifier(info, PositionModel(backbone, head), model.device)


def mapped(image: Path, model: TileClassifier, out: Path, options: MapOptions) -> tuple[Floats, float, float]:
    """Map an image.

    Returns
    -------
    probabilities : ndarray, shape (rows, columns)
        Of weed, in cells of about a seventh of a tile.
    seconds : float
        Of a core's time.
    passes : float
        Pixels that the backbone saw, over those of the image.
    """
    start = time.process_time()
    with pixels_seen(model) as seen:
        made = map_site(image, model, out, options, overwrite=True)
    seconds = time.process_time() - start
    with rasterio.open(made.folder / "presence.tif") as file:
        p = file.read(1 if model.info.target == "cover" else 2).astype(np.float64)
    if options.resolution == "fine":
        rows, columns = (n // 2 for n in p.shape)
        p = p[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    with rasterio.open(image) as file:
        passes = sum(seen) / (file.width * file.height) * (model.info.tile_size_px / model.info.image_size_px) ** 2
    return p, seconds, passes


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


def scores(p: Floats, share: Floats, chosen: float) -> list[float]:
    """Return AUROC, IoU at .5 and at a chosen threshold, mapped over true cells (p > .5), and the width of edges."""
    known = np.isfinite(p) & np.isfinite(share)
    true = share[known] >= 0.5
    return [
        float(roc_auc_score(true, p[known])),
        iou(p[known] > 0.5, true),
        iou(p[known] > chosen, true),
        float((p[known] > 0.5).sum() / true.sum()),
        edge_width(p, share),
    ]


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
    near = {d: known & (np.abs(distance - d) <= 0.5) for d in np.arange(-6, 2.01, 0.5)}
    at = [d for d, some in near.items() if some.any()]
    means = np.array([p[near[d]].mean() for d in at])
    low, high = means[0], means[-1]
    rise = np.maximum.accumulate((means - low) / (high - low))
    return float(np.interp(0.8, rise, at) - np.interp(0.2, rise, at))


if __name__ == "__main__":
    main()
