"""``spurgekit init``."""

from __future__ import annotations

from pathlib import Path

import click

from spurgekit.cli.options import PATH
from spurgekit.survey import init_survey


@click.command("init")
@click.argument("name", type=PATH)
def command(name: Path) -> None:
    """Make a folder NAME with a commented survey.toml to fill in."""
    click.echo(f"{init_survey(name)}: fill in the sites, then run 'spurgekit tile' in {name}")
