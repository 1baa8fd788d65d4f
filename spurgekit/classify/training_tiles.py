"""Which tiles a classifier learns from: all of the training split or a few shots, and extra tiles beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from spurgekit.augment.manifest import check_sources, mixing_probability, of_fold, read_manifest, select_synthetic, usable
from spurgekit.classify.arms import RECIPES, Arm
from spurgekit.classify.features import FeatureStore, unit
from spurgekit.classify.label_spreading import MOST_SHOTS
from spurgekit.classify.probe import Array
from spurgekit.classify.probe_samples import SupportSet, tile_features
from spurgekit.classify.tile_reader import TileKind, read_tile
from spurgekit.dataset import Dataset
from spurgekit.dataset.folds import Fold
from spurgekit.dataset.reader import SPLITS
from spurgekit.dataset.retrievable import Retrievable, check_ground, describe, read_unlabelled, retrievable
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

NEIGHBOURS = 4
"""Unlabelled tiles for each tile of a support set."""


@dataclass(frozen=True)
class ExtraTiles:
    """Extra tiles that arms may ask for.

    Attributes
    ----------
    data : Dataset
        Whose unlabelled tiles are retrieved.
    synthetic : mapping of str to pandas.DataFrame
        The manifests of ``augmented/`` folders, by name.
    mixing : float, optional
        Their share in each class; by default it depends on the number of shots.
    folder : pathlib.Path, optional
        Of tiles, in place of the dataset's own unlabelled ones.
    """

    data: Dataset
    synthetic: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    mixing: float | None = None
    folder: Path | None = None

    @classmethod
    def open(
        cls, data: Dataset, folders: Mapping[str, Path], mixing: float | None, unlabelled: Path | None = None
    ) -> ExtraTiles:
        """Read the manifests of ``augmented/`` folders."""
        if mixing is not None and not 0 <= mixing <= 1:
            raise InputError(f"`mixing={mixing}` is not a probability; pass a number from 0 to 1")
        manifests = {name: read_manifest(folder, data.info.classes) for name, folder in folders.items()}
        return cls(data, manifests, mixing, unlabelled)

    @cached_property
    def unlabelled(self) -> pd.DataFrame:
        """Rows of the dataset's unlabelled tiles, which show as much ground as its labelled ones, in the same bands.

        See :meth:`spurgekit.dataset.Dataset.unlabelled`.

        Raises
        ------
        InputError
            If they do not.
        """
        rows = self.data.unlabelled() if self.folder is None else read_unlabelled(self.folder, self.data)
        check_ground(self.data, rows, self.folder)
        labelled, unlabelled = (TileKind.of(read_tile(tiles["path"].iloc[0])) for tiles in (self.data.split("train"), rows))
        if labelled != unlabelled:
            raise InputError(
                f"labelled tiles of {self.data.path} have {labelled}, unlabelled ones {unlabelled} "
                f"(such as {rows['path'].iloc[0]}); tile with the same `bands`"
            )
        return rows

    @property
    def has_unlabelled(self) -> bool:
        """Whether there are unlabelled tiles beside the training split."""
        return self.folder is not None or self.data.info.unlabelled is not None

    @cached_property
    def _labelled(self) -> frozenset[str]:
        return frozenset(tile for side in SPLITS for tile in self.data.split(side)["tile_id"])

    @cached_property
    def _retrievable(self) -> dict[str, Retrievable]:
        return {}

    def retrievable(self, fold: Fold) -> Retrievable:
        """Return the unlabelled tiles that are of no place that a fold holds out."""
        if fold.name not in self._retrievable:
            self._retrievable[fold.name] = retrievable(self.data, self.unlabelled, fold)
        return self._retrievable[fold.name]

    def beside(self, fold: Fold) -> pd.DataFrame:
        """Return the unlabelled tiles that labels may be spread to: none where the dataset's own do not serve.

        Raises
        ------
        InputError
            If those of the folder that was named do not serve.
        """
        none = pd.DataFrame({"tile_id": [], "path": []})
        if not self.has_unlabelled:
            return none
        try:
            return self.retrievable(fold).rows
        except InputError:
            if self.folder is not None:
                raise
            return none

    def check(self, arms: Sequence[Arm], folds: Sequence[Fold], *, few: bool = True) -> tuple[str, ...]:
        """Make sure that there are the tiles that arms ask for, for each fold, and return what is to be said of them.

        Parameters
        ----------
        arms : sequence of Arm
        folds : sequence of Fold
        few : bool
            Whether there are so few shots that labels are spread to unlabelled tiles.

        Raises
        ------
        InputError
            If there are none.
        """
        for arm in arms:
            if arm.has("synthetic"):
                manifest = self._manifest(arm)
                for fold in folds:
                    of_fold(manifest, fold.left_out)
        retrieves = any(arm.has("retrieval") for arm in arms)
        if not retrieves and not (few and self.has_unlabelled and any(arm.spreads_labels for arm in arms)):
            return ()
        try:
            return tuple(describe({fold.name: self.retrievable(fold) for fold in folds}))
        except InputError as error:
            if retrieves or self.folder is not None:
                raise
            return (f"the dataset's unlabelled tiles are not looked at: {str(error).partition(';')[0]}",)

    def gather(
        self,
        store: FeatureStore,
        tiles: pd.DataFrame,
        arm: Arm,
        *,
        fold: Fold | None = None,
        n: int = ALL_SHOTS,
        trial: int = 0,
        seed: int = 0,
        transductive: bool = False,
    ) -> SupportSet:
        """Return a support set with what an arm adds to it.

        Parameters
        ----------
        tiles : pandas.DataFrame
            The real ones: tile_id, path, target and group.
        fold : Fold, optional
            All tiles of the training side, and what is held out. Default: nothing is.
        n : int
            Shots.
        trial : int
        transductive : bool
            Whether tiles of the test side may be looked at without their labels.
        """
        classes = len(self.data.info.classes)
        shots = int(tiles["target"].value_counts().min()) if n == ALL_SHOTS else n
        mixing = mixing_probability(max(shots, 1)) if self.mixing is None else self.mixing
        extra = self._extra(store, tiles, arm, fold, n, trial)
        if fold is None:
            return SupportSet(tiles, classes, extra, mixing, seed_of(seed, n, trial))
        looked_at = [fold.train]
        if arm.spreads_labels and shots <= MOST_SHOTS:
            looked_at.append(self.beside(fold))
        if transductive:
            looked_at.append(fold.test)
        others = pd.concat([rows[["tile_id", "path"]] for rows in looked_at], ignore_index=True).drop_duplicates("tile_id")
        others = others[~others["tile_id"].isin(tiles["tile_id"])]
        return SupportSet(tiles, classes, extra, mixing, seed_of(seed, n, trial), fold.train, others)

    def _extra(self, store: FeatureStore, tiles: pd.DataFrame, arm: Arm, fold: Fold | None, n: int, trial: int) -> pd.DataFrame:
        if arm.has("retrieval"):
            rows = self.unlabelled if fold is None else self.retrievable(fold).rows
            probe = RECIPES["probe"]
            return retrieve(tiles, tile_features(store, tiles, probe), rows, tile_features(store, rows, probe))
        if arm.has("synthetic"):
            manifest, left_out = self._manifest(arm), "" if fold is None else fold.left_out
            if n == ALL_SHOTS:
                rows = _of_whole_split(of_fold(manifest, left_out))
            else:
                rows = select_synthetic(manifest, trial=trial, n=n, fold=left_out)
            check_sources(rows, tiles["tile_id"], self._labelled)
            rows = rows.rename(columns={"tile_id": "owner", "id": "tile_id"})
            more = [name for name in ("source_target", "share", "ground") if name in rows]
            return rows[["tile_id", "path", "target", "weight", "owner", *more]]
        return pd.DataFrame()

    def _manifest(self, arm: Arm) -> pd.DataFrame:
        """Return the manifest that an arm's synthetic tiles are listed in."""
        if not self.synthetic:
            raise InputError(f"the arm {arm} wants synthetic tiles; pass their folder as `synthetic`")
        if not arm.folder and len(self.synthetic) == 1:
            return next(iter(self.synthetic.values()))
        if arm.folder not in self.synthetic:
            names = ", ".join(name or "one without a name" for name in self.synthetic)
            raise InputError(f"the arm {arm} is of none of the folders of `synthetic` ({names}); write synthetic:NAME")
        return self.synthetic[arm.folder]


