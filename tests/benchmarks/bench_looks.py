"""What looks at a cell cost and give: ``--blend`` against the one tile around a cell, and 4 views against 8 of ``mil`` and
``segment``.

    python -m tests.benchmarks.bench_looks --weights DIR [--seeds 301,303] [--copr DIR] [--pairs blend,mil,segment]

Surveys, models and truth are those of ``bench_dense``: a model of 16 tiles a class of one site maps a part of the next. A cell
is weed where half of its pixels are, a tile where one in a hundred is. Differences are paired, second way less first; brackets
hold their 95 % interval over places, squares of two tiles a side that are drawn with replacement, of each site by itself.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import uniform_filter

from spurgekit.classify import load_model
from spurgekit.classify.metrics import METRICS
from spurgekit.classify.place_sums import PlaceSums
from spurgekit.maps import MapOptions
from tests.benchmarks.bench_dense import BACKBONE, CELLS, Survey, copr, mapped, part, simulated, spurgekit, truth

SHARE, DRAWS = 5, 2000
"""Cells of windows to a side of a tile, an odd number so that a tile has whole ones, and draws of places."""

SHOWN = ("auroc", "brier", "ece")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """A way to a map."""

    name: str
    options: MapOptions
    views: int


@dataclass(frozen=True)
class Pair:
    """Two ways that an arm's model can look."""

    arm: str
    target: str
    ways: tuple[Way, Way]
    of_tiles: bool = False


def pairs(stride_px: int) -> dict[str, Pair]:
    """Return what is compared, by name."""
    fine, stride = MapOptions(resolution="fine"), MapOptions(stride_px=stride_px)
    blend = MapOptions(stride_px=stride_px, blend=True)
    return {
        "blend": Pair("probe", "presence", (Way("the tile around", stride, 1), Way("`--blend`", blend, 1))),
        "mil": Pair("mil", "presence", (Way("8 views", fine, 8), Way("4 views", fine, 4))),
        "segment": Pair("segment", "cover", (Way("8 views", fine, 8), Way("4 views", fine, 4))),
    }


def main() -> None:
    """Print a line for each pair and what it is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"folder of {BACKBONE}")
    parser.add_argument("--seeds", default="301,303", help="of simulated sites to train on; the next one is mapped")
    parser.add_argument("--copr", type=Path, help="folder of the real site")
    parser.add_argument("--pairs", default="blend,mil,segment")
    parser.add_argument("--shots", default="16", help="tiles a class")
    parser.add_argument("--tiles", type=int, default=8, help="tiles a side of the part that is mapped")
    parser.add_argument("--keep", type=Path, help="folder to work in; what is there is not made again")
    options = parser.parse_args()
    print("| pair | site | places | asked of | " + " | ".join(f"{name} | less" for name in SHOWN) + " |")
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        surveys = [simulated(folder, int(seed)) for seed in options.seeds.split(",") if seed]
        surveys += [copr(folder, options.copr)] if options.copr else []
        for pair in options.pairs.split(","):
            found: dict[str, list[Compared]] = {}
            for survey in surveys:
                for asked, one in compare(folder, survey, pair, options.shots, options.tiles, options.weights):
                    found.setdefault(asked, []).append(one)
                    print(f"| {pair} | {survey.name} | {one.count} | {asked} | {described([one])} |", flush=True)
            for asked, several in found.items():
                if len(several) > 1:
                    places = sum(one.count for one in several)
                    print(f"| {pair} | all | {places} | {asked} | {described(several)} |", flush=True)


@dataclass(frozen=True, eq=False)
class Compared:
    """What two ways say of cells, and what is so.

    Attributes
    ----------
    said : tuple of ndarray, shape (n,)
        Probability of weed by each way.
    true : ndarray of int, shape (n,)
    places : ndarray of int, shape (n,)
    """

    said: tuple[Floats, Floats]
    true: NDArray[np.int64]
    places: NDArray[np.int64]

    def sums(self, way: int) -> PlaceSums:
        """Return what metrics are made of."""
        p = np.clip(self.said[way], 0, 1)
        return PlaceSums.of(self.places, self.true, np.column_stack([1 - p, p]), self.count)

    @property
    def count(self) -> int:
        """How many places there are."""
        return int(self.places.max()) + 1


def compare(folder: Path, survey: Survey, pair: str, shots: str, side: int, weights: Path) -> Iterator[tuple[str, Compared]]:
    """Yield what is asked of cells, and what two ways say."""
    name, site, mapped_site = survey.name, *survey.sites
    stride = survey.tile_px // SHARE
    which = pairs(stride)[pair]
    tiles, dataset, model = folder / f"tiles-{name}", folder / f"dataset-{name}", folder / f"{which.arm}-{name}-{shots}-0"
    spurgekit(tiles, "tile", site / "site.tif", "--layout", "grid", "--size", survey.tile_px, "--out", tiles)
    spurgekit(dataset, "build-dataset", tiles, "--labels", site / "weed.gpkg", "--out", dataset)
    how = ["--backbone", BACKBONE, "--weights", weights, "--shots", shots, "--trial", 0]
    spurgekit(model, "train", dataset, "--out", model, "--arm", which.arm, "--target", which.target, *how)
    window = Window(*survey.corners[1], side * survey.tile_px, side * survey.tile_px)
    image = part(mapped_site, window, folder / f"{mapped_site.name}-{side}.tif")
    said = []
    for way in which.ways:
        classifier = load_model(model, "cpu", views=way.views)  # type: ignore[arg-type]
        said.append(mapped(image, classifier, folder / f"looks-{name}", way.options)[0])
    cell_px = stride if which.arm == "probe" else survey.tile_px / CELLS
    share = truth(mapped_site, window, said[0].shape, cell_px)
    around = uniform_filter(np.nan_to_num(share), SHARE)
    row, col = (np.indices(share.shape) * cell_px // (2 * survey.tile_px)).astype(np.int64)
    known = np.isfinite(share) & np.isfinite(said[0]) & np.isfinite(said[1])
    asked = {"the cell": share >= 0.5, **({"the tile around": around >= 0.01} if which.arm == "probe" else {})}
    for what, true in asked.items():
        places = np.unique(1000 * row[known] + col[known], return_inverse=True)[1]
        yield what, Compared((said[0][known], said[1][known]), true[known].astype(np.int64), places)


def described(found: list[Compared]) -> str:
    """Return figures of the first way, and what the second one has less or more; means over sites, each drawn by itself."""
    rng = np.random.default_rng(0)
    values: dict[str, list[Floats]] = {name: [] for name in SHOWN}
    for one in found:
        first, second = (one.sums(way) for way in (0, 1))
        count = one.count
        weights = np.vstack([np.ones(count), rng.multinomial(count, np.full(count, 1 / count), DRAWS)])
        for name in SHOWN:
            measure = METRICS[name].value
            values[name].append(np.stack([measure(first, weights), measure(second, weights)]))
    texts = []
    for name in SHOWN:
        first_way, second_way = np.mean(values[name], axis=0)
        less = second_way - first_way
        low, high = np.nanquantile(less[1:], [0.025, 0.975])
        texts += [f"{first_way[0]:.4f}", f"{less[0]:+.4f} ({low:+.4f} to {high:+.4f})"]
    return " | ".join(texts)


if __name__ == "__main__":
    main()
