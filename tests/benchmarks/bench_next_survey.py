"""What a walk teaches that ``next-survey`` planned: balanced accuracy after k more tiles, against tiles drawn at random.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_next_survey [--cache /tmp/next-survey]

A model that has seen one or two tiles of each class is to learn of k more, which are chosen from the half of a site that is
walked; it is tested on the other half. Halves change places, and of COPR parts of its clusters do. What a tile holds is not
known until it is chosen; one with less of the weed than is clear (between none and 5 % of it) is walked to and teaches
nothing. In each of the trials all rules begin with the same tiles, so that differences are paired; intervals allow for other
support sets and other places (:mod:`spurgekit.evaluate.intervals`). Balanced accuracy takes classes for equally common, as
``map --prevalence 0.5`` does: how many of each class a rule happens to find is no merit of it.

``--sites dev`` are those that what had to be chosen was chosen on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.cluster import KMeans

from spurgekit.classify.features import FeatureStore, unit
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.prevalence import shift_prevalence
from spurgekit.classify.probe import PROBE_C, ProbeSamples, nearest_mean, regress
from spurgekit.classify.row_space import right_singular_vectors
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.evaluate.bootstrap import resample
from spurgekit.evaluate.intervals import paired_differences, summarise
from spurgekit.evaluate.predictions import pair_predictions
from spurgekit.maps.bands import entropy
from spurgekit.next_survey import choose_tiles
from spurgekit.next_survey.walking import distances, length_of, put_in, shortest_tour, without_crossings
from spurgekit.seeds import seed_of
from spurgekit.simulate import LIGHTS, SurveyOptions, draw_site
from tests.benchmarks.bench_shift import BACKBONES, DATA, balanced

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SITES = {  # seed, share of weed, light
    "dev": {"2191": (2191, 0.04, "noon"), "2192": (2192, 0.1, "morning"), "2193": (2193, 0.2, "overcast")},
    "test": {
        "2201": (2201, 0.04, "morning"),
        "2202": (2202, 0.04, "overcast"),
        "2203": (2203, 0.08, "noon"),
        "2204": (2204, 0.08, "evening"),
        "2205": (2205, 0.16, "afternoon"),
        "2206": (2206, 0.16, "clear"),
    },
}
SITE_M, TILE_PX, GSD_M, CLEAR, BLOCKS = 36, 112, 0.0125, 0.05, 6
COPR_PARTS = (("0", "3", "6"), ("1", "4"), ("2", "5", "7"))
"""Clusters that are tested together, while the others are walked."""


@dataclass(frozen=True)
class Ground:
    """Tiles of a site.

    Attributes
    ----------
    features : ndarray of float64, shape (n, d)
        Mean over eight turns, of length 1 each.
    targets : ndarray of int64, shape (n,)
        1 with the weed, 0 without it, -1 where it is not clear.
    places : ndarray of str, shape (n,)
    at_m : ndarray of float64, shape (n, 2)
    """

    features: Floats
    targets: NDArray[np.int64]
    places: NDArray[np.str_]
    at_m: Floats


def ground_of(name: str, cache: Path) -> Ground:
    """Return the tiles of a site, from the cache or made."""
    file = cache / f"{name}.npz"
    if not file.is_file():
        sites = SITES["dev"] | SITES["test"]
        pixels, table = copr() if name == "copr" else simulated(*sites[name])
        folder = cache / name
        folder.mkdir(parents=True, exist_ok=True)
        table["path"] = [folder / f"{number}.png" for number in range(len(table))]
        table["tile_id"] = [f"{name} {number}" for number in range(len(table))]
        for path, rgb in zip(table["path"], pixels, strict=True):
            cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))
        timm_name, options = BACKBONES["lite0"]
        network = make_backbone(timm_name, weights=DATA / "weights" / timm_name / "model.safetensors", options=options)
        store = FeatureStore(network, Preprocess(224, (0.5,) * 3, (0.5,) * 3, torch.device("cpu")), precision="float32")
        views = unit(store.views(table, range(8))).mean(axis=1)
        at_m = table[["x", "y"]].to_numpy(float)
        np.savez(file, x=views, y=table["target"].to_numpy(np.int64), g=table["place"].to_numpy(str), at=at_m)
    with np.load(file) as found:
        return Ground(found["x"].astype(np.float64), found["y"], found["g"], found["at"])


def simulated(seed: int, share: float, light: str) -> tuple[list[NDArray[np.uint8]], pd.DataFrame]:
    """Draw a site and cut it; a place is a block of ground."""
    options = SurveyOptions(markers=False, site_size_m=SITE_M, weed_share=share, light=LIGHTS[light], seed=seed)
    site = draw_site(options)
    count = len(site.rgb) // TILE_PX
    pixels, rows = [], []
    for i, j in np.ndindex(count, count):
        at = slice(i * TILE_PX, (i + 1) * TILE_PX), slice(j * TILE_PX, (j + 1) * TILE_PX)
        if site.valid[at].mean() > 0.999:
            cover = site.weed[at].mean()
            pixels.append(site.rgb[at])
            target = 1 if cover >= CLEAR else -int(cover > 0)
            place = f"{i * BLOCKS // count}{j * BLOCKS // count}"
            rows.append((target, place, (j + 0.5) * TILE_PX * GSD_M, -(i + 0.5) * TILE_PX * GSD_M))
    return pixels, pd.DataFrame(rows, columns=["target", "place", "x", "y"])


def copr() -> tuple[list[NDArray[np.uint8]], pd.DataFrame]:
    """Cut the 0.5 m around each point of COPR; a place is a cluster."""
    points = gpd.read_file(DATA / "copr" / "plant_points.gpkg", layer="points")
    pixels, rows = [], []
    with rasterio.open(DATA / "copr" / "site.tif") as file:
        for point in points.itertuples():
            row, col = file.index(point.geometry.x, point.geometry.y)
            pixels.append(file.read([1, 2, 3], window=Window(col - 25, row - 25, 50, 50)).transpose(1, 2, 0))
            rows.append((int(point.label == "present"), str(point.cluster), point.geometry.x, point.geometry.y))
    return pixels, pd.DataFrame(rows, columns=["target", "place", "x", "y"])


# -- what is compared -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Tiles to choose from.

    Attributes
    ----------
    features, known : ndarray of float64
        Of them, and of the tiles that were learned from.
    probabilities : ndarray of float64, shape (n, 2)
    at_m : ndarray of float64, shape (n, 2)
    seed : int
    """

    features: Floats
    known: Floats
    probabilities: Floats
    at_m: Floats
    seed: int

    @property
    def uncertainty(self) -> Floats:
        """Entropy of their probabilities, as the map has it."""
        return entropy(self.probabilities).astype(np.float64)


