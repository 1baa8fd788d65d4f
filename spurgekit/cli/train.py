"""``spurgekit train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.classify import ModelInfo, TrainOptions, train_model
from spurgekit.classify.training.finetune_options import FinetuneOptions
from spurgekit.cli import options
from spurgekit.cli.backbone_options import backbone_options
from spurgekit.cli.finetune_options import finetune_options
from spurgekit.cli.model import confusion_lines
from spurgekit.cli.options import PATH
from spurgekit.dataset.few_shot import ALL_SHOTS
from spurgekit.progress import bar


@click.command("train")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Model folder to make.  [default: models/ARM]")
@click.option(
    "--arm",
    default="probe",
    show_default=True,
    metavar="RECIPE[+AUGMENTATION...]",
    help="probe, lora, finetune or plain; flip, dihedral, randaugment, cutmix, mixup, retrieval, synthetic joined by '+'.",
)
@click.option(
    "--shots",
    type=int,
    default=ALL_SHOTS,
    help="Train on a few-shot support set, of so many tiles a class.  [default: all tiles]",
)
@click.option("--trial", type=int, default=0, show_default=True, help="Which support set.")
@options.extra_tiles
@click.option(
    "--calibration",
    type=click.Choice(["temperature", "vector", "none"]),
    default="temperature",
    show_default=True,
    help="On training places that are held out in turn.",
)
@finetune_options
@backbone_options
@options.overwrite
def command(dataset: Path | None, out: Path | None, overwrite: bool, finetuning: FinetuneOptions, **chosen: Any) -> None:
    """Train a classifier on DATASET and test it once on the places held out.

    The default recipe fits a logistic regression to the features of a frozen timm backbone, averaged over the 8 ways to turn a
    tile. How much a tile says is weighed by leaving tiles, or places, out in turn; the test side is looked at once, at the end.
    """
    if dataset is None:
        options.survey_here("a dataset")
        dataset = Path("dataset")
    out = out or Path("models") / chosen["arm"].replace(" ", "").replace(":", "-")
    info = train_model(dataset, out, TrainOptions(finetuning=finetuning, **chosen), overwrite=overwrite, progress=bar)
    _print(info, out)


def _print(info: ModelInfo, out: Path) -> None:
    others = ", ".join(f"{name} {value:.3f}" for name, value in info.held_out.metrics.items())
    click.echo(f"held-out balanced accuracy {info.held_out.balanced_accuracy:.3f}; {others}")
    for line in confusion_lines(info):
        click.echo(line)
    for note in info.notes:
        click.echo(note)
    click.echo(f"{out}: model.safetensors, model.json, test_predictions.csv, reliability.png, README.md")
