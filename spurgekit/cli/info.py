"""``spurgekit info``."""

from __future__ import annotations

import click

import spurgekit
from spurgekit import imagery
from spurgekit.cli import common
from spurgekit.cli.spelling import echo, show
from spurgekit.cli.types import IMAGE
from spurgekit.image_names import ImageName
from spurgekit.progress import bar


@click.command("info")
@click.argument("file", type=IMAGE)
@click.option("--image-gsd", "image_gsd_m", type=float, help="Metres a pixel of a photo that does not say where it was taken.")
@click.option("--image-crs", metavar="CRS", help="CRS of its coordinates, where it does not say it or says it wrongly.")
@click.option("--nodata", type=float, help="Value of pixels without data, whatever the file says.")
@common.as_json
def command(file: ImageName, image_gsd_m: float | None, image_crs: str | None, nodata: float | None, as_json: bool) -> None:
    """Show what an image is: size, bands, CRS, ground sample distance, blocks, valid share, EXIF position.

    All of it is read, so damage anywhere in the file comes to light.
    """
    info = spurgekit.read_image_info(file, image_gsd_m=image_gsd_m, image_crs=image_crs, nodata=nodata, progress=bar)
    if as_json:
        show(info.model_dump_json(indent=2))
        return
    rows = imagery.format_info(info)
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        echo(f"{label:<{width}}  {text}")
