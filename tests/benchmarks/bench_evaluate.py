"""Whether ``evaluate`` may be believed: ``python -m tests.benchmarks.bench_evaluate [--evaluations N] [--power]``.

Evaluations of five arms and a baseline at five numbers of shots, in which no arm differs from another in truth. A tile is
recognised with a probability whose logit is the sum of what is drawn for the support set, for the place and class, for the arm
at that place, for the arm with that support set, and for all three; places differ in how many tiles they have, and a tile is as
hard for all arms. So errors are clustered by place and by support set, and arms do differ at the places and with the support
sets that happen to be there.

Shown is, for each design, in how many of a hundred evaluations some difference is called real, in how many of a hundred
comparisons the interval of the difference holds the truth, how wide that is, and the same of what could be had otherwise: t of
Satterthwaite's degrees of freedom, without a least design. ``--power`` gives all arms but the baseline a true difference, that
which the design is said to find with 80 % probability, and shows how often it is found: by its own interval, and as real.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from spurgekit.classify.place_sums import Floats
from spurgekit.evaluate.bootstrap import Bootstrap, resample
from spurgekit.evaluate.intervals import paired_differences
from spurgekit.evaluate.power import resolvable
from spurgekit.evaluate.predictions import Predictions, pair_predictions

ARMS = ("baseline", "a", "b", "c", "d", "e")
SHOTS = (1, 2, 4, 8, 16)
CLASSES = ("absent", "present")
DESIGNS = ((3, 20), (5, 5), (5, 20), (10, 5), (10, 20), (20, 5), (20, 20))
"""Places and support sets."""

TILES = 8
"""Of a class at a place, on average."""


@dataclass(frozen=True)
class Scatter:
    """Standard deviations of logits.

    Attributes
    ----------
    sets, places : float
        What is hard about a support set, and about a place for a class, for all arms.
    arms_by_set, arms_by_place, rest : float
        How arms differ with the support set, at the place, and with both.
    """

    sets: float = 0.4
    places: float = 0.8
    arms_by_set: float = 0.25
    arms_by_place: float = 0.35
    rest: float = 0.2


BALANCED = Scatter()
BY_PLACE = Scatter(arms_by_set=0.05, arms_by_place=0.6)
BY_SET = Scatter(arms_by_set=0.5, arms_by_place=0.05)
SCATTERS = {"both": BALANCED, "places": BY_PLACE, "support sets": BY_SET}
LOGIT = 1.6


def effects(rng: np.random.Generator, scatter: Scatter, places: int, sets: int) -> Floats:
    """Draw logits, shape (arms, shots, sets, places, classes); what an arm does at a place it does in part at all shots."""
    arms, shots, classes = len(ARMS), len(SHOTS), len(CLASSES)

    def draw(sd: float, *shape: int) -> Floats:
        return np.asarray(sd * rng.standard_normal(shape))

    by_place = np.sqrt(0.5) * (
        draw(scatter.arms_by_place, arms, 1, 1, places, classes) + draw(scatter.arms_by_place, arms, shots, 1, places, classes)
    )
    return np.asarray(
        draw(scatter.sets, 1, shots, sets, 1, classes)
        + draw(scatter.places, 1, 1, 1, places, classes)
        + by_place
        + draw(scatter.arms_by_set, arms, shots, sets, 1, classes)
        + draw(scatter.rest, arms, shots, sets, places, classes)
    )


def simulate(rng: np.random.Generator, scatter: Scatter, places: int, sets: int, gain: float = 0.0) -> Predictions:
    """Draw the predictions of an evaluation; ``gain`` is added to the logits of all arms but the first."""
    logits = LOGIT + effects(rng, scatter, places, sets)
    logits[1:] += gain
    sizes = 1 + rng.poisson(TILES * rng.gamma(2, 0.5, (places, len(CLASSES))))
    place, target = (of.ravel() for of in np.indices(sizes.shape))
    place, target = np.repeat(place, sizes.ravel()), np.repeat(target, sizes.ravel())
    hardness = rng.standard_normal(len(place))  # of a tile, for all
    noise = np.sqrt(0.7) * hardness + np.sqrt(0.3) * rng.standard_normal((*logits.shape[:3], len(place)))
    right = stats.norm.cdf(noise) < expit(logits[..., place, target])
    weed = np.where(right == (target == 1), 0.75, 0.25).astype(np.float32)
    arm, n, trial, tile = (of.ravel() for of in np.indices(weed.shape))
    table = pd.DataFrame(
        {
            "arm": np.asarray(ARMS)[arm], "n": np.asarray(SHOTS)[n], "trial": trial, "fold": "test",
            "tile_id": tile.astype(str), "place": np.asarray([f"place {i}" for i in range(places)])[place[tile]],
            "target": target[tile], "p0": 1 - weed.ravel(), "p1": weed.ravel(),
        }
    )  # fmt: skip
    return pair_predictions(table, CLASSES)


def by_satterthwaite(differences: pd.DataFrame) -> pd.DataFrame:
    """Return low and high of each interval, and of that for all, with t of Satterthwaite's degrees of freedom."""
    share = differences["places_share"].fillna(1).to_numpy()
    sets, places = differences["support_sets"].to_numpy(), differences["places"].to_numpy()
    freedom = 1 / ((1 - share) ** 2 / np.maximum(sets - 1, 1) + share**2 / np.maximum(places - 1, 1))
    found = {}
    for name, comparisons in (("", 1), ("simultaneous_", len(differences))):
        tail = 0.025 / comparisons
        ratio = stats.t.isf(tail, freedom) / stats.t.isf(0.025, differences["degrees_of_freedom"])
        for side in ("low", "high"):
            found[name + side] = differences["difference"] + ratio * (differences[side] - differences["difference"])
    return pd.DataFrame(found)


