"""Features of a frozen backbone, each computed once: of tiles, of their views, and of copies that were altered or mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from spurgekit.augment import Augmentation
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.tile_reader import batches, read_tile
from spurgekit.classify.turns import TILES, ShrunkTurns
from spurgekit.dihedral import VIEWS, views_of
from spurgekit.errors import ModelError
from spurgekit.precision import Precision, autocast, pick_precision, put_on
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

Features = NDArray[np.float32]


class FeatureStore:
    """What a frozen backbone sees in tiles.

    Parameters
    ----------
    backbone : torch.nn.Module
        Without a classifier: images to features.
    preprocess : Preprocess
    batch_size : int
    precision : {"auto", "float32", "bfloat16"}
        See :func:`spurgekit.precision.pick_precision`.
    progress : Progress
    """

    def __init__(
        self,
        backbone: nn.Module,
        preprocess: Preprocess,
        *,
        batch_size: int = 32,
        precision: Precision = "auto",
        progress: Progress = silent,
    ) -> None:
        device = preprocess.device
        self.backbone = put_on(backbone, device).eval()
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.dtype = pick_precision(device, precision)
        self.progress = progress
        self._known: dict[tuple[str, str], Features] = {}
        self._means: dict[tuple[int, bool, Path], NDArray[np.float64]] = {}
        self._shrunk: dict[tuple[bool | Path, ...], ShrunkTurns] = {}

    def views(self, tiles: pd.DataFrame, views: Sequence[int]) -> Features:
        """Return features of tiles as they are seen turned and mirrored; of each file once, under however many ids it goes.

        Parameters
        ----------
        tiles : pandas.DataFrame
            With tile_id and path.
        views : sequence of int
            See :func:`spurgekit.dihedral.view_of`.

        Returns
        -------
        ndarray of float32, shape (tiles, views, d)
        """
        names = [f"view {view}" for view in views]
        return self._all(tiles.assign(name=tiles["path"].map(str)), names, lambda batch, _: self._views(batch, views))

    def mean_of_views(self, tiles: pd.DataFrame, *, views: int = VIEWS, unit_features: bool = True) -> NDArray[np.float64]:
        """Return the mean of the features of the first views of tiles, shape (tiles, d).

        Parameters
        ----------
        tiles : pandas.DataFrame
            With tile_id and path.
        views : int
        unit_features : bool
            Whether the features of each view are scaled to length 1 first.
        """
        keys = [(views, unit_features, path) for path in tiles["path"]]
        new = tiles[[key not in self._means for key in keys]]
        if len(new):
            features = self.views(new, range(views))
            means = (unit(features) if unit_features else features.astype(np.float64)).mean(axis=1)
            self._means.update(zip([(views, unit_features, path) for path in new["path"]], means, strict=True))
        return np.stack([self._means[key] for key in keys])

    def shrunk_turns(self, tiles: pd.DataFrame, *, unit_features: bool = True) -> ShrunkTurns:
        """Return what shrinks directions in which turns of tiles differ, found from ``TILES`` of them that their ids choose.

        Parameters
        ----------
        tiles : pandas.DataFrame
            With tile_id and path.
        unit_features : bool
            See :meth:`mean_of_views`.
        """
        chosen = tiles.iloc[np.argsort([seed_of("turned", tile) for tile in tiles["tile_id"]], kind="stable")[:TILES]]
        key = (unit_features, *chosen["path"])
        if key not in self._shrunk:
            features = self.views(chosen, range(VIEWS))
            self._shrunk[key] = ShrunkTurns.of(unit(features) if unit_features else features.astype(np.float64))
        return self._shrunk[key]

    def altered(
        self,
        tiles: pd.DataFrame,
        augmentation: Augmentation,
        copies: int,
        *,
        views: int = VIEWS,
        unit_features: bool = True,
    ) -> Features:
        """Return what is known of copies of tiles, each altered by itself: the mean of the features of its first views.

        What is done to a copy depends on the tile's id alone.

        Parameters
        ----------
        tiles : pandas.DataFrame
            With tile_id and path.
        augmentation : Augmentation
        copies : int
        views, unit_features
            See :meth:`mean_of_views`: a copy is described as a tile is.

        Returns
        -------
        ndarray of float32, shape (tiles, copies, d)
        """
        names = [f"{augmentation} {copy}" for copy in range(copies)]
        known_as = [f"{name}, {views} views{' of length 1' if unit_features else ''}" for name in names]

        @torch.inference_mode()
        def make(batch: NDArray[Any], rows: pd.DataFrame) -> Iterable[Features]:
            for name in names:
                seeds = [seed_of(tile, name) for tile in rows["tile_id"]]
                copies_of = self.preprocess(augmentation.alter(torch.from_numpy(batch), seeds).numpy())
                yield self._described(copies_of, views, unit_features)

        return self._all(tiles.assign(name=tiles["tile_id"]), known_as, make)

    @torch.inference_mode()
    def mixed(
        self,
        tiles: pd.DataFrame,
        augmentation: Augmentation,
        copies: int,
        seed: int,
        *,
        views: int = VIEWS,
        unit_features: bool = True,
    ) -> tuple[Features, NDArray[np.float64]]:
        """Return what is known of copies of tiles that were altered and mixed with one another.

        Parameters
        ----------
        tiles, augmentation, copies, views, unit_features
            See :meth:`altered`.
        seed : int

        Returns
        -------
        features : ndarray of float32, shape (copies * tiles, d)
        shares : ndarray of float64, shape (copies * tiles, tiles)
            What part of each sample is of which tile.
        """
        pixels = torch.from_numpy(np.stack([read_tile(path) for path in tiles["path"]]))
        found, shares = [], []
        for copy in range(copies):
            # Mixing goes by the place in the batch, so each copy has its own order.
            order = sorted(range(len(tiles)), key=lambda i: seed_of(seed, copy, tiles["tile_id"].iloc[i]))
            seeds = [seed_of(seed, copy, "alter", tiles["tile_id"].iloc[i]) for i in order]
            images = self.preprocess(augmentation.alter(pixels[order], seeds).numpy())
            own = torch.eye(len(tiles), dtype=torch.float64)[order]
            batch, share = augmentation.mix(images, own, seed_of(seed, copy, "mix"))
            found += [self._described(part, views, unit_features) for part in torch.split(batch, self.batch_size)]
            shares.append(share.cpu().numpy())
        return np.concatenate(found), np.concatenate(shares)

    def _described(self, images: torch.Tensor, views: int, unit_features: bool) -> Features:
        """Return the mean of the features of the first views of images, shape (n, d)."""
        features = np.stack(list(self._turned(images, range(views))), axis=1)
        return np.asarray((unit(features) if unit_features else features.astype(np.float64)).mean(axis=1), np.float32)

    @torch.inference_mode()
    def _views(self, batch: NDArray[Any], views: Sequence[int]) -> Iterable[Features]:
        yield from self._turned(self.preprocess(batch), views)

    def _turned(self, images: torch.Tensor, views: Sequence[int]) -> Iterable[Features]:
        if self.dtype is not None:  # what autocast would do in each view, done once, and half as many bytes to turn
            images = images.to(self.dtype)
        for view in views_of(images, views):
            yield self._forward(view)

    def _forward(self, images: torch.Tensor) -> Features:
        with autocast(images.device, self.dtype):
            found: Features = self.backbone(images).float().cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelError(
                "the backbone's features are not finite; its weights are damaged, or `image_size_px` does not suit it"
            )
        return found

    def _all(
        self, tiles: pd.DataFrame, views: Sequence[str], make: Callable[[NDArray[Any], pd.DataFrame], Iterable[Features]]
    ) -> Features:
        """Return what is known of tiles, by name, in some views, having computed what was not; shape (tiles, views, d)."""
        ids = tiles["name"].tolist()
        new = tiles[[any((tile, view) not in self._known for view in views) for tile in ids]].drop_duplicates("name")
        paths: list[Path] = new["path"].tolist()
        with self.progress("extracting features", len(new)) as advance:
            start = 0
            for batch in batches(paths, self.batch_size, ahead=self.preprocess.device.type != "cpu"):
                rows = new.iloc[start : start + len(batch)]
                for view, found in zip(views, make(batch, rows), strict=True):
                    self._known.update({(tile, view): row for tile, row in zip(rows["name"], found, strict=True)})
                start += len(batch)
                advance(len(batch))
        return np.stack([np.stack([self._known[tile, view] for view in views]) for tile in ids])


def unit(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale features to length 1 along the last axis; those of length 0 stay."""
    wide = features.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.where(lengths > 0, lengths, 1))
