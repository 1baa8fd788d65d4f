"""The recipes ``mil`` and ``segment``: a frozen backbone, and a head on the positions of its tiles.

One learns from the labels of tiles where in them a class is, the other from masks how much of each position is covered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spurgekit.classify.features import FeatureStore
from spurgekit.classify.model_info import Positions
from spurgekit.classify.position_features import position_features
from spurgekit.classify.position_head import (
    Bags,
    Components,
    Linear,
    PositionHead,
    fit_cover,
    fit_positions,
    pooled_logits,
)
from spurgekit.classify.probe import left_out_folds
from spurgekit.classify.probe_samples import SupportSet
from spurgekit.classify.recipes import HeldOutLogits, Trained, TrainingTask
from spurgekit.classify.tile_reader import batches
from spurgekit.classify.training.network import PositionModel, PositionNetwork
from spurgekit.dataset.reader import UNKNOWN, read_mask
from spurgekit.dihedral import VIEWS, turned_back, view_of, views_of
from spurgekit.errors import InputError
from spurgekit.precision import autocast
from spurgekit.seeds import seed_of

FEWEST_TILES = 2
"""Of a class: with one there is nothing to leave out, and no probability means anything."""

MOST_POSITIONS = 400_000
"""That a head learns from: of many tiles fewer turns are looked at, then fewer tiles."""

FOR_COMPONENTS = 40_000
"""Positions that principal components are found by."""

LEAVE_ONE_OUT = 8
"""Up to so many tiles each is left out in turn; a fit takes longer than a probe's."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Positions:
    """What a head learns from.

    Attributes
    ----------
    tiles : pandas.DataFrame
    reduced : ndarray of float32, shape (tiles, views, positions, k)
        Principal components of the features of positions, in the order that each view has them.
    components : Components
    notes : tuple of str
        What is to be said of the choice of tiles.
    """

    tiles: pd.DataFrame
    reduced: NDArray[np.float32]
    components: Components
    notes: tuple[str, ...]

    @property
    def targets(self) -> NDArray[np.int64]:
        """Class number of each tile."""
        return np.asarray(self.tiles["target"], np.int64)

    @property
    def side(self) -> int:
        """Positions of a tile in a row."""
        return math.isqrt(self.reduced.shape[2])

    def left_out(self, fit: Callable[[NDArray[np.intp]], Linear], seed: int) -> Iterator[tuple[NDArray[np.intp], Linear]]:
        """Yield tiles that are left out together, and what is fitted to the others."""
        for fold in self._folds(seed)[0]:
            rest = np.setdiff1d(np.arange(len(self.tiles)), fold)
            if set(self.targets[rest]) == set(self.targets):
                yield fold, fit(rest)

    def places(self, seed: int) -> NDArray[np.object_] | None:
        """Return the place of each tile, where whole places are left out; else None."""
        return self.tiles["group"].to_numpy(object) if self._folds(seed)[1] else None

    def _folds(self, seed: int) -> tuple[list[NDArray[np.intp]], bool]:
        groups = self.tiles["group"].to_numpy(object) if "group" in self.tiles else None
        return left_out_folds(self.targets, groups, seed, leave_one_out=LEAVE_ONE_OUT)


def train_multiple_instance(task: TrainingTask) -> Trained:
    """Train a multiple-instance head on the positions of a support set's tiles, each seen in its 8 turns.

    Raises
    ------
    InputError
        If a class has one tile only, or a tile one position.
    ModelError
        If the backbone has no feature maps.
    """
    seen, support, classes = _look_at(task), task.support, task.support.classes

    def fit(tiles: NDArray[np.intp] | slice) -> Linear:
        return fit_positions(Bags.of_views(seen.reduced[tiles], seen.targets[tiles]), classes)

    head = PositionHead(len(seen.components.mean), classes)
    head.put(seen.components, *fit(slice(None)))
    # Classes weighed alike; the probabilities of tiles are to hold where they are as common as in the training set.
    prior = np.log(np.bincount(support.targets, minlength=classes) / len(support.tiles))
    head.rescale((np.ones(classes), prior - prior[0]))
    logits = np.full((len(seen.tiles), classes), np.nan)
    for fold, (weight, bias) in seen.left_out(fit, support.seed):
        logits[fold] = pooled_logits(seen.reduced[fold], weight, bias).mean(axis=1) + prior - prior[0]
    known = np.isfinite(logits).all(axis=1)
    places = seen.places(support.seed)
    held_out = HeldOutLogits(logits[known], seen.targets[known], None if places is None else places[known])
    return _trained(task, seen, head, held_out)


