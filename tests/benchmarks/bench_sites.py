"""What a map is worth on a site that its model was not trained on: order, overlap, calibration, and areas against the truth.

    python -m tests.benchmarks.bench_sites --weights DIR [--copr DIR] [--arms probe,probe:cover,mil] [--keep FOLDER]
    python -m tests.benchmarks.bench_sites --weights DIR --strides [--keep FOLDER]

Pairs of simulated sites differ in the share of weed, in light and in exposure: the first is trained on, the second mapped. Of a
simulated survey two sites are trained on and the third is mapped, in turn. Of the dune of COPR, the west is trained on and the
east mapped. Tiles are resized to 128 px, and looked at in one view; an arm with ``:cover`` has cover for its target.

AUROC and IoU are of cells, true where their cover makes them weed by the rule of the labels (cells finer than a tile: where
half of them is weed); the IoU's threshold is that of most overlap in the held-out places of the training side. ECE is of the
probabilities of tiles, or the error of their cover. Occupied area, in truth, is that of tiles in all positions. An area is what
was counted, and behind the arrow the estimate with its interval; ``!`` where that misses the truth.

With ``--strides`` one model of tiles of 3.5 m maps a site of 105 m in cells of 3.5, 1.75, 0.7 and 0.35 m.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from spurgekit.classify import TileClassifier, load_model
from spurgekit.classify.cover import cover_error
from spurgekit.classify.scores import value_of
from spurgekit.maps import MapOptions, MapReport, map_site
from spurgekit.maps.areas import AreaEstimate
from tests.benchmarks import bench_dense
from tests.benchmarks.bench_dense import BACKBONE, iou, spurgekit

IMAGE_PX = 128
PHASES = 28
"""Positions of a tile, a side, over which the area that is occupied in truth is averaged."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Look = tuple[int, float, str, float]
"""Seed, share of weed, light and exposure of a simulated site."""

PAIRS: tuple[tuple[Look, Look], ...] = (
    ((301, 0.08, "clear", 0.0), (302, 0.08, "clear", 0.0)),
    ((303, 0.08, "clear", 0.0), (304, 0.08, "clear", 0.0)),
    ((305, 0.08, "clear", 0.0), (306, 0.25, "clear", 0.0)),
    ((307, 0.25, "clear", 0.0), (308, 0.04, "clear", 0.0)),
    ((309, 0.12, "morning", 0.0), (310, 0.12, "evening", 0.3)),
    ((311, 0.12, "noon", 0.3), (312, 0.12, "overcast", -0.3)),
)
SURVEY: dict[str, Look] = {
    "north": (321, 0.05, "clear", 0.0),
    "middle": (322, 0.1, "clear", 0.2),
    "south": (323, 0.2, "noon", 0.0),
}


@dataclass(frozen=True)
class Site:
    """An image, where the weed is on it (1; 255 is unknown), and its outlines."""

    image: Path
    weed: Path
    labels: Path


@dataclass(frozen=True)
class Trial:
    """Sites to train on, and one to map."""

    name: str
    train: tuple[Site, ...]
    mapped: Site
    tile_px: int = 224

    @property
    def learned(self) -> str:
        """What to call what is made of the sites to train on."""
        return "+".join(site.image.parent.name for site in self.train)


