"""``spurgekit export``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH
from spurgekit.export.export_options import ExportOptions
from spurgekit.export.recipients import RECIPIENTS, NothingToExportError

if TYPE_CHECKING:
    from spurgekit.export import ExportReport


@click.command("export")
@click.argument("folder", metavar="[MAP]", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make.  [default: exports/SITE/RECIPIENT]")
@options_of(
    ExportOptions,
    flags={"recipient": "--for", "classes": "--class", "rate_l_ha": "--rate"},
    without=("record", "flown", "survey"),
    multiple=("classes", "reviewed"),
    types={"reviewed": PATH},
    metavars={
        "classes": "NAME",
        "join_m": "M",
        "swath_m": "M",
        "rate_l_ha": "L/HA",
        "reviewed": "PATH",
        "imagery": "PATH",
        "page_mb": "MB",
    },
)
@common.overwrite
def command(folder: Path | None, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Export a map for those who act on it: as waypoints, outlines and tables in WGS 84, or as a map that needs no network.

    Cells of a class that are near one another (--join) are a patch, with a name. They are taken from the map's presence.gpkg as
    it is: what was deleted from it in QGIS is not exported. Inside a survey's folder, the maps of all its sites are exported.
    """
    from spurgekit.outputs import check_output

    options = given(ExportOptions, chosen)
    maps = [folder] if folder is not None else _maps_here()
    if out is None:
        outs = [Path("exports") / one.resolve().name / options.recipient for one in maps]
    else:
        outs = [out] if folder is not None else [out / one.name for one in maps]
    for one in outs:
        check_output(one, RECIPIENTS[options.recipient].kind, overwrite=overwrite)
    reports = []
    for one, to in zip(maps, outs, strict=True):
        try:
            reports.append(spurgekit.export_map(one, to, _of_survey(options, one), overwrite=overwrite))
        except NothingToExportError as error:
            if one == maps[-1] and not reports:
                raise
            echo(f"note: {error}")
        else:
            _print(reports[-1])


def _of_survey(options: ExportOptions, folder: Path) -> ExportOptions:
    """Return options with what the survey of the working folder, or the one that a map lies in, says of records."""
    from spurgekit.survey import find_survey

    if options.recipient != "records":
        return options
    survey = find_survey() or find_survey(folder.resolve().parent.parent)
    if survey is None:
        raise spurgekit.errors.InputError(
            "records need a survey.toml with a table [record], which says what the weed is called and who saw it; "
            "make one with 'spurgekit init NAME'"
        )
    flown = survey.date_of(folder.resolve().name)
    return replace(options, record=survey.record, flown=flown, survey=survey.name)


def _maps_here() -> list[Path]:
    """Return the maps of the survey's sites; those that there are none of yet are named."""
    sites = [Path("maps") / site.name for site in common.sites_here("a map").sites]
    maps = [folder for folder in sites if folder.is_dir()]
    if not maps:
        raise spurgekit.errors.InputError("no site of the survey has a map yet; run 'spurgekit map --model MODEL'")
    for folder in sites:
        if folder not in maps:
            echo(f"note: {folder.name} has no map yet, and is left out")
    return maps


def _print(report: ExportReport) -> None:
    for note in report.notes:
        echo(f"note: {note}")
    for line in RECIPIENTS[report.recipient].describe(report):
        echo(line)
    echo(f"{report.folder}: {', '.join(report.files)}")
