"""``spurgekit pretrain-backbone``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.diffusion_options import METAVARS
from spurgekit.cli.spelling import echo, warn
from spurgekit.cli.types import IMAGE, PATH
from spurgekit.pretrain.pretrain_options import PretrainOptions
from spurgekit.progress import bar
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.image_names import ImageName
    from spurgekit.pretrain import PretrainingPlan

OWN = (
    "vae", "tokenizer", "text_encoder", "lora", "backbone", "revision", "lora_rank", "tile_px", "gsd_m", "bands", "nodata",
    "without", "without_crs", "held_out", "leave_out",
)  # fmt: skip
"""Options that say what is learned from, which stand first."""


@click.command("pretrain-backbone")
@click.argument("sources", nargs=-1, type=IMAGE)
@click.option("--out", type=PATH, help="Folder to make, or to go on with.  [default: backbone, or lora]")
@options_of(
    PretrainOptions,
    only=OWN,
    flags={"tile_px": "--tile-size"},
    metavars={"leave_out": "COLUMN", "without_crs": "CRS", **METAVARS},
)
@options_of(PretrainOptions, without=OWN)
@common.overwrite
def command(sources: tuple[ImageName, ...], out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Train a small diffusion model on a survey's own ground, without labels.

    SOURCES are orthomosaics, of which crops are taken at every offset, or folders of tiles; inside a survey's folder its tiles.
    Places are held out, and judge it. A run that was stopped goes on where it was, to the same bytes; with fewer steps it ends,
    with more it goes on. 'invert' and 'augment' take what comes of it as --backbone, diffusers as StableDiffusionPipeline. With
    --lora a LoRA of a model that is there is trained: 'invert', 'augment' and 'study' take it as --lora.
    """
    paths = sources or (common.or_here(None, "tiles", "orthomosaics or tiles"),)
    options = given(PretrainOptions, chosen)
    out = out or Path("lora" if options.lora else "backbone")

    def announce(plan: PretrainingPlan) -> None:
        echo(
            f"{counted(plan.crops, 'crop')} of {counted(plan.training_tiles, 'tile')} to learn from, "
            f"{counted(plan.held_out_tiles, 'tile')} of other places held out, shown at {plan.size_px} px"
        )
        left = f"{plan.steps - plan.done:,} of {plan.steps:,} steps" if plan.done else counted(plan.steps, "step")
        most = "" if options.minutes is None else f", or as many as {options.minutes:g} min take"
        echo(
            f"{plan.parameters / 1e6:.1f} M numbers to train on {plan.device}: {left} of {plan.step_s:.2g} s each, "
            f"about {_duration(plan.seconds)}{most}, in {out}"
        )

    info = spurgekit.pretrain_backbone(
        paths, out, options, overwrite=overwrite, announce=announce, report=_report, warn=warn, progress=bar
    )
    for name, record in info.references.items():
        echo(f"{name}: {_figures(record)}")
    what = "pytorch_lora_weights.safetensors" if options.lora else "a checkpoint in diffusers' layout"
    echo(f"{out}: {what}, README.md, sheet.png, nearest.png, losses.parquet, validation/")


def _report(found: dict[str, Any]) -> None:
    echo(f"step {found['step']:,}: {_figures(found)}" if "kid" in found else f"step {found['step']:,}: a sheet in validation/")


def _figures(record: dict[str, Any]) -> str:
    copies = record.get("copies")
    return (
        f"KID x 1000 {record['kid']:.1f} ({record['kid_low']:.1f} to {record['kid_high']:.1f}), "
        f"precision {record['precision']:.2f}, recall {record['recall']:.2f}"
        + (f", copies {100 * copies['share']:.1f} %" if copies else "")
    )


def _duration(seconds: float) -> str:
    """Return a duration in words.

    >>> _duration(50), _duration(600), _duration(9000)
    ('1 minute', '10 minutes', '2 h 30 min')
    """
    minutes = max(1, round(seconds / 60))
    return counted(minutes, "minute") if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