def main() -> None:
    """Print a line for each trial and arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"folder of {BACKBONE}")
    parser.add_argument("--copr", type=Path, help="folder of the real site")
    parser.add_argument("--arms", default="probe,probe:cover,mil", help="recipes, with ':cover' where cover is the target")
    parser.add_argument("--trials", default="", help="parts of their names, parted by commas; by default all")
    parser.add_argument("--strides", action="store_true", help="print the table of strides alone")
    parser.add_argument("--keep", type=Path, help="folder to work in; what is there is not made again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        for line in strides(folder, options.weights) if options.strides else sites(folder, options):
            print(line, flush=True)


def sites(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """Yield the table of trials and arms."""
    yield (
        "| site | arm | AUROC | IoU | ECE | occupied, in truth | counted -> estimate (95 % interval) | under weed, in truth | "
        "counted -> estimate (95 % interval) |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, make in trials(folder, options.copr).items():
        if not any(part in name for part in options.trials.split(",")):
            continue
        trial = make()
        for arm in options.arms.split(","):
            model = trained(folder, trial, arm, options.weights)
            row = scored(folder / f"map-{name}-{spelled(arm)}", trial, model, folder / f"set-{trial.learned}")
            yield f"| {name} | {arm} | {row} |"


def trials(folder: Path, data: Path | None) -> dict[str, Callable[[], Trial]]:
    """Return what makes each trial, by its name."""
    found: dict[str, Callable[[], Trial]] = {
        f"s{one[0]}-s{other[0]}": partial(pair, folder, one, other, f"s{one[0]}-s{other[0]}") for one, other in PAIRS
    }
    found |= {f"two-{name}": partial(of_survey, folder, name) for name in SURVEY}
    return found | ({"copr-east": partial(dune, folder, data)} if data else {})


def pair(folder: Path, one: Look, other: Look, name: str) -> Trial:
    """Return two simulated sites."""
    return Trial(name, (simulated(folder, f"s{one[0]}", one),), simulated(folder, f"s{other[0]}", other))


def of_survey(folder: Path, name: str) -> Trial:
    """Return the sites of a survey with one to map; each lies 1 km east of the last."""
    made = {site: simulated(folder, site, look, east_m=1000.0 * i) for i, (site, look) in enumerate(SURVEY.items())}
    return Trial(f"two-{name}", tuple(site for other, site in made.items() if other != name), made[name])


def dune(folder: Path, data: Path) -> Trial:
    """Return the west and the east of COPR."""
    survey = bench_dense.copr(folder, data)
    west, east = (Site(site / "site.tif", site / "weed.tif", site / "weed.gpkg") for site in survey.sites)
    return Trial(survey.name, (west,), east, survey.tile_px)


def simulated(folder: Path, name: str, look: Look, *, east_m: float = 0.0, size_m: float = 48.0, gsd_m: float = 0.0125) -> Site:
    """Simulate a site, and move it."""
    seed, share, light, exposure = look
    made = folder / name
    site = Site(made / f"{name}.tif", made / "weed.tif", made / "weed.gpkg")
    if made.exists():
        return site
    ground = ["--family", "none", "--size", size_m, "--gsd", gsd_m, "--seed", seed, "--weed-share", share]
    spurgekit(made, "simulate", made, "--name", name, *ground, "--light", light, "--exposure", exposure)
    if east_m:
        for path in (site.image, site.weed):
            with rasterio.open(path, "r+") as file:
                file.transform = rasterio.Affine.translation(east_m, 0) * file.transform
        labels = gpd.read_file(site.labels)
        labels.assign(geometry=labels.translate(east_m)).to_file(site.labels)
    return site


def trained(folder: Path, trial: Trial, arm: str, weights: Path) -> TileClassifier:
    """Return a model of the sites to train on, which looks at tiles in one view."""
    tiles, dataset, labels = (folder / f"{kind}-{trial.learned}" for kind in ("tiles", "set", "labels"))
    images = [site.image for site in trial.train]
    spurgekit(tiles, "tile", *images, "--layout", "grid", "--size", trial.tile_px, "--out", tiles)
    if not labels.exists():
        labels.mkdir()
        pd.concat([gpd.read_file(site.labels) for site in trial.train], ignore_index=True).to_file(labels / "weed.gpkg")
    spurgekit(dataset, "build-dataset", tiles, "--labels", labels / "weed.gpkg", "--out", dataset)
    recipe, _, target = arm.partition(":")
    model = folder / f"{spelled(arm)}-{trial.learned}"
    backbone = ["--backbone", BACKBONE, "--weights", weights, "--image-size", IMAGE_PX]
    spurgekit(model, "train", dataset, "--out", model, "--arm", recipe, "--target", target or "presence", *backbone)
    return load_model(model, "cpu", views=1)


def spelled(arm: str) -> str:
    """Return an arm as a part of a file's name."""
    return arm.replace(":", "-")


