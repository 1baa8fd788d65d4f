"""Constants of the recipe ``probe``, chosen on training sides alone, and what they then do on test sides.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_choices [--cache DIR]
        [--choices turns,fewer,powers,unlabelled,by-set] [--image-px 112] [--choose-trials 8]

Of each set in ``CHOSEN_ON`` the first side alone is looked at: its places are parted into halves several times, and each half
is learned from and the other tested on. That choice is then shown on the second sides, and on the sets of ``FRESH``, of which
nothing was ever chosen: another pair of simulated sites, and carrot tiles that have more weeds than carrots against those that
have fewer, a harder task than that of any weed at all. ``by-set`` chooses lambda of turns anew for each support set.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_softmax

from spurgekit.classify.features import unit
from spurgekit.classify.label_spreading import ALPHA, NEIGHBOURS, SURE, class_means
from spurgekit.classify.label_spreading import STRENGTH as SPREAD
from spurgekit.classify.probe import Probe
from spurgekit.classify.turns import STRENGTH, TILES
from spurgekit.dihedral import VIEWS
from tests.benchmarks.bench_shift import (
    BACKBONES,
    IMAGE_PX,
    SHOTS,
    Floats,
    Tiles,
    balanced,
    draws,
    fitted,
    log_odds,
    pools,
    scores,
    shifts,
    shrunk,
    temperature,
    toward_nearest,
)
from tests.benchmarks.bench_shift import show as show_ways

CHOSEN_ON = ("carrots", "copr", "simA", "simB")
FRESH = ("simC", "dominance")
SPLITS, TRIALS = 4, 8
FEW = (1, 2, 4)
"""Shots at which unlabelled tiles are compared: of more tiles a class they hardly weigh."""
LEAST = -0.005
"""Of a set (and a kind of unlabelled tiles), averaged over backbones and halves: what a choice may lose at any n."""

STRENGTHS = (0.03, 0.1, STRENGTH, 1.0, 3.0)


@dataclass(frozen=True)
class Way:
    """A way to describe support tiles and to learn from them.

    ``strength`` is lambda of turns, found from ``turns`` of so many ``tiles``. Ahead of that features are raised to ``power``,
    with their sign, and scaled to length 1 again. Of ``spread``, labels are spread to unlabelled tiles, whose means weigh that
    by n to the power of ``decay``; of ``drawn`` tiles are drawn to that many of them, by 1 / 2n.
    """

    strength: float = STRENGTH
    turns: tuple[int, ...] = tuple(range(VIEWS))
    tiles: int = TILES
    power: float = 1.0
    spread: float = 0.0
    decay: int = 2
    neighbours: int = NEIGHBOURS
    alpha: float = ALPHA
    sure: float = SURE
    drawn: int = 0

    @property
    def describes_by(self) -> tuple[object, ...]:
        """What tiles are described by."""
        return self.power, self.strength, self.turns, self.tiles

    def raised(self, tiles: Tiles) -> Tiles:
        """Return tiles with their features raised to the power."""
        if self.power == 1:
            return tiles
        return replace(tiles, views=unit(np.sign(tiles.views) * np.abs(tiles.views) ** self.power))

    def shrunk(self, train: Tiles) -> Callable[[Floats], Floats]:
        """Return what shrinks turns, found on a training side."""
        if not np.isfinite(self.strength):
            return lambda vectors: vectors
        return shrunk(train, self.strength, turns=self.turns, tiles=self.tiles)

    def probe(
        self, x: Floats, targets: NDArray[np.int64], places: NDArray[np.object_], others: Floats, *, quick: bool
    ) -> Probe:
        """Fit to tiles, beside others without labels. ``quick``: with the standing penalty, not that of places."""
        drawn, means, fewest = x, None, np.bincount(targets).min()
        if self.drawn:
            drawn = toward_nearest(x, others, 0.5 / fewest, self.drawn)
        if self.spread:
            labels = np.eye(2)[targets]
            found, weights = class_means(x, labels, others, neighbours=self.neighbours, alpha=self.alpha, sure=self.sure)
            means = found, weights * self.spread / SPREAD / fewest ** (self.decay + 1)
        return fitted(drawn, targets, places, tiles=x, means=means, by_places=not quick)


CHOICES: dict[str, dict[str, Way]] = {
    "turns": {
        f"lambda = {STRENGTH:g}": Way(),
        "turns as they are": Way(np.inf),
        **{f"lambda = {strength:g}": Way(strength) for strength in STRENGTHS if strength != STRENGTH},
    },
    "fewer": {
        f"all turns of {TILES} tiles": Way(),
        **{
            f"{name}{at}": Way(strength, turns=turns, tiles=tiles)
            for name, turns, tiles in (
                (f"a quarter turn of {TILES} tiles", (0, 1), TILES),
                (f"a quarter turn of {8 * TILES} tiles", (0, 1), 8 * TILES),
                (f"half a turn of {TILES} tiles", (0, 2), TILES),
                (f"one mirrored of {TILES} tiles", (0, 4), TILES),
                (f"quarter turns of {TILES} tiles", (0, 1, 2, 3), TILES),
                (f"all turns of {TILES // 4} tiles", tuple(range(VIEWS)), TILES // 4),
                (f"all turns of {4 * TILES} tiles", tuple(range(VIEWS)), 4 * TILES),
            )
            for strength, at in ((STRENGTH, ""), (0.1, ", lambda = 0.1"))
        },
    },
    "powers": {
        "features as they are": Way(),
        **{f"to the power of {power:g}": Way(power=power) for power in (0.25, 0.5, 0.75)},
    },
    "unlabelled": {
        "labelled tiles alone": Way(),
        "drawn to the 10 nearest": Way(drawn=10),
        **{
            f"spread, {weight:g} / n{'^2' * (decay - 1)}, {count} neighbours": Way(spread=weight, decay=decay, neighbours=count)
            for weight in (2.0, 4.0)
            for decay in (1, 2)
            for count in (20, 40, 80)
        },
        **{
            f"spread, {SPREAD:g} / n, {NEIGHBOURS} neighbours, sure at {sure:g}": Way(spread=SPREAD, decay=1, sure=sure)
            for sure in (0.0, 0.8)
        },
    },
}
"""What is compared: the first is what the others are held against."""

STANDING = {"unlabelled": f"spread, {SPREAD:g} / n^2, {NEIGHBOURS} neighbours"}


def halves(side: Tiles) -> Iterator[tuple[Tiles, Tiles]]:
    """Yield halves of a side by its places, each to be learned from and tested on by the other."""
    for seed in range(SPLITS):
        places = np.random.default_rng(100 + seed).permutation(np.unique(side.places))
        first = np.isin(side.places, places[: len(places) // 2])
        yield side.part(first), side.part(~first)
        yield side.part(~first), side.part(first)


def compare(
    train: Tiles, test: Tiles, ways: dict[str, Way], trials: int, *, quick: bool, of_pools: bool = False
) -> Iterator[tuple[str, str, int, int, float]]:
    """Yield balanced accuracies: kind of unlabelled tiles, way, n, trial, value. ``quick``: see :meth:`Way.probe`."""
    labelled, asked = train.labelled, test.labelled
    of_label = np.flatnonzero(train.targets >= 0)
    described = {}
    for way in {way.describes_by: way for way in ways.values()}.values():
        known, unknown = way.raised(train), way.raised(asked)
        turns = way.shrunk(known)
        described[way.describes_by] = turns(known.views.mean(axis=1)), turns(unknown.views.mean(axis=1))
    for n, trial, chosen in draws(labelled, trials, FEW if of_pools else SHOTS):
        targets, places = labelled.targets[chosen], labelled.places[chosen]
        for kind, others in pools(train, of_label[chosen]):
            for name, way in ways.items():
                pool, seen = described[way.describes_by]
                probe = way.probe(pool[of_label[chosen]], targets, places, pool[others], quick=quick)
                yield kind, name, n, trial, balanced(log_odds(probe, seen), asked.targets)
            if not of_pools:
                break


def table_of(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Return gains over the first way, paired by support set: columns set, backbone, split, kind, way, n, trial, gain."""
    columns = ["set", "backbone", "split", "kind", "way", "n", "trial", "value"]
    table = pd.DataFrame(rows, columns=columns)
    first = table["way"].iloc[0]
    keys = ["set", "backbone", "split", "kind", "n", "trial"]
    base = table[table["way"] == first].set_index(keys)["value"]
    return table.assign(gain=table["value"].to_numpy() - base.loc[pd.MultiIndex.from_frame(table[keys])].to_numpy())


