"""``spurgekit weigh``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spurgekit.cli import options
from spurgekit.cli.backbone_options import backbone_options
from spurgekit.cli.options import PATH
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.classify.synthetic_weights import ConfidenceReport

MOST_SHOWN = 20
"""Rows of the table."""


@click.command("weigh")
@click.argument("augmented", type=PATH, required=False)
@click.argument("dataset", type=PATH, required=False)
@click.option(
    "--keep",
    type=click.Choice(["confident", "weighted", "all"]),
    default="confident",
    show_default=True,
    help="Those alone that the classifier is confident of; all, the others less weighty; or all as they are.",
)
@click.option(
    "--min-confidence", type=float, default=0.5, show_default=True, help="From which a tile has its full weight, 0 to 1."
)
@backbone_options
def command(augmented: Path | None, dataset: Path | None, keep: Any, min_confidence: float, **chosen: Any) -> None:
    """Weigh the synthetic tiles in AUGMENTED, which were made from DATASET, by the confidence of a classifier.

    For each support set a probe is trained on its real tiles alone and looks at what was made from them. Weights go into
    manifest.parquet, where 'train' and 'evaluate' find them; weighing again begins from the weights that were there before.
    """
    from spurgekit.classify.setup import BackboneOptions
    from spurgekit.classify.synthetic_weights import weigh_synthetic
    from spurgekit.classify.synthetic_weights_options import ConfidenceOptions

    if augmented is None or dataset is None:
        options.survey_here("a folder of synthetic tiles and a dataset")
    report = weigh_synthetic(
        augmented or Path("augmented"),
        dataset or Path("dataset"),
        ConfidenceOptions(keep, min_confidence),
        backbone=BackboneOptions(**chosen),
        progress=bar,
    )
    _print(report)


def _print(report: ConfidenceReport) -> None:
    width = max(len(entry.name) for entry in report.classes)
    click.echo(f"{'set':<9} {'class':<{width}} {'images':>7} {'kept':>7} {'confidence':>11}")
    for entry in report.classes[:MOST_SHOWN]:
        click.echo(f"{entry.key.name:<9} {entry.name:<{width}} {entry.images:>7,} {entry.kept:>7,} {entry.mean:>11.2f}")
    if len(report.classes) > MOST_SHOWN:
        click.echo(f"... and {len(report.classes) - MOST_SHOWN:,} more")
    for warning in report.warnings:
        click.echo(warning)
    click.echo(f"{report.kept:,} of {report.images:,} synthetic tiles kept in {report.folder}/manifest.parquet")