def scored(out: Path, trial: Trial, model: TileClassifier, dataset: Path) -> str:
    """Map a site and return what there is to be said of the map."""
    report, cells = mapped(out, trial.mapped, model)
    level = most_overlap(*tested_cells(out, trial, model, dataset))
    fine = model.info.positions is not None
    under = cells.cell_m2 * float((cells.said > 0.5).sum()) if fine else None  # no area that the map says, but users will
    return (
        f"{roc_auc_score(cells.true, cells.said):.3f} | {iou(cells.said > level, cells.true):.2f} | "
        f"{calibration_error(model, cells):.3f} | {areas(report, trial.mapped, model, under)}"
    )


@dataclass(frozen=True)
class MapCells:
    """The cells of a map that have data: what it says of each and of the tile around it, and what covers that tile in truth."""

    said: Floats
    true: NDArray[np.bool_]
    around: Floats
    around_cover: Floats
    x: Floats
    y: Floats
    cell_m2: float


def mapped(out: Path, site: Site, model: TileClassifier, stride_px: int | None = None) -> tuple[MapReport, MapCells]:
    """Map a site, and look up what is there."""
    fine, rule = model.info.positions is not None, model.info.min_cover or 0.0
    options = MapOptions(resolution="fine") if fine else MapOptions(stride_px=stride_px)
    report = map_site(site.image, model, out, options, overwrite=True)
    with rasterio.open(out / "presence.tif") as file:
        said = file.read(1 if model.info.target == "cover" else 2).astype(np.float64)
        of_tiles = [number for number, title in enumerate(file.descriptions, start=1) if "in the tile around" in title]
        around = file.read(of_tiles[-1]).astype(np.float64) if of_tiles else said
        seen = np.isfinite(said)
        rows, columns = np.nonzero(seen)
        x, y = file.transform * (columns + 0.5, rows + 0.5)
    ground = Ground.of(site)
    around_cover = ground.cover(x, y, report.support_m)
    true = ground.cover(x, y, report.cell_m) >= 0.5 if fine else around_cover >= rule
    return report, MapCells(said[seen], true, around[seen], around_cover, x, y, report.cell_m**2)


@dataclass(frozen=True)
class Ground:
    """Where weed is on a site, as sums over its pixels from the upper left corner on, so that a square of any size is quick."""

    weed: Floats
    known: Floats
    transform: rasterio.Affine

    @classmethod
    def of(cls, site: Site) -> Ground:
        """Read it."""
        with rasterio.open(site.weed) as file:
            pixels, transform = file.read(1), file.transform
        return cls(_sums(pixels == 1), _sums(pixels != 255), transform)

    @property
    def pixel_m2(self) -> float:
        """Ground of a pixel."""
        return float(self.transform.a**2)

    @property
    def weed_m2(self) -> float:
        """Ground under the weed."""
        return float(self.weed[-1, -1]) * self.pixel_m2

    def within(self, rows: Ints, columns: Ints, side_px: int) -> tuple[Floats, Floats]:
        """Return how many pixels are weed, and are known, in squares whose upper left pixels are given."""
        height, width = self.weed.shape
        top, bottom = (np.clip(rows + down, 0, height - 1) for down in (0, side_px))
        left, right = (np.clip(columns + across, 0, width - 1) for across in (0, side_px))

        def inside(sums: Floats) -> Floats:
            return np.asarray(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])

        return inside(self.weed), inside(self.known)

    def cover(self, x: Floats, y: Floats, side_m: float) -> Floats:
        """Return the share of weed of squares around points."""
        side = round(side_m / self.transform.a)
        columns, rows = ~self.transform * (x, y)
        weed, known = self.within(np.round(rows - side / 2).astype(int), np.round(columns - side / 2).astype(int), side)
        return weed / np.maximum(known, 1)

    def occupied_m2(self, tile_m: float, least: float, min_valid: float = 0.5) -> float:
        """Return the ground of tiles that are weed by the rule of the labels, the mean over positions of the grid."""
        side = round(tile_m / self.transform.a)
        height, width = self.weed.shape
        step = side / PHASES
        rows, columns = (np.round(np.arange(-side + step, n, step)).astype(int) for n in (height, width))
        weed, known = self.within(rows[:, None], columns, side)
        of_weed = (known >= min_valid * side**2) & (weed >= least * known) & (weed > 0)
        return float(known[of_weed].sum()) * self.pixel_m2 / PHASES**2


