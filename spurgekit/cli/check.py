"""``spurgekit check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.accuracy.check_options import AssessOptions, CheckOptions
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import IMAGE, PATH
from spurgekit.options import kinds_of
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.accuracy import CheckReport
    from spurgekit.image_names import ImageName


@click.command("check")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--out", type=PATH, help="Folder to make of a map.  [default: checks/SITE]")
@click.option(
    "--image", type=IMAGE, help="The image that was mapped, for pictures of the cells.  [default: where the map says]"
)
@options_of(CheckOptions)
@options_of(AssessOptions)
@common.overwrite
def command(folder: Path, out: Path | None, image: ImageName | None, overwrite: bool, **chosen: Any) -> None:
    """Check a map by cells that are drawn at random from it and labelled by people.

    Of a map, DIR, cells are drawn: a list for the field (CSV, GPX, GeoPackage) and pictures for 'spurgekit review'. Of such a
    folder, DIR again, once it is labelled, come the map's accuracy and the area of each class, with intervals.

    Strata are the classes of the map, so these estimates hold for whatever map it is. They would not hold for the confusion
    matrix of held-out tiles, which were not drawn from it.
    """
    from spurgekit.accuracy.sample import SAMPLE

    for_report = {name: chosen.pop(name) for name in kinds_of(AssessOptions)}
    if (folder / SAMPLE).is_file():
        _refuse(
            {"out": out, "image": image, **chosen},
            f"{folder} holds a sample that is drawn already, and {{}} is for drawing one",
        )
        found = spurgekit.assess_map(folder, given(AssessOptions, for_report), overwrite=overwrite)
        for note in found.notes:
            echo(f"note: {note}")
        from spurgekit.accuracy import format_assessment

        echo("\n".join([*format_assessment(found), "", f"{folder / 'accuracy.json'}"]))
        return
    _refuse(for_report, f"{folder} holds no sample, and {{}} is for one that is labelled")
    report = spurgekit.draw_check(
        folder, out or Path("checks") / folder.resolve().name, given(CheckOptions, chosen),
        image=image, overwrite=overwrite, progress=bar,
    )  # fmt: skip
    _print(report)


def _refuse(options: dict[str, Any], why: str) -> None:
    """Refuse options that were given and are not for such a folder."""
    for name, value in options.items():
        if value is not None:
            raise spurgekit.errors.InputError(f"{why.format(f'`{name}`')}; drop it, or name another folder")


def _print(report: CheckReport) -> None:
    for note in report.notes:
        echo(f"note: {note}")
    sample = report.sample
    for stratum in sample.strata:
        echo(f"{stratum.name}: {stratum.sampled:,} of {stratum.cells:,} cells")
    if report.area_of is None:
        expected = f"the overall accuracy to {report.half_width:.3f}"
    else:
        expected = f"the area of {report.area_of} to {report.half_width * sample.mapped_m2:,.1f} m2"
    echo(f"{len(sample.cells):,} cells of {sample.cell_m:.2f} m; if the map's probabilities hold they tell {expected} (95 %)")
    pictures = f", {report.pictures:,} pictures and overview.png" if report.pictures else ""
    echo(f"{report.folder}: {', '.join(report.files)}{pictures}")
    ways = f", or run 'spurgekit review {report.folder}'" if report.pictures else ""
    echo(f"fill in the column label of cells.csv{ways}; then run 'spurgekit check {report.folder}'")
