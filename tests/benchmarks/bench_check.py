"""How often the intervals of ``spurgekit check`` hold: ``python -m tests.benchmarks.bench_check [--sites N]``.

Sites of 80 x 80 cells with weed in clusters and a map whose errors are in clusters, too. From each site's map one sample is
drawn, by class and uncertainty, and labelled without a mistake. Shown is, for each share of weed and size of the sample, in how
many of a hundred sites the truth is within the interval of the weed's area, of the overall accuracy, and of the weed's user's
and producer's accuracy; how wide the area's interval is, in the weed's true area; and how often the area plus and minus a
multiple of its standard error holds, by the normal distribution and by Student's t (Satterthwaite's degrees of freedom).
"""

from __future__ import annotations

import argparse
from statistics import NormalDist

import numpy as np
from scipy.stats import t as student

from spurgekit.accuracy import Estimate
from tests.accuracy.sites import Drawn, Site, draw, simulate_site

SHARES = (0.01, 0.05, 0.2)
SIZES = (100, 200, 400)
LEVELS = (0.9, 0.95)


def holds(one: Estimate, truth: float) -> float:
    """Return whether an interval has the truth; NaN where there is none."""
    return float(one.low - 1e-12 <= truth <= one.high + 1e-12) if np.isfinite([one.low, truth]).all() else np.nan


def degrees_of_freedom(drawn: Drawn) -> float:
    """Return Satterthwaite's for the area of the second class (Cochran 1977, equation 5.16)."""
    sampled = np.bincount(drawn.strata)
    share = np.bincount(drawn.strata, drawn.reference) / sampled
    part = (drawn.cells / drawn.cells.sum()) ** 2 * (1 - sampled / drawn.cells) * share * (1 - share) / (sampled - 1)
    return float(part.sum() ** 2 / (part**2 / (sampled - 1)).sum()) if part.any() else float(sampled.sum())


def look(site: Site, drawn: Drawn, level: float) -> list[float]:
    """Return which intervals hold, and the width of that of the area."""
    found = drawn.estimates(level)
    both = (site.truth & site.mapped).sum()
    area, truth = found.areas[1], site.truth.mean()
    t = student.ppf(0.5 + level / 2, max(degrees_of_freedom(drawn), 1))
    return [
        holds(area, truth),
        holds(found.overall, (site.truth == site.mapped).mean()),
        holds(found.users[1], both / site.mapped.sum()),
        holds(found.producers[1], both / site.truth.sum()),
        (area.high - area.low) / truth,
        *(abs(area.value - truth) <= factor * area.se for factor in (NormalDist().inv_cdf(0.5 + level / 2), t)),
    ]


def main(sites: int) -> None:
    """Print the table."""
    print("| level | weed | cells | area | overall | user's | producer's | width | +- z se | +- t se |")
    print("| --- " * 10 + "|")
    for level in LEVELS:
        for share in SHARES:
            for size in SIZES:
                rows = []
                for number in range(sites):
                    rng = np.random.default_rng([number, round(1000 * share), size])
                    site = simulate_site(rng, share)
                    rows.append(look(site, draw(rng, site, size), level))
                *held, width, z, t = np.nanmean(rows, axis=0)
                percent = " | ".join(f"{100 * one:.0f}" for one in held)
                print(
                    f"| {level:.2f} | {share:.2f} | {size} | {percent} | {width:.2f} | {100 * z:.0f} | {100 * t:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sites", type=int, default=1000)
    main(parser.parse_args().sites)
