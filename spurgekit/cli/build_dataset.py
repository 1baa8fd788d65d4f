"""``spurgekit build-dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH, NameList, NumberList
from spurgekit.dataset import DatasetInfo, DatasetOptions, build_dataset
from spurgekit.progress import bar
from spurgekit.survey import Survey

DEFAULTS = DatasetOptions()


@click.command("build-dataset")
@click.argument("tiles", type=PATH, nargs=-1)
@click.option("--out", type=PATH, help="Folder to make.  [default: dataset]")
@click.option("--labels", type=PATH, help="Points or polygons with classes.  [default: the survey's, or a column of the tiles]")
@click.option("--labels-crs", metavar="CRS", help="CRS of that file, if it does not say it.")
@click.option("--record", type=PATH, help="Table of what was found in each plot: columns plot, label, and site or quarter.")
@click.option("--label-column", help="Column of the class.  [default: label]")
@click.option("--classes", type=NameList(), help="Class names in order, absence first.")
@click.option("--min-cover", type=float, default=0.05, show_default=True, help="Least share of a tile polygons must cover.")
@click.option("--max-accuracy", "max_accuracy_m", type=float, metavar="M", help="Leave out points known worse than this.")
@click.option("--reviewed-only", is_flag=True, help="Leave out tiles that nobody has reviewed.")
@click.option("--group-column", help="Hold out whole groups of this column (site, plot, cluster, ...).")
@click.option("--group-pattern", metavar="REGEX", help="Of a folder of images: the part of a name that says its group.")
@click.option("--test-groups", type=NameList(), help="The groups to hold out.  [default: drawn]")
@click.option("--split-column", help="Column that says train or test of each tile.")
@click.option("--block", "block_m", type=float, metavar="M", help="Hold out blocks of ground of this side.  [default: 4 tiles]")
@click.option(
    "--cluster-distance",
    "cluster_distance_m",
    type=float,
    metavar="M",
    help="Hold out clusters of points, between which is more than this.  [default: 10, or twice a tile]",
)
@click.option("--buffer", "buffer_m", type=float, metavar="M", help="Leave out training tiles this near to a test tile.")
@click.option("--test-share", type=float, default=0.3, show_default=True, help="Share of tiles to hold out.")
@click.option(
    "--shots", type=NumberList(), default=DEFAULTS.shots, help="Tiles a class in support sets.  [default: 1,2,4,8,16]"
)
@click.option("--trials", type=int, default=DEFAULTS.trials, show_default=True, help="Support sets of each number of shots.")
@click.option("--gsd", "gsd_m", type=float, metavar="M", help="Of a folder of images: what a pixel measures on the ground.")
@click.option("--crs", metavar="CRS", help="Of a folder of images: CRS of easting and northing in its metadata.csv.")
@click.option("--licence", metavar="ID", help="Of the dataset, as the Hugging Face Hub names it, e.g. cc-by-4.0.")
@click.option("--seed", type=int, default=0, show_default=True)
@options.overwrite
def command(tiles: tuple[Path, ...], out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Label TILES and split them by place into an imagefolder dataset.

    TILES are folders made by 'spurgekit tile', datasets, or folders of images; of several surveys, one dataset is made. What
    was decided in a review is honoured. Tiles of points are held out by cluster, others by blocks of ground, unless an option
    says otherwise. No test tile may touch a training tile: with blocks, training tiles that do are left out; with groups and
    clusters it is an error unless --buffer says to leave them out.
    """
    if not tiles:
        _take_from(options.survey_here("a tiles folder"), chosen)
        tiles = (Path("tiles"),)
    out = out or Path("dataset")
    info = build_dataset(tiles, out, DatasetOptions(**chosen), overwrite=overwrite, progress=bar)
    echo_built(info, out)


def _take_from(survey: Survey, chosen: dict[str, Any]) -> None:
    """Fill in what was not chosen from a survey; its labels, record and classes are found beside its tiles."""
    ways = ("group_column", "group_pattern", "split_column", "block_m", "cluster_distance_m")
    is_split = any(chosen[way] is not None for way in ways)
    for name in ("label_column", "buffer_m", "licence", *(() if is_split else ("group_column", "test_groups"))):
        if chosen[name] is None:
            chosen[name] = getattr(survey.dataset, name)


def echo_built(info: DatasetInfo, out: Path) -> None:
    """Say what a dataset that was built holds."""
    width = max(len(name) for name in ("class", *info.classes))
    click.echo(f"{'class':<{width}}  train   test")
    for name in info.classes:
        click.echo(f"{name:<{width}}  {info.counts['train'][name]:5d}  {info.counts['test'][name]:5d}")
    sure = "no test tile touches a training tile" if info.crs else "no image is in both splits"
    click.echo(f"held out: {_held_out(info.split)}; {sure}")
    for why, count in info.left_out.items():
        click.echo(f"left out: {count:,} {why}")
    if info.unlabelled is not None:
        click.echo(f"unlabelled: {info.unlabelled.tiles:,} tiles")
    shots = (
        f"{info.trials} of {', '.join(map(str, info.shots))} tiles a class" if info.shots else "none: too few training tiles"
    )
    click.echo(f"support sets: {shots}")
    for note in info.notes:
        click.echo(f"note: {note}")
    what = "crop/, context/" if (out / "context").is_dir() else "train/, test/, dataset.json, few_shot.parquet, tiles.parquet"
    click.echo(f"{out}: {what}, README.md")


def _held_out(split: dict[str, Any]) -> str:
    if split["by"] == "blocks":
        return f"blocks of {split['block_m']:g} m"
    return f"what {split['by']} says" if split.get("given") else f"{split['by']} {', '.join(split['test_groups'])}"
