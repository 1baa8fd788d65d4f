"""Classifiers that were trained in one place, on another: turns shrunk, thresholds moved to the site, labels, light.

``SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_shift [--cache /tmp/shift] [--tables probe,adapt]``

Carrots are parted by photo, COPR by cluster, and each is learned on one part and tested on the other, both ways; two pairs of
simulated sites differ in light, exposure and share of weed. Support sets of n tiles a class are drawn from the training side's
places in turn; all that is compared sees the same ones, so that differences are paired by support set: ``.012(.005)`` is a mean
and half of its 95 % interval. Features are computed once, and kept in the cache (an hour on two cores; the rest is minutes).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.special import expit, softmax
from sklearn.metrics import log_loss
from torch import nn

from spurgekit.classify.calibration import fit_temperature
from spurgekit.classify.features import FeatureStore, unit
from spurgekit.classify.label_spreading import MOST_SHOTS, class_means
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.probe import PLAIN_C, PROBE_C, Probe, ProbeSamples, fit_linear, fit_penalised, fit_probe, nearest_mean
from spurgekit.classify.scores import value_of
from spurgekit.classify.site_shift import shift_by_labels, shift_without_labels
from spurgekit.classify.tile_reader import read_tile
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.classify.turns import STRENGTH, TILES, ShrunkTurns
from spurgekit.dataset.few_shot import support_rows, support_sets
from spurgekit.dihedral import VIEWS, views_of
from spurgekit.simulate import LIGHTS, Camera, SurveyOptions, draw_site

DATA = Path(os.environ.get("SPURGEKIT_DATA", "../shared/data"))
BACKBONES: dict[str, tuple[str, dict[str, Any]]] = {
    "lite0": ("tf_efficientnet_lite0", {}),
    "mobilenet": ("mobilenetv2_035", {"pad_type": "same", "bn_eps": 1e-3}),
}
EVEN = "-even"
"""Behind a backbone's name: its kernels are averaged over their 8 turns, and tiles are shown at a pixel more, so that strides
of 2 end where they began: turns of a tile look alike to it. Statistics of its norms are of some tiles as they then are."""
SITES = {  # seed, share of weed, light, exposure
    "simA1": (401, 0.06, "morning", 0.0),
    "simA2": (402, 0.25, "evening", 0.4),
    "simB1": (403, 0.25, "noon", 0.0),
    "simB2": (404, 0.05, "overcast", -0.4),
    "simC1": (407, 0.1, "afternoon", 0.2),
    "simC2": (408, 0.18, "clear", -0.2),
    "light-train": (406, 0.12, "clear", 0.0),
    **{f"light-{name}": (405, 0.12, name, 0.0) for name in LIGHTS},
}
TILE_PX, SITE_M = 112, 30
IMAGE_PX = 224
SHOTS = (1, 2, 4, 8, 16)
PER_CLASS = (1, 2, 4, 8)
C_VALUES = (1.0, 10.0, 100.0, 1e3, 1e4)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tiles:
    """Features of length 1 of the turns of tiles [n, 8, d], classes (-1 where there is none), and places.

    ``plain`` [n, d] are those of tiles as they lie, of the length that the network gives them.
    """

    views: Floats
    targets: NDArray[np.int64]
    places: NDArray[np.object_]
    plain: Floats

    def part(self, keep: NDArray[np.bool_]) -> Tiles:
        """Return some of the tiles."""
        return Tiles(self.views[keep], self.targets[keep], self.places[keep], self.plain[keep])

    @property
    def labelled(self) -> Tiles:
        """The tiles that have a class."""
        return self.part(self.targets >= 0)


def carrots(_: Path) -> pd.DataFrame:
    """List the tiles of carrot rows; their place is their photo."""
    table = pd.read_csv(DATA / "carrot-weeds" / "labels.csv")
    table = table[table["label"].isin(["present", "absent"])]
    names = [f"{row.label}/{row.image}_r{row.row}_c{row.col}.png" for row in table.itertuples()]
    paths = [DATA / "carrot-weeds" / name for name in names]
    return pd.DataFrame(
        {"tile_id": names, "path": paths, "target": (table["label"] == "present").astype(int), "place": table["image"]}
    )


def dominance(_: Path) -> pd.DataFrame:
    """List the tiles of carrot rows that have weeds, by whether these cover more ground than the carrots."""
    table = pd.read_csv(DATA / "carrot-weeds" / "labels.csv")
    table = table[table["label"] == "present"]
    names = [f"present/{row.image}_r{row.row}_c{row.col}.png" for row in table.itertuples()]
    is_weedy = table["weed_fraction"] > table["crop_fraction"]
    paths = [DATA / "carrot-weeds" / name for name in names]
    return pd.DataFrame({"tile_id": names, "path": paths, "target": is_weedy.astype(int), "place": table["image"]})


def copr(folder: Path) -> pd.DataFrame:
    """Cut the 0.5 m around each point of COPR; its place is its cluster."""
    points = gpd.read_file(DATA / "copr" / "plant_points.gpkg", layer="points")
    rows = []
    with rasterio.open(DATA / "copr" / "site.tif") as file:
        for point in points.itertuples():
            row, col = file.index(point.geometry.x, point.geometry.y)
            pixels = file.read([1, 2, 3], window=Window(col - 25, row - 25, 50, 50))
            rows.append((pixels.transpose(1, 2, 0), point.label == "present", str(point.cluster)))
    return _written(rows, folder / "copr")


def simulated(name: str, folder: Path) -> pd.DataFrame:
    """Draw a site and cut it; weed from 5 % of a tile on, none where there is none, no class between."""
    seed, share, light, stops = SITES[name]
    options = SurveyOptions(
        markers=False, site_size_m=SITE_M, weed_share=share, light=LIGHTS[light], seed=seed, camera=Camera(exposure_stops=stops)
    )
    site = draw_site(options)
    count = len(site.rgb) // TILE_PX
    rows = []
    for i, j in np.ndindex(count, count):
        at = slice(i * TILE_PX, (i + 1) * TILE_PX), slice(j * TILE_PX, (j + 1) * TILE_PX)
        if site.valid[at].mean() > 0.999:
            cover = site.weed[at].mean()
            rows.append((site.rgb[at], 1 if cover >= 0.05 else -int(cover > 0), f"{i * 4 // count}{j * 4 // count}"))
    return _written(rows, folder / name)


def _written(rows: list[tuple[Any, Any, str]], folder: Path) -> pd.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for number, (rgb, target, place) in enumerate(rows):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))
        listed.append({"tile_id": f"{folder.name} {number}", "path": path, "target": int(target), "place": place})
    return pd.DataFrame(listed)


def tiles_of(name: str, backbone: str, cache: Path, image_px: int = IMAGE_PX) -> Tiles:
    """Return the tiles of a data set, from the cache or computed."""
    file = cache / f"{name}-{backbone}-{image_px}.npz"
    if not file.is_file():
        table = {"carrots": carrots, "copr": copr, "dominance": dominance}.get(name, lambda folder: simulated(name, folder))(
            cache
        )
        views = turned_features(table, backbone, image_px)
        places = table["place"].to_numpy(str)
        np.savez(file, x=views, y=table["target"].to_numpy(), g=places)
    with np.load(file, allow_pickle=True) as found:
        views = found["x"]
        return Tiles(unit(views), found["y"].astype(np.int64), found["g"].astype(object), views[:, 0].astype(np.float64))


def turned_features(table: pd.DataFrame, backbone: str, image_px: int) -> NDArray[np.float32]:
    """Return the features of the turns of tiles (tile_id, path), shape (tiles, 8, d)."""
    timm_name, options = BACKBONES[backbone.removesuffix(EVEN)]
    network = make_backbone(timm_name, weights=DATA / "weights" / timm_name / "model.safetensors", options=options)
    preprocess = Preprocess(image_px + backbone.endswith(EVEN), (0.5,) * 3, (0.5,) * 3, torch.device("cpu"))
    if backbone.endswith(EVEN):
        some = np.random.default_rng(0).permutation(len(table))[:TILES]
        even_kernels(network, preprocess(np.stack([read_tile(path) for path in table["path"].iloc[some]])))
    return FeatureStore(network, preprocess).views(table, range(VIEWS))


@torch.no_grad()
def even_kernels(network: nn.Module, images: torch.Tensor) -> None:
    """Average kernels over their 8 turns, and take the statistics of norms from images, which need no labels."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] == layer.kernel_size[1] > 1:
            layer.weight.copy_(torch.stack([*views_of(layer.weight, range(VIEWS))]).mean(dim=0))
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    network.train()(images)
    seen, turned = (network.eval()(view) for view in views_of(images[:4], (0, 5)))
    if not torch.allclose(seen, turned, rtol=0, atol=0.01 * float(seen.abs().max())):
        raise SystemExit("turns of a tile do not look alike to the network; show it tiles of another size")


