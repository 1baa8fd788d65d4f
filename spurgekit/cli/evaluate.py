"""``spurgekit evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.augment.augmentation import AUGMENTATIONS, NONE
from spurgekit.classify.arms import CONTROLS, RECIPES
from spurgekit.classify.train_options import ArmOptions
from spurgekit.cli import common
from spurgekit.cli.arm_options import arm_options, given_finetuning
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH, Shots
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.evaluate.evaluate_options import EvaluateOptions
from spurgekit.options import kinds_of
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.evaluate import EvaluateReport

COMPARED = [name for name, recipe in RECIPES.items() if "presence" in recipe.targets]
PARTS = "\b\n" + "\n".join(
    f"{title:14} {', '.join(name for name in names if name != NONE)}"
    for title, names in (("Recipes:", COMPARED), ("Augmentations:", AUGMENTATIONS), ("Controls:", CONTROLS))
)


@click.command("evaluate", epilog=PARTS)
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: evaluation]")
@options_of(
    EvaluateOptions,
    without=(*kinds_of(ArmOptions), *kinds_of(FoldOptions)),
    types={"shots": Shots()},
    metavars={"arms": "ARM,ARM,...", "baseline": "ARM"},
)
@common.fold_options
@arm_options
@common.executor
@common.overwrite
def command(dataset: Path | None, out: Path | None, executor: str, overwrite: bool, **chosen: Any) -> None:
    """Compare ways to train on the same few-shot support sets of DATASET, with intervals and paired differences.

    Nothing is chosen by the test side. A run that was stopped goes on where it was, and arms, shots or trials can be added to
    one that is done.
    """
    dataset = common.or_here(dataset, "dataset", "a dataset")
    if chosen["arms"] is not None:
        chosen["arms"] = [name for name in chosen["arms"] if name] or None
    finetuning = given_finetuning(chosen)
    comparing = given(EvaluateOptions, chosen, finetuning=finetuning)
    report = spurgekit.evaluate_arms(
        dataset, out or Path("evaluation"), comparing, overwrite=overwrite, executor=executor, progress=bar
    )
    _print(report, comparing.metric)


def _print(report: EvaluateReport, metric: str) -> None:
    text = (report.folder / "report.md").read_text(encoding="utf-8")
    table = text[text.index("| ") :].split("\n\n")[0]
    echo(table)
    for warning in report.warnings:
        echo(warning)
    before = f" ({report.resumed:,} were there already)" if report.resumed else ""
    echo(f"{report.cells:,} cells{before}; {metric} in {report.folder}: report.md, curves.png, results.parquet")
