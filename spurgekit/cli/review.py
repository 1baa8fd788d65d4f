"""``spurgekit review``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import spurgekit
from spurgekit import review
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import PATH
from spurgekit.review.review_options import ReviewOptions


@click.command("review")
@click.argument("folder", metavar="[DIR]", type=PATH, required=False)
@options_of(ReviewOptions)
@click.option("--report", is_flag=True, help="Print how far the reviewers are and how far they agree, and serve nothing.")
def command(folder: Path | None, report: bool, **chosen: Any) -> None:
    """Verify the tiles of DIR, a tiles folder or a dataset, on a local web page.

    Each decision is saved at once in DIR/review.jsonl, which 'spurgekit build-dataset' takes into account. Reviewers do not
    see what others said of a tile before they have decided themselves.
    """
    folder = common.or_here(folder, "tiles", "a folder of tiles or a dataset")
    reviewing = given(ReviewOptions, chosen)
    if report:
        echo("\n".join(review.format_report(spurgekit.review_report(folder, reviewing), str(folder))))
        return
    spurgekit.review_tiles(folder, reviewing, say=echo)
