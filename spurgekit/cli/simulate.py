"""``spurgekit simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import spurgekit
from spurgekit.cli import common, plot_options
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH, Choice
from spurgekit.progress import bar
from spurgekit.simulate.light import LIGHTS, Light
from spurgekit.simulate.survey_options import Camera, SurveyOptions

FRAME_PX = 4104


@click.command("simulate")
@click.argument("out", type=PATH)
@options_of(
    SurveyOptions,
    without=("markers", "camera", "light", "crs", "origin", "frame_px"),
    flags={**plot_options.FLAGS, "site_size_m": "--size", "tape_sd_m": "--tape-sd"},
    metavars=plot_options.METAVARS,
)
@click.option("--frame", is_flag=True, help="A nadir photo with EXIF and XMP instead of an orthomosaic.")
@click.option("--frame-px", type=int, default=FRAME_PX, show_default=True, help="Width of that photo.")
@options_of(
    Camera, without=("noise",), flags={"blur_px": "--blur", "exposure_stops": "--exposure", "jpeg_quality": "--quality"}
)
@click.option(
    "--light",
    type=Choice(tuple(LIGHTS)),
    default=next(iter(LIGHTS)),
    show_default=True,
    help="The same ground and plants in other light; the options below alter it.",
)
@options_of(Light)
@common.overwrite
def command(out: Path, overwrite: bool, frame: bool, frame_px: int, light: str, **chosen: Any) -> None:
    """Simulate a survey in a folder OUT: a site with plots, markers and weed, and the truth about them.

    With --family none there are neither markers nor plots.
    """
    marked = chosen["family"] != "none"
    chosen["family"] = chosen["family"] if marked else None
    camera = given(Camera, chosen)
    sun = given(Light, chosen, LIGHTS[light])
    simulated = given(SurveyOptions, chosen, camera=camera, light=sun, markers=marked, frame_px=frame_px if frame else None)
    survey = spurgekit.simulate_survey(out, simulated, overwrite=overwrite, progress=bar)
    count = len(simulated.plot_nodes) if marked else 0
    echo(f"{count} plots, {survey.laid} markers, {survey.half_hidden} of them half hidden")
    echo(f"{out}: {survey.image.name}, survey.toml; the truth: plots.gpkg, markers.gpkg, weed.gpkg, weed.tif")
