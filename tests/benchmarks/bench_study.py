"""The study of ``spurgekit study`` on surveys and on six common tasks, with two backbones each.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_study OUT [--sets carrots,copr,simulated,digits,...]
        [--packages DIR] [--backbones mobilenet,lite0] [--arms plain,probe] [--shots 1,4] [--trials 20] [--images 10]
        [--strengths 0.1,0.3] [--guidances 7.5] [--mixings 0.1,0.3] [--diffusion copr=FOLDER --diffusion simulated=FOLDER]
        [--lora simulated=FOLDER]

Surveys are those of ``bench_arms``, at 112 px, plants of carrots and of COPR cut out by their green, those of the simulated one
by its masks; tasks those of ``common_tasks``, at 64 px, from the packages in ``DIR``. Of a set for which a diffusion model is
named the generative arms are run, too. ``OUT`` keeps all, so that a run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from spurgekit import StudyOptions, run_study
from spurgekit.dataset import open_dataset
from spurgekit.study.study_options import REAL_ARMS
from tests.benchmarks.bench_arms import HALF, IMAGE_PX, SETS, TRIALS
from tests.benchmarks.bench_shift import BACKBONES, DATA
from tests.benchmarks.common_tasks import TASKS, build_task

TASK_PX = 64
PACKAGES = Path("packages")
"""Where packages of tasks are looked for."""

GREEN = ("carrots", "copr", "copr-each")
"""Sets of which no labels say where in a tile the plants are."""


def dataset_of(name: str, out: Path, packages: Path = PACKAGES) -> Path:
    """Return the dataset of a set, built where it is not there."""
    folder = out / name
    if not (folder / "dataset").is_dir():
        if name in TASKS:
            build_task(name, packages, folder)
        else:
            SETS[name][0](folder)
    return folder / "dataset"


def show(title: str, best: str, summary: pd.DataFrame, differences: pd.DataFrame) -> None:
    """Print a row for each arm: means, and differences from the best without a generator; bold where real."""
    means = summary[summary["metric"] == "balanced_accuracy"]
    rows = differences[differences["metric"] == "balanced_accuracy"].set_index(["arm", "n"])
    for arm, of_arm in means.groupby("arm", sort=False):
        cells = " ".join(f"{value:.3f}".removeprefix("0") for value in of_arm["mean"])
        told = []
        for n in of_arm["n"]:
            if arm != best:
                row = rows.loc[(arm, n)]
                text = f"{row['difference']:+.3f}({(row['high'] - row['low']) / 2:.3f})"
                told.append(f"**{text}**" if row["real"] else text)
        print(f"| {title} | `{arm}` | {cells} | {' '.join(told)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", default=",".join(["carrots", "copr", "simulated", *TASKS]))
    parser.add_argument("--packages", type=Path, default=PACKAGES)
    parser.add_argument("--backbones", default="mobilenet,lite0")
    parser.add_argument("--arms", default=",".join(REAL_ARMS))
    parser.add_argument("--shots")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--strengths", default="0.1,0.3")
    parser.add_argument("--guidances", default="7.5")
    parser.add_argument("--mixings", default="0.1,0.3")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--learn-steps", type=int, default=1000)
    parser.add_argument("--diffusion", action="append", default=[], metavar="SET=FOLDER")
    parser.add_argument("--lora", action="append", default=[], metavar="SET=FOLDER")
    chosen = parser.parse_args()
    generators, loras = (dict(each.split("=", 1) for each in named) for named in (chosen.diffusion, chosen.lora))
    print("| data | arm | balanced accuracy | less the best without a generator |\n| --- | --- | --- | --- |")
    for name in chosen.sets.split(","):
        dataset = dataset_of(name, chosen.out, chosen.packages)
        shots = tuple(map(int, chosen.shots.split(","))) if chosen.shots else open_dataset(dataset).info.shots
        for backbone in chosen.backbones.split(","):
            timm_name, arguments = BACKBONES[backbone]
            options = StudyOptions(
                arms=tuple(chosen.arms.split(",")), shots=shots, trials=chosen.trials, images=chosen.images,
                learn_steps=chosen.learn_steps, strengths=tuple(chosen.strengths.split(",")),
                guidances=tuple(map(float, chosen.guidances.split(","))),
                mask=Path("excess-green") if name in GREEN else None,
                mixings=tuple(map(float, chosen.mixings.split(","))), leave_out=SETS[name][1] if name in SETS else None,
                diffusion=generators.get(name), lora=Path(loras[name]) if name in loras else None,
                backbone=timm_name, backbone_options=arguments,
                weights=DATA / "weights" / timm_name, image_size_px=TASK_PX if name in TASKS else IMAGE_PX, mean=HALF, std=HALF,
            )  # fmt: skip
            report = run_study(dataset, chosen.out / name / "study", options)
            show(f"{name}, {backbone}", report.best, report.summary, report.differences)


if __name__ == "__main__":
    main()