def at_random(asked: Asked, tiles: int) -> list[int]:
    """Return tiles in an order that is drawn."""
    return [int(tile) for tile in np.random.default_rng(asked.seed).permutation(len(asked.at_m))[:tiles]]


def by_uncertainty(asked: Asked, tiles: int) -> list[int]:
    """Return the tiles that the map is least sure of."""
    return [int(tile) for tile in np.argsort(-asked.uncertainty, kind="stable")[:tiles]]


def by_k_centre(asked: Asked, tiles: int) -> list[int]:
    """Return the tiles that lie farthest from all that is known, one after the other."""
    nearest, chosen = cdist(asked.features, asked.known).min(axis=1), list[int]()
    for _ in range(tiles):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, cdist(asked.features, asked.features[chosen[-1:]])[:, 0])
    return chosen


def by_typicality(asked: Asked, tiles: int) -> list[int]:
    """Return the most typical tile of each cluster without a known one (TypiClust; Hacohen, Dekel and Weinshall, ICML 2022)."""
    together = np.concatenate([asked.known, asked.features])
    clusters = KMeans(min(len(asked.known) + tiles, len(together) - 1), n_init=1, random_state=0).fit_predict(together)
    known, mine = clusters[: len(asked.known)], clusters[len(asked.known) :]
    apart = np.sort(cdist(asked.features, asked.features), axis=1)
    typical = -apart[:, 1:21].mean(axis=1)
    sizes, covered = (np.bincount(of, minlength=clusters.max() + 1) for of in (mine, known))
    order = [cluster for cluster in np.lexsort((-sizes, covered)) if sizes[cluster]]
    return [int(np.flatnonzero(mine == cluster)[typical[mine == cluster].argmax()]) for cluster in order[:tiles]]


def by_cover(asked: Asked, tiles: int) -> list[int]:
    """Return what ``next-survey`` would if the map were as unsure of all tiles."""
    return choose_tiles(asked.features, np.ones(len(asked.at_m)), asked.known, asked.at_m, tiles=tiles)


