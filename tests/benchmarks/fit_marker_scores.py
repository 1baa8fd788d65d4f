"""Fit the weights of markers' scores (``spurgekit.markers.marker_score``) to markers painted on simulated and real ground.

``python -m tests.benchmarks.fit_marker_scores [--family NAME] [--data ../shared/data]``

Of every place that passes the detector's gates it is known whether a marker was painted there. Half of the ground is held out;
for it the scores are compared with the share of markers among the places that have them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from spurgekit.markers import aruco, target_detector
from spurgekit.markers.families import FAMILIES, ScoreWeights
from spurgekit.markers.marker_score import measures
from spurgekit.markers.template_fit import Fit
from spurgekit.simulate.distractors import paint_distractor
from spurgekit.simulate.painted_markers import PaintedMarker, paint_marker
from spurgekit.simulate.scene import draw_scene

SIDE_PX = 1600
GSD_M = 0.0125
SIZES_PX = (8, 9, 10, 12, 15, 20, 28, 40)
SPACING_PX = 200
CODES = {"aruco-4x4-50": 50, "apriltag-36h11": 587}
SCENES, CODED_SCENES = 3, 40
"""Simulated grounds; more of them where little on the ground passes for a marker, as with codes."""

CROWDED = 5.0
"""How many times as dense as in a survey coded markers are painted: 19 on 400 m2, not 16 around nine plots on 1,600 m2.

