"""``spurgekit map``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH
from spurgekit.maps import MapOptions, MapReport, make_map
from spurgekit.outputs import check_free
from spurgekit.progress import bar


@click.command("map")
@click.argument("image", type=PATH, required=False)
@click.option("--model", type=PATH, required=True, help="Model folder that 'spurgekit train' made.")
@click.option("--out", type=PATH, help="Folder to make.  [default: maps/SITE]")
@click.option("--stride", "stride_px", type=int, help="Side of a map cell in pixels.  [default: a tile]")
@click.option("--min-valid", type=float, default=0.5, show_default=True, help="Least share of valid pixels of a cell to map.")
@options.bands
@options.crs
@click.option("--batch-size", type=int, default=8, show_default=True, help="Tiles at once; a GPU likes hundreds.")
@click.option(
    "--views",
    type=click.Choice([1, 8]),
    help="Turns of a tile to average; 1 is eight times as fast.  [default: as tested]",
)
@click.option(
    "--prevalence", metavar="SHARE", help="How common the class is on this ground, e.g. 0.05, or NAME=0.05,NAME=0.1 of several."
)
@options.device
@options.overwrite
def command(image: Path | None, model: Path, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Map a whole site with a model: probabilities, polygons, areas.

    Inside a survey's folder, all its sites are mapped. The image is resampled to the ground sample distance that the model was
    trained at, and a map cell lies where its tile lay.
    """
    if image is not None:
        sites = [(out or Path("maps") / image.stem, image)]
    else:
        survey = options.survey_here("an image")
        if not survey.sites:
            raise click.UsageError("survey.toml names no sites; add a [[sites]] entry")
        chosen["crs"] = chosen["crs"] or survey.crs
        sites = [((out or Path("maps")) / name, path) for name, path in survey.images]
    for folder, _ in sites:
        check_free(folder, overwrite=overwrite)
    map_options = MapOptions(**chosen)
    loaded = map_options.load(model)
    for folder, path in sites:
        _print(make_map(path, loaded, folder, map_options, overwrite=overwrite, progress=bar))


def _print(report: MapReport) -> None:
    click.echo(f"mapped {report.mapped_m2:,.1f} m2 in cells of {report.cell_m:.2f} m")
    for name, area in list(report.areas.items())[1:]:
        click.echo(
            f"{name}: {area.mapped_m2:,.1f} m2 mapped; corrected for errors {area.corrected_m2:,.1f} m2 "
            f"(95 % interval {area.low_m2:,.1f} to {area.high_m2:,.1f})"
        )
    click.echo(f"{report.folder}: presence.tif, presence.gpkg ({report.polygons:,} polygons), summary.json, presence.png")
