"""``spurgekit info``."""

from __future__ import annotations

from pathlib import Path

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH
from spurgekit.imagery.image_info import describe, format_info
from spurgekit.progress import bar


@click.command("info")
@click.argument("file", type=PATH)
@options.image_gsd
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def command(file: Path, image_gsd_m: float | None, as_json: bool) -> None:
    """Show what an image is: size, bands, CRS, ground sample distance, blocks, valid share, EXIF position.

    All of it is read, so damage anywhere in the file comes to light.
    """
    info = describe(file, image_gsd_m=image_gsd_m, progress=bar)
    if as_json:
        click.echo(info.model_dump_json(indent=2))
        return
    rows = format_info(info)
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        click.echo(f"{label:<{width}}  {text}")
