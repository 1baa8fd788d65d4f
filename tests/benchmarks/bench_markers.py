"""From simulated sites to plots: how many are found, how exactly, and whether any is found that is not there.

``python -m tests.benchmarks.bench_markers [--sites 200] [--without 100] [--exact] [--workers 2] [--out rows.csv]``

Sites have 3 x 3 plots of 10 m at any rotation; markers are 12 to 40 px across at ground sample distances of 0.8 to 2.5 cm,
0 to 30 % of them missing, up to a fifth of the others half hidden, among up to 20 rocks, buckets and stumps; the families
take turns. Markers are laid with a tape, 3 cm off along each axis, and the mosaic bends by up to 10 cm, so that nothing in the
image says better than that where the corner of an unseen marker is; with ``--exact`` there is neither. Sites without markers
follow, with the same distractors: no plot may be found there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from spurgekit.errors import SpurgekitError
from spurgekit.imagery import open_raster
from spurgekit.markers.detection import find_markers
from spurgekit.markers.families import FAMILIES
from spurgekit.plots import Plot
from spurgekit.plots.locate import locate_plots
from spurgekit.simulate import Camera, SurveyOptions
from spurgekit.simulate.site import draw_site
from spurgekit.simulate.survey_folder import write_survey

SITES_OF = ("cross", "dark-cross", "checker", "bullseye", "panel", "disc", "aruco-4x4-50", "apriltag-36h11")
SAME_PLOT = 0.9
"""Least share of ground (intersection over union) that a plot shares with the true one."""

NEAR = 0.5
"""A detection is of a marker whose centre lies within this share of its size."""


def options_of(number: int, *, marked: bool, exact: bool = False) -> SurveyOptions:
    """Return the options of a site."""
    rng = np.random.default_rng([number, marked])
    gsd_m = rng.uniform(0.008, 0.025)
    family = SITES_OF[number % len(SITES_OF)]
    codes = tuple(range(16)) if FAMILIES[family].dictionary else ()
    return SurveyOptions(
        marker_ids=codes,
        markers=marked,
        family=family,
        marker_size_m=rng.uniform(12, 40) * gsd_m,
        rotation_deg=rng.uniform(-45, 45),
        missing=rng.uniform(0, 0.3),
        covered=rng.uniform(0, 0.2),
        distractors=int(rng.integers(0, 21)),
        gsd_m=gsd_m,
        warp_m=rng.uniform(0, 0.1) * (not exact),
        tape_sd_m=0.0 if exact else 0.03,
        camera=Camera(
            blur_px=rng.uniform(0.4, 1.0), exposure_stops=rng.uniform(-0.5, 0.5), jpeg_quality=int(rng.integers(80, 96))
        ),
        seed=number,
    )


def run(number: int, marked: bool, exact: bool = False) -> dict[str, Any]:
    """Simulate a site, look for its plots and hold them against the truth."""
    options = options_of(number, marked=marked, exact=exact)
    site = draw_site(options)
    family = options.marker_family
    with tempfile.TemporaryDirectory() as name:
        survey = write_survey(site, Path(name), options)
        with open_raster(survey.image) as raster:
            start = time.perf_counter()
            markers = find_markers(raster, FAMILIES[family].detector(options.marker_side_m, ids=options.marker_ids))
            seconds = time.perf_counter() - start
    row: dict[str, Any] = {
        "site": number,
        "family": family,
        "marker_px": options.marker_side_m / site.grid.gsd_m,
        "gsd_cm": 100 * site.grid.gsd_m,
        "missing": options.missing,
        "distractors": options.distractors,
        "megapixels": site.rgb.shape[0] * site.rgb.shape[1] / 1e6,
        "seconds": seconds,
        "true_plots": len(site.plots),
    }
    true = np.array([(m.col, m.row) for m in site.markers]).reshape(-1, 2)
    found = np.array([(m.col, m.row) for m in markers]).reshape(-1, 2)
    apart = (
        np.linalg.norm(true[:, None] - found[None], axis=-1) if len(true) and len(found) else np.zeros((len(true), len(found)))
    )
    hit = apart.min(axis=1, initial=np.inf) < NEAR * row["marker_px"] if len(found) else np.zeros(len(true), bool)
    right = apart.min(axis=0, initial=np.inf) < NEAR * row["marker_px"] if len(true) else np.zeros(len(found), bool)
    row["markers"], row["markers_found"], row["false_markers"] = len(true), int(hit.sum()), int((~right).sum())
    row["scores"] = [(round(m.score, 3), bool(r)) for m, r in zip(markers, right, strict=True)]
    try:
        plots: Sequence[Plot] = locate_plots(site.grid, markers, options).plots
        row["refused"] = ""
    except SpurgekitError as error:
        plots, row["refused"] = (), str(error)
    return row | compare(plots, site.plots, site.grid.gsd_m)


def compare(found: Sequence[Plot], true: Sequence[Plot], gsd_m: float) -> dict[str, Any]:
    """Return how many plots were found and how many that are not there, and the errors of their corners in pixels."""
    matched, false = 0, 0
    detected: list[float] = []
    filled: list[float] = []
    for plot in found:
        shares = [shapely.area(plot.polygon & other.polygon) / shapely.area(plot.polygon | other.polygon) for other in true]
        if max(shares, default=0) < SAME_PLOT:
            false += 1
            continue
        matched += 1
        other = true[int(np.argmax(shares))]
        for corner, is_found in zip(plot.corners, plot.found, strict=True):
            error = min(float(np.hypot(corner[0] - x, corner[1] - y)) for x, y in other.corners) / gsd_m
            (detected if is_found else filled).append(error)
    return {"plots": matched, "false_plots": false, "corner_errors": detected, "filled_errors": filled}


def _one(job: tuple[int, bool, bool]) -> dict[str, Any]:
    return run(*job)


def rms(lists: pd.Series) -> float:
    """Return the root mean square of lists of errors."""
    values = np.concatenate([np.asarray(v, float) for v in lists]) if len(lists) else np.array([])
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def summarise(table: pd.DataFrame, by: str) -> None:
    """Print a line for each group of sites."""
    print(
        f"\n{by:22s} sites  plots   recall  false  markers found  false markers  corner RMS px: found  filled in  all  refused"
    )
    for name, group in table.groupby(by, observed=True):
        print(
            f"{name!s:22s} {len(group):5d}  {group.true_plots.sum():5d}   {group.plots.sum() / group.true_plots.sum():6.4f}"
            f"  {group.false_plots.sum():5d}  {group.markers_found.sum() / group.markers.sum():13.4f}"
            f"  {group.false_markers.mean():13.1f}  {rms(group.corner_errors):20.2f}  {rms(group.filled_errors):9.2f}"
            f"  {rms(pd.concat([group.corner_errors, group.filled_errors])):3.1f}  {(group.refused != '').sum():7d}"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--without", type=int, default=100, help="sites without markers")
    parser.add_argument("--exact", action="store_true", help="markers laid exactly, on a mosaic that does not bend")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="CSV with a row for each site")
    options = parser.parse_args()
    jobs = [(i, True, options.exact) for i in range(options.sites)] + [
        (i, False, options.exact) for i in range(options.without)
    ]
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as workers:
        rows = []
        for row in workers.map(_one, jobs):
            rows.append(row)
            if (row["refused"] and row["true_plots"]) or row["false_plots"]:
                print(
                    f"site {row['site']} ({row['family']}, {row['marker_px']:.0f} px): {row['plots']} plots; {row['refused']}",
                    flush=True,
                )
    table = pd.DataFrame(rows)
    if options.out:
        table.to_csv(options.out, index=False)
    marked, bare = table[table.true_plots > 0].copy(), table[table.true_plots == 0]
    marked["all"] = "all"
    marked["marker px"] = pd.cut(marked.marker_px, [12, 16, 20, 28, 40])
    marked["share missing"] = pd.cut(marked.missing, [0, 0.1, 0.2, 0.3], include_lowest=True)
    marked["distractors "] = pd.cut(marked.distractors, [-1, 0, 5, 12, 20])
    for by in ("all", "family", "marker px", "share missing", "distractors "):
        summarise(marked, by)
    if len(bare):
        false = bare.false_markers.mean()
        print(f"\n{len(bare)} sites without markers: {bare.false_plots.sum()} plots, {false:.1f} false markers a site")
    scores = pd.DataFrame([s for row in table.scores for s in row], columns=["score", "right"])
    print("\nscore       detections  share of markers  mean score")
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        mine = scores[(scores.score >= low) & (scores.score < high)]
        print(f"{low:.2f}-{min(high, 1):.2f}  {len(mine):11d}  {mine.right.mean():16.3f}  {mine.score.mean():10.3f}")
    rate = table.megapixels.sum() / table.seconds.sum()
    print(f"\ndetection: {rate:.1f} megapixels/s, {options.workers} processes side by side")


if __name__ == "__main__":
    main()
