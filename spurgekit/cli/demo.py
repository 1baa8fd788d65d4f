"""``spurgekit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.demo import DemoReport


@click.command("demo")
@click.option("--out", type=PATH, default=Path("spurgekit-demo"), show_default=True, help="Survey folder to make.")
@click.option("--seed", type=int, default=0, show_default=True)
@common.overwrite
def command(out: Path, seed: int, overwrite: bool) -> None:
    """Run everything on a simulated site, offline, from its ground markers to a map that is compared with the truth."""
    _print(spurgekit.run_demo(out, seed=seed, overwrite=overwrite, progress=bar, say=_say))


def _say(text: str) -> None:
    echo(f"... {text}")


def _print(report: DemoReport) -> None:
    quality, folder = report.quality, report.folder
    echo(f"\n{folder}: a survey folder; look at")
    for name, what in (
        ("rangeland.tif", "the simulated orthomosaic; weed.gpkg the labels, weed.tif, plots.gpkg and markers.gpkg the truth"),
        ("tiles/overview.png", "the markers that were found, the plots and their tiles"),
        ("dataset/README.md", "classes, counts and split"),
        ("models/probe/README.md", "the model card"),
        ("maps/rangeland/presence.png", "the map; presence.tif and presence.gpkg open in QGIS with their styles"),
    ):
        echo(f"  {name:<28} {what}")
    (site,) = report.tiles.sites
    echo(f"\nplots                {site.plots} between {report.markers} markers, {site.written:,} tiles")
    echo(f"held-out tiles       balanced accuracy {report.model.held_out.balanced_accuracy:.3f}")
    echo(
        f"map against truth    balanced accuracy {quality.balanced_accuracy:.3f}, AUROC {quality.auroc:.3f} "
        f"({quality.cells:,} cells away from training tiles)"
    )
    if report.blind is not None:
        echo(f"with random weights  balanced accuracy {report.blind.balanced_accuracy:.3f}, AUROC {report.blind.auroc:.3f}")
    (area,) = report.map.occupied.values()
    echo(
        f"tiles with spurge    {area.counted_m2:,.0f} m2 mapped, {quality.occupied_m2:,.0f} m2 in truth; "
        f"{area.corrected(decimals=0)}"
    )
    if report.crew is not None:
        from spurgekit.demo import CREW

        echo(f"for the crew         {folder / CREW / 'patches.gpx'}: {report.crew.patches} patches to go to, as waypoints")
