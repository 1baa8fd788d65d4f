"""``spurgekit tile``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH
from spurgekit.progress import bar
from spurgekit.tiles import TileOptions, TilesReport, make_tiles


@click.command("tile")
@click.argument("images", nargs=-1, type=PATH)
@click.option(
    "--layout",
    type=click.Choice(["auto", "plots", "grid", "points"]),
    default="auto",
    show_default=True,
    help="auto: around points where --points is given, else a grid over the whole site.",
)
@click.option("--points", type=PATH, help="Points to centre tiles on: a vector file, or a CSV with longitude and latitude.")
@click.option("--points-crs", metavar="CRS", help="CRS of the points or the area of interest, if their file does not say it.")
@click.option("--size", "size_px", type=int, help="Side of a tile in pixels.  [default: 250, or the survey's]")
@click.option("--gsd", "gsd_m", type=float, help="Resample to this many metres a pixel.")
@click.option("--overlap", "overlap_px", type=int, default=0, show_default=True, help="Pixels that neighbours share.")
@click.option("--min-valid", type=float, default=0.0, show_default=True, help="Least share of valid pixels of a tile to keep.")
@click.option("--aoi", type=PATH, help="Polygons; grid tiles that do not touch them are left out.")
@options.bands
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["auto", "png", "jpg", "tif"]),
    default="auto",
    show_default=True,
    help="auto: PNG where the pixels fit into it, else GeoTIFF.",
)
@options.crs
@click.option("--out", type=PATH, help="Folder to make.  [default: tiles]")
@options.overwrite
def command(images: tuple[Path, ...], out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Cut orthomosaics into georeferenced tiles, indexed and drawn.

    Inside a survey's folder no IMAGES need be named. Tiles at the edge are kept, padded with black, with their valid share in
    the index; only tiles without any data are left out.
    """
    sources: list[Any] = list(images)
    if not sources:
        survey = options.survey_here("an image")
        if not survey.sites:
            raise click.UsageError("survey.toml names no sites; add a [[sites]] entry")
        sources = survey.images
        chosen["crs"] = chosen["crs"] or survey.crs
        for name in ("size_px", "gsd_m"):
            if chosen[name] is None:  # not "or": a 0 is refused, not replaced
                chosen[name] = getattr(survey.tiles, name)
        if chosen["layout"] in ("auto", "points") and survey.tiles.points and not chosen["points"]:
            chosen["points"] = survey.path(survey.tiles.points)
    if chosen["size_px"] is None:
        chosen["size_px"] = TileOptions().size_px
    report = make_tiles(sources, out or Path("tiles"), TileOptions(**chosen), overwrite=overwrite, progress=bar)
    _print(report, chosen["layout"])


def _print(report: TilesReport, asked: str) -> None:
    chosen = (
        f"{report.layout} (auto: no markers are looked for yet)"
        if asked == "auto" and report.layout == "grid"
        else report.layout
    )
    click.echo(f"layout  {chosen}")
    for site in report.sites:
        text = f"{site.site}  {site.written:,} {report.file_format} tiles at {100 * site.gsd_m:.2f} cm a pixel"
        click.echo(text + (f"; left out: {site.left_out}" if site.left_out else ""))
        for note in site.notes:
            click.echo(f"{site.site}  note: {note}")
    click.echo(f"{report.folder}: tiles, tiles.parquet, tiles.gpkg, {'overviews' if len(report.sites) > 1 else 'overview.png'}")
