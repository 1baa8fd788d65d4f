"""``spurgekit weigh``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.weigh_options import WeighOptions
from spurgekit.cli import common
from spurgekit.cli.arm_options import backbone_options
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.options import kinds_of
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.classify.synthetic_weights import WeighReport

MOST_SHOWN = 20
"""Rows of the table."""


@click.command("weigh")
@click.argument("augmented", type=PATH, required=False)
@click.argument("dataset", type=PATH, required=False)
@options_of(WeighOptions, without=tuple(kinds_of(FoldOptions)))
@common.fold_options
@backbone_options
def command(augmented: Path | None, dataset: Path | None, **chosen: Any) -> None:
    """Weigh the synthetic tiles in AUGMENTED, which were made from DATASET, by the confidence of a classifier.

    For each support set a probe is trained on its real tiles alone and looks at what was made from them. Weights go into
    manifest.parquet, where 'train' and 'evaluate' find them; weighing again begins from the weights that were there before.
    """
    if augmented is None or dataset is None:
        common.survey_here("a folder of synthetic tiles and a dataset")
    weighing = given(WeighOptions, chosen)
    report = spurgekit.weigh_synthetic(
        augmented or Path("augmented"),
        dataset or Path("dataset"),
        weighing,
        backbone=given(BackboneOptions, chosen),
        progress=bar,
    )
    _print(report)


def _print(report: WeighReport) -> None:
    width, wide = max(len(entry.name) for entry in report.classes), max(9, *(len(entry.key.name) for entry in report.classes))
    echo(f"{'set':<{wide}} {'class':<{width}} {'images':>7} {'kept':>7} {'confidence':>11}")
    for entry in report.classes[:MOST_SHOWN]:
        echo(f"{entry.key.name:<{wide}} {entry.name:<{width}} {entry.images:>7,} {entry.kept:>7,} {entry.mean:>11.2f}")
    if len(report.classes) > MOST_SHOWN:
        echo(f"... and {len(report.classes) - MOST_SHOWN:,} more")
    for warning in report.warnings:
        echo(warning)
    echo(f"{report.kept:,} of {report.images:,} synthetic tiles kept in {report.folder}/manifest.parquet")