def outside(table: pd.DataFrame, name: str, value: float = 0.0) -> Floats:
    """Return which intervals do not hold a value."""
    return np.asarray((table[f"{name}low"] > value) | (table[f"{name}high"] < value), np.float64)


def false_alarms(scatters: list[str], evaluations: int, replicates: int) -> None:
    """Print how often a difference is called real where there is none, and how often intervals hold."""
    print(
        "| differs by | places | support sets | real, of 100 evaluations | intervals hold | half-width "
        "| Satterthwaite: real | hold | half-width |"
    )
    print("| --- " + "| ---: " * 8 + "|")
    for name, scatter in ((name, SCATTERS[name]) for name in scatters):
        for places, sets in DESIGNS:
            rows = []
            for number in range(evaluations):
                rng = np.random.default_rng([number, places, sets])
                found = _differences(simulate(rng, scatter, places, sets), replicates)
                other = by_satterthwaite(found)
                rows.append(
                    [
                        found["real"].any(), 1 - outside(found, "").mean(), (found["high"] - found["low"]).median() / 2,
                        outside(other, "simultaneous_").any(), 1 - outside(other, "").mean(),
                        (other["high"] - other["low"]).median() / 2,
                    ]
                )  # fmt: skip
            real, holds, half, real_too, holds_too, half_too = np.mean(rows, axis=0)
            print(
                f"| {name} | {places} | {sets} | {100 * real:.1f} | {100 * holds:.1f} | {half:.3f} "
                f"| {100 * real_too:.1f} | {100 * holds_too:.1f} | {half_too:.3f} |",
                flush=True,
            )


def powers(scatters: list[str], evaluations: int, replicates: int) -> None:
    """Print how often a true difference is found that the design is said to find with 80 % probability."""
    print("| differs by | places | support sets | alone: difference | found | as real: difference | found |")
    print("| --- " + "| ---: " * 6 + "|")
    for name, scatter in ((name, SCATTERS[name]) for name in scatters):
        for places, sets in DESIGNS:
            said = pd.concat(
                [
                    resolvable(_differences(simulate(np.random.default_rng([number, 1]), scatter, places, sets), replicates))
                    for number in range(10)
                ]
            )
            cells = []
            for column, kind in (("resolvable_alone", ""), ("resolvable", "simultaneous_")):
                asked = float(said[column].median())
                gain = _gain_of(asked, scatter)
                if kind and min(places, sets) < 5:
                    cells += ["–", "–"]
                    continue
                if gain is None:
                    cells += [f"{asked:.3f}", "cannot be"]
                    continue
                hits = []
                for number in range(evaluations):
                    rng = np.random.default_rng([number, places, sets, 2])
                    found = _differences(simulate(rng, scatter, places, sets, gain), replicates)
                    hits.append((found[f"{kind}low"] > 0).mean())
                cells += [f"{asked:.3f}", f"{100 * np.mean(hits):.0f}"]
            print(f"| {name} | {places} | {sets} | {' | '.join(cells)} |", flush=True)


def _gain_of(difference: float, scatter: Scatter) -> float | None:
    """Return what has to be added to logits for a difference in expected balanced accuracy; None where there is no room."""
    width = np.sqrt(sum(sd**2 for sd in vars(scatter).values()))
    logits = LOGIT + width * stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    base = expit(logits).mean()
    if base + difference > 0.995:
        return None
    gains = np.linspace(0, 10, 4001)
    reached = np.array([expit(logits + gain).mean() for gain in gains]) - base
    return float(np.interp(difference, reached, gains))


def _differences(predictions: Predictions, replicates: int) -> pd.DataFrame:
    drawn: Bootstrap = resample(predictions, replicates=replicates)
    found = paired_differences(drawn, ARMS[0])
    return found[found["metric"] == "balanced_accuracy"].reset_index(drop=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--scatters", default=",".join(SCATTERS))
    parser.add_argument("--power", action="store_true")
    chosen = parser.parse_args()
    (powers if chosen.power else false_alarms)(chosen.scatters.split(","), chosen.evaluations, chosen.replicates)
