"""How often intervals of occupied area hold what they promise, where errors are clustered by place.

``python -m tests.benchmarks.bench_areas [--sites 300]``

Sites and tested places have rates of error of their own, drawn about the same mean. Beside the product's interval stand those
that a user would otherwise make of the same tiles: rates of single tiles (each as if drawn by itself), and tested places drawn
with replacement. Widths are medians, in shares of the true area.

A second table has how far off areas are, as the root of the mean squared error in shares of the true area: as they were
counted, solved by the rates that were tested (Rogan and Gladen 1978), and by the product, which goes a part of the way.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.held_out import HeldOutCounts
from spurgekit.maps.areas import occupied_areas, true_shares

TOTAL_M2 = 10_000.0
FALSE_ALARMS, MISSED = 0.06, 0.12
TILES = 15
"""Tested tiles a place, of which four in ten are weedy."""

DRAWS = 1000
CORRELATIONS = (0.0, 0.05, 0.15, 0.3)
PLACES = (4, 8, 20)
SITE_PLACES = (1, 5, 25)
SHARES = (0.05, 0.3)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """A site that was mapped, and the places that its model was tested on."""

    share: float
    counted: Floats
    tested: HeldOutCounts
    places: int


def simulate(rng: np.random.Generator, places: int, site_places: int, share: float, correlation: float) -> Site:
    """Draw one."""
    counts, site = np.zeros((places, 2, 2), np.int64), np.zeros((2, 2))
    weedy = rng.binomial(TILES, 0.4, places)
    for true, (missed, tiles) in enumerate(((FALSE_ALARMS, TILES - weedy), (MISSED, weedy))):
        rates = np.full(places + site_places, missed)
        if correlation:
            size = 1 / correlation - 1
            rates = rng.beta(missed * size, (1 - missed) * size, places + site_places)
        wrong = rng.binomial(tiles, rates[:places])
        counts[:, true, 1 - true], counts[:, true, true] = wrong, tiles - wrong
        site[true, 1 - true] = rates[places:].mean()
        site[true, true] = 1 - site[true, 1 - true]
    return Site(share, np.array([1 - share, share]) @ site, HeldOutCounts(counts, np.zeros((places, 2), np.int64)), site_places)


def of_places(site: Site, seed: int) -> tuple[float, float]:
    """Return the product's interval."""
    area = occupied_areas(TOTAL_M2 * site.counted, site.tested, site_places=site.places, seed=seed)[1]
    return area.low_m2, area.high_m2


def of_tiles(site: Site, seed: int) -> tuple[float, float]:
    """Return the interval of rates of single tiles, with Jeffreys' prior."""
    rng = np.random.default_rng(seed)
    rates = np.stack([rng.dirichlet(row + 0.5, DRAWS) for row in site.tested.matrix], axis=1)
    return _interval(site, rates)


def of_redrawn_places(site: Site, seed: int) -> tuple[float, float]:
    """Return the interval of places that are drawn with replacement."""
    counts = site.tested.counts
    drawn = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), DRAWS)
    matrices = np.einsum("dp,pij->dij", drawn, counts) + 1e-9
    return _interval(site, matrices / matrices.sum(axis=2, keepdims=True))


def _interval(site: Site, rates: Floats) -> tuple[float, float]:
    informed = rates[:, 1, 1] - rates[:, 0, 1]
    shares = np.clip((site.counted[1] - rates[:, 0, 1]) / np.where(informed > 0, informed, np.inf), 0, 1)
    low, high = TOTAL_M2 * np.percentile(shares, (2.5, 97.5))
    return float(low), float(high)


def solved(counted: Floats, tested: HeldOutCounts) -> Floats:
    """Return the shares that are solved by the rates that were tested, none negative."""
    matrix, unclear = tested.matrix.astype(float), tested.unclear.sum(axis=0)
    rates = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    taken, ratio = unclear[1:].sum() / max(unclear.sum(), 1), unclear.sum() / max(matrix[1:].sum(), 1)
    shares = true_shares(counted, rates[None], np.array([taken]), np.array([ratio]))[0]
    if (shares < 0).any():  # less than none; or more than all, which is with its unclear ground
        share = 0.0 if counted[1] < rates[0, 1] else 1 / (1 + ratio)
        return np.array([1 - share, share])
    return np.asarray(shares)


METHODS = {"tiles": of_tiles, "places drawn": of_redrawn_places, "product": of_places}


def main() -> None:
    """Print how often each interval holds the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=300, help="of each kind")
    sites = parser.parse_args().sites
    print("| correlation | places | " + " | ".join(f"{name} hold | width" for name in METHODS) + " |")
    print("| ---: | ---: |" + " ---: | ---: |" * len(METHODS))
    rng = np.random.default_rng(2026)
    off: dict[tuple[float, float], list[tuple[float, float, float]]] = {}
    for correlation in CORRELATIONS:
        for places in PLACES:
            held: dict[str, list[bool]] = {name: [] for name in METHODS}
            width: dict[str, list[float]] = {name: [] for name in METHODS}
            for number in range(sites):
                share, on_site = SHARES[number % 2], SITE_PLACES[number // 2 % 3]
                site = simulate(rng, places, on_site, share, correlation)
                for name, interval in METHODS.items():
                    low, high = interval(site, number)
                    held[name].append(low <= share * TOTAL_M2 <= high)
                    width[name].append((high - low) / (share * TOTAL_M2))
                estimate = occupied_areas(TOTAL_M2 * site.counted, site.tested, site_places=on_site)[1].estimate_m2 / TOTAL_M2
                found = site.counted[1], solved(site.counted, site.tested)[1], estimate
                off.setdefault((correlation, share), []).append((found[0] / share, found[1] / share, found[2] / share))
            cells = " | ".join(f"{np.mean(held[name]):.0%} | x {np.median(width[name]):.1f}" for name in METHODS)
            print(f"| {correlation:g} | {places} | {cells} |", flush=True)
    print("\n| correlation | occupied | counted is off by | solved | product |\n| ---: | ---: | ---: | ---: | ---: |")
    for (correlation, share), found_of in off.items():
        errors = np.sqrt(((np.array(found_of) - 1) ** 2).mean(axis=0))
        print(f"| {correlation:g} | {share:.0%} | " + " | ".join(f"{error:.0%}" for error in errors) + " |")


if __name__ == "__main__":
    main()
