"""How arms do on carrots, on COPR and on a simulated survey, each arm over the same support sets and places.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_arms OUT [--sets carrots,copr,simulated]
        [--backbones mobilenet,lite0] [--arms probe,probe+randaugment] [--trials 20] [--compare OTHER]

Carrots (Lameski et al. 2017) are parted by photo, half of them held out; of COPR three clusters are, or as ``copr-each`` each
cluster in turn, for which mixing arms take hours; of the simulated survey half of the blocks are. Tiles are shown at 112 px.
``OUT`` keeps datasets and evaluations, so that a run goes on and arms can be added. With ``--compare``, each arm is compared
with itself in the ``OUT`` of another version, by the same support sets and test tiles: what was mended, and its worth.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from spurgekit import (
    DatasetOptions,
    EvaluateOptions,
    SurveyOptions,
    TileOptions,
    build_dataset,
    evaluate_arms,
    simulate_survey,
    tile_images,
)
from spurgekit.evaluate.bootstrap import resample
from spurgekit.evaluate.intervals import paired_differences, summarise
from spurgekit.evaluate.predictions import pair_predictions
from tests.benchmarks.bench_shift import BACKBONES, DATA

SHOTS = (1, 2, 4, 8, 16)
TRIALS, IMAGE_PX = 20, 112
HALF = (0.5, 0.5, 0.5)
ARMS = ("plain", "plain+dihedral", "probe", "probe+randaugment", "probe+cutmix", "probe+mixup")


def carrots(folder: Path) -> Path:
    """Build the dataset of carrot rows, parted by photo."""
    images = folder / "images"
    for label in ("absent", "present"):
        (images / label).mkdir(parents=True, exist_ok=True)
        for file in (DATA / "carrot-weeds" / label).glob("*.png"):
            if not (link := images / label / file.name).exists():
                link.symlink_to(file.resolve())
    options = DatasetOptions(
        classes=("absent", "present"), group_pattern=r"IMG_\d+", test_share=0.5, shots=SHOTS, trials=TRIALS
    )
    build_dataset(images, folder / "dataset", options)
    return folder / "dataset"


def copr(folder: Path) -> Path:
    """Build the dataset of COPR's points, whose clusters are its places."""
    tile_images(
        DATA / "copr" / "site.tif", folder / "tiles", TileOptions(size_px=50, points=DATA / "copr" / "plant_points.gpkg")
    )
    options = DatasetOptions(
        classes=("absent", "present"), group_column="cluster", test_groups=("0", "3", "6"), shots=SHOTS, trials=TRIALS
    )
    build_dataset(folder / "tiles", folder / "dataset", options)
    return folder / "dataset"


def simulated(folder: Path) -> Path:
    """Build the dataset of a simulated survey: tiles on a grid, their labels from the weed that was drawn."""
    simulate_survey(folder / "survey", SurveyOptions(seed=17, weed_share=0.12))
    (site,) = (file for file in (folder / "survey").glob("*.tif") if file.stem != "weed")
    tile_images(site, folder / "tiles", TileOptions(size_px=112, layout="grid"))
    options = DatasetOptions(labels=folder / "survey" / "weed.gpkg", test_share=0.5, shots=SHOTS, trials=TRIALS)
    build_dataset(folder / "tiles", folder / "dataset", options)
    return folder / "dataset"


SETS: dict[str, tuple[Callable[[Path], Path], str | None]] = {
    "carrots": (carrots, None),
    "copr": (copr, None),
    "copr-each": (copr, "cluster"),
    "simulated": (simulated, None),
}
"""How a dataset is built, and by which column its places are left out."""


def evaluate(name: str, backbone: str, out: Path, arms: tuple[str, ...], trials: int) -> pd.DataFrame:
    """Return the predictions of arms on a set, having built and evaluated what is not there."""
    build, column = SETS[name]
    dataset = out / name / "dataset"
    if not dataset.is_dir():
        dataset = build(out / name)
    timm_name, arguments = BACKBONES[backbone]
    options = EvaluateOptions(
        arms=arms, shots=SHOTS, trials=trials, leave_out=column,
        backbone=timm_name, backbone_options=arguments, weights=DATA / "weights" / timm_name,
        image_size_px=IMAGE_PX, mean=HALF, std=HALF, precision="float32",
    )  # fmt: skip
    report = evaluate_arms(dataset, out / name / backbone, options)
    for warning in report.warnings:
        print(f"note: {warning}")
    return pd.read_parquet(report.folder / "predictions.parquet")


def show(title: str, differences: pd.DataFrame) -> None:
    """Print differences in balanced accuracy with their intervals, by shots; bold where real."""
    rows = differences[differences["metric"] == "balanced_accuracy"]
    print(f"\n{title}\n| arm | " + " | ".join(f"n = {n}" for n in SHOTS) + " |\n| --- " + "| ---: " * len(SHOTS) + "|")
    for arm, of_arm in rows.groupby("arm", sort=False):
        cells = []
        for row in of_arm.itertuples():
            text = f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})"
            cells.append(f"**{text}**" if row.real else text)
        print(f"| {arm} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", default="carrots,copr,simulated")
    parser.add_argument("--backbones", default="mobilenet,lite0")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--compare", type=Path, help="OUT of another version")
    chosen = parser.parse_args()
    arms = tuple(chosen.arms.split(","))
    for name in chosen.sets.split(","):
        for backbone in chosen.backbones.split(","):
            predictions = evaluate(name, backbone, chosen.out, arms, chosen.trials)
            bootstrap = resample(pair_predictions(predictions, ("absent", "present")))
            means = summarise(bootstrap)
            means = means[means["metric"] == "balanced_accuracy"]
            print(f"\n{name}, {backbone}, balanced accuracy, n = {' '.join(map(str, SHOTS))}")
            for arm, of_arm in means.groupby("arm", sort=False):
                print(f"{arm:20s} " + " ".join(f"{value:.3f}" for value in of_arm["mean"]), flush=True)
            show(f"{name}, {backbone}: difference from {arms[0]}", paired_differences(bootstrap, arms[0]))
            if chosen.compare is None:
                continue
            before = pd.read_parquet(chosen.compare / name / backbone / "predictions.parquet")
            for arm in sorted(set(before["arm"]) & set(arms)):
                one, other = (rows[rows["arm"] == arm] for rows in (before, predictions))
                pair = pd.concat([one.assign(arm="before"), other], ignore_index=True)
                paired = resample(pair_predictions(pair, ("absent", "present")))
                show(f"{name}, {backbone}: {arm}, after less before", paired_differences(paired, "before"))


if __name__ == "__main__":
    main()