def train_segmentation(task: TrainingTask) -> Trained:
    """Train a segmentation head on the positions of tiles and on their masks: how much of each position is covered.

    It is a logistic regression of fractions (see :mod:`spurgekit.classify.cover`) on the positions of all 8 turns of a tile.

    Raises
    ------
    InputError
        If a class has one tile only, a tile one position, or a mask is damaged.
    ModelError
        If the backbone has no feature maps.
    """
    seen, support = _look_at(task), task.support
    views = seen.reduced.shape[1]
    cover = np.stack([position_cover(read_mask(path), seen.side) for path in seen.tiles["mask"]])
    turned = np.stack([view_of(torch.from_numpy(cover), view).numpy() for view in range(views)], axis=1).reshape(
        len(cover), views, -1
    )

    def fit(tiles: NDArray[np.intp] | slice) -> Linear:
        return fit_cover(seen.reduced[tiles], turned[tiles])

    head = PositionHead(len(seen.components.mean), 2, None)
    head.put(seen.components, *fit(slice(None)))
    logits = np.full(cover.shape, np.nan)
    for fold, (weight, bias) in seen.left_out(fit, support.seed):
        found = torch.from_numpy((seen.reduced[fold] @ weight[1] + bias[1]).reshape(-1, views, seen.side, seen.side))
        logits[fold] = torch.stack([turned_back(found[:, view], view) for view in range(views)]).mean(dim=0).numpy()
    tile, row, column = np.nonzero(np.isfinite(logits) & np.isfinite(cover))
    z, share = logits[tile, row, column], cover[tile, row, column]
    places = seen.places(support.seed)
    held_out = HeldOutLogits(
        np.column_stack([np.zeros(len(z)), z]),
        seen.targets[tile],
        None if places is None else places[tile],
        np.column_stack([1 - share, share]),
        tile,
    )
    return _trained(task, seen, head, held_out)


def position_cover(mask: NDArray[np.uint8], side: int) -> Floats:
    """Return how much of each position of a tile is of any class but the first, shape (side, side).

    Parameters
    ----------
    mask : ndarray of uint8, shape (height, width)
        Class numbers; 255 where nobody knows.
    side : int

    Returns
    -------
    ndarray of float64
        Shares of the pixels that are known; NaN where these are less than half.
    """
    known = (mask != UNKNOWN).astype(np.float64)
    weed = ((mask > 0) & (mask != UNKNOWN)).astype(np.float64)
    known, weed = (cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA) for part in (known, weed))
    return np.where(known >= 0.5, np.clip(weed / np.maximum(known, 0.5), 0, 1), np.nan)


def _trained(task: TrainingTask, seen: _Positions, head: PositionHead, held_out: HeldOutLogits) -> Trained:
    return Trained(
        PositionNetwork(PositionModel(task.setup.new_backbone(), head)),
        task.arm.recipe.views,
        held_out if len(held_out.logits) else None,
        seen.notes,
        Positions(features=len(seen.components.mean), stride_px=task.setup.size_px // seen.side, sharpness=head.sharpness),
    )


def _look_at(task: TrainingTask) -> _Positions:
    """Return what the backbone sees at the positions of a support set's tiles."""
    support, store = task.support, task.store
    if np.bincount(support.targets, minlength=support.classes).min() < FEWEST_TILES:
        raise InputError(
            f"the arm {task.arm} needs {FEWEST_TILES} tiles of each class to learn where in a tile it is; label more, "
            "or train a probe"
        )
    positions = next(_features(store, support.tiles[:1], 1)).shape[3]
    if positions == 1:
        raise InputError("a tile is one position of the backbone, which tells of no places within it; raise `image_size_px`")
    tiles, views, notes = _chosen(support, positions)
    share = FOR_COMPONENTS // len(tiles)
    components = Components.of(np.concatenate([some_positions(found[:, 0], share) for found in _features(store, tiles, 1)]))
    reduced = np.concatenate([components.reduce(found.swapaxes(2, 3)) for found in _features(store, tiles, views)])
    return _Positions(tiles, reduced, components, notes)


def _chosen(support: SupportSet, positions: int) -> tuple[pd.DataFrame, int, tuple[str, ...]]:
    """Return tiles to learn from, in how many turns, and what is to be said of it."""
    tiles = support.tiles
    most = MOST_POSITIONS // positions
    if len(tiles) <= most:
        return tiles, min(VIEWS, most // len(tiles)), ()
    order = tiles["tile_id"].map(lambda name: seed_of(support.seed, name)).argsort()
    rank = tiles.iloc[order].groupby("target").cumcount()[tiles.index]  # of each class as many, where there are as many
    chosen = tiles.loc[rank.sort_values(kind="stable").index[:most]].sort_index()
    return chosen, 1, (f"the head learned from {len(chosen):,} of {len(tiles):,} tiles, drawn evenly from the classes",)


def some_positions(features: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Return the features of up to ``most`` positions of each tile, evenly spread, [m, d], of [tiles, d, positions]."""
    count = features.shape[2]
    chosen = np.linspace(0, count - 1, min(count, max(1, most))).astype(np.intp)
    return np.ascontiguousarray(features[:, :, chosen].swapaxes(1, 2).reshape(-1, features.shape[1]))


@torch.inference_mode()
def _features(store: FeatureStore, tiles: pd.DataFrame, views: int) -> Iterator[NDArray[np.float32]]:
    """Yield positions' features of batches of tiles, shape (tiles, views, d, positions)."""
    extractor = store.extractor
    device = extractor.preprocess.device
    with store.progress("extracting features of positions", len(tiles)) as advance:
        for batch in batches(tiles["path"].tolist(), max(1, store.batch_size // views), ahead=device.type != "cpu"):
            images = extractor.preprocess(batch)
            with autocast(device, extractor.dtype):
                found = [position_features(extractor.backbone, view).flatten(2) for view in views_of(images, range(views))]
            yield torch.stack(found, dim=1).cpu().numpy()
            advance(len(batch))
