"""``spurgekit init``."""

from __future__ import annotations

from pathlib import Path

import click

import spurgekit
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH


@click.command("init")
@click.argument("name", type=PATH)
def command(name: Path) -> None:
    """Make a folder NAME with a commented survey.toml to fill in."""
    echo(f"{spurgekit.init_survey(name)}: fill in the sites, then run 'spurgekit tile' in {name}")
