"""Calibration: probabilities that mean what they say, fitted to held-out logits of the training side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from spurgekit.classify.model_info import Calibration
from spurgekit.classify.scores import value_of
from spurgekit.errors import InputError

if TYPE_CHECKING:
    from torch import nn

TEMPERATURES = (0.01, 100.0)
"""Bounds of a temperature. The lower one is that of cosines as logits, which need to be stretched a hundredfold."""

PENALTY = 1.0
"""Of squared distances from plain temperature scaling, against a sum over tiles: a normal prior of variance 1."""

FOLDS = 10
"""Parts to hold out in turn where tiles have no groups."""

Logits = NDArray[np.floating[Any]]
Targets = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
Vector = tuple[Floats, Floats]


def fit_temperature(logits: Logits, targets: Targets) -> float:
    """Find the temperature to divide logits by (Guo et al. 2017, section 4.2).

    It minimises the mean negative log-likelihood, within 0.01 to 100. The targets are smoothed as Platt (1999) does: of a
    class with N tiles the truth counts (N + 1) / (N + 2), so that logits that separate a few tiles without an error are
    not taken for certain. That fades with N, and the objective stays convex in 1 / T.

    Parameters
    ----------
    logits : ndarray of float, shape (n, classes)
        Of tiles that the classifier was not trained on.
    targets : ndarray of int, shape (n,)
        Class numbers.

    Returns
    -------
    float
        Above 1 where the classifier was too sure. 1 where all logits of each tile are the same, and say nothing.

    Raises
    ------
    InputError
        If there are no tiles, or logits that are not finite.
    """
    z, t = _checked(logits, targets)
    if np.ptp(z, axis=1).max() == 0:
        return 1.0
    truth = _smoothed(t, z.shape[1])

    def loss(log_temperature: float) -> float:
        return float(-(truth * log_softmax(z / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def fit_vector(logits: Logits, targets: Targets) -> Vector:
    """Find a scale and a shift for the logits of each class (vector scaling; Guo et al. 2017, section 4.2).

    A temperature is fitted first. Scale and shift are then drawn towards it by an L2 penalty, so that few tiles leave it as it
    is, and many find what each class needs. Targets are smoothed as in :func:`fit_temperature`.

    Parameters
    ----------
    logits : ndarray of float, shape (n, classes)
    targets : ndarray of int, shape (n,)

    Returns
    -------
    scale, shift : ndarray of float64, shape (classes,)
        The calibrated logits are ``scale * logits + shift``; the shifts sum to 0, as softmax does not see their mean.

    Raises
    ------
    InputError
        If there are no tiles, or logits that are not finite.
    """
    z, t = _checked(logits, targets)
    temperature = fit_temperature(z, t)
    classes = z.shape[1]
    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    found = minimize(_vector_loss, start, args=(z / temperature, _smoothed(t, classes)), jac=True, method="L-BFGS-B")
    scale, shift = found.x[:classes] / temperature, found.x[classes:]
    return scale, shift - shift.mean()


@overload
def calibrate(
    logits: Logits, targets: Targets, *, method: Literal["temperature"] = ..., groups: NDArray[Any] | None = ...
) -> tuple[float, Calibration]: ...


@overload
def calibrate(
    logits: Logits, targets: Targets, *, method: Literal["vector"], groups: NDArray[Any] | None = ...
) -> tuple[Vector, Calibration]: ...


def calibrate(
    logits: Logits,
    targets: Targets,
    *,
    method: Literal["temperature", "vector"] = "temperature",
    groups: NDArray[Any] | None = None,
) -> tuple[float | Vector, Calibration]:
    """Calibrate on held-out logits, and measure what it does to tiles that it was not fitted to.

    Parameters
    ----------
    logits : ndarray of float, shape (n, classes)
        Each of a tile that the classifier was not trained on; none of the test side.
    targets : ndarray of int, shape (n,)
    method : {"temperature", "vector"}
    groups : ndarray, shape (n,), optional
        The place of each tile, which was held out as a whole.

    Returns
    -------
    fitted : float or tuple of two ndarrays
        The temperature, or scale and shift, fitted to all tiles; 1 (and 0) where tiles that it was not fitted to are predicted
        no better with it, by their log loss, and the logits had better stay as they are.
    calibration : Calibration
        ``ece_before`` is that of the logits as they are. ``ece_after`` is cross-fitted: each group's tiles are calibrated by
        what the other groups' tiles say, and the error is that of all of them together. Without groups every tenth tile
        makes one. **With a single group, or a single tile, there is nothing to hold out, and it is in-sample: too low.**

    Raises
    ------
    InputError
        If there are no tiles, logits that are not finite, or not one group for each tile.
    """
    z, t = _checked(logits, targets)
    if groups is not None and np.shape(groups) != t.shape:
        raise InputError(f"{len(t)} tiles to calibrate on have groups of shape {np.shape(groups)}; pass one for each")
    fitted = _fit(z, t, method)
    parts = np.arange(len(t)) % FOLDS if groups is None else np.unique(groups, return_inverse=True)[1]
    before = calibrated(z, 1.0)
    after = _cross_fitted(z, t, parts, method) if parts.max() > 0 else calibrated(z, fitted)
    if parts.max() > 0 and _log_loss(after, t) >= _log_loss(before, t):
        fitted, after = (1.0 if method == "temperature" else (np.ones(z.shape[1]), np.zeros(z.shape[1]))), before
    return fitted, Calibration(
        method=method,
        tiles=len(t),
        groups=0 if groups is None else int(parts.max()) + 1,
        ece_before=value_of("ece", before, t),
        ece_after=value_of("ece", after, t),
    )


def apply_vector(head: nn.Linear, scale: Floats, shift: Floats) -> None:
    """Fold vector scaling into a linear classifier, which then gives ``scale * logits + shift``.

    It may be done ahead of an average of logits over views, since the average of scaled logits is the scaled average.

    Parameters
    ----------
    head : torch.nn.Linear
        Changed in place; it has a bias.
    scale, shift : ndarray of float, shape (classes,)
    """
    import torch

    with torch.no_grad():
        factor, offset = torch.as_tensor(scale, dtype=torch.float64), torch.as_tensor(shift, dtype=torch.float64)
        head.weight.copy_(factor[:, None] * head.weight.cpu())
        head.bias.copy_(factor * head.bias.cpu() + offset)


def _fit(z: Floats, t: NDArray[np.int64], method: str) -> float | Vector:
    return fit_temperature(z, t) if method == "temperature" else fit_vector(z, t)


def calibrated(logits: Logits, fitted: float | Vector) -> Floats:
    """Return the probabilities of logits.

    Parameters
    ----------
    logits : ndarray of float, shape (n, classes)
    fitted : float or tuple of two ndarrays
        From :func:`calibrate`: a temperature, or scale and shift.

    Returns
    -------
    ndarray of float64, shape (n, classes)
    """
    z = np.asarray(logits, np.float64)
    if isinstance(fitted, float):
        return np.asarray(softmax(z / fitted, axis=1))
    return np.asarray(softmax(fitted[0] * z + fitted[1], axis=1))


def _cross_fitted(z: Floats, t: NDArray[np.int64], parts: NDArray[np.int64], method: str) -> Floats:
    """Return the probabilities of each part, calibrated by the others."""
    found = np.empty_like(z)
    for part in range(parts.max() + 1):
        out = parts == part
        found[out] = calibrated(z[out], _fit(z[~out], t[~out], method))
    return found


def _log_loss(probabilities: Floats, t: NDArray[np.int64]) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(t)), t], np.finfo(float).tiny)).mean())


def _vector_loss(parameters: Floats, z: Floats, truth: Floats) -> tuple[float, Floats]:
    """Return the penalised mean negative log-likelihood of scale and shift (in one vector), and its gradient."""
    n, classes = z.shape
    scale, shift = parameters[:classes], parameters[classes:]
    logs = log_softmax(scale * z + shift, axis=1)
    away = np.concatenate([scale - 1, shift])
    loss = -(truth * logs).sum() / n + PENALTY / 2 * (away @ away) / n
    residuals = np.exp(logs) - truth  # truth sums to 1
    gradient = np.concatenate([(residuals * z).sum(axis=0), residuals.sum(axis=0)])
    return float(loss), (gradient + PENALTY * away) / n


def _smoothed(t: NDArray[np.int64], classes: int) -> Floats:
    """Return targets [n, classes]: of a class with N tiles (N + 1) / (N + 2), the rest spread over the others."""
    counts = np.bincount(t, minlength=classes)
    sure = (counts + 1) / (counts + 2)
    table = np.tile(((1 - sure) / (classes - 1))[:, None], (1, classes))
    np.fill_diagonal(table, sure)
    return np.asarray(table[t], np.float64)


def _checked(logits: Logits, targets: Targets) -> tuple[Floats, NDArray[np.int64]]:
    z, t = np.asarray(logits, np.float64), np.asarray(targets)
    if z.ndim != 2 or z.shape[1] < 2 or t.shape != z.shape[:1]:
        raise InputError(f"logits {z.shape} and targets {t.shape} do not go together; pass (n, classes) and (n,)")
    if not len(z):
        raise InputError("there are no tiles to calibrate on; hold some of the training side out")
    if not np.isfinite(z).all():
        row = int(np.flatnonzero(~np.isfinite(z).all(axis=1))[0])
        raise InputError(f"the logits of tile {row} are not finite: {z[row].tolist()}")
    if not np.issubdtype(t.dtype, np.integer) or t.min() < 0 or t.max() >= z.shape[1]:
        raise InputError(f"targets are class numbers from 0 to {z.shape[1] - 1}; got {t.min()} to {t.max()} ({t.dtype})")
    return z, t.astype(np.int64)
