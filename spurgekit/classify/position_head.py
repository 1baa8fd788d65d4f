"""Heads that say something of each position of a tile (:mod:`spurgekit.classify.position_features`), by linear logits.

A multiple-instance head learns where in a tile a class is from tiles' labels alone. A tile is a bag of positions, and its
logits are their log-sum-exp, (1/r) log mean exp(r z), which lies between the mean (r near 0) and the largest (r large): a tile
holds a class if some of its positions do. The first class is what a tile has that holds none of the others; its logit is 0 at
each position, and of several others the softmax tells which.

A segmentation head learns from masks how much of each position is covered; the cover of a tile is the mean of its positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from spurgekit.classify.calibration import Vector
from spurgekit.classify.probe import regress

SHARPNESS = 4.0
"""The r of the log-sum-exp."""

DIMENSIONS = 200
"""The most principal components of positions' features that are told apart by."""

C = 150.0
"""Inverse strength of the L2 penalty, against the mean over tiles: what p = 0.5 means of a position depends on it, and must not
on how many tiles there are."""

ITERATIONS = 500

SMALLEST = 1e-12
"""A cover of none has a logit all the same."""

COVER_C = 100_000.0
"""The same of a head of cover, whose positions are many: two simulated sites speak for it, with 4, 16 and all tiles, and two
others agree."""

Floats = NDArray[np.float64]
Linear = tuple[Floats, Floats]
"""Weights [classes, features] and biases [classes] of logits."""


class PositionHead(nn.Module):
    """Logits of positions and, pooled from them, of the tile.

    Parameters
    ----------
    features : int
        Of a position.
    classes : int
    sharpness : float or None
        The r of the log-sum-exp of a multiple-instance head; None of a segmentation head.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, features: int, classes: int, sharpness: float | None = SHARPNESS) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)
        self.sharpness = sharpness
        self.register_buffer("scale", torch.ones(classes))
        self.register_buffer("shift", torch.zeros(classes))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits [n, classes, rows, columns] of positions' features [n, d, rows, columns]."""
        return nnf.conv2d(features, self.linear.weight[:, :, None, None], self.linear.bias)

    @property
    def cell_shift(self) -> Tensor:
        """What is added to the scaled logits of positions: of a multiple-instance head the shift is of tiles, once pooled."""
        return torch.zeros_like(self.shift) if self.sharpness is not None else self.shift

    def of_cells(self, logits: Tensor) -> Tensor:
        """Return logits [..., classes, rows, columns] as they are meant of positions, scaled and shifted."""
        return self.scale[:, None, None] * logits + self.cell_shift[:, None, None]

    def pool(self, logits: Tensor) -> Tensor:
        """Return logits of tiles, [n, classes], from those of their positions as views have them, turned back.

        Parameters
        ----------
        logits : Tensor, shape (views, n, classes, rows, columns)
            Of :meth:`forward`.
        """
        if self.sharpness is None:
            return self.of_cells(logits.mean(dim=0)).softmax(dim=1).mean(dim=(2, 3)).clamp_min(SMALLEST).log()
        return (self.scale * log_mean_exp(logits.flatten(3), self.sharpness) + self.shift).mean(dim=0)

    def put(self, components: Components, weight: Floats, bias: Floats) -> None:
        """Take over linear logits of principal components, as ones of the features that these are of."""
        whole = weight @ components.basis.T
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(whole))
            self.linear.bias.copy_(torch.from_numpy(bias - whole @ components.mean))

    def rescale(self, vector: Vector) -> None:
        """Scale and shift the logits of each class: of a multiple-instance head once they are pooled."""
        scale, shift = (torch.from_numpy(values).to(self.scale) for values in vector)
        self.scale.mul_(scale)
        self.shift.mul_(scale).add_(shift)


def log_mean_exp(logits: Tensor, sharpness: float) -> Tensor:
    """Pool logits over the last axis: (1/r) log mean exp(r z).

    >>> [round(pooled, 2) for pooled in log_mean_exp(torch.tensor([[1.0, 1.0], [0.0, 100.0]]), 4.0).tolist()]
    [1.0, 99.83]
    """
    return (torch.logsumexp(sharpness * logits, dim=-1) - math.log(logits.shape[-1])) / sharpness


@dataclass(frozen=True, slots=True)
class Components:
    """Principal components of features.

    Attributes
    ----------
    mean : ndarray of float32, shape (d,)
    basis : ndarray of float32, shape (d, k)
        Orthonormal columns, k at most :data:`DIMENSIONS`.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> Components:
        """Return those of features of shape (n, d)."""
        mean = features.mean(axis=0, dtype=np.float64)
        centred = features - mean.astype(np.float32)
        variances, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        largest = np.argsort(-variances, kind="stable")[:DIMENSIONS]
        largest = largest[variances[largest] > 1e-10 * variances[largest[0]]]
        return cls(mean.astype(np.float32), vectors[:, largest].astype(np.float32))

    def reduce(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features [..., d] as [..., k]."""
        return np.asarray((features - self.mean) @ self.basis)