def _of_whole_split(manifest: pd.DataFrame) -> pd.DataFrame:
    rows = manifest[manifest["n"].isna() & manifest["trial"].isna()]
    if not usable(rows):
        raise InputError("there are no synthetic tiles for the whole training split, only for support sets; pass `shots`")
    return rows


def retrieve(tiles: pd.DataFrame, described: Array, unlabelled: pd.DataFrame, described_unlabelled: Array) -> pd.DataFrame:
    """Return the unlabelled tiles that are nearest to the tiles of a support set, with their classes.

    An unlabelled tile that is near to several goes to the nearest of them.

    Parameters
    ----------
    tiles : pandas.DataFrame
        The support set: tile_id and target.
    described : ndarray, shape (tiles, d)
        See :func:`spurgekit.classify.probe_samples.tile_features`.
    unlabelled : pandas.DataFrame
        With tile_id and path.
    described_unlabelled : ndarray, shape (unlabelled, d)

    Returns
    -------
    pandas.DataFrame
        tile_id, path, target, weight (1), and ``owner``, the tile that each owes its class to.
    """
    similarity = unit(described) @ unit(described_unlabelled).T
    nearest = similarity.argmax(axis=0)
    found = []
    for i, (tile_id, target) in enumerate(zip(tiles["tile_id"], tiles["target"], strict=True)):
        mine = np.flatnonzero(nearest == i)
        chosen = mine[np.argsort(-similarity[i, mine], kind="stable")[:NEIGHBOURS]]
        rows = unlabelled.iloc[chosen][["tile_id", "path"]]
        found.append(rows.assign(target=target, weight=1.0, owner=tile_id))
    return pd.concat(found, ignore_index=True)
