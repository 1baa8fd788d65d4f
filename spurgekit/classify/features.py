"""Features of a frozen backbone, each computed once: of tiles, of their views, and of copies that were altered or mixed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from spurgekit.augment import Augmentation
from spurgekit.classify.folding import folded, noise_images
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.tile_reader import Pixels, batch_size_of, batches, read_tile
from spurgekit.classify.turns import TILES, ShrunkTurns
from spurgekit.dihedral import VIEWS, views_of
from spurgekit.errors import ModelError
from spurgekit.precision import Precision, autocast, pick_precision, put_on
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

Features = NDArray[np.float32]

Known = dict[tuple[str, str], Features]
"""What a backbone sees in tiles, by the name of a tile and how it was looked at; shape (d,) each."""


@dataclass(frozen=True, slots=True, eq=False)
class Extractor:
    """Shows images to a frozen backbone.

    Attributes
    ----------
    backbone : torch.nn.Module
        Without a classifier: images to features.
    preprocess : Preprocess
    dtype : torch.dtype or None
        See :func:`spurgekit.precision.pick_precision`.
    """

    backbone: nn.Module
    preprocess: Preprocess
    dtype: torch.dtype | None

    @classmethod
    def of(cls, backbone: nn.Module, preprocess: Preprocess, precision: Precision) -> Extractor:
        """Return it with the backbone on the device that tiles come to, or a copy that is faster to look through."""
        device, size_px = preprocess.device, preprocess.size_px
        example = noise_images(1, preprocess.kind.bands, size_px, size_px).to(device)
        return cls(folded(put_on(backbone, device).eval(), example), preprocess, pick_precision(device, precision))

    @torch.inference_mode()
    def turned(self, images: torch.Tensor, views: Sequence[int]) -> list[Features]:
        """Return the features of images in each of some views, shape (n, d) each.

        Parameters
        ----------
        images : torch.Tensor, shape (n, bands, size, size)
            As :class:`~spurgekit.classify.preprocess.Preprocess` makes them.
        views : sequence of int
            See :func:`spurgekit.dihedral.view_of`.

        Raises
        ------
        ModelError
            If they are not finite.
        """
        if self.dtype is not None:  # what autocast would do in each view, done once, and half as many bytes to turn
            images = images.to(self.dtype)
        return [self._forward(view) for view in views_of(images, views)]

    def described(self, images: torch.Tensor, views: int, unit_features: bool) -> Features:
        """Return the mean of the features of the first views of images, shape (n, d)."""
        features = np.stack(self.turned(images, range(views)), axis=1)
        return np.asarray(scaled(features, unit_features).mean(axis=1), np.float32)

    def _forward(self, images: torch.Tensor) -> Features:
        with autocast(images.device, self.dtype):
            found: Features = self.backbone(images).float().cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelError(
                "the backbone's features are not finite; its weights are damaged, or `image_size_px` does not suit it"
            )
        return found


class Look(Protocol):
    """How tiles are looked at, several times; it can travel to another process."""

    @property
    def names(self) -> Sequence[str]:
        """What each time is called. Two looks of one name find the same."""

    @property
    def parts(self) -> Sequence[Look]:
        """What may be done at different places without doing anything twice; together they find the same, in this order."""

    def __call__(self, extractor: Extractor, tiles: Pixels, ids: Sequence[str]) -> Sequence[Features]:
        """Return what is found each time, shape (n, d) each, of tiles [n, bands, height, width]."""


@dataclass(frozen=True, slots=True)
class Turned:
    """Tiles as they are seen turned and mirrored; see :func:`spurgekit.dihedral.view_of`."""

    views: tuple[int, ...]

    @property
    def names(self) -> Sequence[str]:
        """Return a name for each view."""
        return [f"view {view}" for view in self.views]

    @property
    def parts(self) -> Sequence[Look]:
        """Return it whole: tiles are scaled once for all views."""
        return [self]

    @torch.inference_mode()
    def __call__(self, extractor: Extractor, tiles: Pixels, ids: Sequence[str]) -> Sequence[Features]:  # noqa: ARG002
        """Return the features of each view."""
        return extractor.turned(extractor.preprocess(tiles), self.views)


@dataclass(frozen=True, slots=True)
class Altered:
    """Copies of tiles, each altered by itself, and described by the mean of the features of its first views.

    Attributes
    ----------
    augmentation : Augmentation
    copies : range
        Their numbers, which they are drawn by.
    views : int
    unit_features : bool
        Whether the features of each view are scaled to length 1 first.
    """

    augmentation: Augmentation
    copies: range
    views: int = VIEWS
    unit_features: bool = True

    @property
    def names(self) -> Sequence[str]:
        """Return a name for each copy."""
        described = f"{self.views} views{' of length 1' if self.unit_features else ''}"
        return [f"{self._seeded(copy)}, {described}" for copy in self.copies]

    @property
    def parts(self) -> Sequence[Look]:
        """Return each copy by itself."""
        return [replace(self, copies=range(copy, copy + 1)) for copy in self.copies]

    @torch.inference_mode()
    def __call__(self, extractor: Extractor, tiles: Pixels, ids: Sequence[str]) -> Sequence[Features]:
        """Return what is known of each copy; what is done to it depends on the tile's id alone."""
        found = []
        for copy in self.copies:
            seeds = [seed_of(tile, self._seeded(copy)) for tile in ids]
            altered = extractor.preprocess(self.augmentation.alter(torch.from_numpy(tiles), seeds).numpy())
            found.append(extractor.described(altered, self.views, self.unit_features))
        return found

    def _seeded(self, copy: int) -> str:
        return f"{self.augmentation} {copy}"


