"""How a dataset is labelled, split and written: what the command's options come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spurgekit.dataset.few_shot import SHOTS, TRIALS
from spurgekit.dataset.imagefolder import GROUP
from spurgekit.errors import InputError


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """How to label and split.

    Attributes
    ----------
    labels : pathlib.Path, optional
        Points or polygons with classes. Default: what the tiles' survey names, else a column of the tiles' index.
    labels_crs : str, optional
        CRS of that file, where it does not say it.
    record : pathlib.Path, optional
        Table with what botanists found in each plot; see :func:`spurgekit.dataset.field_record.labels_from_record`.
    label_column : str, optional
        Column of the class, ``label`` by default.
    classes : tuple of str, optional
        Class names in order, absence first. Default: the surveys'.
    min_cover : float
        Least share of a tile that polygons must cover.
    max_accuracy_m : float, optional
        Leave out points whose position is known worse than this.
    reviewed_only : bool
        Leave out tiles that nobody has reviewed.
    group_column : str, optional
        Column of the tiles' index (site, cluster, ...) whose groups are held out whole. Default: clusters of points, and blocks
        of ground for other tiles.
    group_pattern : str, optional
        Of a folder of images: regular expression for the part of a file's name that says which group it is of.
    test_groups : tuple of str, optional
        Groups held out; drawn by ``seed`` if not given.
    split_column : str, optional
        Column that says ``train`` or ``test`` of each tile.
    block_m : float, optional
        Side of a block in metres; four tiles by default.
    cluster_distance_m : float, optional
        Points are of one cluster that can be walked between in steps of this many metres.
    buffer_m : float, optional
        Training tiles within this distance of a test tile are left out; 0 leaves out those that touch one. Default: 0 for
        blocks, and for groups nothing is left out: touching tiles are an error.
    test_share : float
        Share of tiles to hold out where groups or blocks are drawn.
    shots : tuple of int
        Tiles a class in few-shot support sets.
    trials : int
        Support sets of each number of shots.
    gsd_m : float, optional
        Of a folder of images: what a pixel measures on the ground.
    crs : str, optional
        Of a folder of images: CRS of the coordinates in its table.
    licence : str, optional
        As the Hugging Face Hub names it, e.g. ``cc-by-4.0``.
    seed : int
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
    licence: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise InputError(f"--test-share {self.test_share} is not a share; pass a number between 0 and 1")
        if not 0 <= self.min_cover <= 1:
            raise InputError(f"--min-cover {self.min_cover} is not a share; pass a number from 0 to 1")
        for option, value in (
            ("block", self.block_m),
            ("cluster-distance", self.cluster_distance_m),
            ("max-accuracy", self.max_accuracy_m),
            ("gsd", self.gsd_m),
        ):
            if value is not None and not value > 0:
                raise InputError(f"--{option} {value} is not a size; pass metres")
        if self.buffer_m is not None and not self.buffer_m >= 0:
            raise InputError(f"--buffer {self.buffer_m} is not a distance; pass metres")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed} is negative; pass 0 or more")
        if self.trials < 1 or not self.shots or min(self.shots) < 1:
            raise InputError("--shots and --trials are numbers of tiles and of support sets; pass positive ones")
        if self.labels and self.record:
            raise InputError("--labels and --record are two sources of labels; pass one of them")
        self._check_split()

    def _check_split(self) -> None:
        if self.test_groups and not self.grouped_by:
            raise InputError("--test-groups needs --group-column, the column that the groups are in")
        ways = {
            "--split-column": self.split_column,
            "--group-column": self.group_column,
            "--block": self.block_m,
            "--cluster-distance": self.cluster_distance_m,
        }
        if len(chosen := [name for name, value in ways.items() if value is not None]) > 1:
            raise InputError(f"{chosen[0]} and {chosen[1]} are two ways to split; pass one of them")

    @property
    def grouped_by(self) -> str | None:
        """The column whose groups are held out, where it was named or is made by a pattern."""
        return self.group_column or (GROUP if self.group_pattern else None)
