"""``spurgekit build-dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH, NameList
from spurgekit.dataset import DatasetInfo, DatasetOptions, build_dataset
from spurgekit.progress import bar


@click.command("build-dataset")
@click.argument("tiles", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder to make.  [default: dataset]")
@click.option("--labels", type=PATH, help="Points or polygons with classes.  [default: a column of the tiles' index]")
@click.option("--labels-crs", metavar="CRS", help="CRS of that file, if it does not say it.")
@click.option("--label-column", help="Column of the class.  [default: label]")
@click.option("--classes", type=NameList(), help="Class names in order, absence first.")
@click.option(
    "--min-cover", type=float, default=0.05, show_default=True, help="Least share of a tile that polygons must cover."
)
@click.option("--group-column", help="Hold out whole groups of this column (site, cluster, ...).  [default: blocks of ground]")
@click.option("--test-groups", type=NameList(), help="The groups to hold out.  [default: drawn]")
@click.option("--block", "block_m", type=float, help="Side of a block in metres.  [default: four tiles]")
@click.option("--buffer", "buffer_m", type=float, help="Leave out training tiles within this many metres of a test tile.")
@click.option("--test-share", type=float, default=0.3, show_default=True, help="Share of tiles to hold out.")
@click.option("--seed", type=int, default=0, show_default=True)
@options.overwrite
def command(tiles: Path | None, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Label TILES (a folder made by 'spurgekit tile') and split them by place into an imagefolder dataset.

    No test tile may touch a training tile: with blocks, training tiles that do are left out; with groups it is an error unless
    --buffer says to leave them out.
    """
    if tiles is None:
        survey = options.survey_here("a tiles folder")
        tiles = Path("tiles")
        chosen["labels"] = chosen["labels"] or (survey.labels and survey.path(survey.labels))
        chosen["classes"] = chosen["classes"] or survey.classes
    out = out or Path("dataset")
    info = build_dataset(tiles, out, DatasetOptions(**chosen), overwrite=overwrite, progress=bar)
    _print(info, out)


def _print(info: DatasetInfo, out: Path) -> None:
    width = max(len(name) for name in ("class", *info.classes))
    click.echo(f"{'class':<{width}}  train   test")
    for name in info.classes:
        click.echo(f"{name:<{width}}  {info.counts['train'][name]:5d}  {info.counts['test'][name]:5d}")
    by = info.split["by"]
    held_out = f"blocks of {info.split['block_m']:g} m" if by == "blocks" else f"{by} {', '.join(info.split['test_groups'])}"
    click.echo(f"held out: {held_out}; no test tile touches a training tile")
    for why, count in info.left_out.items():
        click.echo(f"left out: {count:,} {why}")
    click.echo(f"{out}: train/, test/, dataset.json, tiles.parquet, README.md")