@dataclass(frozen=True, slots=True)
class TileBatch:
    """Tiles that are looked at together.

    Attributes
    ----------
    paths : tuple of pathlib.Path
    ids : tuple of str
    first : pathlib.Path
        A tile that they have to be like.
    """

    paths: tuple[Path, ...]
    ids: tuple[str, ...]
    first: Path


class FeatureWorkers(Protocol):
    """Workers that look at tiles in other processes; see :class:`spurgekit.classify.feature_units.RemoteExtractor`."""

    def look_at(self, look: Look, batches: Iterable[TileBatch]) -> Iterator[Sequence[Features]]:
        """Yield what a look finds of each batch, in their order."""


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
    workers : FeatureWorkers, optional
        Who looks at tiles, and at copies that were altered; by default this process does. Mixing is done here.
    kept : dict, optional
        What the same backbone saw before; :meth:`keep` adds to it.
    progress : Progress
    """

    def __init__(
        self,
        backbone: nn.Module,
        preprocess: Preprocess,
        *,
        batch_size: int = 16,
        precision: Precision = "auto",
        workers: FeatureWorkers | None = None,
        kept: Known | None = None,
        progress: Progress = silent,
    ) -> None:
        self.extractor = Extractor.of(backbone, preprocess, precision)
        self.batch_size = batch_size
        self.workers = workers
        self.progress = progress
        self._kept: Known = {} if kept is None else kept
        self._known = dict(self._kept)
        self._means: dict[tuple[int, bool, Path], NDArray[np.float64]] = {}
        self._shrunk: dict[tuple[bool | str | Path, ...], ShrunkTurns] = {}

    def keep(self, *, but: Collection[str] = ()) -> None:
        """Keep for other stores what was found of tiles.

        Parameters
        ----------
        but : collection of str
            Files of tiles that no other store will ask for.
        """
        self._kept.update({key: found for key, found in self._known.items() if key[0] not in but})

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
        return self._all(tiles.assign(name=tiles["path"].map(str)), Turned(tuple(views)))

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
            means = scaled(features, unit_features).mean(axis=1)
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
        key = (unit_features, *tiles["tile_id"], *tiles["path"])
        if key not in self._shrunk:
            chosen = tiles.iloc[np.argsort([seed_of("turned", tile) for tile in tiles["tile_id"]], kind="stable")[:TILES]]
            features = self.views(chosen, range(VIEWS))
            self._shrunk[key] = ShrunkTurns.of(scaled(features, unit_features))
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
        look = Altered(augmentation, range(copies), views, unit_features)
        return self._all(tiles.assign(name=tiles["tile_id"]), look)

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
            images = self.extractor.preprocess(augmentation.alter(pixels[order], seeds).numpy())
            own = torch.eye(len(tiles), dtype=torch.float64)[order]
            batch, share = augmentation.mix(images, own, seed_of(seed, copy, "mix"))
            found += [self.extractor.described(part, views, unit_features) for part in torch.split(batch, self.batch_size)]
            shares.append(share.cpu().numpy())
        return np.concatenate(found), np.concatenate(shares)

    def _all(self, tiles: pd.DataFrame, look: Look) -> Features:
        """Return what is known of tiles, by name, by some looks, having looked where it was not; shape (tiles, looks, d)."""
        ids, names = tiles["name"].tolist(), look.names
        new = tiles[[any((tile, name) not in self._known for name in names) for tile in ids]].drop_duplicates("name")
        with self.progress("extracting features", len(new)) as advance:
            start = 0
            for found in self._look_at(look, new):
                batch = new["name"].iloc[start : start + len(found[0])]
                for name, features in zip(names, found, strict=True):
                    self._known.update({(tile, name): row for tile, row in zip(batch, features, strict=True)})
                start += len(batch)
                advance(len(batch))
        return np.stack([np.stack([self._known[tile, name] for name in names]) for tile in ids])

    def _look_at(self, look: Look, tiles: pd.DataFrame) -> Iterator[Sequence[Features]]:
        """Yield what a look finds of tiles, batch by batch."""
        paths: list[Path] = tiles["path"].tolist()
        ids: list[str] = tiles["tile_id"].tolist()
        if self.workers is not None and paths:
            size = batch_size_of(read_tile(paths[0]), self.batch_size)
            starts = range(0, len(paths), size)
            parts = (TileBatch(tuple(paths[at : at + size]), tuple(ids[at : at + size]), paths[0]) for at in starts)
            yield from self.workers.look_at(look, parts)
            return
        start = 0
        for batch in batches(paths, self.batch_size, ahead=self.extractor.preprocess.device.type != "cpu"):
            yield look(self.extractor, batch, ids[start : start + len(batch)])
            start += len(batch)


def scaled(features: NDArray[np.floating], unit_features: bool) -> NDArray[np.float64]:
    """Return features as a recipe takes them: each of length 1, or as they are."""
    return unit(features) if unit_features else features.astype(np.float64)


def unit(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale features to length 1 along the last axis; those of length 0 stay."""
    wide = features.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.where(lengths > 0, lengths, 1))