def shifts(names: list[str], backbones: list[str], cache: Path, image_px: int = IMAGE_PX) -> Iterator[tuple[str, Tiles, Tiles]]:
    """Yield what is compared: a name, the training side (unlabelled tiles included), the test side."""
    for name in names:
        for backbone in backbones:
            if name.startswith("sim"):
                one, other = (tiles_of(f"{name}{number}", backbone, cache, image_px) for number in (1, 2))
            else:
                tiles = tiles_of(name, backbone, cache, image_px)
                photos = np.random.default_rng(0).permutation(np.unique(tiles.places))
                first = np.isin(tiles.places, ["0", "3", "6"] if name == "copr" else photos[: len(photos) // 2])
                one, other = tiles.part(~first), tiles.part(first)
            yield f"{name} 1 to 2, {backbone}", one, other
            yield f"{name} 2 to 1, {backbone}", other, one


def shrunk(train: Tiles, strength: float = STRENGTH, *, turns: Sequence[int] = range(VIEWS), tiles: int = TILES) -> ShrunkTurns:
    """Return what shrinks turns, found from some turns of some tiles of the training side."""
    chosen = np.random.default_rng(5).permutation(len(train.views))[:tiles]
    return ShrunkTurns.of(train.views[np.ix_(chosen, np.array(turns))], strength)


def draws(train: Tiles, trials: int, shots: tuple[int, ...] = SHOTS) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
    """Yield n, trial, and which labelled tiles are in the support set, as datasets draw them."""
    ids = [str(number) for number in range(len(train.targets))]
    names = [str(target) for target in train.targets]
    sets = support_sets(ids, names, clusters=train.places.tolist(), classes=["0", "1"], shots=shots, trials=trials)
    rows = pd.DataFrame({"tile_id": ids})
    for n in sorted(set(sets["n"])):
        for trial in range(trials):
            yield n, trial, support_rows(rows, sets, n, trial)["tile_id"].astype(int).to_numpy()


def log_odds(probe: Probe, features: Floats) -> Floats:
    """Return the log odds of the second class, uncalibrated."""
    logits = probe.logits(features)
    return np.asarray(logits[:, 1] - logits[:, 0])


def fitted(
    features: Floats,
    targets: NDArray[np.int64],
    places: NDArray[np.object_],
    *,
    tiles: Floats | None = None,
    means: tuple[Floats, Floats] | None = None,
    by_places: bool = True,
) -> Probe:
    """Fit as the recipe ``probe`` does to features of tiles, which may have been moved from where ``tiles`` lie.

    ``means`` of classes and their weights are learned from beside them, but not where tiles are left out, so that places would
    choose a penalty without them; ``by_places=False`` takes the standing one.
    """
    samples = ProbeSamples.of_tiles(features, targets, 2)
    samples = samples if means is None else samples.with_means(*means)
    tiles = features if tiles is None else tiles
    if np.bincount(targets).min() == 1:
        return fit_linear(samples, tiles, targets, nearest_mean)
    if not by_places:
        return fit_probe(samples, tiles, targets, c=PROBE_C, groups=places)
    return fit_penalised(samples, tiles, targets, groups=places)


def toward_nearest(features: Floats, unlabelled: Floats, weight: float, count: int = 10) -> Floats:
    """Return features drawn towards the mean of their nearest unlabelled ones: what spreading labels is held against."""
    order = np.argsort(-(unit(features) @ unit(unlabelled).T), axis=1, kind="stable")[:, :count]
    return np.asarray((1 - weight) * features + weight * unlabelled[order].mean(axis=1))


def temperature(probe: Probe, targets: NDArray[np.int64]) -> float:
    """Return the temperature by what was left out, 1 where nothing could be."""
    known = np.isfinite(probe.left_out).all(axis=1)
    return fit_temperature(probe.left_out[known], targets[known]) if known.any() else 1.0


def balanced(odds: Floats, targets: NDArray[np.int64]) -> float:
    """Return the balanced accuracy at even odds."""
    return float(np.mean([(odds[targets == 1] > 0).mean(), (odds[targets == 0] <= 0).mean()]))


def scores(odds: Floats, targets: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return balanced accuracy, AUROC and calibration error."""
    second = expit(odds)
    probabilities = np.column_stack([1 - second, second])
    return balanced(odds, targets), value_of("auroc", probabilities, targets), value_of("ece", probabilities, targets)


def show(title: str, ways: dict[str, dict[int, list[tuple[float, ...]]]], measures: tuple[str, ...]) -> None:
    """Print means by n, and differences of the first measure from the first way."""
    print(f"\n{title}, n = {' '.join(map(str, next(iter(ways.values()))))}")
    first = next(iter(ways))
    for way, by_n in ways.items():
        parts = []
        for number, measure in enumerate(measures):
            parts.append(f"{measure} " + " ".join(f"{np.mean([row[number] for row in rows]):.3f}" for rows in by_n.values()))
        if way != first:
            differences = [np.subtract([r[0] for r in rows], [r[0] for r in ways[first][n]]) for n, rows in by_n.items()]
            half = [1.96 * d.std(ddof=1) / len(d) ** 0.5 for d in differences]
            parts.append(" ".join(f"{d.mean():+.3f}({h:.3f})" for d, h in zip(differences, half, strict=True)))
        print(f"{way:22s} " + " | ".join(parts), flush=True)


def probe_table(title: str, train: Tiles, test: Tiles, trials: int) -> None:
    """Compare a probe whose turns are as they are with shrunk ones, at several strengths."""
    labelled, test = train.labelled, test.labelled
    means, asked = labelled.views.mean(axis=1), test.views.mean(axis=1)
    described = {"turns as they are": (means, asked)}
    for strength in (0.1, STRENGTH, 1.0):
        turns = shrunk(train, strength)
        described[f"shrunk, lambda {strength:g}"] = turns(means), turns(asked)
    ways: dict[str, dict[int, list[tuple[float, ...]]]] = {way: {} for way in described}
    for n, _, chosen in draws(labelled, trials):
        targets = labelled.targets[chosen]
        for way, (known, seen) in described.items():
            probe = fitted(known[chosen], targets, labelled.places[chosen])
            odds = log_odds(probe, seen) / temperature(probe, targets)
            ways[way].setdefault(n, []).append(scores(odds, test.targets))
    show(title, ways, ("balanced accuracy", "AUROC", "ECE"))


def plain_table(title: str, train: Tiles, test: Tiles, trials: int) -> None:
    """Compare the recipe ``probe``, which spreads labels of single tiles on the training side, with ``plain``."""
    labelled, asked, turns = train.labelled, test.labelled, shrunk(train)
    pool, seen, of_label = turns(train.views.mean(axis=1)), turns(asked.views.mean(axis=1)), np.flatnonzero(train.targets >= 0)
    ways: dict[str, dict[int, list[tuple[float, ...]]]] = {"plain": {}, "probe": {}}
    for n, _, chosen in draws(labelled, trials):
        targets, places, x = labelled.targets[chosen], labelled.places[chosen], labelled.plain[chosen]
        plain = fit_probe(ProbeSamples.of_tiles(x, targets, 2), x, targets, c=PLAIN_C, groups=places)
        tiles, others = pool[of_label[chosen]], np.delete(pool, of_label[chosen], axis=0)
        means = class_means(tiles, np.eye(2)[targets], others) if n <= MOST_SHOTS else None
        probe = fitted(tiles, targets, places, means=means)
        for way, fit, features in (("plain", plain, asked.plain), ("probe", probe, seen)):
            ways[way].setdefault(n, []).append(scores(log_odds(fit, features) / temperature(fit, targets), asked.targets))
    show(title, ways, ("balanced accuracy", "AUROC", "ECE"))


POOLS: dict[str, Callable[[NDArray[np.int64]], NDArray[np.bool_]]] = {
    "as they are": lambda targets: np.ones(len(targets), np.bool_),
    "1 in 20 has the weed": lambda targets: (targets == 0) | one_in(20, targets),
    "none has the weed": lambda targets: targets == 0,
    "all have the weed": lambda targets: targets == 1,
}
"""Which unlabelled tiles there are, by their classes in random order: a site may have hardly any weed, or little else."""


def one_in(count: int, targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the first tiles of the second class, as many as make one tile in ``count`` with those of the first."""
    weedy = targets == 1
    return np.asarray(weedy & (np.cumsum(weedy) <= max(1, round((targets == 0).sum() / (count - 1)))))


def pools(train: Tiles, taken: NDArray[np.intp]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Yield which tiles of a training side are unlabelled ones, in each of ``POOLS``."""
    rest = np.random.default_rng(taken.tolist()).permutation(np.setdiff1d(np.arange(len(train.targets)), taken))
    for name, chosen in POOLS.items():
        yield name, rest[chosen(train.targets[rest])]


def unlabelled_table(title: str, train: Tiles, test: Tiles, trials: int) -> None:
    """Compare a probe with one whose labels are spread, or whose tiles are drawn, to unlabelled tiles of several kinds.

    With n tiles a class a mean of unlabelled ones weighs 1 / n^2 of what it weighs beside one. All with the standing penalty.
    """
    labelled, asked, turns = train.labelled, test.labelled, shrunk(train)
    pool, seen, of_label = turns(train.views.mean(axis=1)), turns(asked.views.mean(axis=1)), np.flatnonzero(train.targets >= 0)
    ways: dict[str, dict[int, list[tuple[float, ...]]]] = {"labelled tiles alone": {}}
    for n, _, chosen in draws(labelled, trials):
        targets, places, x = labelled.targets[chosen], labelled.places[chosen], pool[of_label[chosen]]
        probes = {"labelled tiles alone": fitted(x, targets, places, by_places=False)}
        for name, rows in pools(train, of_label[chosen]):
            means, weights = class_means(x, np.eye(2)[targets], pool[rows])
            probes[f"spread, {name}"] = fitted(x, targets, places, means=(means, weights / n**3), by_places=False)
            probes[f"drawn, {name}"] = fitted(toward_nearest(x, pool[rows], 0.5 / n), targets, places, tiles=x, by_places=False)
        for way, probe in probes.items():
            odds = log_odds(probe, seen) / temperature(probe, targets)
            ways.setdefault(way, {}).setdefault(n, []).append(scores(odds, asked.targets))
    show(title, ways, ("balanced accuracy", "AUROC", "ECE"))


def penalty_table(title: str, train: Tiles, test: Tiles, trials: int) -> None:
    """Compare C = 30, the C that places speak for, and that of least log loss on what is left out; each with a temperature."""
    labelled, asked, turns = train.labelled, test.labelled, shrunk(train)
    known, seen = turns(labelled.views.mean(axis=1)), turns(asked.views.mean(axis=1))
    ways: dict[str, dict[int, list[tuple[float, ...]]]] = {"C = 30": {}, "C by places": {}, "C of least loss": {}}
    for n, _, chosen in draws(labelled, trials):
        if n == 1:
            continue
        targets, places = labelled.targets[chosen], labelled.places[chosen]
        samples = ProbeSamples.of_tiles(known[chosen], targets, 2)
        fits = [fit_probe(samples, known[chosen], targets, c=c, groups=places) for c in C_VALUES]
        losses = [log_loss(targets, softmax(fit.left_out, axis=1), labels=[0, 1]) for fit in fits]
        fixed = fit_probe(samples, known[chosen], targets, c=PROBE_C, groups=places)
        by_places = fit_penalised(samples, known[chosen], targets, groups=places)
        for way, probe in zip(ways, (fixed, by_places, fits[int(np.argmin(losses))]), strict=True):
            odds = log_odds(probe, seen) / temperature(probe, targets)
            ways[way].setdefault(n, []).append(scores(odds, asked.targets))
    show(title, ways, ("balanced accuracy", "AUROC", "ECE"))


def moved(
    title: str, train: Tiles, test: Tiles, trials: int, rules: dict[str, Callable[[Floats, int], Floats]], *, full: bool
) -> None:
    """Compare thresholds on the test side; with ``full`` on its weedless and its weedy tiles alone, too."""
    labelled, turns = train.labelled, shrunk(train)
    known, asked = turns(labelled.views.mean(axis=1)), turns(test.views.mean(axis=1))
    ways: dict[str, dict[int, list[tuple[float, ...]]]] = {way: {} for way in rules}
    for n, trial, chosen in draws(labelled, trials):
        targets = labelled.targets[chosen]
        probe = fitted(known[chosen], targets, labelled.places[chosen])
        odds = log_odds(probe, asked) / temperature(probe, targets)
        for way, rule in rules.items():
            found = balanced(rule(odds, trial), test.targets)  # tiles of no class are on the site, and are not tested
            alone = [float((rule(odds[test.targets == k], trial) > 0).mean()) for k in (0, 1)] if full else []
            ways[way].setdefault(n, []).append((found, *alone))
    show(title, ways, ("balanced accuracy", "called weed of weedless", "of weedy")[: 3 if full else 1])


def adapt_table(title: str, train: Tiles, test: Tiles, trials: int) -> None:
    """Compare the threshold as it is with that moved by the site's own tiles."""
    rules = {"as it is": lambda odds, _: odds, "moved": lambda odds, _: odds + shift_without_labels(odds)}
    moved(title, train, test, trials, rules, full=True)


def labels_table(title: str, train: Tiles, test: Tiles, trials: int) -> None:
    """Compare the threshold as it is with that moved by some labels of the site, which are not tested on."""

    def by(count: int, sd: float) -> Callable[[Floats, int], Floats]:
        def rule(odds: Floats, trial: int) -> Floats:
            rng = np.random.default_rng(trial)
            chosen = np.concatenate([rng.permutation(np.flatnonzero(test.targets == k))[:count] for k in (0, 1)])
            return odds + shift_by_labels(odds[chosen], test.targets[chosen], sd)

        return rule

    rules: dict[str, Callable[[Floats, int], Floats]] = {"as it is": lambda odds, _: odds}
    rules |= {f"{count} labels a class": by(count, 2.0) for count in PER_CLASS}
    rules |= {f"4 a class, prior {sd:g}": by(4, sd) for sd in (0.5, 1.0, 4.0)}
    moved(title, train, test, trials, rules, full=False)


def light_table(backbone: str, cache: Path, trials: int) -> None:
    """Print how the same ground is called in other light, by a model trained on another site under a clear sky."""
    train = tiles_of("light-train", backbone, cache)
    labelled, turns = train.labelled, shrunk(train)
    known = turns(labelled.views.mean(axis=1))
    seen = {name: tiles_of(f"light-{name}", backbone, cache) for name in LIGHTS}
    asked = {name: turns(tiles.views.mean(axis=1)) for name, tiles in seen.items()}
    print(f"\nlight, {backbone}: trained on another site under a clear sky, n = {' '.join(map(str, SHOTS))}")
    found: dict[str, dict[int, list[tuple[float, ...]]]] = {name: {} for name in LIGHTS}
    for n, _, chosen in draws(labelled, trials):
        targets = labelled.targets[chosen]
        probe = fitted(known[chosen], targets, labelled.places[chosen])
        t = temperature(probe, targets)
        odds = {name: log_odds(probe, features) / t for name, features in asked.items()}
        for name, tiles in seen.items():
            has = tiles.targets >= 0
            clear, here = odds["clear"], odds[name]
            adapted = here + shift_without_labels(here)
            found[name].setdefault(n, []).append(
                (
                    balanced(here[has], tiles.targets[has]),
                    value_of("auroc", np.column_stack([1 - expit(here[has]), expit(here[has])]), tiles.targets[has]),
                    float(((here > 0) == (clear > 0)).mean()),
                    float((here > 0).mean() / max((clear > 0).mean(), 1 / len(clear))),
                    balanced(adapted[has], tiles.targets[has]),
                )
            )
    measures = ("balanced accuracy", "AUROC", "called as under a clear sky", "cells of weed against that", "moved to the site")
    for number, measure in enumerate(measures):
        print(measure)
        for name, by_n in found.items():
            means = [np.mean([row[number] for row in rows]) for rows in by_n.values()]
            print(f"  {name:10s} " + " ".join(f"{mean:.3f}" for mean in means), flush=True)


TABLES = {
    "probe": probe_table,
    "plain": plain_table,
    "unlabelled": unlabelled_table,
    "penalty": penalty_table,
    "adapt": adapt_table,
    "labels": labels_table,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/shift"))
    parser.add_argument("--tables", default="probe,plain,unlabelled,penalty,adapt,labels,light")
    parser.add_argument("--sets", default="carrots,copr,simA,simB")
    parser.add_argument("--backbones", default="lite0,mobilenet")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--image-px", type=int, default=IMAGE_PX)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    names, backbones = options.sets.split(","), options.backbones.split(",")
    for table in options.tables.split(","):
        print(f"\n# {table}")
        if table == "light":
            for backbone in backbones:
                light_table(backbone, options.cache, options.trials)
            continue
        for title, train, test in shifts(names, backbones, options.cache, options.image_px):
            TABLES[table](title, train, test, options.trials)


if __name__ == "__main__":
    main()
