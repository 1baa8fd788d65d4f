"""``spurgekit augment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.mask_options import MaskOptions
from spurgekit.augment.methods import METHODS
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.diffusion_options import METAVARS, about, preset_option, word_options
from spurgekit.cli.spelling import echo, warn
from spurgekit.cli.types import PATH, Choice, Shots
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.diffusion.checkpoint_options import CheckpointOptions
from spurgekit.diffusion.textual_inversion.inversion_options import PRESETS, InversionOptions
from spurgekit.options import kinds_of
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.augment.augment_report import Announcement, AugmentReport

CHECKPOINT = tuple(kinds_of(CheckpointOptions))


@click.command("augment", epilog="\b\n" + "\n".join(f"{name:<14} {one.description}" for name, one in METHODS.items()))
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: augmented]")
@preset_option
@options_of(
    AugmentOptions,
    without=(*kinds_of(FoldOptions), *kinds_of(MaskOptions), *CHECKPOINT),
    flags={"prompts": "--prompt"},
    types={"shots": Shots()},
    multiple=("prompts",),
)
@common.fold_options
@options_of(MaskOptions, metavars={"mask_crs": "CRS"})
@click.option(
    "--learn-preset",
    type=Choice(tuple(PRESETS)),
    help="How words are learned; published: as for DA-Fusion.  [default: that of --preset]",
)
@word_options(prefix="inversion_")
@options_of(AugmentOptions, only=CHECKPOINT, metavars=METAVARS)
@common.executor
@common.overwrite
def command(
    dataset: Path | None,
    out: Path | None,
    executor: str,
    overwrite: bool,
    preset: str,
    learn_preset: str | None,
    **chosen: Any,
) -> None:
    """Make synthetic tiles of the training tiles of DATASET, by one of the methods below.

    All GPUs share the work, unless --device names some (cuda:0,cuda:1). A run that was stopped goes on where it was. Train
    with what it made by 'evaluate DATASET --arms probe,probe+synthetic --synthetic augmented'.
    """
    dataset = common.or_here(dataset, "dataset", "a dataset")
    alike = {name: chosen[name] for name in ("size_px", "seed") if chosen[name] is not None}
    learning = InversionOptions.of(learn_preset or preset, **alike)
    inversion = given(InversionOptions, chosen, learning, prefix="inversion_")
    making = given(AugmentOptions, chosen, AugmentOptions.of(preset), inversion=inversion)
    report = spurgekit.augment_dataset(
        dataset,
        out or Path("augmented"),
        making,
        overwrite=overwrite,
        executor=executor,
        announce=_announce,
        warn=warn,
        progress=bar,
    )
    _print(report)


def _announce(what: Announcement) -> None:
    if what.backbone is not None:
        echo(f"{about(what.backbone, *what.devices)}; safety checker: {'on' if what.checks_safety else 'off'}")
    echo(
        f"{what.estimate.images:,} images to make for {what.sets} support set{'s' if what.sets > 1 else ''} in {what.folder}: "
        f"about {_duration(what.estimate.seconds)} and {what.estimate.bytes / 1e6:,.0f} MB"
        + (f"; {what.resumed:,} are there already" if what.resumed else "")
    )


def _print(report: AugmentReport) -> None:
    made = report.images + report.blanked - report.resumed
    rate = f", {made / report.seconds:.2g} images/s" if made and report.seconds else ""
    echo(f"{report.images:,} images{rate} in {report.folder}: manifest.parquet ({report.rows:,} rows), contact_sheet.png")
    if report.in_float32:
        echo(f"{report.in_float32:,} were not finite in half precision and were made again in float32")
    if report.duplicates:
        echo(f"{report.duplicates:,} rows show what another one shows, and have weight 0")
    if report.blanked:
        echo(f"{report.blanked:,} were kept back by the safety checker")


def _duration(seconds: float) -> str:
    """Return a time as one reads it.

    >>> _duration(40), _duration(600), _duration(9000)
    ('40 s', '10 min', '2.5 h')
    """
    return (
        f"{max(1, seconds):.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )
