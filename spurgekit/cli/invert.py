"""``spurgekit invert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.augment.invert_options import InvertOptions
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.diffusion_options import about, checkpoint_options, preset_option, word_options
from spurgekit.cli.spelling import echo, warn
from spurgekit.cli.types import PATH, Shots
from spurgekit.progress import bar
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.augment.embeddings import EmbeddingsInfo
    from spurgekit.augment.learning import InversionPlan

MOST_SHOWN = 20
"""Rows of the table."""


@click.command("invert")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: embeddings]")
@options_of(InvertOptions, only=("shots", "trials"), types={"shots": Shots()})
@common.fold_options
@preset_option
@word_options()
@options_of(InvertOptions, only=("seed",))
@checkpoint_options
@common.overwrite
def command(dataset: Path | None, out: Path | None, overwrite: bool, preset: str, **chosen: Any) -> None:
    """Teach a diffusion model a word for each class of DATASET, absence included, by textual inversion.

    Words of all classes and support sets are learned side by side, and nothing of the model but their vectors is
    changed. A run that was stopped goes on where it was. 'augment' uses the words; diffusers' load_textual_inversion reads them
    too.
    """
    dataset = common.or_here(dataset, "dataset", "a dataset")
    out = out or Path("embeddings")
    learning = given(InvertOptions, chosen, InvertOptions.of(preset))

    def announce(plan: InversionPlan) -> None:
        echo(about(plan.backbone, plan.device))
        echo(
            f"{counted(plan.words, 'word')} to learn from {counted(plan.sets, 'set')} of tiles, "
            f"{counted(learning.steps, 'step')} of {counted(learning.batch, 'sample')} of each, in {out}"
        )

    info = spurgekit.invert_classes(dataset, out, learning, overwrite=overwrite, announce=announce, warn=warn, progress=bar)
    _print(info, out)


def _print(info: EmbeddingsInfo, out: Path) -> None:
    rows = [(word.set, word.token, f"{len(word.tiles):,}", word.loss_before, word.loss_after) for word in info.words]
    width, wide = max(len(token) for _, token, *_ in rows), max(9, *(len(name) for name, *_ in rows))
    echo(f"{'set':<{wide}} {'word':<{width}} {'tiles':>7} {'loss before':>12} {'after':>8}")
    for name, token, tiles, before, after in rows[:MOST_SHOWN]:
        echo(f"{name:<{wide}} {token:<{width}} {tiles:>7} {before:>12.4f} {after:>8.4f}")
    if len(rows) > MOST_SHOWN:
        echo(f"... and {len(rows) - MOST_SHOWN:,} more in embeddings.json")
    echo(f"{counted(len(rows), 'word')} in {out}: embeddings.json, losses.parquet, validation/")
