"""``spurgekit dataset``: look at datasets, check them, send them to the Hugging Face Hub and fetch one from it."""

from __future__ import annotations

from pathlib import Path

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.spelling import echo, show, warn
from spurgekit.cli.types import PATH, NameList
from spurgekit.progress import bar


@click.group("dataset")
def command() -> None:
    """Look at datasets, check them, send them to the Hugging Face Hub."""


@command.command("info")
@click.argument("folder", type=PATH, default=Path("dataset"))
@common.as_json
def info(folder: Path, as_json: bool) -> None:
    """Say what is in a dataset FOLDER: tiles per class, split and place."""
    from spurgekit.dataset.reader import datasets_in, open_dataset
    from spurgekit.dataset.summary import describe_dataset

    for one in datasets_in(folder) or [folder]:
        dataset = open_dataset(one)
        show(dataset.info.model_dump_json(indent=2) if as_json else "\n".join(describe_dataset(dataset)))


@command.command("validate")
@click.argument("folder", type=PATH, default=Path("dataset"))
def validate(folder: Path) -> None:
    """Check a dataset FOLDER: tables, images, leakage between its splits, support sets; exit 1 if anything is wrong."""
    problems = spurgekit.validate_dataset(folder, progress=bar)
    for problem in problems:
        echo(problem)
    if problems:
        raise click.exceptions.Exit(1)
    echo(f"{folder} is valid")


@command.command("push")
@click.argument("folder", type=PATH)
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Make the repository private.")
@click.option("--revision", help="Branch.  [default: main]")
@click.option("--token", help="Of your account.  [default: that of 'hf auth login']")
def push(folder: Path, repository: str, private: bool, revision: str | None, token: str | None) -> None:
    """Upload a valid dataset FOLDER to the Hugging Face Hub: the files that are its own, without provenance and review."""
    address = spurgekit.push_dataset(
        folder, repository, private=private, revision=revision, token=token, progress=bar, say=warn
    )
    echo(address)


@command.command("fetch")
@click.argument("source", default="mpg-ranch/leafy_spurge")
@click.option("--configs", type=NameList(), default=("crop",), help="Of crop, context and unlabelled.  [default: crop]")
@click.option("--revision", help="Of the repository; a commit gives the same tiles always.  [default: main]")
@click.option("--out", type=PATH, default=Path("leafy-spurge"), show_default=True, help="Folder to make.")
@common.overwrite
def fetch(source: str, configs: tuple[str, ...], revision: str | None, out: Path, overwrite: bool) -> None:
    """Make a dataset of the published Leafy Spurge Dataset: its repository on the Hub, or a folder that is a copy of it."""
    from spurgekit.cli.build_dataset import echo_built

    info = spurgekit.fetch_dataset(source, out, configs=configs, revision=revision, overwrite=overwrite, progress=bar)
    echo_built(info, out)
