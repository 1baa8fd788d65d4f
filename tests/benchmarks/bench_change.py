"""How well change between two dates is told: areas of simulated counts, and whole simulated sites against their truth.

    python -m tests.benchmarks.bench_change [--surveys 200]
    python -m tests.benchmarks.bench_change --weights DIR [--sites 2101-2106] [--keep FOLDER]

The first table draws surveys of two dates from true shares of transitions: places have rates of error of their own, drawn
about the same means for tested places and for those of the site, and on ground that stayed what it was a part of what errors
can coincide does. It has how often nominal 95 % intervals of gain, loss and net change hold, and their median widths in shares
of the ground.

The second, with weights of a backbone, simulates sites at two dates: the weed grows in some places and dies in others, the
light is another one, and the second image begins elsewhere and lies off by nothing, 0.4 m or 2 m. One model, of another site,
maps both. Brier scores of gain and loss are by the product, by the two probabilities multiplied (dates taken for independent),
and by two thresholds; truth is of tiles on the grid of the first date.
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
from scipy.special import expit, logit

from spurgekit import (
    ChangeOptions,
    DatasetOptions,
    MapOptions,
    PixelGrid,
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
from spurgekit.change.aligning import CommonGround, common_ground
from spurgekit.change.areas import NET, change_areas
from spurgekit.change.mapped_date import read_date
from spurgekit.change.transitions import GAIN, LOSS, TRANSITIONS
from spurgekit.classify.held_out import HeldOutCounts
from spurgekit.simulate import LIGHTS
from tests.benchmarks.bench_areas import FALSE_ALARMS, MISSED, TILES
from tests.benchmarks.bench_dense import BACKBONE

Floats = NDArray[np.float64]

TRUE = {"little": (0.88, 0.02, 0.01, 0.09), "growth": (0.60, 0.12, 0.03, 0.25), "treated": (0.72, 0.01, 0.12, 0.15)}
"""Shares of the ground: absent, gain, loss, present."""

SETTINGS = (
    (8, 0.0, 1, 0.0), (8, 0.5, 1, 0.0), (8, 1.0, 1, 0.0), (8, 0.5, 2, 0.0), (8, 0.5, 1, 0.75), (8, 0.5, 1, 1.5),
    (20, 0.5, 1, 0.0),
)  # fmt: skip
"""Places tested, part of errors that coincides, models, and by how much changed ground is harder, in log odds."""

SIZE_M, TILE_PX, STRIDE_PX, LEAST = 36, 112, 56, 0.05
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
    parser.add_argument("--sites", default="2107-2110", help="seeds of sites")
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
    yield "| change | places | errors coincide | models | changed is harder | gain holds | loss | net | width of gain | net |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, true in TRUE.items():
        for places, shared, models, harder in SETTINGS:
            rng = np.random.default_rng(0)
            held = []
            for seed in range(surveys):
                survey = simulate(rng, np.array(true), places, shared, models, harder)
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
            yield f"| {name} | {places} | {shared:.0%} | {models} | {harder:g} | {said} | {widths} |"


def simulate(
    rng: np.random.Generator, true: Floats, places: int, shared: float, models: int, harder: float = 0.0, site_places: int = 5
) -> Survey:
    """Draw the counts of two dates, and the tests of their models."""
    size = 1 / 0.15 - 1  # intraclass correlation of errors within a place
    tests = [_tested(rng, places, size) for _ in range(models)]
    wrong = np.stack([rng.beta(rate * size, (1 - rate) * size, (2, site_places)) for rate in (FALSE_ALARMS, MISSED)])
    counted = np.zeros(4)
    for number, share in enumerate(true):
        there, is_stable = divmod(number, 2), number in (0, 3)
        errors = [np.clip(wrong[one, date], 1e-9, 1 - 1e-9) for date, one in enumerate(there)]
        if not is_stable:
            errors = [expit(logit(rate) + harder) for rate in errors]
        first, second = (rate if not one else 1 - rate for rate, one in zip(errors, there, strict=True))
        both = first * second
        both = both + shared * is_stable * (np.minimum(first, second) - both)
        counted += share * np.array([1 - first - second + both, second - both, first - both, both]).mean(axis=1)
    return Survey(counted, (tests[0], tests[-1]), site_places)


def _tested(rng: np.random.Generator, places: int, size: float) -> HeldOutCounts:
    counts = np.zeros((places, 2, 2), np.int64)
    weedy = rng.binomial(TILES, 0.4, places)
    for true, (rate, tiles) in enumerate(((FALSE_ALARMS, TILES - weedy), (MISSED, weedy))):
        wrong = rng.binomial(tiles, rng.beta(rate * size, (1 - rate) * size, places))
        counts[:, true, 1 - true], counts[:, true, true] = wrong, tiles - wrong
    return HeldOutCounts(counts, np.zeros((places, 2), np.int64))


# -- sites ------------------------------------------------------------------------------------------------------------


def sites(folder: Path, numbers: str, weights: Path) -> Iterator[str]:
    """Yield the table of simulated sites."""
    model = load_model(trained(folder, weights), "cpu", views=1)
    yield (
        "| images lie apart | compared | shift is off by | Brier score of gain | dates independent | thresholds | "
        "of loss | | | likeliest is right |"
    )
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    areas = [
        "| images lie apart | compared | gain, in truth | off by thresholds | by the estimate | loss, in truth | "
        "off by thresholds | by the estimate | gain holds | loss | net | width of gain | of loss | of net |",
        f"| ---: | --- |{' ---: |' * 12}",
    ]
    for name, shift_m in SHIFTS_M.items():
        for way, max_shift_m in (("as they lie", 0.0), ("brought together", 3.0)):
            rows = np.array([of_site(folder, seed, name, shift_m, max_shift_m, model) for seed in seeds(numbers)])
            off, means = rows[:, 0], rows.mean(axis=0)
            said = " | ".join(f"{score:.3f}" for score in means[1:7])
            yield f"| {name} | {way} | {f'{100 * off.mean():.1f} cm' if max_shift_m else ''} | {said} | {means[7]:.1%} |"
            rms = [f"{value:.0f}" for value in np.sqrt((rows[:, 11:15] ** 2).mean(axis=0))]
            gain, loss = (f"{m2:.0f}" for m2 in means[-2:])
            held = [*(f"{share:.0%}" for share in means[8:11]), *(f"{m2:.0f}" for m2 in means[15:18])]
            areas.append(f"| {name} | {way} | {' | '.join([gain, *rms[:2], loss, *rms[2:], *held])} |")
    yield ""
    yield from areas


def of_site(
    folder: Path, seed: int, name: str, shift_m: tuple[float, float], max_shift_m: float, model: TileClassifier
) -> list[float]:
    """Return what a site says: how far its shift is off, Brier scores, what is right and whether intervals hold."""
    work = folder / f"s{seed}"
    rng = np.random.default_rng(seed)
    light = list(LIGHTS.values())[rng.integers(len(LIGHTS))]
    shares = 0.10, (0.06, 0.13)[seed % 2]
    first = dated(work / "old", SurveyOptions(markers=False, site_size_m=SIZE_M, seed=seed, weed_share=shares[0]), model)
    later = SurveyOptions(
        markers=False, site_size_m=SIZE_M, seed=seed, weed_share=shares[1], visit=2, light=light, shift_m=shift_m
    )
    second = dated(work / f"new {name}", later, model, cropped=True)
    options = ChangeOptions(max_shift_m=max_shift_m)
    report = map_change(first, second, work / "change", options, overwrite=True)
    old, new = read_date(first, None, "old_model"), read_date(second, None, "new_model")
    ground = common_ground(old, new, report.registration)
    truth = [true_cells(survey, ground) for survey in (work / "old" / "survey", work / f"new {name}" / "survey")]
    clear = ground.both & np.all([(cover == 0) | (cover >= LEAST) for cover in truth], axis=0)
    there = [cover[clear] >= LEAST for cover in truth]
    true = np.eye(4)[2 * there[0] + there[1]]
    p, q = (said[1][clear].astype(np.float64) for said in ground.said)
    fitted = report.classes["leafy spurge"].model.probabilities(p, q)
    alone = np.stack([(1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q], axis=1)
    cut = np.eye(4)[2 * (p >= 0.5) + (q >= 0.5)]
    brier = [((said - true)[:, kind] ** 2).mean() for kind in (GAIN, LOSS) for said in (fitted, alone, cut)]
    areas, cell_m2 = report.classes["leafy spurge"].areas, ground.grid.pixel_area_m2
    every = [cover[ground.both] >= LEAST for cover in truth]
    predicted = [said[1][ground.both] >= 0.5 for said in ground.said]
    gain_m2, loss_m2 = (float((a & ~b).sum()) * cell_m2 for a, b in (every[::-1], every))
    inside = [
        areas[kind].low_m2 <= m2 <= areas[kind].high_m2
        for kind, m2 in (("gain", gain_m2), ("loss", loss_m2), (NET, gain_m2 - loss_m2))
    ]
    shift = report.registration.shift
    off = np.nan if shift is None else float(np.hypot(shift.east_m - shift_m[0], shift.north_m - shift_m[1]))
    right = float((fitted.argmax(axis=1) == true.argmax(axis=1)).mean())
    by_class = np.bincount(2 * predicted[0] + predicted[1], minlength=4) * cell_m2
    off_m2 = [by_class[GAIN] - gain_m2, areas["gain"].estimate_m2 - gain_m2]
    off_m2 += [by_class[LOSS] - loss_m2, areas["loss"].estimate_m2 - loss_m2]
    wide = [areas[kind].high_m2 - areas[kind].low_m2 for kind in ("gain", "loss", NET)]
    return [off, *brier, right, *map(float, inside), *off_m2, *wide, gain_m2, loss_m2]


def seeds(text: str) -> range:
    """Read ``2101-2106``."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def trained(folder: Path, weights: Path) -> Path:
    """Return the folder of a model of another site."""
    model = folder / "model"
    if not model.exists():
        survey = folder / "trained-on"
        simulate_survey(survey, SurveyOptions(markers=False, site_size_m=SIZE_M, seed=2100, weed_share=0.12), overwrite=True)
        tile_images(survey / "site.tif", folder / "tiles", TileOptions(layout="grid", size_px=TILE_PX), overwrite=True)
        build_dataset(folder / "tiles", folder / "set", DatasetOptions(labels=survey / "weed.gpkg"), overwrite=True)
        how = TrainOptions(backbone=BACKBONE, weights=weights, image_size_px=TILE_PX, device="cpu")
        train_model(folder / "set", model, how)
    return model


