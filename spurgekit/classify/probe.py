"""The recipe ``probe``: a linear classifier on the features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, StratifiedGroupKFold, StratifiedKFold
from torch import nn

from spurgekit.classify.row_space import right_singular_vectors

WEAKER = (300.0, 3000.0)
"""Values of C to go on to, one after the other, where left-out places speak for it."""

PROBE_C = 30.0
"""Inverse strength C of the L2 penalty, for features of length 1, unless places speak for a weaker one. Chosen by leaving out
tiles of the same ground it is weaker, and hardly better on other ground; see the table "penalty" of
``tests/benchmarks/bench_shift.py``."""

PLAIN_C = 0.1
"""Of the recipe ``plain``, whose features are not scaled."""

LEAVE_ONE_OUT = 64
"""Up to so many tiles each is left out in turn, where groups are not; of more, parts of them are."""

FOLDS = 5
ITERATIONS = 5000
TOLERANCE = 1e-5
"""At scikit-learn's own of 1e-4 weakly penalised fits stop at probabilities that are 0.04 off."""

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ProbeSamples:
    """What a linear classifier learns from: features of tiles, or of altered and mixed copies of them.

    Attributes
    ----------
    features : ndarray, shape (samples, d)
    targets : ndarray, shape (samples, classes)
        Weights of the classes, with sum 1.
    weights : ndarray, shape (samples,)
    owners : ndarray of bool, shape (samples, tiles)
        Which tiles a sample was made of; it must not be seen where one of them is left out.
    shift : ndarray, shape (classes,), optional
        What is added to the logits of a regression, since classes are more or less common among the samples than they are to
        be taken for.
    """

    features: Array
    targets: Array
    weights: Array
    owners: NDArray[np.bool_]
    shift: Array | None = None

    @classmethod
    def of_tiles(cls, features: NDArray[np.floating], targets: NDArray[np.integer], classes: int) -> ProbeSamples:
        """Return a sample for each tile, of its features [n, d] and its class [n]."""
        n = len(features)
        return cls(features.astype(np.float64), np.eye(classes)[targets], np.ones(n), np.eye(n, dtype=np.bool_))

    @property
    def has_all_classes(self) -> bool:
        """Whether each class has some weight."""
        return bool((self.weights @ self.targets > 0).all())

    def without(self, tiles: Rows) -> ProbeSamples:
        """Return the samples that no part of some tiles went into."""
        keep = ~self.owners[:, tiles].any(axis=1)
        return ProbeSamples(self.features[keep], self.targets[keep], self.weights[keep], self.owners[keep], self.shift)

    def beside(self, more: ProbeSamples) -> ProbeSamples:
        """Return these and more samples of the same tiles; what is added to logits is that of these."""
        return ProbeSamples(
            np.concatenate([self.features, more.features]),
            np.concatenate([self.targets, more.targets]),
            np.concatenate([self.weights, more.weights]),
            np.concatenate([self.owners, more.owners]),
            self.shift,
        )

    def with_means(self, means: Array, weights: Array) -> ProbeSamples:
        """Return these, and a sample of each class whose mean, shape (classes, d), has some weight, which all tiles own."""
        classes = np.flatnonzero(weights)
        owners = np.ones((len(classes), self.owners.shape[1]), np.bool_)
        return self.beside(ProbeSamples(means[classes], np.eye(len(means))[classes], weights[classes], owners))


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear classifier.

    Attributes
    ----------
    weight : ndarray, shape (classes, d)
    bias : ndarray, shape (classes,)
    c : float or None
        Inverse strength of its penalty; None of what is no logistic regression.
    left_out : ndarray, shape (tiles, classes)
        Logits of each training tile by a classifier that had not seen it; NaN where that cannot be had.
    by_group : bool
        Whether whole groups were left out for them, rather than single tiles.
    equal_prior : bool
        Whether logits take classes for equally common, however common they are among the samples.
    """

    weight: Array
    bias: Array
    c: float | None
    left_out: Array
    by_group: bool
    equal_prior: bool = False

    def logits(self, features: NDArray[np.floating]) -> Array:
        """Return logits [n, classes] of features [n, d]."""
        return np.asarray(features @ self.weight.T + self.bias)

    def layer(self) -> nn.Linear:
        """Return the classifier as a layer of torch."""
        layer = nn.Linear(self.weight.shape[1], len(self.weight))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))
        return layer


def fit_probe(
    samples: ProbeSamples,
    tiles: NDArray[np.floating],
    targets: NDArray[np.integer],
    *,
    c: float,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
    seed: int = 0,
) -> Probe:
    """Fit a logistic regression, and again without each fold of tiles in turn.

    Parameters
    ----------
    samples : ProbeSamples
    tiles : ndarray, shape (n, d)
        Features of the training tiles, described as those will be that the classifier is to predict.
    targets : ndarray of int, shape (n,)
        Their classes; each class occurs.
    c : float
        Inverse strength C of its L2 penalty.
    groups : sequence, length n, optional
        The place of each tile; see :func:`left_out_folds`.
    seed : int
        Of the folds.

    Returns
    -------
    Probe
    """
    basis = _basis(samples.features)
    turned = replace(samples, features=samples.features @ basis)
    probe = fit_linear(turned, tiles @ basis, targets, partial(_regress, c=c), groups=groups, seed=seed)
    return replace(probe, weight=probe.weight @ basis.T, c=c)


def fit_penalised(
    samples: ProbeSamples,
    tiles: NDArray[np.floating],
    targets: NDArray[np.integer],
    *,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
    seed: int = 0,
) -> Probe:
    """Fit a logistic regression with the strongest penalty that places speak for.

    It is that of ``PROBE_C``, unless tiles of places that were left out whole are predicted better with a weaker one of
    ``WEAKER``, by their log loss and by more than two standard errors over places. Features of networks that have learned to
    see hardly ever need it; those of random weights lie close together, and do.

    Parameters
    ----------
    samples, tiles, targets, groups, seed
        See :func:`fit_probe`.

    Returns
    -------
    Probe
    """
    best = fit_probe(samples, tiles, targets, c=PROBE_C, groups=groups, seed=seed)
    if not best.by_group or groups is None:
        return best
    _, place = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    places = int(place.max()) + 1

    def losses(probe: Probe) -> Array:
        logs = log_softmax(probe.left_out, axis=1)
        return np.asarray(-logs[np.arange(len(targets)), targets])

    for c in WEAKER:
        other = fit_probe(samples, tiles, targets, c=c, groups=groups, seed=seed)
        gains = np.bincount(place, np.nan_to_num(losses(best) - losses(other)), minlength=places)
        if gains.mean() <= 2 * gains.std(ddof=1) / np.sqrt(places):
            break
        best = other
    return best


def fit_linear(
    samples: ProbeSamples,
    tiles: NDArray[np.floating],
    targets: NDArray[np.integer],
    fit: Callable[[ProbeSamples], tuple[Array, Array]],
    *,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
    seed: int = 0,
) -> Probe:
    """Fit any linear classifier, and again without each fold of tiles in turn, for logits of tiles that it has not seen.

    Parameters
    ----------
    samples, tiles, targets, groups, seed
        See :func:`fit_probe`.
    fit : callable
        ``fit(samples)`` returns weights, shape (classes, d), and biases, shape (classes,).

    Returns
    -------
    Probe
    """
    folds, by_group = left_out_folds(targets, groups, seed)
    left_out = np.full((len(tiles), samples.targets.shape[1]), np.nan)
    for fold in folds:
        others = samples.without(fold)
        if others.has_all_classes:
            weight, bias = fit(others)
            left_out[fold] = tiles[fold] @ weight.T + bias
    return Probe(*fit(samples), None, left_out, by_group)


def left_out_folds(
    targets: NDArray[np.integer], groups: object, seed: int = 0, *, leave_one_out: int = LEAVE_ONE_OUT
) -> tuple[list[Rows], bool]:
    """Return which tiles are left out together: whole groups, where there are several, else each by itself if they are few.

    Parameters
    ----------
    targets : ndarray of int, shape (n,)
    groups : sequence, length n, or None
    seed : int
    leave_one_out : int
        The most that are few.

    Returns
    -------
    folds : list of ndarray of int
        Each tile is in one of them. Empty where a class has one tile only, and nothing can be left out.
    by_group : bool
        Whether they are made of whole groups. Where there are none, or a class grows in one of them only, they are not.
    """
    counts = np.bincount(targets)
    fewest = int(counts[counts > 0].min())
    if fewest < 2:
        return [], False
    several = 0 if groups is None else len(np.unique(np.asarray(groups)))
    for parts in range(min(FOLDS, several, fewest), 1, -1):  # as many as leave tiles of each class to learn from
        splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
        folds = [test for _, test in splitter.split(targets, targets, np.asarray(groups)) if len(test)]
        left = [counts - np.bincount(targets[fold], minlength=len(counts)) for fold in folds]
        if len(folds) > 1 and all((some[counts > 0] > 0).all() for some in left):
            return folds, True
    if len(targets) <= leave_one_out:
        return [test for _, test in LeaveOneOut().split(targets)], False
    splitter = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    return [test for _, test in splitter.split(targets, targets)], False


def _basis(features: Array) -> Array:
    """Return an orthonormal basis of the features' span [d, rank]: solutions lie in it, and there are fewer samples than d."""
    if len(features) >= features.shape[1]:
        return np.eye(features.shape[1])
    lengths, basis = right_singular_vectors(features)
    return np.asarray(basis[lengths > 1e-10 * lengths[0]].T)


