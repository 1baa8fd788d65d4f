"""``spurgekit tile``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from spurgekit.cli import options, plot_options
from spurgekit.cli.options import PATH
from spurgekit.progress import bar
from spurgekit.survey import Survey
from spurgekit.tiles import TileOptions, TilesReport, make_tiles


@click.command("tile")
@click.argument("images", nargs=-1, type=PATH)
@click.option(
    "--layout",
    type=click.Choice(["auto", "plots", "grid", "points"]),
    default="auto",
    show_default=True,
    help="auto: around points where --points is given; plots where --plots is, or where ground markers make a lattice; "
    "else a grid over the whole site.",
)
@click.option("--points", type=PATH, help="Points to centre tiles on: a vector file, or a CSV with longitude and latitude.")
@click.option("--points-crs", metavar="CRS", help="CRS of points, plots or area of interest, if their file does not say it.")
@click.option("--plots", "file", type=PATH, help="Corners of plots (points with plot and corner), or polygons.")
@click.option("--snap", "snap_m", type=float, metavar="M", help="Move the corners of --plots to markers within M metres.")
@click.option("--field-sheet", type=PATH, help="Table with a column plot (or row and column), whose columns tiles get.")
@plot_options.control
@plot_options.markers
@plot_options.protocol
@click.option(
    "--quarters",
    type=click.Choice(["crop", "full", "grid"]),
    help="Of a plot: four tiles that meet at its centre, its four whole quarters, or a grid of tiles.  [default: crop]",
)
@click.option(
    "--inset", "inset_m", type=float, help="Metres along plots' edges kept out of tiles.  [default: clear of markers]"
)
@click.option("--size", "size_px", type=int, help="Side of a tile in pixels.  [default: 250, or the survey's]")
@click.option(
    "--gsd",
    "gsd_m",
    type=float,
    help="Metres a pixel to resample to: makes tiles of all flights cover the same ground.  [default: the image's]",
)
@options.image_gsd
@click.option("--overlap", "overlap_px", type=int, default=0, show_default=True, help="Pixels that neighbours share.")
@click.option("--context", "context_px", type=int, metavar="PX", help="Also cut tiles of this side around the same points.")
@click.option(
    "--unlabelled", "unlabelled_px", type=int, metavar="PX", help="Also cut a grid of such tiles over the whole site."
)
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

    Inside a survey's folder no IMAGES need be named. Plots are found by the ground markers at their corners, or given by
    --plots; their tiles are resampled once. Tiles at the edge of an image are kept, padded with black, with their valid share
    in the index; only tiles without any data are left out.
    """
    sources: list[Any] = list(images)
    survey = None if sources else options.survey_here("an image")
    if survey is not None:
        if not survey.sites:
            raise click.UsageError("survey.toml names no sites; add a [[sites]] entry")
        sources = survey.images
        _take_from(survey, chosen)
    if chosen["size_px"] is None:
        chosen["size_px"] = TileOptions().size_px
    plots = plot_options.take(chosen, survey)
    if chosen["layout"] not in ("auto", "plots") or chosen["points"]:
        plots = replace(plots, file=None, snap_m=None) if survey is not None else plots
    report = make_tiles(sources, out or Path("tiles"), TileOptions(**chosen, plots=plots), overwrite=overwrite, progress=bar)
    _print(report)


def _take_from(survey: Survey, chosen: dict[str, Any]) -> None:
    """Fill in what was not chosen from a survey."""
    chosen["crs"] = chosen["crs"] or survey.crs
    for name in ("size_px", "gsd_m"):
        if chosen[name] is None:  # not "or": a 0 is refused, not replaced
            chosen[name] = getattr(survey.tiles, name)
    has_plots = chosen["file"] is not None or survey.plots.file is not None
    around_points = chosen["layout"] == "points" or (chosen["layout"] == "auto" and not has_plots)
    if around_points and survey.tiles.points and not chosen["points"]:
        chosen["points"] = survey.path(survey.tiles.points)
    configs = {"context_px": bool(chosen["points"]), "unlabelled_px": chosen["layout"] != "grid"}
    for name, goes_with in configs.items():
        if goes_with and chosen[name] is None:
            chosen[name] = getattr(survey.tiles, name)


def _print(report: TilesReport) -> None:
    layouts = {f"{site.layout} ({site.why})" if site.why else site.layout for site in report.sites}
    if len(layouts) == 1:
        click.echo(f"layout  {layouts.pop()}")
    for site in report.sites:
        if layouts:
            click.echo(f"{site.site}  layout {site.layout}" + (f" ({site.why})" if site.why else ""))
        of_plots = f" of {site.plots} plot{'s' * (site.plots != 1)}" if site.plots else ""
        text = f"{site.site}  {site.written:,} {site.file_format} tiles{of_plots} at {100 * site.gsd_m:.2f} cm a pixel"
        click.echo(text + (f"; left out: {site.left_out}" if site.left_out else ""))
        for note in site.notes:
            click.echo(f"{site.site}  note: {note}")
    for name, config in report.configs.items():
        click.echo(f"{name}  {config.written:,} tiles")
    plots = "plots.gpkg, " if any(site.plots for site in report.sites) else ""
    overview = "overviews" if len(report.sites) > 1 else "overview.png"
    configs = "".join(f", {name}/" for name in report.configs)
    click.echo(f"{report.folder}: tiles, tiles.parquet, tiles.gpkg, {plots}{overview}{configs}")
