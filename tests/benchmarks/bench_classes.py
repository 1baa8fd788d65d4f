"""How labels are spread to unlabelled images where there are many classes, and what that gains with one image of each.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_classes OUT --packages DIR [--trials 4]

``DIR`` holds the archives of :mod:`tests.benchmarks.common_tasks`, ``OUT`` keeps datasets and features. Of the training side of
each task the places are parted into halves four times; each half is learned from and the other tested on, and no test side is
looked at. What is spread is chosen on some tasks and tried on the others. The unlabelled images are the others of the half as
they are, those of half of the classes alone, those of one class, or of one with a tenth as many of all others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from spurgekit.classify.features import unit
from spurgekit.classify.label_spreading import class_means
from spurgekit.classify.probe import Probe, ProbeSamples, fit_linear, nearest_mean
from spurgekit.dataset import open_dataset
from tests.benchmarks.bench_choices import halves
from tests.benchmarks.bench_shift import BACKBONES, Floats, Tiles, shrunk, turned_features
from tests.benchmarks.bench_study import dataset_of

CHOSEN_ON, FRESH = ("digits", "pictures", "animals"), ("letters", "handwriting", "figures")
IMAGE_PX = 64


@dataclass(frozen=True)
class Way:
    """How labels are spread: by how many neighbours, and sure at which margin, of two classes; times 2 / K for K, or not."""

    neighbours: int
    sure: float
    in_proportion: bool = True

    def means(self, labelled: Floats, unlabelled: Floats) -> tuple[Floats, Floats]:
        """Return the means of classes of one labelled image each, and what they weigh."""
        times = 1.0 if self.in_proportion else len(labelled) / 2
        return class_means(
            labelled, np.eye(len(labelled)), unlabelled, neighbours=round(self.neighbours * times), sure=self.sure * times
        )


WAYS = {
    "40 neighbours, sure at .4, whatever the number of classes": Way(40, 0.4, in_proportion=False),
    "80 / K neighbours, sure at .8 / K": Way(40, 0.4),
    "80 / K neighbours, sure at .4 / K": Way(40, 0.2),
    "80 / K neighbours, sure at 1.6 / K": Way(40, 0.8),
    "40 / K neighbours, sure at .8 / K": Way(20, 0.4),
    "160 / K neighbours, sure at .8 / K": Way(80, 0.4),
}
"""The first is what was done before; the second is what is done."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=4)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for title, names in (("chosen on", CHOSEN_ON), ("tried on", FRESH)):
        rows = [
            (f"{name}, {backbone}", *row)
            for name in names
            for backbone in BACKBONES
            for row in gains(tiles_of(name, backbone, chosen.packages, chosen.out), chosen.trials)
        ]
        table = pd.DataFrame(rows, columns=["set", "pool", "way", "gain"])
        pools = list(table["pool"].unique())
        worst = table.groupby(["way", "set", "pool"])["gain"].mean().groupby("way").min()
        means = table.pivot_table("gain", "way", "pool", sort=False)
        print(f"\n{title} {', '.join(names)}\n\n| way | {' | '.join(pools)} | worst of a set |")
        print("| --- " + "| ---: " * (len(pools) + 1) + "|")
        for way in WAYS:
            print(f"| {way} | {' | '.join(f'{means.loc[way, pool]:+.3f}' for pool in pools)} | {worst[way]:+.3f} |", flush=True)
        by_set = table[table["way"] == list(WAYS)[1]].pivot_table("gain", "set", "pool", sort=False)
        print("\n| set | " + " | ".join(pools) + " |\n| --- " + "| ---: " * len(pools) + "|")
        for name, row in by_set.iterrows():
            print(f"| {name} | {' | '.join(f'{row[pool]:+.3f}' for pool in pools)} |", flush=True)


def tiles_of(name: str, backbone: str, packages: Path, out: Path) -> Tiles:
    """Return the training images of a task, from ``out`` or computed."""
    train = open_dataset(dataset_of(name, out, packages)).split("train").reset_index(drop=True)
    file = out / name / f"{backbone}.npy"
    if not file.is_file():
        np.save(file, turned_features(train, backbone, IMAGE_PX))
    views = np.load(file)
    targets, places = train["target"].to_numpy(np.int64), train["group"].to_numpy(object)
    return Tiles(unit(views), targets, places, views[:, 0].astype(np.float64))


def gains(side: Tiles, trials: int) -> Iterator[tuple[str, str, float]]:
    """Yield the kind of unlabelled images, the way, and the gain in balanced accuracy over labelled images alone."""
    classes = int(side.targets.max()) + 1
    for train, test in halves(side):
        own, asked = train.targets, test.targets
        if np.bincount(own, minlength=classes).min() < 2 or np.bincount(asked, minlength=classes).min() < 1:
            continue
        turns = shrunk(train)
        known, seen = turns(train.views.mean(axis=1)), turns(test.views.mean(axis=1))
        for trial in range(trials):
            rng = np.random.default_rng(trial)
            support = np.array([rng.choice(np.flatnonzero(own == number)) for number in range(classes)])
            samples = ProbeSamples.of_tiles(known[support], own[support], classes)
            fit = partial(fit_linear, tiles=known[support], targets=own[support], fit=nearest_mean)
            alone = accuracy(fit(samples), seen, asked)
            for pool, others in pools(own, support, rng):
                for name, way in WAYS.items():
                    probe = fit(samples.with_means(*way.means(known[support], known[others])))
                    yield pool, name, accuracy(probe, seen, asked) - alone


def accuracy(probe: Probe, features: Floats, targets: NDArray[np.int64]) -> float:
    """Return the balanced accuracy."""
    return float(balanced_accuracy_score(targets, probe.logits(features).argmax(axis=1)))


def pools(
    targets: NDArray[np.int64], support: NDArray[np.intp], rng: np.random.Generator
) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Yield kinds of unlabelled images."""
    classes = len(support)
    others = rng.permutation(np.setdiff1d(np.arange(len(targets)), support))
    some, one = rng.permutation(classes)[: classes // 2], rng.integers(classes)
    of_one, rest = others[targets[others] == one], others[targets[others] != one]
    yield "as they are", others
    yield "of half of the classes", others[np.isin(targets[others], some)]
    yield "of one class", of_one
    yield "mostly of one", np.concatenate([of_one, rest[: max(1, len(of_one) // 10)]])


if __name__ == "__main__":
    main()
