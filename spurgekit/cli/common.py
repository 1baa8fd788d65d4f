"""Options that several commands share, and what a command without arguments is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spurgekit.cli.declared import options_of
from spurgekit.cli.types import NameList
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.executors.workers import DEFAULT

if TYPE_CHECKING:
    from spurgekit.survey import Survey

overwrite = click.option("--overwrite", is_flag=True, help="Replace an output that spurgekit made before.")
executor = click.option(
    "--executor",
    metavar="EXECUTOR",
    default=DEFAULT,
    show_default=True,
    help="Who does the work: threads, processes, dask://HOST:PORT (a Dask scheduler), or FILE.toml (a cluster to begin).",
)
fold_options = options_of(
    FoldOptions, types={"together": NameList()}, metavars={"leave_out": "COLUMN"}, multiple=("together",)
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def survey_here(what: str) -> Survey:
    """Return the survey of the working folder, for commands called without arguments.

    Raises
    ------
    click.UsageError
        If there is none.
    """
    from spurgekit.survey import find_survey

    survey = find_survey()
    if survey is None:
        raise click.UsageError(f"name {what}, or run this in a survey's folder (one with a survey.toml)")
    return survey


def sites_here(what: str) -> Survey:
    """Return the survey of the working folder, which has sites.

    Raises
    ------
    click.UsageError
        If there is none, or it names no sites.
    """
    survey = survey_here(what)
    if not survey.sites:
        raise click.UsageError("survey.toml names no sites; add a [[sites]] entry")
    return survey


def or_here(folder: Path | None, default: str, what: str) -> Path:
    """Return the folder that a command was given, else the one that a survey has it in.

    Raises
    ------
    click.UsageError
        If none was given outside a survey's folder.
    """
    if folder is not None:
        return folder
    survey_here(what)
    return Path(default)