def dated(folder: Path, options: SurveyOptions, model: TileClassifier, *, cropped: bool = False) -> Path:
    """Return the map of a site at one date; its image may begin elsewhere, so that cells lie between those of the other."""
    survey, found = folder / "survey", folder / "map"
    if not found.exists():
        simulate_survey(survey, options, overwrite=True)
        image = survey / "site.tif"
        if cropped:
            image = folder / "site.tif"
            with rasterio.open(survey / "site.tif") as file:
                window = rasterio.windows.Window(37, 61, file.width - 37, file.height - 61)
                profile = {**file.profile, "transform": file.window_transform(window)}
                profile |= {"width": window.width, "height": window.height}
                with rasterio.open(image, "w", **profile) as out:
                    out.write(file.read(window=window))
                    out.colorinterp = file.colorinterp
        map_site(image, model, found, MapOptions(stride_px=STRIDE_PX), overwrite=True)
    return found


def true_cells(survey: Path, ground: CommonGround) -> Floats:
    """Return how much of the tile around each cell is under weed; 0 where the picture shows nothing."""
    with rasterio.open(survey / "weed.tif") as file:
        weed, grid = file.read(1), PixelGrid(file.width, file.height, file.transform, file.crs)
    rows, cols = np.mgrid[: ground.grid.height, : ground.grid.width]
    steps = ((np.arange(28) + 0.5) / 28 - 0.5) * TILE_PX / STRIDE_PX + 0.5  # every fourth pixel of a tile
    found = np.zeros((2, *rows.shape))
    for down in steps:
        for across in steps:
            col, row = grid.to_pixel(*ground.grid.to_world(cols + across, rows + down))
            inside = (col >= 0) & (row >= 0) & (col < grid.width) & (row < grid.height)
            said = weed[np.where(inside, row, 0).astype(int), np.where(inside, col, 0).astype(int)]
            found += (inside & (said == 1)), (inside & (said < 255))
    return np.asarray(found[0] / np.maximum(found[1], 1))


if __name__ == "__main__":
    main()