def choose(gains: pd.DataFrame, least: float) -> str:
    """Return the way of the highest mean gain over sets and shots, of those that lose no more than ``least``; print all."""
    worst = gains.pivot_table("gain", ["way", "set", "kind"], "n", sort=False).min(axis=1).groupby("way", sort=False).min()
    kinds = list(gains["kind"].unique())
    print(f"| way | {' | '.join(kinds)} | mean | worst of a set |")
    print("| --- " * (len(kinds) + 1) + "| ---: | ---: |")
    means = gains.pivot_table("gain", "way", ["kind", "n"], sort=False)
    for way, row in means.iterrows():
        cells = [" ".join(f"{value:+.3f}" for value in row[kind]) for kind in kinds]
        print(f"| {way} | {' | '.join(cells)} | {row.mean():+.4f} | {worst[way]:+.3f} |")
    return str(means.mean(axis=1)[worst >= least].idxmax())


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
    parser.add_argument("--choices", default="turns,fewer,powers,unlabelled,by-set")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--choose-trials", type=int, default=TRIALS)
    parser.add_argument("--image-px", type=int, default=IMAGE_PX)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    for choice in options.choices.split(","):
        if choice == "by-set":
            for title, train, test in shifts([*CHOSEN_ON], list(BACKBONES), options.cache, options.image_px):
                strength_by_set(title, train, test, options.trials)
            continue
        ways, rows, of_pools = CHOICES[choice], [], choice == "unlabelled"
        for name in CHOSEN_ON:
            for backbone in BACKBONES:
                _, side, _ = next(shifts([name], [backbone], options.cache, options.image_px))
                for split, (train, test) in enumerate(halves(side)):
                    found = compare(train, test, ways, options.choose_trials, quick=True, of_pools=of_pools)
                    rows += [(name, backbone, split, *row) for row in found]
        print(f"\n# {choice}: on the first sides alone")
        chosen = choose(table_of(rows), LEAST)
        standing = STANDING.get(choice, next(iter(ways)))
        print(f"\nchosen: {chosen}")
        names = tuple(dict.fromkeys((next(iter(ways)), chosen, standing)))
        print(f"\n| trained on, tested on | {' | '.join(names[1:])} |\n{'| --- ' * len(names)}|")
        for title, train, test in shifts([*CHOSEN_ON, *FRESH], list(BACKBONES), options.cache, options.image_px):
            if title.split()[0] in CHOSEN_ON and " 2 to 1" in title:
                continue  # tested on what was chosen on
            found = compare(
                train, test, {name: ways[name] for name in names}, options.trials, quick=of_pools, of_pools=of_pools
            )
            gains = table_of([(title, "", 0, *row) for row in found])
            for kind, of_kind in gains.groupby("kind", sort=False):
                show(f"{title}, {kind}" if of_pools else title, of_kind, names[1:])


if __name__ == "__main__":
    main()
