"""How far off areas are, over many pairs of simulated sites: as counted, as solved, and as the product has them.

    python -m tests.benchmarks.bench_crossed --weights DIR [--alike 1001-1012] [--unlike 1013-1024] [--keep FOLDER]

Each site has a model of its own, and is mapped by those of all others. Sites that are alike have one light and one share of
weed; those that are not differ in both, and in exposure. ``solved`` are the rates of held-out tiles turned round (Rogan and
Gladen 1978), of occupied area alone. Errors are roots of mean squares, in shares of the true area, which is that of the tiles
of the grid; intervals are nominally of 95 %, and their widths medians in the same shares. A site takes a minute of a core: its
features are computed once, and a map is linear in them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from spurgekit import (
    DatasetOptions,
    SurveyOptions,
    TileClassifier,
    TileOptions,
    TrainOptions,
    build_dataset,
    load_model,
    open_raster,
    simulate_survey,
    tile_images,
    train_model,
)
from spurgekit.maps.areas import covered_area, occupied_areas
from spurgekit.maps.bands import BandLayout, MapBand
from spurgekit.maps.sliding_window import Sliding, slide
from spurgekit.simulate import LIGHTS, Camera
from tests.benchmarks.bench_areas import solved
from tests.benchmarks.bench_dense import BACKBONE

SIZE_M, TILE_PX, IMAGE_PX = 48, 224, 112
Target = Literal["presence", "cover"]

TARGETS: dict[Target, str] = {"presence": "probe", "cover": "cover"}
"""Targets of models, and what their folders are called."""

LEAST = 0.05
"""Cover from which on a tile is of weed."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """A site's tiles on the grid of a map, and models of presence and of cover that were trained on it."""

    features: NDArray[np.float32]
    ground_m2: Floats
    cover: Floats
    models: dict[Target, TileClassifier]

    def true_m2(self, target: Target) -> float:
        """Return the ground of the tiles that are of weed, or the ground under it."""
        return float(self.ground_m2 @ (self.cover if target == "cover" else self.cover >= LEAST))

    def counted_m2(self, model: TileClassifier) -> tuple[Floats, Floats]:
        """Return the ground that a model gives to each class, and how much of it is under weed by a model of cover."""
        with torch.inference_mode():
            logits = model.network.classifier(torch.from_numpy(self.features)).numpy()
        said = model.probabilities(logits)
        predicted = model.info.predicted(said)
        ground, cover = (np.bincount(predicted, part, minlength=2) for part in (self.ground_m2, self.ground_m2 * said[:, 1]))
        return np.asarray(ground), np.asarray(cover)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"folder of {BACKBONE}")
    parser.add_argument("--alike", type=seeds, default="1001-1012", help="seeds of sites of one light and share of weed")
    parser.add_argument("--unlike", type=seeds, default="1013-1024", help="seeds of others")
    parser.add_argument("--keep", type=Path, help="folder to work in; what is there is not made again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        alike, unlike = (
            [site_of(folder, seed, options.weights, alike=kind) for seed in numbers]
            for kind, numbers in ((True, options.alike), (False, options.unlike))
        )
    print("| area | sites | maps | counted is off by | solved | estimate | interval holds | width |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    both = [(one, other) for one in alike for other in unlike]
    pairs = {
        "alike": [(one, other) for one in alike for other in alike if one is not other],
        "unlike": [(one, other) for one in unlike for other in unlike if one is not other],
        "one of each": [*both, *((other, one) for one, other in both)],
    }
    for target in TARGETS:
        for name, some in pairs.items():
            print(row(target, name, some))


def seeds(text: str) -> range:
    """Read ``1001-1012``."""
    first, last = map(int, text.split("-"))
    return range(first, last + 1)


def row(target: Target, name: str, pairs: Iterable[tuple[Site, Site]]) -> str:
    """Return the line of pairs of a site that was trained on and one that is mapped."""
    found = []
    for learned, site in pairs:
        model = learned.models[target]
        ground, cover = site.counted_m2(model)
        total = float(ground.sum())
        places = total / (model.info.held_out.place_m2 or total)
        if target == "cover":
            by_rates = np.nan
            area = covered_area(ground.tolist(), cover.tolist(), model.held_out_tiles, model.info, site_places=places)
        else:
            by_rates = total * solved(ground / total, model.held_out)[1]
            area = occupied_areas(ground, model.held_out, site_places=places)[1]
        values = (area.counted_m2, by_rates, area.estimate_m2, area.low_m2, area.high_m2)
        found.append(np.array(values) / site.true_m2(target))
    *some, low, high = np.array(found).T
    off = " | ".join(f"{np.sqrt(((one - 1) ** 2).mean()):.0%}" for one in some).replace("nan%", "")
    holds = f"{((low <= 1) & (high >= 1)).mean():.0%}"
    return f"| {target} | {name} | {len(found)} | {off} | {holds} | x {np.median(high - low):.1f} |"


def options_of(seed: int, *, alike: bool) -> SurveyOptions:
    """Return what a site is like."""
    if alike:
        return SurveyOptions(markers=False, site_size_m=SIZE_M, seed=seed)
    rng = np.random.default_rng(seed)
    share = round(float(np.exp(rng.uniform(np.log(0.02), np.log(0.3)))), 3)
    light = list(LIGHTS.values())[rng.integers(len(LIGHTS))]
    camera = Camera(exposure_stops=round(float(rng.uniform(-0.4, 0.4)), 2))
    return SurveyOptions(markers=False, site_size_m=SIZE_M, seed=seed, weed_share=share, light=light, camera=camera)


def site_of(folder: Path, seed: int, weights: Path, *, alike: bool) -> Site:
    """Return a site, made or from the folder."""
    work, file = folder / f"w{seed}", folder / f"{seed}.npz"
    work.mkdir(parents=True, exist_ok=True)
    survey, models = work / "site", {target: work / name for target, name in TARGETS.items()}
    if not survey.exists():
        simulate_survey(survey, options_of(seed, alike=alike))
    if not (work / "set").exists():
        tile_images(survey / "site.tif", work / "tiles", TileOptions(layout="grid", size_px=TILE_PX), overwrite=True)
        build_dataset(work / "tiles", work / "set", DatasetOptions(labels=survey / "weed.gpkg"))
    how = TrainOptions(backbone=BACKBONE, weights=weights, image_size_px=IMAGE_PX, device="cpu")
    for target, model in models.items():
        if not model.exists():
            train_model(work / "set", model, replace(how, target=target))
    loaded = {target: load_model(model, "cpu", views=1) for target, model in models.items()}
    classifier = loaded["presence"]
    if not file.exists():
        features, valid, cover = described(survey, classifier)
        np.savez(file, F=features, valid=valid, cover=cover)
    side_m = TILE_PX * (classifier.info.gsd_m or 0)
    with np.load(file) as found:
        return Site(found["F"], found["valid"] * side_m**2, found["cover"], loaded)


def described(survey: Path, model: TileClassifier) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Return what a backbone sees in the tiles of a grid, which share of them has data, and how much of that is weed."""
    band = MapBand(
        name="features",
        titles=lambda classes: [str(number) for number in range(model.network.classifier.in_features)],  # noqa: ARG005
        value=lambda predictions: np.asarray(predictions.features),
        needs_features=True,
    )
    with open_raster(survey / "site.tif", gsd_m=model.info.gsd_m) as raster:
        sliding = Sliding(raster.grid, TILE_PX, TILE_PX)
        runs = list(slide(raster, model, sliding, layout=BandLayout((band,), model.info.classes)))
    features, valid = np.concatenate([run[1] for run in runs], axis=1), np.concatenate([run[2] for run in runs])
    with rasterio.open(survey / "weed.tif") as file:
        pixels = file.read(1)
    rows, columns = (range(0, TILE_PX * n, TILE_PX) for n in valid.shape)
    weed, known = (
        np.add.reduceat(np.add.reduceat(p.astype(np.int64), rows, 0), columns, 1) for p in (pixels == 1, pixels < 255)
    )
    seen = np.isfinite(features[0])
    return features[:, seen].T, valid[seen].astype(np.float64), (weed / np.maximum(known, 1))[seen]


if __name__ == "__main__":
    main()
