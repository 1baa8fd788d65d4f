"""``spurgekit change``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.change.change_options import ChangeOptions
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.change import ChangeReport


@click.command("change")
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.option("--out", type=PATH, help="Folder to make.  [default: changes/NEW]")
@options_of(ChangeOptions)
@common.overwrite
def command(old: Path, new: Path, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Compare two maps of one site, OLD and NEW: what was gained, lost and stayed.

    Both are folders that 'spurgekit map' made, of cells and classes alike. How far their images lie apart is measured, and
    corrected where it is little.
    """
    out = out or Path("changes") / new.resolve().name
    _print(spurgekit.map_change(old, new, out, given(ChangeOptions, chosen), overwrite=overwrite, progress=bar))


def _print(report: ChangeReport) -> None:
    for note in report.notes:
        echo(f"note: {note}")
    echo(f"compared {report.compared_m2:,.1f} m2 in cells of {report.cell_m:.2f} m")
    for name, change in report.classes.items():
        for word in ("gain", "loss", "net"):
            area = change.areas[word]
            said = "net change" if word == "net" else word
            echo(
                f"{said} of {name}: tiles of {report.support_m:.2f} m on {area.counted_m2:,.1f} m2 by their probabilities; "
                f"{area.corrected(interval='95 % interval')}"
            )
    echo(f"{report.folder}: change.tif, change.gpkg ({report.polygons:,} polygons), summary.json, change.png")