@dataclass(frozen=True, slots=True)
class Bags:
    """Tiles as bags of positions.

    Attributes
    ----------
    positions : ndarray of float32, shape (bags, positions, d)
    targets : ndarray of int, shape (bags,)
        Their classes.
    weights : ndarray, shape (bags,)
    """

    positions: NDArray[np.float32]
    targets: NDArray[np.int64]
    weights: Floats

    @classmethod
    def of_views(cls, reduced: NDArray[np.float32], targets: NDArray[np.int64]) -> Bags:
        """Return a bag for each view of each tile, shape (tiles, views, positions, k); those of a tile weigh 1 together."""
        tiles, views, positions, k = reduced.shape
        weights = np.full(tiles * views, 1 / views)
        return cls(reduced.reshape(tiles * views, positions, k), targets.repeat(views), weights)


def pooled_logits(positions: NDArray[np.float32], weight: Floats, bias: Floats, sharpness: float = SHARPNESS) -> Floats:
    """Return logits [..., classes] of bags of positions [..., positions, d]."""
    logits = torch.from_numpy(positions @ weight.T.astype(np.float32) + bias.astype(np.float32))
    return log_mean_exp(logits.transpose(-2, -1), sharpness).double().numpy()


def fit_positions(bags: Bags, classes: int, *, c: float = C, sharpness: float = SHARPNESS) -> Linear:
    """Fit the logits of positions to the classes of bags, each class weighing as much as the others.

    The loss has several minima; what L-BFGS starts from is the logistic regression of the bags' means.

    Returns
    -------
    weight : ndarray, shape (classes, d)
    bias : ndarray, shape (classes,)
        Both 0 for the first class.
    """
    totals = np.bincount(bags.targets, bags.weights, minlength=classes)
    weights = bags.weights / (classes * totals)[bags.targets]
    start = np.zeros((classes - 1, bags.positions.shape[2] + 1))
    for positions in (bags.positions.mean(axis=1, keepdims=True), bags.positions):
        loss = _Loss(positions, bags.targets, weights, c, sharpness)
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
        start = found.x.reshape(start.shape)
    whole = np.vstack([np.zeros(start.shape[1]), start])
    return whole[:, :-1], whole[:, -1]


def fit_cover(reduced: NDArray[np.float32], cover: Floats, *, c: float = COVER_C) -> Linear:
    """Fit the logits of positions to how much of each is covered: a logistic regression of fractions.

    Parameters
    ----------
    reduced : ndarray of float32, shape (tiles, views, positions, k)
    cover : ndarray, shape (tiles, views, positions)
        Share of each position that is of the second class; NaN where it is not known. Tiles weigh alike.
    c : float
        Inverse strength of the L2 penalty, against the mean over tiles.

    Returns
    -------
    weight : ndarray, shape (2, k)
    bias : ndarray, shape (2,)
        Both 0 for the first class.
    """
    known = np.isfinite(cover)
    weights = np.broadcast_to(1 / np.maximum(known.sum(axis=(1, 2), keepdims=True), 1), cover.shape)[known]
    labels = np.column_stack([1 - cover[known], cover[known]])
    return regress(reduced[known], labels, weights, c=c / weights.sum(), solver="newton-cholesky")


class _Loss:
    """The penalised log loss of bags, with its gradient."""

    def __init__(self, positions: NDArray[np.float32], targets: NDArray[np.int64], weights: Floats, c: float, r: float) -> None:
        self.shape = positions.shape
        self.positions = torch.from_numpy(np.ascontiguousarray(positions.reshape(-1, positions.shape[2])))
        self.targets = torch.from_numpy(targets)
        self.weights = torch.from_numpy(weights)
        self.c, self.r = c, r

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        bags, positions, d = self.shape
        linear = torch.from_numpy(parameters.reshape(-1, d + 1)).requires_grad_()
        z = self.positions @ linear[:, :d].T.float() + linear[:, d].float()
        pooled = log_mean_exp(z.view(bags, positions, -1).transpose(1, 2), self.r).double()
        logits = torch.cat([torch.zeros(bags, 1, dtype=torch.float64), pooled], dim=1)
        losses = nnf.cross_entropy(logits, self.targets, reduction="none")
        loss = (self.weights * losses).sum() + linear[:, :d].square().sum() / (2 * self.c)
        (gradient,) = torch.autograd.grad(loss, linear)
        return float(loss.detach()), gradient.numpy().ravel()