def by_next_survey(asked: Asked, tiles: int) -> list[int]:
    """Return what ``next-survey`` chooses."""
    return choose_tiles(asked.features, asked.uncertainty, asked.known, asked.at_m, tiles=tiles)


RULES: dict[str, Callable[[Asked, int], list[int]]] = {
    "random": at_random,
    "uncertainty": by_uncertainty,
    "k-centre": by_k_centre,
    "TypiClust": by_typicality,
    "cover": by_cover,
    "next-survey": by_next_survey,
}
SHOTS, MORE, WALKS_M = (1, 2), (4, 8, 16, 32), (20, 40, 80)


def walked(rule: str, asked: Asked, walk_m: float) -> list[int]:
    """Return what a rule chooses of tiles that can be walked past in so many metres, at most as many as :data:`MORE` has.

    Rules that know nothing of ways take tiles in their order, as long as one can still be reached.
    """
    if rule == "next-survey":
        how = asked.features, asked.uncertainty, asked.known, asked.at_m
        return choose_tiles(*how, tiles=MORE[-1], walk_m=walk_m)
    apart, tour = distances(asked.at_m, None), [0]
    for tile in RULES[rule](asked, len(asked.at_m)):
        after, metres = put_in(tour, apart)
        if len(tour) <= MORE[-1] and length_of(tour, apart) + metres[tile + 1] <= walk_m:
            tour.insert(int(after[tile + 1]) + 1, tile + 1)
            tour = without_crossings(tour, apart)
    return [stop - 1 for stop in tour if stop]


def way_m(at_m: Floats) -> float:
    """Return the length of the walk past some places."""
    apart = distances(at_m, None)
    return length_of(shortest_tour(apart), apart)


def probabilities(ground: Ground, learned: NDArray[np.intp], asked: NDArray[np.intp]) -> Floats:
    """Return what a probe that learned from some tiles says of others, for classes that are equally common.

    As the recipe ``probe`` has it, but for the penalty, which does not go by places, and the temperature: tiles are too few.
    """
    x, targets = ground.features[learned], ground.targets[learned]
    counts = np.bincount(targets, minlength=2)
    if counts.min() == 1:
        weight, bias = nearest_mean(ProbeSamples.of_tiles(x, targets, 2))
    else:
        basis = right_singular_vectors(x)[1].T  # solutions lie in the span of the tiles
        weight, bias = regress(x @ basis, np.eye(2)[targets], np.ones(len(x)), c=PROBE_C)
        weight = weight @ basis.T
    said = softmax(ground.features[asked] @ weight.T + bias, axis=1)
    # The nearest mean knows nothing of how common classes are.
    prior = {"absent": 1, "present": 1} if counts.min() == 1 else {"absent": counts[0], "present": counts[1]}
    return shift_prevalence(said, prior, (0.5, 0.5))


