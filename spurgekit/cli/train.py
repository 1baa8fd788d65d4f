"""``spurgekit train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.augment.augmentation import AUGMENTATIONS, NONE
from spurgekit.classify.arms import CONTROLS, DEFAULT_ARM, RECIPES
from spurgekit.classify.train_options import ArmOptions, TrainOptions
from spurgekit.cli import common
from spurgekit.cli.arm_options import arm_options, given_finetuning
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH, Shots
from spurgekit.options import kinds_of
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.classify import ModelInfo

PARTS = ", ".join(name for name in (*AUGMENTATIONS, *CONTROLS) if name != NONE)


@click.command("train", epilog=f"Recipes: {', '.join(RECIPES)}. Augmentations and controls: {PARTS}.")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Model folder to make.  [default: models/ARM]")
@options_of(
    TrainOptions,
    without=tuple(kinds_of(ArmOptions)),
    types={"shots": Shots(several=False)},
    metavars={"arm": "RECIPE[+PART...]"},
)
@arm_options
@common.overwrite
def command(dataset: Path | None, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Train a classifier on DATASET and test it once on the places held out.

    The default recipe fits a logistic regression to the features of a frozen timm backbone, averaged over the 8 ways to turn a
    tile. How much a tile says is weighed by leaving tiles, or places, out in turn; the test side is looked at once, at the end.
    """
    dataset = common.or_here(dataset, "dataset", "a dataset")
    name = (chosen["arm"] or DEFAULT_ARM).replace(" ", "").replace(":", "-")
    out = out or Path("models") / (f"{name}-cover" if chosen["target"] == "cover" else name)
    finetuning = given_finetuning(chosen)
    training = given(TrainOptions, chosen, finetuning=finetuning)
    info = spurgekit.train_model(dataset, out, training, overwrite=overwrite, progress=bar)
    _print(info, out)


def _print(info: ModelInfo, out: Path) -> None:
    from spurgekit.cli.model import confusion_lines, metrics_text

    echo(f"held-out balanced accuracy {info.held_out.balanced_accuracy:.3f}{metrics_text(info)}")
    for line in confusion_lines(info):
        echo(line)
    for note in info.notes:
        echo(note)
    echo(f"{out}: model.safetensors, model.json, test_predictions.csv, reliability.png, README.md")
