"""``spurgekit study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.cli import common
from spurgekit.cli.arm_options import backbone_options
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo, warn
from spurgekit.cli.types import PATH, Shots
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.options import kinds_of
from spurgekit.progress import bar
from spurgekit.study.study_options import StudyOptions

if TYPE_CHECKING:
    from spurgekit.study import StudyReport


@click.command("study")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: study]")
@options_of(
    StudyOptions,
    without=(*kinds_of(BackboneOptions), *kinds_of(FoldOptions)),
    flags={"prompts": "--prompt"},
    types={"shots": Shots()},
    metavars={"arms": "ARM,ARM,...", "diffusion": "ID|FOLDER", "revision": "COMMIT"},
    multiple=("prompts",),
)
@common.fold_options
@backbone_options
@common.overwrite
def command(dataset: Path | None, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Ask whether augmentation helps on DATASET: every way to it, on the same support sets, and what it costs.

    Where masks say where in a tile a class is, its plants are pasted onto other ground. With --diffusion, words are learned and
    tiles made for each support set: round trip, Real Guidance, DA-Fusion as published, what was pasted edited, and DA-Fusion
    with strength, guidance and mixing chosen on the training side. A run that was stopped goes on where it was; with
    another --backbone the same tiles are used again.
    """
    dataset = common.or_here(dataset, "dataset", "a dataset")
    options = given(StudyOptions, chosen)
    report = spurgekit.run_study(
        dataset, out or Path("study"), options, overwrite=overwrite, say=echo, warn=warn, progress=bar
    )  # fmt: skip
    _print(report)


def _print(report: StudyReport) -> None:
    text = (report.folder / "report.md").read_text(encoding="utf-8")
    echo(text[text.index("| ") :].split("\n\n")[0])
    page = (report.folder / "study.md").read_text(encoding="utf-8").split("\n\n")
    echo(page[2])
    echo(f"{report.costs['seconds'].sum() / 60:,.0f} min in all; {report.folder}: study.md, report.md, curves.png")
