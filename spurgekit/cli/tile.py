"""``spurgekit tile``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.cli import common, plot_options
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import IMAGE, PATH
from spurgekit.progress import bar
from spurgekit.text import counted
from spurgekit.tiles.tile_options import PlotOptions, TileOptions

if TYPE_CHECKING:
    from spurgekit.image_names import ImageName
    from spurgekit.survey import Survey
    from spurgekit.tiles import TilesReport


@click.command("tile")
@click.argument("images", nargs=-1, type=IMAGE)
@options_of(
    TileOptions,
    flags={"file_format": "--format"},
    metavars={"crs": "CRS", "image_crs": "CRS", "points_crs": "CRS", "context_px": "PX", "unlabelled_px": "PX"},
)
@plot_options.plots
@click.option("--out", type=PATH, help="Folder to make.  [default: tiles]")
@common.executor
@common.overwrite
def command(images: tuple[ImageName, ...], out: Path | None, executor: str, overwrite: bool, **chosen: Any) -> None:
    """Cut orthomosaics into georeferenced tiles, indexed and drawn.

    Inside a survey's folder no IMAGES need be named. Plots are found by the ground markers at their corners, or given by
    --plots; their tiles are resampled once. Tiles at the edge of an image are kept, padded with black, with their valid share
    in the index; only tiles without any data are left out.
    """
    survey = None if images else common.sites_here("an image")
    plots = given(PlotOptions, chosen, survey.seen_from_here(survey.plots) if survey else None)
    if survey is not None:
        chosen, plots = _with_survey(survey, chosen, plots)
    tiling = given(TileOptions, chosen, plots=plots)
    report = spurgekit.tile_images(
        images if survey is None else survey.images,
        out or Path("tiles"),
        tiling,
        overwrite=overwrite,
        executor=executor,
        progress=bar,
    )
    _print(report)


def _with_survey(survey: Survey, chosen: dict[str, Any], plots: PlotOptions) -> tuple[dict[str, Any], PlotOptions]:
    """Fill in what was not chosen from a survey, so far as it goes with what was."""
    said = survey.seen_from_here(survey.tiles).parameters()
    chosen = {**chosen, "crs": chosen["crs"] or survey.crs, "image_crs": chosen["image_crs"] or survey.image_crs}
    layout = chosen["layout"] or said["layout"]
    around_points = bool(chosen["points"]) or layout == "points" or (layout == "auto" and plots.file is None)
    for name, value in said.items():
        fits = {
            "points": around_points,
            "context_px": around_points and bool(chosen["points"] or said["points"]),
            "unlabelled_px": layout != "grid",
            "plots": False,
        }
        if fits.get(name, True) and chosen.get(name) is None:
            chosen[name] = value
    if layout not in ("auto", "plots") or chosen["points"]:
        plots = replace(plots, file=None, snap_m=None)
    return chosen, plots


def _print(report: TilesReport) -> None:
    layouts = {f"{site.layout} ({site.why})" if site.why else site.layout for site in report.sites}
    if len(layouts) == 1:
        echo(f"layout  {layouts.pop()}")
    for site in report.sites:
        if layouts:
            echo(f"{site.site}  layout {site.layout}" + (f" ({site.why})" if site.why else ""))
        of_plots = f" of {counted(site.plots, 'plot')}" if site.plots else ""
        tiles = counted(site.written, f"{site.file_format} tile")
        text = f"{site.site}  {tiles}{of_plots} at {100 * site.gsd_m:.2f} cm a pixel"
        echo(text + (f"; left out: {site.left_out}" if site.left_out else ""))
        for note in site.notes:
            echo(f"{site.site}  note: {note}")
    for note in report.notes:
        echo(f"note: {note}")
    for name, config in report.configs.items():
        echo(f"{name}  {counted(config.written, 'tile')}")
    plots = "plots.gpkg, " if any(site.plots for site in report.sites) else ""
    overview = "overviews" if len(report.sites) > 1 else "overview.png"
    configs = "".join(f", {name}/" for name in report.configs)
    echo(f"{report.folder}: tiles, tiles.parquet, tiles.gpkg, {plots}{overview}{configs}")
