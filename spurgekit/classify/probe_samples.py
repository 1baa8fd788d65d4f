"""Support sets as samples for a linear classifier: tiles, copies that were altered or mixed, and extra tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.augment.manifest import labels
from spurgekit.classify.arms import Arm, Recipe
from spurgekit.classify.features import FeatureStore, scaled
from spurgekit.classify.label_spreading import MOST_SHOTS, MOST_TILES, class_means
from spurgekit.classify.probe import Array, Probe, ProbeSamples, fit_linear, fit_penalised, fit_probe
from spurgekit.classify.turns import ShrunkTurns
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

COPIES = 8
"""Copies of each tile where an augmentation draws at random."""


@dataclass(frozen=True, slots=True)
class SupportSet:
    """What a classifier learns from.

    Attributes
    ----------
    tiles : pandas.DataFrame
        The real ones: tile_id, path, target and group; where their labels are soft, source_target and share.
    classes : int
    extra : pandas.DataFrame
        Extra tiles: tile_id, path, target, weight, and ``owner``, the tile_id of the real tile that each owes its
        class to; where they have soft labels, source_target and share (see :func:`spurgekit.augment.manifest.labels`); where
        they were pasted, ``ground``, the tile_id of what they were pasted onto, real or unlabelled. Empty where there are none.
    mixing : float
        Share of the weight that extra tiles have in each class, or probability that a sample is one of them.
    seed : int
    pool : pandas.DataFrame, optional
        All tiles of the training side, of which pixels are used but no labels. Default: those of the support set.
    unlabelled : pandas.DataFrame, optional
        Tiles of which pixels are used but no labels, and which are not in the support set: tile_id and path.
    """

    tiles: pd.DataFrame
    classes: int
    extra: pd.DataFrame = field(default_factory=pd.DataFrame)
    mixing: float = 0.5
    seed: int = 0
    pool: pd.DataFrame | None = None
    unlabelled: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        counts = np.bincount(self.targets, minlength=self.classes)
        if not counts.all():
            raise InputError(f"there is no tile of class number {int(counts.argmin())} to learn from; hold out other places")
        if not 0 <= self.mixing <= 1:
            raise InputError(f"a mixing probability of {self.mixing} cannot be; pass a number from 0 to 1")

    @property
    def targets(self) -> NDArray[np.int64]:
        """Class number of each real tile."""
        return np.asarray(self.tiles["target"], np.int64)

    @property
    def groups(self) -> NDArray[np.object_] | None:
        """The place of each real tile; None where it is not told."""
        return self.tiles["group"].to_numpy(object) if "group" in self.tiles else None

    @property
    def labels(self) -> Array:
        """How much each real tile is of each class, shape (n, classes)."""
        return labels(self.tiles, self.classes)


def tile_features(store: FeatureStore, tiles: pd.DataFrame, recipe: Recipe) -> Array:
    """Return what a recipe knows of tiles: the mean over its views of the features of a frozen backbone, shape (n, d)."""
    return store.mean_of_views(tiles, views=recipe.views, unit_features=recipe.unit_features)


@dataclass(frozen=True, slots=True)
class ProbeUnit:
    """What a linear classifier is fitted to, as arrays alone: a unit of work that any executor can take.

    Attributes
    ----------
    recipe : Recipe
    samples : ProbeSamples
    tiles : ndarray, shape (n, d)
    targets : ndarray of int, shape (n,)
    groups : ndarray, shape (n,), or None
    seed : int
    turns : ShrunkTurns, optional
        What samples and tiles are shrunk by ahead of the fit.
    unlabelled : ndarray, shape (m, d), optional
        Tiles that labels are spread to after that, where a class has one tile alone: nothing is left out then.
    labels : ndarray, shape (n, classes), optional
        How much each tile is of each class, where that is not its class alone.
    """

    recipe: Recipe
    samples: ProbeSamples
    tiles: Array
    targets: NDArray[np.int64]
    groups: NDArray[np.object_] | None
    seed: int
    turns: ShrunkTurns | None = None
    unlabelled: Array | None = None
    labels: Array | None = None

    def fit(self) -> Probe:
        """Fit the classifier as the recipe does; it takes features as they are, whatever they were shrunk by."""
        if self.recipe.fit is None:
            raise ValueError(f"the recipe {self.recipe.name} fits nothing to features")
        if self.turns is not None:
            return self.of_features(self.shrunk().fit())
        if self.unlabelled is not None:
            labels = np.eye(self.samples.targets.shape[1])[self.targets] if self.labels is None else self.labels
            means = class_means(self.tiles, labels, self.unlabelled)
            return replace(self, samples=self.samples.with_means(*means), unlabelled=None).fit()
        return self.recipe.fit(self)

    def shrunk(self) -> ProbeUnit:
        """Return the same with turns shrunk already, and without the directions, which may be larger than all the rest."""
        if self.turns is None:
            return self
        tiles = self.turns(self.tiles)
        features = tiles if self.samples.features is self.tiles else self.turns(self.samples.features)
        unlabelled = None if self.unlabelled is None else self.turns(self.unlabelled)
        samples = replace(self.samples, features=features)
        return replace(self, samples=samples, tiles=tiles, unlabelled=unlabelled, turns=None)

    def of_features(self, probe: Probe) -> Probe:
        """Return what was fitted to :meth:`shrunk` as it takes features as they are."""
        return probe if self.turns is None else replace(probe, weight=self.turns(probe.weight))

    @property
    def fewest(self) -> int:
        """How many tiles there are of the rarest class."""
        return int(np.bincount(self.targets).min())

    def solve(self, *, c: float) -> Probe:
        """Fit a logistic regression with a penalty of inverse strength C."""
        return fit_probe(self.samples, self.tiles, self.targets, c=c, groups=self.groups, seed=self.seed)

    def solve_by_places(self) -> Probe:
        """Fit a logistic regression with the strongest penalty that places speak for."""
        return fit_penalised(self.samples, self.tiles, self.targets, groups=self.groups, seed=self.seed)

    def fit_by(self, fit: Callable[[ProbeSamples], tuple[Array, Array]]) -> Probe:
        """Fit another linear classifier; see :func:`spurgekit.classify.probe.fit_linear`."""
        return fit_linear(self.samples, self.tiles, self.targets, fit, groups=self.groups, seed=self.seed)


def probe_unit(store: FeatureStore, support: SupportSet, arm: Arm) -> ProbeUnit:
    """Return what the classifier of an arm whose backbone is frozen is fitted to."""
    tiles = tile_features(store, support.tiles, arm.recipe)
    groups = support.groups
    turns = None
    if arm.recipe.shrinks_turns:
        pool = support.tiles if support.pool is None else support.pool
        turns = store.shrunk_turns(pool, unit_features=arm.recipe.unit_features)
    unlabelled = None
    if arm.spreads_labels and len(rows := _unlabelled(support)):
        unlabelled = tile_features(store, rows, arm.recipe)
    samples = draw_samples(store, support, arm, tiles)
    labels = None if unlabelled is None else support.labels
    return ProbeUnit(arm.recipe, samples, tiles, support.targets, groups, support.seed, turns, unlabelled, labels)


def _unlabelled(support: SupportSet) -> pd.DataFrame:
    """Return the tiles that labels are spread to: some of those that may be looked at, which their ids choose."""
    rows = support.tiles.iloc[:0] if support.unlabelled is None else support.unlabelled
    if np.bincount(support.targets).min() > MOST_SHOTS:
        return rows.iloc[:0]
    chosen = np.argsort([seed_of("unlabelled", tile) for tile in rows["tile_id"]], kind="stable")[:MOST_TILES]
    return rows.iloc[chosen]


def draw_samples(store: FeatureStore, support: SupportSet, arm: Arm, tiles: Array) -> ProbeSamples:
    """Return what the classifier of an arm is fitted to.

    However many samples are made of a tile, together they weigh as much as the tile: the penalty then means the same for all
    arms, and none of them gains by numbers alone.

    Parameters
    ----------
    tiles : ndarray, shape (n, d)
        What :func:`tile_features` says of the real ones, which are their samples where nothing is done to them.
    """
    samples = _own_samples(store, support, arm, tiles)
    if not len(support.extra):
        return samples
    extra = _extra_samples(store, support, arm)
    # A class that nothing is added to keeps its weight.
    share = samples.targets @ np.where(extra.weights @ extra.targets > 0, support.mixing, 0.0)
    joined = replace(samples, weights=samples.weights * (1 - share)).beside(extra)
    return replace(joined, shift=_prior_shift(joined, support)) if _is_soft(extra) else joined


def _own_samples(store: FeatureStore, support: SupportSet, arm: Arm, tiles: Array) -> ProbeSamples:
    """Return samples of the real tiles; what is altered or mixed is described as tiles are, by as many views."""
    n, augmentation, recipe = len(support.tiles), arm.augmentation, arm.recipe
    if augmentation.views == (0,):
        return ProbeSamples(tiles.astype(np.float64, copy=False), support.labels, np.ones(n), np.eye(n, dtype=np.bool_))
    if augmentation.mixes:
        features, shares = store.mixed(
            support.tiles, augmentation, COPIES, seed_of(support.seed, str(arm)),
            views=recipe.views, unit_features=recipe.unit_features,
        )  # fmt: skip
        return ProbeSamples(
            features.astype(np.float64), shares @ support.labels, np.full(len(features), 1 / COPIES), shares > 0
        )
    found = copy_features(store, support.tiles, arm)
    copies = found.shape[1]
    shares = np.repeat(np.eye(n), copies, axis=0)
    return ProbeSamples(
        found.reshape(n * copies, -1).astype(np.float64), shares @ support.labels, np.full(n * copies, 1 / copies), shares > 0
    )


def copies_are_shared(arm: Arm) -> bool:
    """Return whether an arm makes copies of tiles that are the same in all support sets: each is of one tile alone."""
    return not arm.augmentation.mixes and arm.augmentation.views != (0,)


def copy_features(store: FeatureStore, tiles: pd.DataFrame, arm: Arm) -> NDArray[np.floating]:
    """Return the features of such copies of tiles, shape (n, copies, d)."""
    augmentation, recipe = arm.augmentation, arm.recipe
    if augmentation.views is None:
        return store.altered(tiles, augmentation, COPIES, views=recipe.views, unit_features=recipe.unit_features)
    # Of a recipe that describes a tile by one view: parse_arm sees to it.
    return scaled(store.views(tiles, augmentation.views), recipe.unit_features)


def _extra_samples(store: FeatureStore, support: SupportSet, arm: Arm) -> ProbeSamples:
    """Return samples of extra tiles; in each class they share ``mixing`` of the weight of its real tiles.

    A tile of two classes has a part in the share of each, as much as it is of it, as where batches are drawn.
    """
    extra, targets = support.extra, labels(support.extra, support.classes)
    row, number = np.nonzero(targets)
    weights = extra["weight"].to_numpy(np.float64)[row] * targets[row, number]
    total = np.bincount(number, weights, minlength=support.classes)
    real = np.bincount(support.targets, minlength=support.classes)
    owners = np.zeros((len(extra), len(support.tiles)), np.bool_)
    for name in ("owner", "ground"):
        if name in extra:
            owners |= extra[name].to_numpy(object)[:, None] == support.tiles["tile_id"].to_numpy(object)[None]
    share = np.divide(weights, total[number], out=np.zeros(len(weights)), where=total[number] > 0)
    return ProbeSamples(
        tile_features(store, extra, arm.recipe),
        targets,
        np.bincount(row, support.mixing * share * real[number], minlength=len(extra)).astype(np.float64),
        owners,
    )


def _is_soft(samples: ProbeSamples) -> bool:
    return bool((samples.targets.max(axis=1) < 1).any())


def _prior_shift(samples: ProbeSamples, support: SupportSet) -> Array:
    """Return what is added to logits, so that classes are taken to be as common as they are among the real tiles.

    Soft labels move weight between classes where more tiles go from one class to another than back.
    """
    prior = samples.weights @ samples.targets
    real = np.bincount(support.targets, minlength=support.classes)
    return np.asarray(np.log(real / real.sum()) - np.log(prior / prior.sum()))
