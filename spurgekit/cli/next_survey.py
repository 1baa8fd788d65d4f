"""``spurgekit next-survey``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import IMAGE, PATH, Place
from spurgekit.next_survey.next_survey_options import NextSurveyOptions
from spurgekit.progress import bar
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.image_names import ImageName
    from spurgekit.next_survey import NextSurveyReport


@click.command("next-survey")
@click.argument("folder", metavar="MAP", type=PATH)
@click.option("--out", type=PATH, help="Folder to make.  [default: next-surveys/SITE]")
@click.option("--image", type=IMAGE, help="The image that was mapped.  [default: where the map says]")
@options_of(NextSurveyOptions, types={"start": Place()}, metavars={"start_crs": "CRS"})
@common.overwrite
def command(folder: Path, out: Path | None, image: ImageName | None, overwrite: bool, **chosen: Any) -> None:
    """Plan where botanists look next, so that the model of a map learns most: tiles, and the way past them.

    MAP is a folder that 'spurgekit map' made. Tiles are chosen that the map is unsure of, that are unlike the training tiles
    and one another, and that stand for much of the ground.
    """
    out = out or Path("next-surveys") / folder.resolve().name
    options = given(NextSurveyOptions, chosen)
    _print(spurgekit.plan_survey(folder, out, options, image=image, overwrite=overwrite, progress=bar))


def _print(report: NextSurveyReport) -> None:
    for note in report.notes:
        echo(f"note: {note}")
    echo(f"{counted(report.tiles, 'tile')} of {report.support_m:.2f} m to look at, {report.walk_m:,.0f} m to walk")
    echo(
        f"their uncertainty is {report.uncertainty:.2f} on average, that of the map {report.uncertainty_of_map:.2f}; "
        f"{report.unlike} of them are unlike the tiles that the model learned from"
    )
    echo(f"{report.folder}: {', '.join(report.files)}")
    echo(f"fill in the column label of {report.folder / 'points.csv'}, then cut these tiles with 'spurgekit tile --points'")
