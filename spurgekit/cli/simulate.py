"""``spurgekit simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH
from spurgekit.plots import PlotProtocol
from spurgekit.progress import bar
from spurgekit.simulate import Camera, SurveyOptions, simulate_survey


@click.command("simulate")
@click.argument("out", type=PATH)
@click.option(
    "--family", default="cross", show_default=True, help="Of the markers, as in 'spurgekit markers'; none: no markers."
)
@click.option("--marker-size", "marker_size_m", type=float, default=0.45, show_default=True, help="In metres.")
@click.option("--rows", type=click.IntRange(1), default=3, show_default=True, help="Of plots.")
@click.option("--columns", type=click.IntRange(1), default=3, show_default=True)
@click.option("--plot-size", type=float, default=10.0, show_default=True, help="Side of a plot in metres.")
@click.option("--rotation", "rotation_deg", type=float, help="Turn of the lattice, counter-clockwise.  [default: drawn]")
@click.option("--tape-sd", "tape_sd_m", type=float, default=0.03, show_default=True, help="Scatter of the laid markers.")
@click.option("--warp", "warp_m", type=float, default=0.05, show_default=True, help="Smooth distortion of the site, in metres.")
@click.option("--missing", type=float, default=0.0, show_default=True, help="Share of markers that are not there.")
@click.option("--covered", type=float, default=0.0, show_default=True, help="Share of the others that are half hidden.")
@click.option("--distractors", type=int, default=0, show_default=True, help="Rocks, buckets and stumps.")
@click.option("--size", "size_m", type=float, help="Side of the site in metres.  [default: what holds the plots]")
@click.option("--gsd", "gsd_m", type=float, help="Metres a pixel.  [default: 0.0125; a frame's from 50 m up]")
@click.option("--weed-share", type=float, default=0.08, show_default=True)
@click.option("--frame", is_flag=True, help="A nadir photo with EXIF and XMP instead of an orthomosaic.")
@click.option("--frame-px", type=int, default=4104, show_default=True, help="Width of that photo.")
@click.option("--tilt", "tilt_deg", type=float, default=2.0, show_default=True, help="Largest tilt of that photo.")
@click.option("--blur", "blur_px", type=float, default=0.6, show_default=True, help="Of the lens, in pixels.")
@click.option("--exposure", "exposure_stops", type=float, default=0.0, show_default=True, help="Stops too bright or too dark.")
@click.option("--quality", "jpeg_quality", type=click.IntRange(1, 100), default=92, show_default=True, help="Of the JPEGs.")
@click.option("--name", default="site", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@options.overwrite
def command(out: Path, overwrite: bool, rows: int, columns: int, plot_size: float, frame: bool, **chosen: Any) -> None:
    """Simulate a survey in a folder OUT: a site with plots, markers and weed, and the truth about them."""
    if not plot_size > 0:
        raise click.BadParameter(f"a plot of {plot_size} m cannot be", param_hint="--plot-size")
    chosen["camera"] = Camera(**{name: chosen.pop(name) for name in ("blur_px", "exposure_stops", "jpeg_quality")})
    chosen["protocol"] = PlotProtocol(rows=rows, columns=columns, size_m=plot_size)
    chosen["family"] = None if chosen["family"] == "none" else chosen["family"]
    chosen["frame_px"] = chosen["frame_px"] if frame else None
    survey = simulate_survey(out, SurveyOptions(**chosen), overwrite=overwrite, progress=bar)
    plots = rows * columns if chosen["family"] else 0
    click.echo(f"{plots} plots, {survey.laid} markers, {survey.half_hidden} of them half hidden")
    click.echo(f"{out}: {survey.image.name}, survey.toml; the truth: plots.gpkg, markers.gpkg, weed.gpkg, weed.tif")
