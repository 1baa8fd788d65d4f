"""How well change between two dates is told: areas of simulated counts, and whole simulated sites against their truth.

    python -m tests.benchmarks.bench_change [--surveys 200]
    python -m tests.benchmarks.bench_change --weights DIR [--sites 2101-2106] [--keep FOLDER]

The first table draws surveys of two dates from true shares of transitions: places have rates of error of their own, drawn about
the same means for tested places and for those of the site, and on ground that stayed what it was a part of what errors can
coincide does. It has how often nominal 95 % intervals of gain, loss and net change hold, and their median widths in shares of the
ground.

The second, with weights of a backbone, simulates sites at two dates: the weed grows in some places and dies in others, the light is
another one, and the second image lies off by nothing, 0.4 m or 2 m. One model, of another site, maps both. Brier scores of gain and
loss are by the product, by the product of both probabilities (dates taken for independent), and by two thresholds; truth is of
tiles with data at both dates, on the grid of the first.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from spurgekit import (
    DatasetOptions,
    MapOptions,
    SurveyOptions,
    TileClassifier,
    TileOptions,
    TrainOptions,
    build_dataset,
    load_model,
    map_change,
    map_site,
    simulate_survey,
    tile_images,
    train_model,
)
from spurgekit.change.change_areas import NET, change_areas
from spurgekit.change.transitions import GAIN, LOSS, TRANSITIONS
from spurgekit.classify.held_out import HeldOutCounts
from spurgekit.simulate import LIGHTS
from tests.benchmarks.bench_areas import FALSE_ALARMS, MISSED, TILES
from tests.benchmarks.bench_dense import BACKBONE

Floats = NDArray[np.float64]

TRUE = {"little": (0.88, 0.02, 0.01, 0.09), "growth": (0.60, 0.12, 0.03, 0.25), "treated": (0.72, 0.01, 0.12, 0.15)}
"""Shares of the ground: absent, gain, loss, present."""

SIZE_M, TILE_PX, LEAST = 36, 112, 0.05
SHIFTS_M = {"0 m": (0.0, 0.0), "0.4 m": (0.3, -0.26), "2 m": (1.6, -1.2)}


@dataclass(frozen=True)
class Survey:
    """Two dates of a simulated site, as counts."""

    counted: Floats
    tested: tuple[HeldOutCounts, HeldOutCounts]
    places: int


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surveys", type=int, default=200)
    parser.add_argument("--weights", type=Path, help=f"folder of {BACKBONE}")
    parser.add_argument("--sites", default="2101-2106", help="seeds of sites")
    parser.add_argument("--keep", type=Path, help="folder to work in; what is there is not made again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        lines = intervals(options.surveys) if options.weights is None else sites(folder, options.sites, options.weights)
        for line in lines:
            print(line, flush=True)


# -- counts -----------------------------------------------------------------------------------------------------------


def intervals(surveys: int) -> Iterator[str]:
    """Yield the table of counts."""
    yield "| change | places tested | errors that coincide | models | gain holds | loss | net | width of gain | of net |"
    yield "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for name, true in TRUE.items():
        for places, shared, models in ((8, 0.0, 1), (8, 0.5, 1), (8, 1.0, 1), (8, 0.5, 2), (20, 0.5, 1)):
            rng = np.random.default_rng(0)
            held = []
            for seed in range(surveys):
                survey = simulate(rng, np.array(true), places, shared, models)
                areas = change_areas(
                    survey.counted, survey.counted, survey.tested, site_places=(survey.places, survey.places), seed=seed
                )
                truth = dict(zip(TRANSITIONS, true, strict=True)) | {NET: true[GAIN] - true[LOSS]}
                some = [areas[key] for key in ("gain", "loss", NET)]
                inside = [a.low_m2 <= truth[key] <= a.high_m2 for a, key in zip(some, ("gain", "loss", NET), strict=True)]
                held.append([*inside, some[0].high_m2 - some[0].low_m2, some[2].high_m2 - some[2].low_m2])
            found = np.array(held, np.float64)
            said = " | ".join(f"{share:.0%}" for share in found[:, :3].mean(axis=0))
            widths = " | ".join(f"{width:.2f}" for width in np.median(found[:, 3:], axis=0))
            yield f"| {name} | {places} | {shared:.0%} | {models} | {said} | {widths} |"


def simulate(rng: np.random.Generator, true: Floats, places: int, shared: float, models: int, site_places: int = 5) -> Survey:
    """Draw the counts of two dates, and the tests of their models."""
    size = 1 / 0.15 - 1  # intraclass correlation of errors within a place
    tests = [_tested(rng, places, size) for _ in range(models)]
    false_alarms, missed = (rng.beta(rate * size, (1 - rate) * size, (2, site_places)) for rate in (FALSE_ALARMS, MISSED))
    counted = np.zeros(4)
    for place in range(site_places):
        (f_old, f_new), (h_old, h_new) = false_alarms[:, place], 1 - missed[:, place]
        for share, one, other, is_stable in zip(
            true, (f_old, f_old, h_old, h_old), (f_new, h_new, f_new, h_new), (True, False, False, True), strict=True
        ):
            both = one * other
            both += shared * is_stable * (min(one, other) - both)
            counted += share / site_places * np.array([1 - one - other + both, other - both, one - both, both])
    return Survey(counted, (tests[0], tests[-1]), site_places)


def _tested(rng: np.random.Generator, places: int, size: float) -> HeldOutCounts:
    counts = np.zeros((places, 2, 2), np.int64)
    weedy = rng.binomial(TILES, 0.4, places)
    for true, (rate, tiles) in enumerate(((FALSE_ALARMS, TILES - weedy), (MISSED, weedy))):
        wrong = rng.binomial(tiles, rng.beta(rate * size, (1 - rate) * size, places))
        counts[:, true, 1 - true], counts[:, true, true] = wrong, tiles - wrong
    return HeldOutCounts(counts, np.zeros((places, 2), np.int64))