def _sums(values: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.pad(values.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0))))


def tested_cells(out: Path, trial: Trial, model: TileClassifier, dataset: Path) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what was said of cells in the held-out places of the training side, and which of them are weed."""
    if model.info.positions is None:
        assert model.held_out_tiles is not None
        return model.held_out_tiles.probabilities[:, 1], model.held_out_tiles.targets == 1
    tiles = gpd.read_parquet(dataset / "tiles.parquet")
    ground = tiles[tiles["split"] == "test"].geometry
    found = []
    for site in trial.train:
        cells = mapped(out, site, model)[1]
        inside = np.unique(ground.sindex.query(gpd.points_from_xy(cells.x, cells.y), predicate="intersects")[0])
        found.append((cells.said[inside], cells.true[inside]))
    said, true = zip(*found, strict=True)
    return np.concatenate(said), np.concatenate(true)


def most_overlap(said: Floats, true: NDArray[np.bool_]) -> float:
    """Return the threshold above which cells overlap most with the true ones."""
    levels = np.unique(np.quantile(said, np.linspace(0, 0.999, 300)))
    return float(max(levels, key=lambda level: iou(said > level, true)))


def calibration_error(model: TileClassifier, cells: MapCells) -> float:
    """Return the calibration error of what is said of tiles."""
    if model.info.target == "cover":
        return cover_error(cells.said, cells.around_cover)
    true = cells.around_cover >= (model.info.min_cover or 0)
    return value_of("ece", np.column_stack([1 - cells.around, cells.around]), true.astype(np.int64))


def areas(report: MapReport, site: Site, model: TileClassifier, under_m2: float | None = None) -> str:
    """Return the areas of a map against the truth."""
    ground = Ground.of(site)
    occupied = ground.occupied_m2(report.support_m, model.info.min_cover or 0)
    under = "" if under_m2 is None else f"{under_m2:,.0f}"
    found = [
        (occupied, next(iter(report.occupied.values())), ""),
        (ground.weed_m2, next(iter(report.cover.values()), None), under),
    ]
    return " | ".join(f"{true:,.0f} | {f'{estimate(area, true)}' if area else other}" for true, area, other in found)


def estimate(area: AreaEstimate, true: float) -> str:
    """Return an area in words."""
    missed = "" if area.low_m2 <= true <= area.high_m2 else " !"
    return f"{area.counted_m2:,.0f} -> {area.estimate_m2:,.0f} ({area.low_m2:,.0f} to {area.high_m2:,.0f}){missed}"


def strides(folder: Path, weights: Path) -> Iterator[str]:
    """Yield the table of areas at several sizes of cells."""
    yield "| cells | arm | mapped | occupied in truth | counted -> estimate (95 % interval) | under weed, in truth | the same |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    make = partial(simulated, folder, size_m=105.0, gsd_m=0.025)
    trial = Trial("strides", (make("learned", (331, 0.08, "clear", 0.0)),), make("wide", (332, 0.08, "clear", 0.0)), 140)
    for stride_px in (140, 70, 28, 14):
        for arm in ("probe", "probe:cover"):
            model = trained(folder, trial, arm, weights)
            report, _ = mapped(folder / "map-strides", trial.mapped, model, stride_px)
            area = f"{report.mapped_m2:,.0f} of {report.image_m2:,.0f}"
            yield f"| {report.cell_m:.2f} m | {arm} | {area} | {areas(report, trial.mapped, model)} |"


if __name__ == "__main__":
    main()
