"""Constants of the recipe ``probe``, chosen on training sides alone, and what they then do on test sides.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_choices [--cache DIR] [--choices turns,unlabelled,by-set]

Of each set in ``CHOSEN_ON`` the first side alone is looked at: its places are parted into halves several times, and each half
is learned from and the other tested on. That choice is then shown on the second sides, and on the sets of ``FRESH``, of which
nothing was ever chosen: another pair of simulated sites, and carrot tiles that have more weeds than carrots against those that
have fewer, a harder task than that of any weed at all. ``by-set`` chooses lambda of turns anew for each support set.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from spurgekit.classify.neighbours import NEIGHBOURS, toward_neighbours, weight_of
from spurgekit.classify.probe import PROBE_C, ProbeSamples, fit_probe
from spurgekit.classify.turns import STRENGTH
from tests.benchmarks.bench_shift import (
    BACKBONES,
    Tiles,
    balanced,
    draws,
    fitted,
    log_odds,
    scores,
    shifts,
    shrunk,
    temperature,
)
from tests.benchmarks.bench_shift import show as show_ways

CHOSEN_ON = ("carrots", "copr", "simA", "simB")
FRESH = ("simC", "dominance")
SPLITS, TRIALS = 4, 8
LEAST = -0.005
"""Of a set, averaged over backbones and halves: what a choice may lose at any number of shots."""

STRENGTHS = (0.03, 0.1, STRENGTH, 1.0, 3.0)


@dataclass(frozen=True)
class Way:
    """A way to describe support tiles: lambda of their turns, and how they are drawn to unlabelled tiles."""

    strength: float = STRENGTH
    weight: Callable[[int], float] | None = None
    neighbours: int = NEIGHBOURS


WEIGHTS: dict[str, Callable[[int], float]] = {
    "1 / 4n": lambda n: 0.25 / n,
    "1 / 2n": weight_of,
    "3 / 4n": lambda n: 0.75 / n,
    "1 / (1 + n)": lambda n: 1 / (1 + n),
    "1 / 2n^2": lambda n: 0.5 / n**2,
}
CHOICES: dict[str, dict[str, Way]] = {
    "turns": {
        f"lambda = {STRENGTH:g}": Way(),
        "turns as they are": Way(np.inf),
        **{f"lambda = {strength:g}": Way(strength) for strength in STRENGTHS if strength != STRENGTH},
    },
    "unlabelled": {
        "labelled tiles alone": Way(),
        **{
            f"{name}, {count} nearest": Way(STRENGTH, weight, count)
            for name, weight in WEIGHTS.items()
            for count in (5, 10, 20, 40)
        },
    },
}
"""What is compared: the first is what the others are held against."""


def halves(side: Tiles) -> Iterator[tuple[Tiles, Tiles]]:
    """Yield halves of a side by its places, each to be learned from and tested on by the other."""
    for seed in range(SPLITS):
        places = np.random.default_rng(100 + seed).permutation(np.unique(side.places))
        first = np.isin(side.places, places[: len(places) // 2])
        yield side.part(first), side.part(~first)
        yield side.part(~first), side.part(first)


def compare(
    train: Tiles, test: Tiles, ways: dict[str, Way], trials: int, *, quick: bool
) -> Iterator[tuple[str, int, int, float]]:
    """Yield balanced accuracies: way, n, trial, value. ``quick``: with the standing penalty, not that of places."""
    labelled, asked = train.labelled, test.labelled
    of_label = np.flatnonzero(train.targets >= 0)
    described = {}
    for strength in {way.strength for way in ways.values()}:
        turns = shrunk(train, strength) if np.isfinite(strength) else lambda vectors: vectors
        described[strength] = turns(train.views.mean(axis=1)), turns(asked.views.mean(axis=1))
    for n, trial, chosen in draws(labelled, trials):
        targets, places = labelled.targets[chosen], labelled.places[chosen]
        for name, way in ways.items():
            pool, seen = described[way.strength]
            x, others = pool[of_label[chosen]], np.delete(pool, of_label[chosen], axis=0)
            drawn = x if way.weight is None else toward_neighbours(x, others, way.weight(n), way.neighbours)
            if quick and n > 1:
                probe = fit_probe(ProbeSamples.of_tiles(drawn, targets, 2), x, targets, c=PROBE_C, groups=places)
            else:
                probe = fitted(drawn, targets, places, tiles=x)
            yield name, n, trial, balanced(log_odds(probe, seen), asked.targets)


def table_of(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Return gains over the first way, paired by support set: columns set, backbone, split, way, n, trial, gain."""
    columns = ["set", "backbone", "split", "way", "n", "trial", "value"]
    table = pd.DataFrame(rows, columns=columns)
    first = table["way"].iloc[0]
    keys = ["set", "backbone", "split", "n", "trial"]
    base = table[table["way"] == first].set_index(keys)["value"]
    return table.assign(gain=table["value"].to_numpy() - base.loc[pd.MultiIndex.from_frame(table[keys])].to_numpy())


