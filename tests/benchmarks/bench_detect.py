"""How fast markers are looked for, and in how much memory, against template matching with OpenCV.

``python -m tests.benchmarks.bench_detect [--size 12000]``
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from spurgekit.imagery import Window, open_raster
from spurgekit.markers.detection import find_markers
from spurgekit.markers.families import FAMILIES
from spurgekit.parallel import cores
from spurgekit.simulate.painted_markers import PaintedMarker, paint_marker
from tests.benchmarks.bench_memory import peaks_mb
from tests.benchmarks.sites import make_orthomosaic

LOOKED_FOR = (("cross", 0.45), ("cross", 0.12), ("disc", 0.30), ("aruco-4x4-50", 0.45))
TURNS_DEG = range(0, 90, 15)
"""Turns of a template that let a cross be found at any turn, which is what a user would try first."""


def match_templates(site: Path, size_px: int, rows: int = 2048) -> float:
    """Return megapixels/s of matching templates at several turns, on the first rows of a site, read beforehand."""
    with open_raster(site) as raster:
        pixels, _ = raster.read(Window(0, 0, raster.grid.width, rows))
    grey = cv2.cvtColor(cv2.merge(list(pixels)), cv2.COLOR_RGB2GRAY)
    templates = []
    for turn in TURNS_DEG:
        patch = np.full((size_px + 1, size_px + 1, 3), 110, np.uint8)
        paint_marker(
            patch, PaintedMarker("cross", (size_px + 1) / 2, (size_px + 1) / 2, size_px, turn), np.random.default_rng(0)
        )
        templates.append(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY))
    start = time.perf_counter()
    for template in templates:
        cv2.matchTemplate(grey, template, cv2.TM_CCOEFF_NORMED)
    return float(grey.size / 1e6 / (time.perf_counter() - start))


def main() -> None:
    """Print the rates and the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=12_000, help="pixels a side")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_orthomosaic(folder / "site.tif", options.size)
        megapixels = options.size**2 / 1e6
        print(f"{options.size} x {options.size} px RGBA deflate at 1 cm, {cores()} cores; medians of {options.rounds} rounds")
        for family, size_m in LOOKED_FOR:
            rates = []
            for _ in range(options.rounds):
                with open_raster(site, threads=cores()) as raster:
                    start = time.perf_counter()
                    find_markers(raster, FAMILIES[family].detector(size_m))
                    rates.append(megapixels / (time.perf_counter() - start))
            print(
                f"{family:14s} of {100 * size_m:3.0f} px  {np.median(rates):6.1f} megapixels/s, decoding included", flush=True
            )
        for size_px in (12, 45):
            rates = [match_templates(site, size_px) for _ in range(options.rounds)]
            text = f"OpenCV's matchTemplate, cross of {size_px} px at {len(TURNS_DEG)} turns"
            print(f"{text}  {np.median(rates):6.1f} megapixels/s, decoding not included", flush=True)
        for family, size_m in LOOKED_FOR[:2]:
            what = (
                "markers",
                site,
                "--family",
                family,
                "--marker-size",
                str(size_m),
                "--out",
                folder / f"{family}{size_m}.csv",
            )
            resident, private = peaks_mb(*what)
            print(
                f"markers --family {family} --marker-size {size_m}: {resident:.0f} MB resident, {private:.0f} MB private",
                flush=True,
            )


if __name__ == "__main__":
    main()
