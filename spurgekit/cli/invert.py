"""``spurgekit invert``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spurgekit.cli import options
from spurgekit.cli.diffusion_options import about, backbone_options, inversion_options, warn
from spurgekit.cli.options import PATH, Shots
from spurgekit.progress import bar
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.augment.embeddings import EmbeddingsInfo
    from spurgekit.diffusion.textual_inversion.inversion import InversionOptions

MOST_SHOWN = 20
"""Rows of the table."""


@click.command("invert")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: embeddings]")
@click.option(
    "--shots", type=Shots(), default=(0,), help="Tiles a class of the support sets.  [default: all, the training split]"
)
@click.option("--trials", type=int, default=20, show_default=True, help="Support sets of each number of shots.")
@partial(inversion_options, prefix="")
@backbone_options
@click.option("--seed", type=int, default=0, show_default=True)
@options.overwrite
def command(
    dataset: Path | None,
    out: Path | None,
    shots: tuple[int, ...],
    trials: int,
    inversion: InversionOptions,
    overwrite: bool,
    **chosen: Any,
) -> None:
    """Teach a diffusion model a word for each class of DATASET, absence included, by textual inversion.

    Words of all classes and support sets are learned side by side, and nothing of the model but their vectors is
    changed. A run that was stopped goes on where it was. 'augment' uses the words; diffusers' load_textual_inversion reads them
    too.
    """
    from spurgekit.augment.embeddings import learn_embeddings, plan_inversions
    from spurgekit.augment.support_sets import choose_sets
    from spurgekit.dataset import open_dataset
    from spurgekit.diffusion.load import DEFAULT, load_backbone
    from spurgekit.diffusion.textual_inversion.frozen_model import learning_precision
    from spurgekit.diffusion.textual_inversion.inversion import check_inversion
    from spurgekit.outputs import check_free

    if dataset is None:
        options.survey_here("a dataset")
        dataset = Path("dataset")
    out = out or Path("embeddings")
    opened = open_dataset(dataset)
    sets = choose_sets(opened, shots, trials)
    planned = plan_inversions(opened, sets, inversion)
    check_free(out, overwrite=overwrite)
    backbone = load_backbone(
        chosen["backbone"] or DEFAULT,
        revision=chosen["revision"],
        lora=chosen["lora"],
        device=chosen["device"],
        precision=learning_precision(chosen["device"], chosen["precision"]),
    )
    check_inversion(backbone, [one.task for one in planned], inversion)
    click.echo(about(backbone.info, backbone.device))
    click.echo(
        f"{counted(len(planned), 'word')} to learn from {counted(len(sets), 'set')} of tiles, "
        f"{counted(inversion.steps, 'step')} of {counted(inversion.batch, 'sample')} of each, in {out}"
    )
    info = learn_embeddings(opened, sets, backbone, inversion, out, overwrite=overwrite, warn=warn, progress=bar)
    _print(info, out)


def _print(info: EmbeddingsInfo, out: Path) -> None:
    rows = [(word.set, word.token, f"{len(word.tiles):,}", word.loss_before, word.loss_after) for word in info.words]
    width = max(len(token) for _, token, *_ in rows)
    click.echo(f"{'set':<9} {'word':<{width}} {'tiles':>7} {'loss before':>12} {'after':>8}")
    for name, token, tiles, before, after in rows[:MOST_SHOWN]:
        click.echo(f"{name:<9} {token:<{width}} {tiles:>7} {before:>12.4f} {after:>8.4f}")
    if len(rows) > MOST_SHOWN:
        click.echo(f"... and {len(rows) - MOST_SHOWN:,} more in embeddings.json")
    click.echo(f"{counted(len(rows), 'word')} in {out}: embeddings.json, losses.parquet, validation/")