def choose(gains: pd.DataFrame) -> str:
    """Return the way of the highest mean gain over sets and shots, of those that lose no more than ``LEAST``; print all."""
    of_set = gains.pivot_table("gain", ["way", "set"], "n", sort=False)
    means, worst = of_set.groupby("way", sort=False).mean(), of_set.min(axis=1).groupby("way", sort=False).min()
    print("| way | gain, n = 1 2 4 8 16 | mean | worst of a set |\n| --- | --- | ---: | ---: |")
    for way, row in means.iterrows():
        print(f"| {way} | {' '.join(f'{value:+.3f}' for value in row)} | {row.mean():+.4f} | {worst[way]:+.3f} |")
    return str(means.mean(axis=1)[worst >= LEAST].idxmax())


def show(title: str, gains: pd.DataFrame, ways: tuple[str, ...]) -> None:
    """Print gains with half of their 95 % intervals, over support sets."""
    parts = []
    for way in ways:
        by_n = gains[gains["way"] == way].groupby("n")["gain"]
        half = 1.96 * by_n.std(ddof=1) / by_n.size() ** 0.5
        parts.append(" ".join(f"{mean:+.3f}({h:.3f})" for mean, h in zip(by_n.mean(), half, strict=True)))
    print(f"| {title} | {' | '.join(parts)} |", flush=True)


def strength_by_set(title: str, train: Tiles, test: Tiles, trials: int) -> None:
    """Compare a fixed lambda with that which left-out places speak for, as of the penalty, and with that of least loss."""
    labelled, asked = train.labelled, test.labelled
    described = {}
    for strength in STRENGTHS:
        turns = shrunk(train, strength)
        described[strength] = turns(labelled.views.mean(axis=1)), turns(asked.views.mean(axis=1))
    picked: dict[str, list[float]] = {"fixed": [], "by places": [], "of least loss": []}
    ways: dict[str, dict[int, list[tuple[float, ...]]]] = {way: {} for way in picked}
    for n, _, chosen in draws(labelled, trials):
        if n == 1:
            continue
        targets, places = labelled.targets[chosen], labelled.places[chosen]
        probes = {strength: fitted(known[chosen], targets, places) for strength, (known, _) in described.items()}
        heat = {strength: temperature(probe, targets) for strength, probe in probes.items()}
        losses = {
            strength: -log_softmax(probe.left_out / heat[strength], axis=1)[np.arange(len(targets)), targets]
            for strength, probe in probes.items()
        }
        of_least = min(STRENGTHS, key=lambda strength: float(np.nan_to_num(losses[strength]).mean()))
        _, place = np.unique(places.astype(str), return_inverse=True)
        best = STRENGTH
        for way in (STRENGTHS[STRENGTHS.index(STRENGTH) - 1 :: -1], STRENGTHS[STRENGTHS.index(STRENGTH) + 1 :]):
            for strength in way if best == STRENGTH and probes[best].by_group else ():
                gains = np.bincount(place, np.nan_to_num(losses[best] - losses[strength]))
                if gains.mean() <= 2 * gains.std(ddof=1) / len(gains) ** 0.5:
                    break
                best = strength
        for name, strength in zip(picked, (STRENGTH, best, of_least), strict=True):
            odds = log_odds(probes[strength], described[strength][1]) / heat[strength]
            picked[name].append(strength)
            ways[name].setdefault(n, []).append(scores(odds, asked.targets))
    show_ways(title, ways, ("balanced accuracy", "AUROC", "ECE"))
    for name, strengths in picked.items():
        print(f"  {name}: " + ", ".join(f"{strength:g} in {strengths.count(strength)}" for strength in sorted(set(strengths))))


def main() -> None:
    """Print the choices, and what they are worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/shift"))
    parser.add_argument("--choices", default="turns,unlabelled,by-set")
    parser.add_argument("--trials", type=int, default=20)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    for choice in options.choices.split(","):
        if choice == "by-set":
            for title, train, test in shifts([*CHOSEN_ON], list(BACKBONES), options.cache):
                strength_by_set(title, train, test, options.trials)
            continue
        ways, rows = CHOICES[choice], []
        for name in CHOSEN_ON:
            for backbone in BACKBONES:
                _, side, _ = next(shifts([name], [backbone], options.cache))
                for split, (train, test) in enumerate(halves(side)):
                    found = compare(train, test, ways, TRIALS, quick=True)
                    rows += [(name, backbone, split, *row) for row in found]
        print(f"\n# {choice}: on the first sides alone")
        chosen = choose(table_of(rows))
        standing = "1 / 2n, 10 nearest" if choice == "unlabelled" else next(iter(ways))
        print(f"\nchosen: {chosen}")
        names = tuple(dict.fromkeys((next(iter(ways)), chosen, standing)))
        print(f"\n| trained on, tested on | {' | '.join(names[1:])} |\n{'| --- ' * len(names)}|")
        for title, train, test in shifts([*CHOSEN_ON, *FRESH], list(BACKBONES), options.cache):
            if title.split()[0] in CHOSEN_ON and " 2 to 1" in title:
                continue  # tested on what was chosen on
            found = compare(train, test, {name: ways[name] for name in names}, options.trials, quick=False)
            gains = table_of([(title, "", 0, *row) for row in found])
            show(title, gains, names[1:])


if __name__ == "__main__":
    main()
