"""The lattice on drawn sites and on clutter: what is found or refused, how far corners are off, how long it takes.

``python -m tests.benchmarks.bench_lattice [--sites 100] [--clutter 500]``
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from spurgekit.plots.lattice import AmbiguousLatticeError, LatticeModel, fit_lattices
from spurgekit.plots.protocol import PlotProtocol
from tests.plots.fields import draw_clutter, draw_field, matches

SITE = PlotProtocol()

MARKER_M = 0.45
"""Across a detection."""


@dataclass
class Tally:
    """What came of the sites of one row of the table."""

    outcomes: Counter[str] = field(default_factory=Counter)
    half_visible: int = 0
    found_of_half_visible: int = 0
    undecidable: int = 0
    found_m2: list[float] = field(default_factory=list)
    filled_m2: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(
        self, rng: np.random.Generator, missing: float, false: int, bend_m: float, tilt: float, model: LatticeModel
    ) -> None:
        """Draw a site, look for it and note what came of it."""
        drawn = draw_field(rng, missing=missing, false=false, bend_m=bend_m, tilt=tilt)
        half = bool(drawn.seen.sum() >= len(drawn.seen) / 2)
        rows = drawn.seen.reshape(4, 4)
        self.half_visible += half
        self.undecidable += half and not all(edge.any() for edge in (rows[0], rows[-1], rows[:, 0], rows[:, -1]))
        start = time.process_time()
        try:
            fits = fit_lattices(drawn.positions_m, SITE, sizes_m=[MARKER_M] * len(drawn.positions_m), model=model)
        except AmbiguousLatticeError:
            self.outcomes["ambiguous"] += 1
            return
        finally:
            self.seconds.append(time.process_time() - start)
        if not fits:
            self.outcomes["unsupported"] += 1
            return
        for fit in fits:
            if not matches(drawn.corners_m, fit.nodes_m):
                self.outcomes["false"] += 1
                continue
            self.outcomes["right"] += 1
            self.found_of_half_visible += half
            off = np.hypot(*(fit.nodes_m[:, None] - drawn.corners_m[None]).transpose(2, 0, 1)).min(axis=1) ** 2
            self.found_m2 += off[fit.found].tolist()
            self.filled_m2 += off[~fit.found].tolist()

    def __str__(self) -> str:
        """Return the row."""

        def rms_cm(squares: list[float]) -> float:
            return 100 * float(np.sqrt(np.mean(squares))) if squares else float("nan")

        half = max(1, self.half_visible)
        return (
            f"{self.found_of_half_visible / half:8.1%} {self.undecidable / half:12.1%} {self.outcomes['false']:6d} "
            f"{self.outcomes['ambiguous']:10d} {self.outcomes['unsupported']:12d} "
            f"{rms_cm(self.found_m2):9.1f} {rms_cm(self.filled_m2):10.1f} {1000 * float(np.median(self.seconds)):6.0f}"
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=100, help="a row")
    parser.add_argument("--clutter", type=int, default=500)
    options = parser.parse_args()
    print("recall: right lattices of the sites where half of the markers are visible or more; of these sites, undecidable are")
    print("those where an outer row has no visible marker, so that two placements fit the same")
    print("missing   false  bend m  model       recall  undecidable  false  ambiguous  unsupported  found cm  filled cm     ms")
    ranges = itertools.product([(0.0, 0.15), (0.15, 0.3), (0.3, 0.5)], [(0, 20)], [(0.0, 0.15), (0.15, 0.3)])
    rows: list[tuple[tuple[float, float], tuple[int, int], tuple[float, float], LatticeModel]]
    rows = [((0, 0.3), (0, 20), (0, 0.3), "similarity"), *((*row, "similarity") for row in ranges)]
    rows.append(((0, 0.3), (0, 20), (0, 0.05), "projective"))
    for (few, many), (least, most), (flat, bent), model in rows:
        rng, tally = np.random.default_rng(20), Tally()
        for _ in range(options.sites):
            tilt = rng.uniform(0, 0.0015) if model == "projective" else 0.0
            tally.add(rng, rng.uniform(few, many), int(rng.integers(least, most + 1)), rng.uniform(flat, bent), tilt, model)
        print(f"{few:.2f}-{many:.2f} {least:3d}-{most} {flat:.2f}-{bent:.2f} {model:10s} {tally}", flush=True)

    print("\ncluttered ground without a lattice, 5 to 60 detections: lattices that were found")
    for name, protocol in (
        ("3 x 3", SITE),
        ("1 x 5", PlotProtocol(rows=1, columns=5)),
        ("1 x 1", PlotProtocol(rows=1, columns=1)),
    ):
        rng, found = np.random.default_rng(21), Counter[str]()
        for _ in range(options.clutter):
            try:
                found["lattices"] += len(fit_lattices(draw_clutter(rng, int(rng.integers(5, 61))), protocol))
            except AmbiguousLatticeError:
                found["ambiguous"] += 1
        print(
            f"{name}: {found['lattices']} in {options.clutter} fields ({found['ambiguous']} refused as ambiguous)", flush=True
        )


if __name__ == "__main__":
    main()
