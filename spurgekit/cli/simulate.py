"""``spurgekit simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.cli import options, plot_options
from spurgekit.cli.options import PATH
from spurgekit.progress import bar
from spurgekit.simulate import Camera, SurveyOptions, simulate_survey

CAMERA = ("blur_px", "exposure_stops", "jpeg_quality")


@click.command("simulate")
@click.argument("out", type=PATH)
@plot_options.markers
@plot_options.protocol
@click.option("--rotation", "rotation_deg", type=float, help="Turn of the lattice, counter-clockwise.  [default: drawn]")
@click.option("--tape-sd", "tape_sd_m", type=float, default=0.03, show_default=True, help="Scatter of the laid markers.")
@click.option("--warp", "warp_m", type=float, default=0.05, show_default=True, help="Smooth distortion of the site, in metres.")
@click.option("--missing", type=float, default=0.0, show_default=True, help="Share of markers that are not there.")
@click.option("--covered", type=float, default=0.0, show_default=True, help="Share of the others that are half hidden.")
@click.option("--distractors", type=int, default=0, show_default=True, help="Rocks, buckets and stumps.")
@click.option("--size", "site_m", type=float, help="Side of the site in metres.  [default: what holds the plots]")
@click.option("--gsd", "gsd_m", type=float, help="Metres a pixel.  [default: 0.0125; a frame's from 50 m up]")
@click.option("--weed-share", type=float, default=0.08, show_default=True, help="Of the ground.")
@click.option("--frame", is_flag=True, help="A nadir photo with EXIF and XMP instead of an orthomosaic.")
@click.option("--frame-px", type=int, default=4104, show_default=True, help="Width of that photo.")
@click.option("--tilt", "tilt_deg", type=float, default=2.0, show_default=True, help="Largest tilt of that photo.")
@click.option("--blur", "blur_px", type=float, default=0.6, show_default=True, help="Of the lens, in pixels.")
@click.option("--exposure", "exposure_stops", type=float, default=0.0, show_default=True, help="Stops too bright or too dark.")
@click.option("--quality", "jpeg_quality", type=int, default=92, show_default=True, help="Of the JPEGs.")
@click.option("--name", default="site", show_default=True, help="Of the site.")
@click.option("--seed", type=int, default=0, show_default=True)
@options.overwrite
def command(out: Path, overwrite: bool, frame: bool, **chosen: Any) -> None:
    """Simulate a survey in a folder OUT: a site with plots, markers and weed, and the truth about them.

    With --family none there are neither markers nor plots.
    """
    plots = plot_options.take(chosen, None)
    chosen["camera"] = Camera(**{name: chosen.pop(name) for name in CAMERA})
    chosen["frame_px"] = chosen["frame_px"] if frame else None
    simulated = SurveyOptions(
        protocol=plots.protocol,
        family=None if plots.marker_family == "none" else plots.marker_family,
        marker_size_m=plots.marker_side_m,
        marker_color=plots.marker_color,
        size_m=chosen.pop("site_m"),
        **chosen,
    )
    survey = simulate_survey(out, simulated, overwrite=overwrite, progress=bar)
    count = len(plots.protocol.plot_nodes) if simulated.family else 0
    click.echo(f"{count} plots, {survey.laid} markers, {survey.half_hidden} of them half hidden")
    click.echo(f"{out}: {survey.image.name}, survey.toml; the truth: plots.gpkg, markers.gpkg, weed.gpkg, weed.tif")
