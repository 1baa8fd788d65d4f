"""``spurgekit dataset``: look at datasets, check them, send them to the Hugging Face Hub and fetch one from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.spelling import echo, show, warn
from spurgekit.cli.types import PATH, NameList
from spurgekit.progress import bar
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.dataset import LightSeries, Orthomosaic


@click.group("dataset")
def command() -> None:
    """Look at datasets, check them, send them to the Hugging Face Hub."""


@command.command("info")
@click.argument("folder", type=PATH, default=Path("dataset"))
@common.as_json
def info(folder: Path, as_json: bool) -> None:
    """Say what is in a dataset FOLDER: tiles per class, split and place."""
    from spurgekit.dataset.reader import datasets_in, open_dataset
    from spurgekit.dataset.summary import describe_dataset

    for one in datasets_in(folder) or [folder]:
        dataset = open_dataset(one)
        show(dataset.info.model_dump_json(indent=2) if as_json else "\n".join(describe_dataset(dataset)))


@command.command("validate")
@click.argument("folder", type=PATH, default=Path("dataset"))
def validate(folder: Path) -> None:
    """Check a dataset FOLDER: tables, images, leakage between its splits, support sets; exit 1 if anything is wrong."""
    problems = spurgekit.validate_dataset(folder, progress=bar)
    for problem in problems:
        echo(problem)
    if problems:
        raise click.exceptions.Exit(1)
    echo(f"{folder} is valid")


@command.command("push")
@click.argument("folder", type=PATH)
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Make the repository private.")
@click.option("--revision", help="Branch.  [default: main]")
@click.option("--token", help="Of your account.  [default: that of 'hf auth login']")
def push(folder: Path, repository: str, private: bool, revision: str | None, token: str | None) -> None:
    """Upload a valid dataset FOLDER to the Hugging Face Hub: the files that are its own, without provenance and review."""
    address = spurgekit.push_dataset(
        folder, repository, private=private, revision=revision, token=token, progress=bar, say=warn
    )
    echo(address)


@command.command("fetch")
@click.argument("source", default="mpg-ranch/leafy_spurge")
@click.option("--configs", type=NameList(), help="Of the Leafy Spurge Dataset: crop, context, unlabelled.  [default: crop]")
@click.option("--orthomosaic", is_flag=True, help="Lay its images without labels together instead, as one to map.")
@click.option("--revision", help="Of the repository; a commit gives the same pixels always.  [default: main]")
@click.option("--out", type=PATH, help="Folder to make.  [default: leafy-spurge, leafy-spurge-orthomosaic or drone-lsr]")
@common.overwrite
def fetch(
    source: str,
    configs: tuple[str, ...] | None,
    orthomosaic: bool,
    revision: str | None,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Make a dataset of the published Leafy Spurge Dataset: its repository on the Hub, or a folder that is a copy of it.

    Of mpg-ranch/drone-lsr, the same ground at three times of a day without labels, a mosaic of each time to map.
    """
    from spurgekit.cli.build_dataset import echo_built
    from spurgekit.dataset.light_series import is_light_series

    if orthomosaic and configs is not None:
        raise click.UsageError("--orthomosaic is of images without labels alone; leave --configs out")
    if is_light_series(source):
        if configs is not None or orthomosaic:
            option = "--orthomosaic is" if orthomosaic else "--configs are"
            raise click.UsageError(f"{option} of the Leafy Spurge Dataset, and {source} is another; leave it out")
        out = out or Path("drone-lsr")
        _echo_series(spurgekit.fetch_light_series(source, out, revision=revision, overwrite=overwrite, progress=bar))
        return
    if orthomosaic:
        out = out or Path("leafy-spurge-orthomosaic")
        _echo_orthomosaic(spurgekit.fetch_orthomosaic(source, out, revision=revision, overwrite=overwrite, progress=bar))
        return
    out = out or Path("leafy-spurge")
    info = spurgekit.fetch_dataset(
        source, out, configs=configs or ("crop",), revision=revision, overwrite=overwrite, progress=bar
    )
    echo_built(info, out)


def _echo_orthomosaic(laid: Orthomosaic) -> None:
    grid = laid.grid
    size = f"{grid.width:,} x {grid.height:,} px of {100 * grid.gsd_m:.2f} cm"
    echo(f"{laid.file}: {size}, {laid.covered:.0%} of them in {counted(laid.images, 'image')}; the rest has no data")
    for note in laid.notes:
        echo(f"note: {note}")


def _echo_series(series: LightSeries) -> None:
    side_m = series.size_px * series.gsd_m
    times = ", ".join(f"{name}.tif ({clock})" for name, clock in series.times.items())
    echo(f"the same {counted(series.places, 'square')} of {series.size_px:,} px ({side_m:.3g} m) in each of {times}")
    for note in series.notes:
        echo(f"note: {note}")
    echo(f"{series.folder}: t0.tif, t1.tif, t2.tif, canopy_height.tif, places.csv, README.md")