def folds(name: str, ground: Ground) -> Iterator[tuple[str, Mask]]:
    """Yield parts of a site that are walked; the rest of it is tested."""
    if name == "copr":
        for part in COPR_PARTS:
            yield f"copr {'+'.join(part)}", ~np.isin(ground.places, part)
        return
    east = np.array([int(place[1]) >= BLOCKS // 2 for place in ground.places])
    yield f"{name} west", ~east
    yield f"{name} east", east


@dataclass(frozen=True)
class Trial:
    """What one trial begins with on a fold: tiles that are known, and those that can be walked to."""

    ground: Ground
    start: NDArray[np.intp]
    pool: NDArray[np.intp]
    test: NDArray[np.intp]
    asked: Asked

    @classmethod
    def draw(cls, name: str, ground: Ground, walks: Mask, shots: int, number: int) -> Trial:
        """Draw known tiles of each class from the part that is walked."""
        seed = seed_of("next-survey", name, shots, number)
        rng, inside = np.random.default_rng(seed), np.flatnonzero(walks)
        start = np.concatenate([rng.choice(inside[ground.targets[inside] == k], shots, replace=False) for k in (0, 1)])
        pool, test = np.setdiff1d(inside, start), np.flatnonzero(~walks & (ground.targets >= 0))
        said = probabilities(ground, start, pool)
        return cls(
            ground, start, pool, test,
            Asked(ground.features[pool], ground.features[start], said, ground.at_m[pool], seed),
        )  # fmt: skip

    def after(self, chosen: list[int]) -> tuple[Floats, float, float]:
        """Return what is said of test tiles, the metres walked, and the share of the weed among tiles walked to."""
        seen = self.pool[chosen]
        clear = seen[self.ground.targets[seen] >= 0]
        said = probabilities(self.ground, np.concatenate([self.start, clear]), self.test)
        return said, way_m(self.ground.at_m[seen]), float((self.ground.targets[seen] == 1).mean()) if len(seen) else np.nan


def compared(
    names: Sequence[str], cache: Path, shots: int, trials: int, rules: Sequence[str], steps: Sequence[int], *, metres: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what each rule said of test tiles after each step, and how it came there.

    Steps are numbers of tiles, or metres walked.
    """
    said, ways = list[pd.DataFrame](), list[tuple[str, int, float, float, int]]()
    for name in names:
        ground = ground_of(name, cache)
        for (fold, walks), number in product(folds(name, ground), range(trials)):
            trial = Trial.draw(fold, ground, walks, shots, number)
            for rule, step in product(rules, steps):
                chosen = walked(rule, trial.asked, step) if metres else RULES[rule](trial.asked, step)
                p, way, share = trial.after(chosen)
                said.append(
                    pd.DataFrame(
                        {
                            "arm": rule, "n": step, "trial": number, "fold": fold, "p0": p[:, 0], "p1": p[:, 1],
                            "tile_id": [f"{name} {tile}" for tile in trial.test], "target": ground.targets[trial.test],
                            "place": [f"{name} {place}" for place in ground.places[trial.test]],
                        }
                    )
                )  # fmt: skip
                ways.append((rule, step, way, share, len(chosen)))
    return pd.concat(said, ignore_index=True), pd.DataFrame(ways, columns=["arm", "n", "way_m", "share", "tiles"])


def table(said: pd.DataFrame, ways: pd.DataFrame, *, metres: bool) -> Iterator[str]:
    """Yield a table of balanced accuracies, their paired differences with 95 % intervals, and the ways."""
    bootstrap = resample(pair_predictions(said, ("absent", "present")))
    means = summarise(bootstrap).query("metric == 'balanced_accuracy'").set_index(["arm", "n"])["mean"]
    against = {
        one: paired_differences(bootstrap, one).query("metric == 'balanced_accuracy'").set_index(["arm", "n"])
        for one in ("random", "uncertainty")
    }
    told = ways.groupby(["arm", "n"]).mean()
    head = ("m that may be walked", "tiles") if metres else ("k more tiles", "m walked")
    yield f"| rule | {head[0]} | balanced accuracy | less random | less uncertainty | {head[1]} | share of the weed |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for arm, n in means.index:
        differences = []
        for one in against.values():
            row = one.loc[(arm, n)] if (arm, n) in one.index else None
            differences.append("" if row is None else f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})")
        way = told.loc[(arm, n), "tiles" if metres else "way_m"]
        share = told.loc[(arm, n), "share"]
        yield f"| {arm} | {n} | {means[arm, n]:.3f} | {' | '.join(differences)} | {way:.0f} | {share:.0%} |"


def before(names: Sequence[str], cache: Path, shots: int, trials: int) -> float:
    """Return the mean balanced accuracy ahead of the walk."""
    found = []
    for name in names:
        ground = ground_of(name, cache)
        for (fold, walks), number in product(folds(name, ground), range(trials)):
            trial = Trial.draw(fold, ground, walks, shots, number)
            said = probabilities(ground, trial.start, trial.test)
            found.append(balanced(said[:, 1] - 0.5, ground.targets[trial.test]))
    return float(np.mean(found))


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/next-survey"), help="folder of features")
    parser.add_argument("--sites", choices=[*SITES, "copr"], default="test")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--shots", default=",".join(map(str, SHOTS)), help="tiles of each class at first")
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--walks", action="store_true", help="compare walks of so many metres, not so many tiles")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    names = ["copr"] if options.sites == "copr" else list(SITES[options.sites])
    for shots in map(int, options.shots.split(",")):
        start = before(names, options.cache, shots, options.trials)
        print(f"\n{options.sites}: {shots} of each class at first, balanced accuracy {start:.3f}")
        steps, rules = WALKS_M if options.walks else MORE, options.rules.split(",")
        found = compared(names, options.cache, shots, options.trials, rules, steps, metres=options.walks)
        for line in table(*found, metres=options.walks):
            print(line, flush=True)


if __name__ == "__main__":
    main()