So much more ground there is to every marker, for something on it to pass for a code. (Other targets are told from the ground by
far less than a code, and it is the lattice of plots that makes sense of them.)
"""

CODED = "coded"
"""What all coded families, fitted together, are called here."""


def grounds(data: Path, scenes: int) -> Iterator[NDArray[np.uint8]]:
    """Yield squares of ground without markers, as RGB bytes, so many of them simulated."""
    for seed in range(scenes):
        yield draw_scene(SIDE_PX, GSD_M, 0.1, np.random.default_rng(seed)).rgb
    photos = [*sorted(data.glob("copr/photos/*.jpg")), *sorted(data.glob("brighton/*.JPG"))]
    for number, path in enumerate(photos):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        assert image is not None, f"{path} cannot be read"
        small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        col = (0, small.shape[1] - SIDE_PX)[number % 2]
        yield np.ascontiguousarray(np.asarray(small, np.uint8)[:SIDE_PX, max(0, col) :][:, :SIDE_PX])
    if (path := data / "orthos" / "australia" / "australia.tif").exists():
        with rasterio.open(path) as file:
            ground = np.ascontiguousarray(file.read([1, 2, 3])[:, :600].transpose(1, 2, 0))
        yield np.ascontiguousarray(np.tile(np.concatenate([ground, ground[::-1]]), (1, 2, 1))[:SIDE_PX, :SIDE_PX])


def painted(
    ground: NDArray[np.uint8], family: str, size_px: float, rng: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the ground with markers and distractors on it, and where the markers are: (col, row), shape (n, 2)."""
    gain = rng.uniform(0.7, 1.15)
    rgb = np.clip(np.rot90(ground, int(rng.integers(4))) * gain, 0, 255).astype(np.uint8)
    truth = []
    for row in range(SPACING_PX // 2, rgb.shape[0] - 60, SPACING_PX):
        for col in range(SPACING_PX // 2, rgb.shape[1] - 60, SPACING_PX):
            at = col + rng.uniform(-40, 40), row + rng.uniform(-40, 40)
            what = rng.random()
            if what < 0.3:
                marker = PaintedMarker(
                    family, *at, size_px * rng.uniform(0.96, 1.04), rng.uniform(0, 360),
                    id=int(rng.integers(CODES.get(family, 1))),
                    digit=int(rng.integers(10)) if family == "cross" and rng.random() < 0.5 else None,
                    brightness=gain * rng.uniform(0.6, 1.1), dirt=rng.uniform(0, 0.8), blades=int(rng.integers(0, 5)),
                    hidden=rng.uniform(0.1, 0.5) if rng.random() < 0.2 else 0.0, shadow_px=1.0,
                )  # fmt: skip
                paint_marker(rgb, marker, rng, blur_px=rng.uniform(0.4, 1.1))
                truth.append(at)
            elif what < 0.5:
                paint_distractor(rgb, rng.choice(["rock", "bucket", "stump"]), *at, GSD_M, rng)
    coded_jpeg = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(78, 96))])[1]
    image = np.asarray(cv2.imdecode(coded_jpeg, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(image), np.array(truth).reshape(-1, 2)


def fits_of(family: str, rgb: NDArray[np.uint8], size_px: float) -> list[Fit]:
    """Return what the detector of a family scores in an image."""
    seen: list[Fit] = []

    def keep(fit: Fit, weights: ScoreWeights, *, plain: bool) -> float:
        seen.append(fit)
        return 0.0

    room = aruco if FAMILIES[family].dictionary else target_detector
    before, room.score = room.score, keep  # type: ignore[attr-defined]
    try:
        FAMILIES[family].detector(size_px * GSD_M)(rgb, np.ones(rgb.shape[:2], np.bool_), GSD_M)
    finally:
        room.score = before  # type: ignore[attr-defined]
    return seen


def main() -> None:
    """Print the weights of each family, and how their scores hold on the ground that was held out."""
    targets = [name for name, family in FAMILIES.items() if family.dictionary is None]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPURGEKIT_DATA", "../shared/data")))
    parser.add_argument("--family", choices=[*targets, CODED], help="fit this one alone")
    options = parser.parse_args()
    groups = {**{name: (name,) for name in targets}, CODED: tuple(CODES)}
    for name, families in groups.items():
        if options.family not in (None, name):
            continue
        rows, labels, held_out = [], [], []
        all_ground = list(grounds(options.data, CODED_SCENES if name == CODED else SCENES))
        print(f"{len(all_ground)} grounds of up to {SIDE_PX} px; markers of {SIZES_PX[0]} to {SIZES_PX[-1]} px")
        for family in families:
            plain = FAMILIES[family].template().plain
            for number, ground in enumerate(all_ground):
                for size_px in SIZES_PX[number % 2 :: 2]:
                    rng = np.random.default_rng([number, size_px])
                    rgb, truth = painted(ground, family, size_px, rng)
                    for fit in fits_of(family, rgb, size_px):
                        apart = np.hypot(truth[:, 0] - fit.col, truth[:, 1] - fit.row)
                        rows.append(measures(fit, plain=plain))
                        labels.append(bool(apart.min(initial=np.inf) < 0.3 * size_px))
                        held_out.append(number % 4 >= 2)
        x, y, test = np.array(rows), np.array(labels), np.array(held_out)
        weight = np.where(y, 1.0, CROWDED if name == CODED else 1.0)
        half = LogisticRegression(C=1.0, max_iter=1000).fit(x[~test], y[~test], weight[~test])
        likely = half.predict_proba(x[test])[:, 1]
        whole = LogisticRegression(C=1.0, max_iter=1000).fit(x, y, weight)
        weights = ", ".join(f"{value:.1f}" for value in (*whole.coef_[0], *whole.intercept_))
        missed, false = int((likely[y[test]] < 0.5).sum()), int((likely[~y[test]] > 0.5).sum())
        print(
            f"{name}: weights=ScoreWeights({weights}),  # held out: {missed} of {y[test].sum()} missed, {false} false at 0.5",
            flush=True,
        )
        for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
            mine = (likely >= low) & (likely < high)
            if mine.any():
                share, mean = y[test][mine].mean(), likely[mine].mean()
                print(
                    f"        score {low:.2f}-{min(high, 1):.2f}: {mine.sum():6d} places, markers {share:.2f}, score {mean:.2f}"
                )


if __name__ == "__main__":
    main()
