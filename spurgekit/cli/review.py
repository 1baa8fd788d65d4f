"""``spurgekit review``."""

from __future__ import annotations

from pathlib import Path

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH, NameList
from spurgekit.review import ServeOptions, format_report, open_folder, serve_review, summarise
from spurgekit.review.serve import DEFAULT_PORT
from spurgekit.review.shared_log import SharedLog


@click.command("review")
@click.argument("folder", metavar="[DIR]", type=PATH, required=False)
@click.option("--reviewer", help="Who reviews.  [default: the login name]")
@click.option("--classes", type=NameList(), help="Class names in the order of their keys, 1 to 9.")
@click.option("--predictions", type=PATH, help="A model's test_predictions.csv, to find labels that it doubts.")
@click.option("--imagery", type=PATH, help="Folder of the images that the tiles were cut from.  [default: looked for]")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in the browser.")
@click.option("--report", is_flag=True, help="Print how far the reviewers are and how far they agree, and serve nothing.")
def command(
    folder: Path | None,
    reviewer: str | None,
    classes: tuple[str, ...] | None,
    predictions: Path | None,
    imagery: Path | None,
    port: int,
    browser: bool,
    report: bool,
) -> None:
    """Verify the tiles of DIR, a tiles folder or a dataset, on a local web page.

    Each decision is saved at once in DIR/review.jsonl, which 'spurgekit build-dataset' takes into account. Reviewers do not
    see what others said of a tile before they have decided themselves.
    """
    if folder is None:
        options.survey_here("a folder of tiles or a dataset")
        folder = Path("tiles")
    opened = open_folder(folder, classes=classes, predictions=predictions)
    if report:
        log = SharedLog(opened.path)
        lines = format_report(summarise(opened, log.decisions()), str(folder))
        click.echo("\n".join([*lines, *([f"note: {log.damage}"] if log.damage else [])]))
        return
    serve_review(opened, ServeOptions(reviewer, imagery, port, browser), click.echo)
