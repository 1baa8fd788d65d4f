"""``spurgekit augment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spurgekit.cli import options
from spurgekit.cli.diffusion_options import about, backbone_options, inversion_options, warn
from spurgekit.cli.options import PATH, Shots
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.augment.inputs import Announcement, AugmentReport
    from spurgekit.diffusion.textual_inversion.inversion import InversionOptions

METHODS = ("da-fusion", "real-guidance", "text-to-image", "roundtrip")
PRESETS = ("spurgekit", "published")


@click.command("augment")
@click.argument("dataset", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: augmented]")
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True)
@click.option("--preset", type=click.Choice(PRESETS), default=PRESETS[0], show_default=True, help="published: as in the paper.")
@click.option(
    "--shots", type=Shots(), default=(0,), help="Tiles a class of the support sets.  [default: all, the training split]"
)
@click.option("--trials", type=int, default=20, show_default=True, help="Support sets of each number of shots.")
@click.option("--images", type=int, help="Synthetic tiles for each real one.  [default: 10; published: 50]")
@click.option(
    "--strengths", metavar="S,S|A-B|N:...;...",
    help="How far from the real tile: some, a range, or by shots.  [default: 1,0.75,0.5,0.25; of real-guidance: 0.5]",
)  # fmt: skip
@click.option("--guidance", type=float, help="Weight of the prompt.  [default: 7.5]")
@click.option("--steps", type=int, help="Of the scheduler.  [default: 25; published: 50]")
@click.option("--scheduler", help="dpm++, ddim, pndm, euler, ...  [default: dpm++; published: pndm]")
@click.option("--size", "size_px", type=int, help="Side at which the model works.  [default: the model's]")
@click.option(
    "--prompt", "prompts", multiple=True,
    help="'{concept}' stands for the class. May be repeated.  [default: 'a drone photo of {concept}']",
)  # fmt: skip
@click.option("--negative", help="What is not wanted in the pictures.")
@click.option("--embeddings", type=PATH, help="What 'invert' learned; learned first where missing.  [default: embeddings]")
@click.option("--concept-scale", type=float, help="Multiplies what was learned.  [default: 1]")
@click.option("--concept-noise", type=float, help="Noise on what was learned, e.g. 0.01.  [default: 0]")
@click.option("--cross", type=float, help="Share of edits from a tile of another class, with soft labels.  [default: 0]")
@click.option("--mask", "masks", type=PATH, help="Polygons, a mask raster, or a folder of masks: where tiles may change.")
@click.option("--where", type=click.Choice(["inside", "outside"]), default="inside", show_default=True, help="Of the mask.")
@click.option("--dilate", "dilate_px", type=int, help="Pixels that the mask grows.  [default: 0; published: 16 in 512]")
@click.option("--feather", "feather_px", type=int, default=0, show_default=True, help="Pixels of a soft rim, within the mask.")
@click.option("--mask-crs", metavar="CRS", help="Of the mask, where it does not say it.")
@click.option("--skip-unmasked", "skip", is_flag=True, help="Leave out tiles that the mask misses.")
@click.option("--drop-duplicates", is_flag=True, default=None, help="Weight 0 for images that show what an earlier one shows.")
@click.option("--safety-checker", is_flag=True, help="Keep back what the model's safety checker flags.")
@click.option("--batch-size", type=int, help="Images at once; changes none of them.  [default: 16]")
@click.option("--compile", is_flag=True, default=None, help="Compile the model on GPUs: worth it for thousands of images.")
@inversion_options
@backbone_options
@click.option("--seed", type=int, default=0, show_default=True)
@options.overwrite
def command(dataset: Path | None, out: Path | None, overwrite: bool, inversion: InversionOptions, **chosen: Any) -> None:
    """Make synthetic tiles of the training tiles of DATASET with a diffusion model.

    \b
    da-fusion      edits by a word that is learned for each class (see 'invert')
    real-guidance  edits by the names of the classes
    text-to-image  images from the prompt alone
    roundtrip      a control: through the model's encoder and decoder only

    All GPUs share the work, unless --device names some (cuda:0,cuda:1). A run that was stopped goes on where it was. Train
    with what it made by 'evaluate DATASET --arms probe,probe+synthetic --synthetic augmented'.
    """  # noqa: D301
    from spurgekit.augment.augment_options import augment_options
    from spurgekit.augment.generation import augment
    from spurgekit.augment.inputs import AugmentInputs
    from spurgekit.augment.mask_sources import MaskOptions
    from spurgekit.augment.strengths import parse_strengths
    from spurgekit.augment.workers import BackboneChoice, pick_devices

    if dataset is None:
        options.survey_here("a dataset")
        dataset = Path("dataset")
    if chosen["dilate_px"] is None and chosen["preset"] != "published":
        chosen["dilate_px"] = 0
    strengths = chosen.pop("strengths")
    inputs = AugmentInputs(
        dataset,
        chosen.pop("shots"),
        chosen.pop("trials"),
        BackboneChoice(*(chosen.pop(name) for name in ("backbone", "revision", "lora", "precision", "safety_checker"))),
        tuple(pick_devices(chosen.pop("device"))),
        chosen.pop("embeddings") or Path("embeddings"),
        inversion,
        chosen.pop("masks"),
        chosen.pop("mask_crs"),
        MaskOptions(*(chosen.pop(name) for name in ("where", "dilate_px", "feather_px", "skip"))),
    )
    prompts = chosen.pop("prompts") or None
    how = augment_options(
        chosen.pop("method"),
        chosen.pop("preset"),
        prompts=prompts,
        strengths=strengths and parse_strengths(strengths),
        **chosen,
    )
    report = augment(inputs, how, out or Path("augmented"), overwrite=overwrite, announce=_announce, warn=warn, progress=bar)
    _print(report)


def _announce(what: Announcement) -> None:
    click.echo(f"{about(what.backbone, *what.devices)}; safety checker: {'on' if what.checks_safety else 'off'}")
    click.echo(
        f"{what.estimate.images:,} images to make for {what.sets} support set{'s' if what.sets > 1 else ''} in {what.folder}: "
        f"about {_duration(what.estimate.seconds)} and {what.estimate.bytes / 1e6:,.0f} MB"
        + (f"; {what.resumed:,} are there already" if what.resumed else "")
    )


def _print(report: AugmentReport) -> None:
    made = report.images + report.blanked - report.resumed
    rate = f", {made / report.seconds:.2g} images/s" if made and report.seconds else ""
    click.echo(f"{report.images:,} images{rate} in {report.folder}: manifest.parquet ({report.rows:,} rows), contact_sheet.png")
    if report.in_float32:
        click.echo(f"{report.in_float32:,} were not finite in half precision and were made again in float32")
    if report.duplicates:
        click.echo(f"{report.duplicates:,} rows show what another one shows, and have weight 0")
    if report.blanked:
        click.echo(f"{report.blanked:,} were kept back by the safety checker")


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
