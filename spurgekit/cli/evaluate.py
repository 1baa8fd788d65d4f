"""``spurgekit evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.classify.training.finetune_options import FinetuneOptions
from spurgekit.cli import options
from spurgekit.cli.backbone_options import backbone_options
from spurgekit.cli.finetune_options import finetune_options
from spurgekit.cli.options import PATH, NameList, Shots
from spurgekit.dataset.few_shot import SHOTS, TRIALS
from spurgekit.evaluate.experiment import DEFAULT_ARMS, EvaluateOptions, EvaluateReport, evaluate
from spurgekit.progress import bar

METRICS = ("balanced_accuracy", "auroc", "f1", "brier", "ece")


@click.command("evaluate")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: evaluation]")
@click.option(
    "--arms",
    type=NameList(),
    default=DEFAULT_ARMS,
    metavar="ARM,ARM,...",
    help="A recipe with augmentations or controls joined by '+'.  [default: " + ",".join(DEFAULT_ARMS) + "]",
)
@click.option("--baseline", metavar="ARM", help="What the others are held against.  [default: the first]")
@click.option("--shots", type=Shots(), default=SHOTS, help="Tiles a class; 'all' is the training split.  [default: 1,2,4,8,16]")
@click.option("--trials", type=int, default=TRIALS, show_default=True, help="Support sets of each number of shots.")
@click.option(
    "--leave-out", metavar="COLUMN", help="Hold out each place of this column in turn.  [default: the dataset's test split]"
)
@options.extra_tiles
@click.option("--metric", type=click.Choice(METRICS), default=METRICS[0], show_default=True, help="That is compared.")
@click.option("--resolve", type=float, default=0.02, show_default=True, help="The difference that the trials ought to resolve.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@finetune_options
@backbone_options
@options.overwrite
def command(dataset: Path | None, out: Path | None, overwrite: bool, finetuning: FinetuneOptions, **chosen: Any) -> None:
    """Compare ways to train on the same few-shot support sets of DATASET, with intervals and paired differences.

    Nothing is chosen by the test side. A run that was stopped goes on where it was, and arms, shots or trials can be added to
    one that is done.

    \b
    Recipes:       plain, probe, lora, finetune
    Augmentations: flip, dihedral, randaugment, cutmix, mixup, synthetic
    Controls:      duplicate (real tiles again), longer (twice the steps), retrieval (nearest unlabelled tiles)
    """  # noqa: D301
    if dataset is None:
        options.survey_here("a dataset")
        dataset = Path("dataset")
    chosen["arms"] = tuple(name for name in chosen["arms"] if name)
    report = evaluate(
        dataset, out or Path("evaluation"), EvaluateOptions(finetuning=finetuning, **chosen), overwrite=overwrite, progress=bar
    )
    _print(report, chosen["metric"])


def _print(report: EvaluateReport, metric: str) -> None:
    text = (report.folder / "report.md").read_text(encoding="utf-8")
    table = text[text.index("| ") :].split("\n\n")[0]
    click.echo(table)
    for warning in report.warnings:
        click.echo(warning)
    before = f" ({report.resumed:,} were there already)" if report.resumed else ""
    click.echo(f"{report.cells:,} cells{before}; {metric} in {report.folder}: report.md, curves.png, results.parquet")
