"""``spurgekit build-dataset``."""

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
from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.dataset import DatasetInfo
    from spurgekit.survey import Survey

SPLITTING = ("group_column", "group_pattern", "split_column", "block_m", "cluster_distance_m")


@click.command("build-dataset")
@click.argument("tiles", type=PATH, nargs=-1)
@click.option("--out", type=PATH, help="Folder to make.  [default: dataset]")
@options_of(
    DatasetOptions,
    metavars={
        **dict.fromkeys(("max_accuracy_m", "block_m", "cluster_distance_m", "buffer_m", "gsd_m"), "M"),
        **dict.fromkeys(("crs", "labels_crs"), "CRS"),
        "group_pattern": "REGEX",
        "licence": "ID",
    },
)
@common.overwrite
def command(tiles: tuple[Path, ...], out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Label TILES and split them by place into an imagefolder dataset.

    TILES are folders made by 'spurgekit tile', datasets, or folders of images; of several surveys, one dataset is made. What
    was decided in a review is honoured. Tiles of plots are held out by plot, of points by cluster, others by blocks of ground,
    unless an option says otherwise. No test tile may touch a training tile: with blocks, training tiles that do are left out;
    with groups and clusters it is an error unless --buffer says to leave them out.
    """
    base = None
    if not tiles:
        base = _from_survey(common.survey_here("a tiles folder"), chosen)
        tiles = (Path("tiles"),)
    out = out or Path("dataset")
    info = spurgekit.build_dataset(tiles, out, given(DatasetOptions, chosen, base), overwrite=overwrite, progress=bar)
    echo_built(info, out)


def _from_survey(survey: Survey, chosen: dict[str, Any]) -> DatasetOptions:
    """Return what a survey says of its dataset, so far as it goes with what was chosen.

    Its labels, record and classes are found beside its tiles.
    """
    said = replace(survey.dataset, labels=None, record=None, classes=None)
    if any(chosen[way] is not None for way in SPLITTING):
        nothing: dict[str, Any] = dict.fromkeys(SPLITTING)
        said = replace(said, test_groups=None, **nothing)
    return said


def echo_built(info: DatasetInfo, out: Path) -> None:
    """Say what a dataset that was built holds."""
    from spurgekit.dataset.summary import unclear_words

    width = max(len(name) for name in ("class", *info.classes))
    echo(f"{'class':<{width}}  train   test")
    for name in info.classes:
        echo(f"{name:<{width}}  {info.counts['train'][name]:5d}  {info.counts['test'][name]:5d}")
    sure = "no test tile touches a training tile" if info.crs else "no image is in both splits"
    echo(f"held out: {info.split.held_out}; {sure}")
    for why, count in info.left_out.items():
        echo(f"left out: {count:,} {why}" + (f", such as {info.examples[why]}" if why in info.examples else ""))
    if info.unclear is not None:
        echo(f"unclear: {unclear_words(info.unclear, info.min_cover or 0)}")
    if info.unlabelled is not None:
        echo(f"unlabelled: {info.unlabelled.tiles:,} tiles")
    shots = (
        f"{info.trials} of {', '.join(map(str, info.shots))} tiles a class" if info.shots else "none: too few training tiles"
    )
    echo(f"support sets: {shots}")
    for note in info.notes:
        echo(f"note: {note}")
    sides = "train/, test/, masks/" if info.masks else "train/, test/"
    what = "crop/, context/" if (out / "context").is_dir() else f"{sides}, dataset.json, few_shot.parquet, tiles.parquet"
    echo(f"{out}: {what}, README.md")
