"""The recipe ``mil``: a frozen backbone, and a multiple-instance head on the positions of its tiles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spurgekit.classify.features import FeatureStore
from spurgekit.classify.model_info import Positions
from spurgekit.classify.position_features import position_features
from spurgekit.classify.position_head import Bags, Components, PositionHead, fit_positions, pooled_logits
from spurgekit.classify.probe import left_out_folds
from spurgekit.classify.probe_samples import SupportSet
from spurgekit.classify.recipes import HeldOutLogits, Trained, TrainingTask
from spurgekit.classify.tile_reader import batches
from spurgekit.classify.training.network import PositionModel, PositionNetwork
from spurgekit.classify.training.precision import autocast
from spurgekit.dihedral import VIEWS, views_of
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

FEWEST_TILES = 2
"""Of a class: with one there is nothing to leave out, and no probability means anything."""

MOST_POSITIONS = 400_000
"""That a head learns from: of many tiles fewer turns are looked at, then fewer tiles."""

FOR_COMPONENTS = 40_000
"""Positions that principal components are found by."""

LEAVE_ONE_OUT = 8
"""Up to so many tiles each is left out in turn; a fit takes longer than a probe's."""


def train_positions(task: TrainingTask) -> Trained:
    """Train a multiple-instance head on the positions of a support set's tiles, each seen in its 8 turns.

    Raises
    ------
    InputError
        If a class has one tile only, or a tile one position.
    ModelError
        If the backbone has no feature maps.
    """
    support, store, classes = task.support, task.store, task.support.classes
    if np.bincount(support.targets, minlength=classes).min() < FEWEST_TILES:
        raise InputError(
            f"the arm {task.arm} needs {FEWEST_TILES} tiles of each class to learn where in a tile it is; label more, "
            "or train a probe"
        )
    d, positions = next(_features(store, support.tiles[:1], 1)).shape[2:]
    if positions == 1:
        raise InputError("a tile is one position of the backbone, which tells of no places within it; raise `image_size_px`")
    tiles, views, note = _looked_at(support, positions)
    share = FOR_COMPONENTS // len(tiles)
    components = Components.of(np.concatenate([some_positions(found[:, 0], share) for found in _features(store, tiles, 1)]))
    reduced = np.concatenate([components.reduce(found.swapaxes(2, 3)) for found in _features(store, tiles, views)])
    targets = tiles["target"].to_numpy(np.int64)
    weight, bias = fit_positions(Bags.of_views(reduced, targets), classes)
    head = PositionHead(d, classes)
    head.put(components, weight, bias)
    # Classes weighed alike; the probabilities of tiles are to hold where they are as common as in the training set.
    prior = np.log(np.bincount(support.targets, minlength=classes) / len(support.tiles))
    head.rescale((np.ones(classes), prior - prior[0]))
    groups = tiles["group"].to_numpy(object) if "group" in tiles else None
    folds, by_group = left_out_folds(targets, groups, support.seed, leave_one_out=LEAVE_ONE_OUT)
    logits = np.full((len(tiles), classes), np.nan)
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(tiles)), fold)
        if len(set(targets[rest])) == classes:
            weight, bias = fit_positions(Bags.of_views(reduced[rest], targets[rest]), classes)
            logits[fold] = pooled_logits(reduced[fold], weight, bias).mean(axis=1) + prior - prior[0]
    known = np.isfinite(logits).all(axis=1)
    held_out = HeldOutLogits(logits[known], targets[known], groups[known] if by_group and groups is not None else None)
    return Trained(
        PositionNetwork(PositionModel(task.setup.new_backbone(), head)),
        task.arm.recipe.views,
        held_out if known.any() else None,
        note,
        Positions(features=d, stride_px=task.setup.size_px // round(positions**0.5), sharpness=head.sharpness),
    )


def _looked_at(support: SupportSet, positions: int) -> tuple[pd.DataFrame, int, tuple[str, ...]]:
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
    device = store.preprocess.device
    with store.progress("extracting features of positions", len(tiles)) as advance:
        for batch in batches(tiles["path"].tolist(), max(1, store.batch_size // views), ahead=device.type != "cpu"):
            images = store.preprocess(batch)
            with autocast(device, store.dtype):
                found = [position_features(store.backbone, view).flatten(2) for view in views_of(images, range(views))]
            yield torch.stack(found, dim=1).cpu().numpy()
            advance(len(batch))
