"""The recipes: from a support set to a network, with logits of tiles that it has not seen to calibrate it by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from spurgekit.augment.manifest import labels
from spurgekit.classify.arms import Arm
from spurgekit.classify.calibration import Vector, calibrate, calibrated
from spurgekit.classify.features import FeatureStore
from spurgekit.classify.model_info import Positions
from spurgekit.classify.probe import Probe
from spurgekit.classify.probe_samples import SupportSet, probe_unit
from spurgekit.classify.setup import Setup
from spurgekit.classify.tile_reader import batches
from spurgekit.classify.training.batch_order import FinetuneTiles, read_pixels
from spurgekit.classify.training.finetune import FEWEST_SHOTS, FinetuneOptions, finetune
from spurgekit.classify.training.network import Network
from spurgekit.dataset.splits import draw_test_groups
from spurgekit.precision import autocast, pick_precision, put_on
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

VALIDATION_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class HeldOutLogits:
    """Logits of tiles of the training side by classifiers that had not seen them.

    Attributes
    ----------
    logits : ndarray, shape (n, classes)
    targets : ndarray of int, shape (n,)
    groups : ndarray, shape (n,), or None
        What was left out together; None where tiles were left out one by one.
    labels : ndarray, shape (n, classes), optional
        How much each tile is of each class, where that is not its class alone.
    tiles : ndarray of int, shape (n,), optional
        Number of the tile, where these are positions of tiles.
    """

    logits: NDArray[np.float64]
    targets: NDArray[np.int64]
    groups: NDArray[Any] | None
    labels: NDArray[np.float64] | None = None
    tiles: NDArray[np.intp] | None = None


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What a recipe trains.

    Attributes
    ----------
    setup : Setup
    store : FeatureStore
    support : SupportSet
    arm : Arm
    finetuning : FinetuneOptions
        Of training in steps; augmentation, precision and seed are the arm's and the support set's.
    checkpoint : pathlib.Path, optional
        Where training in steps leaves off and goes on.
    progress : Progress
    """

    setup: Setup
    store: FeatureStore
    support: SupportSet
    arm: Arm
    finetuning: FinetuneOptions
    checkpoint: Path | None = None
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives.

    Attributes
    ----------
    network : Network
    views : {1, 8}
        Turns of a tile to average logits over.
    held_out : HeldOutLogits or None
        None where nothing could be held out.
    notes : tuple of str
        What is to be said of the training.
    positions : Positions or None
        Of a network that looks at the positions of a tile.
    equal_prior : bool
        Whether its logits take classes for equally common, however common they are in the support set.
    """

    network: Network
    views: Literal[1, 8]
    held_out: HeldOutLogits | None
    notes: tuple[str, ...] = ()
    positions: Positions | None = None
    equal_prior: bool = False


def train_arm(task: TrainingTask) -> Trained:
    """Train what an arm says on a support set."""
    recipe = task.arm.recipe
    if recipe.train is not None:
        return recipe.train(task)
    probe, support = probe_unit(task.store, task.support, task.arm).fit(), task.support
    network = task.setup.network(task.support.classes, unit_features=recipe.unit_features)
    network.classifier.load_state_dict(probe.layer().state_dict())
    held_out = left_out_logits(probe, support.targets, support.groups, support.labels)
    return Trained(network, recipe.views, held_out, equal_prior=probe.equal_prior)


def left_out_logits(
    probe: Probe,
    targets: NDArray[np.int64],
    groups: NDArray[np.object_] | None,
    labels: NDArray[np.float64] | None = None,
) -> HeldOutLogits | None:
    """Return the logits of the tiles that a linear classifier was fitted without in turn; None where none could be left out."""
    known = np.isfinite(probe.left_out).all(axis=1)
    if not known.any():
        return None
    places = groups[known] if probe.by_group and groups is not None else None
    return HeldOutLogits(probe.left_out[known], targets[known], places, None if labels is None else labels[known])


def calibrated_probabilities(
    logits: NDArray[np.floating], held_out: HeldOutLogits | None, method: Literal["temperature", "vector", "none"]
) -> NDArray[np.float32]:
    """Return class probabilities [n, classes] of logits, calibrated by those that were held out, where there are some."""
    return probabilities_of(logits, calibration_by(held_out, method))


def calibration_by(held_out: HeldOutLogits | None, method: Literal["temperature", "vector", "none"]) -> float | Vector | None:
    """Return what logits are calibrated with, by those that were held out; None where they are left as they are."""
    if held_out is None or method == "none":
        return None
    return calibrate(held_out.logits, held_out.targets, method=method, groups=held_out.groups)[0]


def probabilities_of(logits: NDArray[np.floating], fitted: float | Vector | None) -> NDArray[np.float32]:
    """Return class probabilities [n, classes] of logits, calibrated or as they are."""
    if fitted is None:
        return np.asarray(softmax(logits, axis=1), np.float32)
    return calibrated(logits, fitted).astype(np.float32)


def train_in_steps(task: TrainingTask, *, learning: Literal["adapters", "all"]) -> Trained:
    """Train a backbone, or adapters on it, and a new classifier in steps."""
    setup, support, arm, finetuning = task.setup, task.support, task.arm, task.finetuning
    held_out = _validation(support) if finetuning.early_stopping else np.zeros(len(support.tiles), np.bool_)
    learned, validation = support.tiles[~held_out], support.tiles[held_out]
    extra = support.extra
    if len(extra):
        extra = extra[extra["owner"].isin(learned["tile_id"])]
        if "ground" in extra:
            extra = extra[~extra["ground"].isin(validation["tile_id"])]
    network = setup.network(support.classes, unit_features=arm.recipe.unit_features, seed=seed_of(support.seed, "classifier"))
    network = put_on(network, setup.preprocess.device)
    options = replace(
        finetuning,
        learning=learning,
        steps=finetuning.steps * (2 if arm.has("longer") else 1),
        augment=arm.augmentation,
        precision=setup.options.precision,
        seed=support.seed,
    )
    tiles = _tiles(pd.concat([learned.assign(weight=1.0), extra]), support, synthetic=len(extra))
    report = finetune(
        network,
        setup.preprocess,
        tiles,
        options,
        validation=_tiles(validation.assign(weight=1.0), support) if len(validation) else None,
        checkpoint=task.checkpoint,
        progress=task.progress,
    )
    # Classes were drawn evenly; the probabilities are to hold where they are as common as in the training set.
    shares = np.bincount(support.targets, minlength=support.classes) / len(support.tiles)
    with torch.no_grad():
        network.classifier.bias.add_(torch.from_numpy(np.log(shares / np.asarray(report.prior))).to(network.classifier.bias))
    trained = Trained(network, arm.recipe.views, None, tuple(report.notes))
    if not len(validation):
        return trained
    logits = tile_logits(setup, trained, validation)
    groups = validation["group"].to_numpy()
    return replace(trained, held_out=HeldOutLogits(logits, validation["target"].to_numpy(np.int64), groups))


@torch.inference_mode()
def tile_logits(setup: Setup, trained: Trained, tiles: pd.DataFrame) -> NDArray[np.float64]:
    """Return logits of tiles, averaged over their views, shape (n, classes)."""
    network = put_on(trained.network, setup.preprocess.device).eval()
    dtype = pick_precision(setup.preprocess.device, setup.options.precision)
    found = []
    ahead = setup.preprocess.device.type != "cpu"
    for batch in batches(tiles["path"].tolist(), setup.options.batch_size, ahead=ahead):
        with autocast(setup.preprocess.device, dtype):
            logits, _ = network.averaged(setup.preprocess(batch), trained.views)
        found.append(logits.cpu().double().numpy())
    return np.concatenate(found)


def _validation(support: SupportSet) -> NDArray[np.bool_]:
    """Return which tiles are held out to stop early and to calibrate by: whole places, where there are tiles enough."""
    tiles, targets = support.tiles, support.targets
    held_out = np.zeros(len(tiles), np.bool_)
    counts = np.bincount(targets, minlength=support.classes)
    if counts.min() < FEWEST_SHOTS or "group" not in tiles or tiles["group"].nunique() < 3:
        return held_out
    groups = tiles["group"].to_numpy(object)
    held_out = np.isin(groups, draw_test_groups(groups, targets, test_share=VALIDATION_SHARE, seed=support.seed))
    left = np.bincount(targets[~held_out], minlength=support.classes)
    return held_out if left.min() >= FEWEST_SHOTS and left.max() < counts.max() else np.zeros(len(tiles), np.bool_)


def _tiles(rows: pd.DataFrame, support: SupportSet, synthetic: int = 0) -> FinetuneTiles:
    """Return tiles as the training loop takes them; the last ``synthetic`` ones are extra tiles."""
    is_synthetic = np.arange(len(rows)) >= len(rows) - synthetic
    return FinetuneTiles(
        read_pixels(rows["path"].tolist()),
        labels(rows, support.classes),
        rows["tile_id"].tolist(),
        rows["weight"].to_numpy(np.float64),
        is_synthetic,
        support.mixing,
    )