def _regress(samples: ProbeSamples, c: float) -> tuple[Array, Array]:
    weight, bias = regress(samples.features, samples.targets, samples.weights, c=c)
    return weight, bias if samples.shift is None else bias + samples.shift


def regress(
    features: NDArray[np.floating],
    labels: Array,
    weights: Array,
    *,
    c: float,
    solver: Literal["newton-cg", "newton-cholesky"] = "newton-cg",
) -> tuple[Array, Array]:
    """Fit a logistic regression; a soft label counts as a hard one of each class, of its weight.

    Parameters
    ----------
    features : ndarray of float, shape (n, d)
    labels : ndarray, shape (n, classes)
        How much each is of each class.
    weights : ndarray, shape (n,)
    c : float
        Inverse strength of the L2 penalty, against the weighted sum of losses.
    solver : {"newton-cg", "newton-cholesky"}
        scikit-learn's; the second is for many samples of few features.

    Returns
    -------
    weight : ndarray, shape (classes, d)
    bias : ndarray, shape (classes,)
        Of two classes both 0 for the first.
    """
    row, label = np.nonzero(labels)
    regression = LogisticRegression(C=c, solver=solver, tol=TOLERANCE, max_iter=ITERATIONS)
    fitted = regression.fit(features[row], label, sample_weight=weights[row] * labels[row, label])
    weight, bias = fitted.coef_, fitted.intercept_
    if labels.shape[1] == 2:  # scikit-learn keeps the second class's logit alone; the first's is 0
        weight, bias = np.vstack([0 * weight, weight]), np.append(0.0, bias)
    return weight, bias


def nearest_mean(samples: ProbeSamples) -> tuple[Array, Array]:
    """Return the linear classifier of the nearest class mean.

    Logits are -|x - mean|^2 / (2 s^2), less what all classes have in common. Of s nothing can be known from one tile a
    class; half the root mean square distance between means gives each mean itself 0.88 of two classes.
    """
    weights = samples.targets * samples.weights[:, None]
    means = weights.T @ samples.features / weights.sum(axis=0)[:, None]
    between = ((means[:, None] - means[None]) ** 2).sum(axis=2)
    k = len(means)
    variance = between.sum() / (k * (k - 1)) / 4 or 1.0  # means that are equal tell nothing apart
    return means / variance, -(means**2).sum(axis=1) / (2 * variance)
