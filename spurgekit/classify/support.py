"""Which tiles a classifier learns from: all of the training split or a few shots, and tiles from elsewhere beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from spurgekit.augment.manifest import check_sources, mixing_probability, read_manifest, select_synthetic, usable
from spurgekit.classify.arms import Arm
from spurgekit.classify.features import FeatureStore
from spurgekit.classify.retrieval import retrieve
from spurgekit.classify.samples import SupportSet, describe
from spurgekit.dataset import Dataset
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of


@dataclass(frozen=True)
class Elsewhere:
    """Tiles from elsewhere that arms may ask for.

    Attributes
    ----------
    data : Dataset
        Whose unlabelled tiles are retrieved.
    synthetic : pandas.DataFrame, optional
        The manifest of an ``augmented/`` folder.
    mixing : float, optional
        Their share in each class; by default it depends on the number of shots.
    """

    data: Dataset
    synthetic: pd.DataFrame | None = None
    mixing: float | None = None

    @classmethod
    def open(cls, data: Dataset, folder: Path | None, mixing: float | None) -> Elsewhere:
        """Read the manifest of an ``augmented/`` folder, if there is one."""
        if mixing is not None and not 0 <= mixing <= 1:
            raise InputError(f"--mixing {mixing} is not a probability; pass a number from 0 to 1")
        return cls(data, None if folder is None else read_manifest(folder, data.info.classes), mixing)

    @cached_property
    def unlabelled(self) -> pd.DataFrame:
        """Rows of the dataset's unlabelled tiles; see :meth:`spurgekit.dataset.Dataset.unlabelled`."""
        return self.data.unlabelled()

    def check(self, arm: Arm) -> None:
        """Raise an :class:`InputError` where an arm asks for tiles that there are none of."""
        if arm.has("synthetic") and self.synthetic is None:
            raise InputError(f"the arm {arm} wants synthetic tiles; pass their folder with --synthetic DIR")
        if arm.has("retrieval"):
            _ = self.unlabelled

    def gather(
        self, store: FeatureStore, tiles: pd.DataFrame, arm: Arm, *, n: int = 0, trial: int = 0, seed: int = 0
    ) -> SupportSet:
        """Return a support set with what an arm adds to it.

        Parameters
        ----------
        tiles : pandas.DataFrame
            The real ones: tile_id, path, target and group.
        n : int
            Shots; 0 for a whole training split.
        trial : int
        """
        classes = len(self.data.info.classes)
        shots = n or int(tiles["target"].value_counts().min())
        mixing = mixing_probability(max(shots, 1)) if self.mixing is None else self.mixing
        return SupportSet(tiles, classes, self._extra(store, tiles, arm, n, trial), mixing, seed_of(seed, n, trial))

    def _extra(self, store: FeatureStore, tiles: pd.DataFrame, arm: Arm, n: int, trial: int) -> pd.DataFrame:
        if arm.has("retrieval"):
            rows = self.unlabelled
            return retrieve(tiles, describe(store, tiles, "probe"), rows, describe(store, rows, "probe"))
        if arm.has("synthetic") and self.synthetic is not None:
            rows = select_synthetic(self.synthetic, trial=trial, n=n) if n else _of_whole_split(self.synthetic)
            check_sources(rows, tiles["tile_id"])
            rows = rows.rename(columns={"tile_id": "owner", "id": "tile_id"})
            soft = [name for name in ("source_target", "share") if name in rows]
            return rows[["tile_id", "path", "target", "weight", "owner", *soft]]
        return pd.DataFrame()


def _of_whole_split(manifest: pd.DataFrame) -> pd.DataFrame:
    rows = manifest[manifest["n"].isna() & manifest["trial"].isna()]
    if not usable(rows):
        raise InputError("there are no synthetic tiles for the whole training split, only for support sets; pass --shots")
    return rows
