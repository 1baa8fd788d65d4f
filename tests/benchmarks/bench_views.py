"""What fewer looks at a tile cost in order and in calibration: 1, 2 and 4 views against 8, and more where the first are unsure.

``SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_views [--cache /tmp/shift] [--trials 20]``

Models, sides and support sets are those of ``bench_shift``, whose cache of features it takes: carrots parted by photo, COPR by
cluster, pairs of simulated sites in other light. A probe learns from the 8 views of its support set and has the temperature by
8 views; test tiles are looked at in fewer. *Even kernels* is a network of its own, whose kernels are averaged over their turns:
its probe learns from one look a tile, since turns look alike to it. *Sure* are tiles of which the first view gives a class more
than that probability. Brackets hold half of the 95 % interval of the paired difference from 8 views, over support sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spurgekit.classify.scores import value_of
from spurgekit.dihedral import VIEWS
from tests.benchmarks.bench_shift import EVEN, draws, fitted, log_odds, shifts, shrunk, temperature

Floats = NDArray[np.float64]
METRICS = ("auroc", "brier", "ece", "balanced_accuracy")
EVEN_KERNELS = "1, even kernels"
Way = Callable[[Floats], tuple[Floats, float]]
"""Log odds of tiles from those of their views, shape (tiles, views), and the mean number of looks at a tile."""


def some(views: Sequence[int]) -> Way:
    """Return the mean of some views."""
    return lambda odds: (odds[:, list(views)].mean(axis=1), len(views))


def where_unsure(sure: float, first: int, views: int) -> Way:
    """Return the mean of the first few views where these are sure, else that of more; the first are looked at anew."""

    def way(odds: Floats) -> tuple[Floats, float]:
        start = odds[:, :first].mean(axis=1)
        unsure = np.maximum(expit(start), expit(-start)) < sure
        return np.where(unsure, odds[:, :views].mean(axis=1), start), float(first + views * unsure.mean())

    return way


WAYS: dict[str, Way] = {
    "8": some(range(VIEWS)),
    "4: quarter turns": some((0, 1, 2, 3)),
    "4: flips": some((0, 2, 4, 6)),
    "2: half a turn": some((0, 2)),
    "2: a quarter turn": some((0, 1)),
    "2: across": some((0, 7)),
    "1": some((0,)),
    **{
        f"{views} where {first} not {sure:g} sure": where_unsure(sure, first, views)
        for first, views in ((1, 8), (1, 4), (2, 8), (2, 4))
        for sure in (0.8, 0.9, 0.95)
    },
}


def main() -> None:
    """Print a table for each set, and one over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/shift"))
    parser.add_argument("--sets", default="copr,carrots,simA,simB,simC")
    parser.add_argument("--backbones", default="lite0,mobilenet")
    parser.add_argument("--shots", type=int, default=16, help="tiles a class that models learn from")
    parser.add_argument("--trials", type=int, default=20)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    everything: dict[str, dict[str, list[list[float]]]] = {}
    sets, backbones = options.sets.split(","), options.backbones.split(",")
    even = shifts(sets, [name + EVEN for name in backbones], options.cache)
    for (title, train, test), (_, even_train, even_test) in zip(shifts(sets, backbones, options.cache), even, strict=True):
        labelled, turns, asked = train.labelled, shrunk(train), test.labelled
        known, seen = turns(labelled.views.mean(axis=1)), [turns(test.views[:, view]) for view in range(VIEWS)]
        has_class = test.targets >= 0
        rows = everything.setdefault(title.split()[0], {way: [] for way in (*WAYS, EVEN_KERNELS)})
        for n, _, chosen in draws(labelled, options.trials):
            if n != options.shots:
                continue
            probe = fitted(known[chosen], labelled.targets[chosen], labelled.places[chosen])
            t = temperature(probe, labelled.targets[chosen])
            odds = np.stack([log_odds(probe, view) for view in seen], axis=1) / t
            for way, look in WAYS.items():
                found, looks = look(odds)
                rows[way].append([*scored(found[has_class], asked.targets), looks])
            one = fitted(even_train.labelled.views[chosen, 0], labelled.targets[chosen], labelled.places[chosen])
            found = log_odds(one, even_test.views[:, 0]) / temperature(one, labelled.targets[chosen])
            rows[EVEN_KERNELS].append([*scored(found[has_class], asked.targets), 1])
    for name, ways in [
        *everything.items(),
        ("all", {way: [row for ways in everything.values() for row in ways[way]] for way in (*WAYS, EVEN_KERNELS)}),
    ]:
        show(name, ways)


def scored(odds: Floats, targets: NDArray[np.int64]) -> list[float]:
    """Return the metrics of log odds."""
    second = expit(odds)
    return [value_of(metric, np.column_stack([1 - second, second]), targets) for metric in METRICS]


def show(name: str, ways: dict[str, list[list[float]]]) -> None:
    """Print the means of each way, and their differences from 8 views."""
    print(f"\n{name}: views | looks a tile | {' | '.join(METRICS)}")
    first = np.array(ways["8"])
    for way, rows in ways.items():
        found = np.array(rows)
        away = found - first
        half = 1.96 * away.std(axis=0, ddof=1) / len(away) ** 0.5
        cells = [f"{found[:, k].mean():.4f} {away[:, k].mean():+.4f}({half[k]:.4f})" for k in range(len(METRICS))]
        print(f"{way} | {found[:, -1].mean():.2f} | {' | '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
