"""``spurgekit markers``."""

from __future__ import annotations

from math import isnan, nan
from pathlib import Path
from typing import Any

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import IMAGE, PATH
from spurgekit.image_names import ImageName
from spurgekit.markers.marker_options import MarkerOptions
from spurgekit.progress import bar
from spurgekit.text import counted
from spurgekit.vector_formats import VECTOR_FORMATS


@click.command("markers")
@click.argument("image", type=IMAGE)
@options_of(MarkerOptions, metavars={"marker_color": "R,G,B", "gcp_crs": "CRS", "crs": "CRS", "image_crs": "CRS"})
@click.option(
    "--out",
    type=PATH,
    help=f"List to write: {', '.join(VECTOR_FORMATS)}, or .txt (ODM).  [default: IMAGE_markers.gpkg]",
)
@common.overwrite
def command(image: ImageName, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Find the ground markers in an orthomosaic or a nadir frame, list them and draw them.

    The score is about the share of such detections that are markers. A picture of the same name shows them on the image.
    """
    out = out or Path(f"{image.stem}_markers.gpkg")
    report = spurgekit.list_markers(image, out, given(MarkerOptions, chosen), overwrite=overwrite, progress=bar)
    for note in report.notes:
        echo(f"note: {note}")
    found = report.table
    echo(f"{counted(len(found), f'{report.family} marker')} of {report.size_m:g} m" + (":" if len(found) else report.hint))
    for row in found.to_dict("records"):
        code = f"  id {row['id']}" if found["id"].notna().any() else ""
        place = f"col {row['col']:9.2f}  row {row['row']:9.2f}"
        off_cm = row.get("residual_cm", nan)
        known = "" if isnan(off_cm) else f"  {off_cm:.1f} cm from {row['known'] or 'its point'}"
        echo(f"  {row['marker']:3d}  {place}  {row['size_m']:.2f} m  score {row['score']:.2f}{code}{known}")
    echo(f"{report.file}, {report.picture}")
