"""``spurgekit train``."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import click

from spurgekit.classify import ModelInfo, TrainOptions, train_model
from spurgekit.classify.train import DEFAULT_BACKBONE
from spurgekit.cli import options
from spurgekit.cli.options import PATH
from spurgekit.progress import bar


def _parse_options(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:  # noqa: ARG001
    parsed: dict[str, Any] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE")
        try:
            parsed[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):  # a word is itself
            parsed[key] = value
    return parsed


@click.command("train")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Model folder to make.  [default: models/probe]")
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True, help="Any model of timm.")
@click.option("--weights", type=PATH, help="Local safetensors for the backbone, instead of a download.")
@click.option(
    "--pretrained/--no-pretrained", default=True, show_default=True, help="Fetch timm's weights, or take random ones."
)
@click.option(
    "--backbone-option", "backbone_options", multiple=True, metavar="KEY=VALUE", callback=_parse_options,
    help="Further argument of timm.create_model, e.g. pad_type=same. May be repeated.",
)  # fmt: skip
@click.option("--image-size", "image_size_px", type=int, help="Side that tiles are resized to.  [default: the backbone's]")
@click.option("--mean", type=float, nargs=3, help="Normalisation per band, of values from 0 to 1.  [default: the backbone's]")
@click.option("--std", type=float, nargs=3, help="The same.")
@click.option("--batch-size", type=int, default=32, show_default=True)
@options.device
@click.option("--seed", type=int, default=0, show_default=True)
@options.overwrite
def command(dataset: Path | None, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Train a classifier on DATASET and test it once on the places held out.

    The recipe: features of a frozen timm backbone, and a logistic regression on them.
    """
    if dataset is None:
        options.survey_here("a dataset")
        dataset = Path("dataset")
    out = out or Path("models/probe")
    info = train_model(dataset, out, TrainOptions(**chosen), overwrite=overwrite, progress=bar)
    _print(info, out)


def _print(info: ModelInfo, out: Path) -> None:
    click.echo(f"held-out balanced accuracy {info.held_out.balanced_accuracy:.3f}")
    corner = "true \\ predicted"
    width = max(len(name) for name in (corner, *info.classes))
    columns = [max(7, len(name)) for name in info.classes]
    click.echo("  ".join([f"{corner:<{width}}", *(f"{name:>{c}}" for name, c in zip(info.classes, columns, strict=True))]))
    for name, row in zip(info.classes, info.held_out.confusion_matrix, strict=True):
        click.echo("  ".join([f"{name:<{width}}", *(f"{count:>{c}d}" for count, c in zip(row, columns, strict=True))]))
    click.echo(f"{out}: model.safetensors, model.json, test_predictions.csv, README.md")
