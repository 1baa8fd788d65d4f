"""``spurgekit preview``."""

from __future__ import annotations

from pathlib import Path

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH


@click.command("preview")
@click.argument("folder", type=PATH)
@click.option("--rows", type=click.IntRange(1, 100), default=8, show_default=True, help="Of tiles on a sheet, at most.")
@click.option("--columns", type=click.IntRange(1, 40), default=10, show_default=True)
@click.option("--out", type=PATH, help="Folder to make.  [default: FOLDER_preview]")
@common.overwrite
def command(folder: Path, rows: int, columns: int, out: Path | None, overwrite: bool) -> None:
    """Draw contact sheets of a dataset, tiles or images FOLDER: a PNG for each class and split."""
    out = out or Path(f"{folder.resolve().name}_preview")
    for path, shown, total in spurgekit.preview_tiles(folder, out, rows=rows, columns=columns, overwrite=overwrite):
        echo(f"{path}  {shown:,} of {total:,} tiles")
