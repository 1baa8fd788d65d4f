"""How a dataset is labelled, split and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spurgekit.dataset.shots import SHOTS, TRIALS
from spurgekit.errors import InputError
from spurgekit.options import Options

MOST_CROP_PX = 8192
"""Side of the largest tile that is read; see :data:`spurgekit.imagery.limits.MAX_TILE_PX`."""

GROUP = "group"
"""The column that holds what a pattern finds in the names of files."""


class Splitter(Protocol):
    """What scikit-learn takes for ``cv``."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Any, Any]]:  # noqa: N803
        """Yield (training rows, test rows)."""
        ...

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return how many splits there are."""
        ...


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(Options):
    """How to label and split.

    Attributes
    ----------
    labels : pathlib.Path, optional
        Points or polygons with classes, or a raster of class codes. Default: the survey's, or a column of the tiles.
    labels_crs : str, optional
        CRS of that file, where it does not say it.
    record : pathlib.Path, optional
        Table of what was found in each plot: columns plot, label, and site or quarter.

        See :func:`spurgekit.dataset.field_record.labels_from_record`.
    label_column : str, optional
        Column of the class. Default: label.
    classes : tuple of str, optional
        Class names in order, absence first. Default: the survey's, or those found.
    min_cover : float
        Least share of a tile that a class must cover, by polygons, a raster, or a column of cover in per cent.
    max_accuracy_m : float, optional
        Leave out points whose position is known worse than this, in metres.
    reviewed_only : bool
        Leave out tiles that nobody has reviewed.
    group_column : str, optional
        Hold out whole groups of this column (site, plot, ...). Default: plots, clusters of points, blocks of other tiles.
    group_pattern : str, optional
        Of a folder of images: regular expression for the part of a file's name that says its group.
    test_groups : tuple of str, optional
        The groups to hold out. Default: drawn.
    split_column : str, optional
        Column that says train or test of each tile.
    block_m : float, optional
        Hold out blocks of ground of this side, in metres. Default: 4 tiles.
    cluster_distance_m : float, optional
        Hold out clusters of points, between which is more than this, in metres. Default: 10, or twice a tile.
    buffer_m : float, optional
        Leave out training tiles this near to a test tile, in metres; 0 leaves out those that touch one. Default: 0 for blocks.

        For groups and clusters that are asked for nothing is left out by default: touching tiles are an error.
    test_share : float
        Share of tiles to hold out, where groups or blocks are drawn.
    shots : tuple of int
        Tiles a class in few-shot support sets.
    trials : int
        Support sets of each number of shots.
    gsd_m : float, optional
        Of a folder of images: what a pixel measures on the ground, in metres.
    crs : str, optional
        Of a folder of images: CRS of easting and northing in its metadata.csv.
    crop_px : int, optional
        Of a folder of images: side of the squares that are cut from their middle, in pixels. Default: the median of their short
        sides, at most 512; none where all are squares of one size.
    licence : str, optional
        Of the dataset, as the Hugging Face Hub names it, e.g. cc-by-4.0.
    splitter : Splitter, optional
        A splitter of scikit-learn's kind, whose first fold is the split: of centres in metres, classes, and groups of
        ``group_column``; those of ``spurgekit.dataset.splitters`` are such.
    seed : int
        Of what is drawn.
    """

    labels: Path | None = None
    labels_crs: str | None = None
    record: Path | None = None
    label_column: str | None = None
    classes: tuple[str, ...] | None = None
    min_cover: float = 0.05
    max_accuracy_m: float | None = None
    reviewed_only: bool = False
    group_column: str | None = None
    group_pattern: str | None = None
    test_groups: tuple[str, ...] | None = None
    split_column: str | None = None
    block_m: float | None = None
    cluster_distance_m: float | None = None
    buffer_m: float | None = None
    test_share: float = 0.3
    shots: tuple[int, ...] = SHOTS
    trials: int = TRIALS
    gsd_m: float | None = None
    crs: str | None = None
    crop_px: int | None = None
    licence: str | None = None
    splitter: Splitter | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if not 0 < self.test_share < 1:
            raise InputError(f"`test_share={self.test_share}` is not a share; pass a number between 0 and 1")
        if not 0 <= self.min_cover <= 1:
            raise InputError(f"`min_cover={self.min_cover}` is not a share; pass a number from 0 to 1")
        for name in ("block_m", "cluster_distance_m", "max_accuracy_m", "gsd_m"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"`{name}={value}` is not a size; pass metres")
        if self.buffer_m is not None and not self.buffer_m >= 0:
            raise InputError(f"`buffer_m={self.buffer_m}` is not a distance; pass metres")
        if self.crop_px is not None and not 1 <= self.crop_px <= MOST_CROP_PX:
            raise InputError(f"`crop_px={self.crop_px}` cannot be the side of a tile; pass 1 to {MOST_CROP_PX:,} pixels")
        if self.seed < 0:
            raise InputError(f"`seed={self.seed}` is negative; pass 0 or more")
        if self.trials < 1 or not self.shots or min(self.shots) < 1:
            raise InputError("`shots` and `trials` are numbers of tiles and of support sets; pass positive ones")
        if self.labels and self.record:
            raise InputError("`labels` and `record` are two sources of labels; pass one of them")
        self._check_split()

    def _check_split(self) -> None:
        if self.test_groups and not self.grouped_by:
            raise InputError("`test_groups` needs `group_column`, the column that the groups are in")
        if self.splitter is not None and self.test_groups:
            raise InputError("`splitter` chooses the groups to hold out; leave `test_groups` out")
        ways = ("split_column", "group_column" if self.splitter is None else "splitter", "block_m", "cluster_distance_m")
        if len(chosen := [name for name in ways if getattr(self, name) is not None]) > 1:
            raise InputError(f"`{chosen[0]}` and `{chosen[1]}` are two ways to split; pass one of them")

    @property
    def grouped_by(self) -> str | None:
        """The column whose groups are held out, where it was named or is made by a pattern."""
        return self.group_column or (GROUP if self.group_pattern else None)
