"""Cover as the target: a tile's label is the share of it that lies under the plant, from 0 to 1.

The classifier is the same, and its probability of the second class becomes the share that is expected: a logistic regression
of fractions (Papke and Wooldridge, Journal of Applied Econometrics 11, 1996), to which a tile with a cover of .3 is .3 of a
tile with the plant and .7 of one without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from spurgekit.classify.calibration import FOLDS, PENALTY
from spurgekit.classify.model_info import Calibration
from spurgekit.dataset import Dataset
from spurgekit.errors import InputError

BINS = 10

Floats = NDArray[np.float64]


class CoverLine(NamedTuple):
    """How logits are brought to the cover that was seen: ``expit(slope * logit + offset)``."""

    slope: float
    offset: float

    def __call__(self, logits: Floats) -> Floats:
        """Return the expected cover."""
        return np.asarray(expit(self.slope * logits + self.offset))


def check_cover(data: Dataset) -> float:
    """Return the least cover that makes a tile one of the second class.

    Raises
    ------
    InputError
        If a dataset knows nothing of cover, or has more than two classes.
    """
    if len(data.info.classes) != 2:
        raise InputError(
            f"{data.path} has {len(data.info.classes)} classes, and cover is of one plant; build it with two `classes`"
        )
    if data.info.min_cover is None:
        raise InputError(
            f"{data.path} does not know how much of a tile is covered; label its tiles by polygons, or leave out `target`"
        )
    return data.info.min_cover


def cover_rows(rows: pd.DataFrame, min_cover: float, where: object) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return tiles with soft labels that say their cover, as :func:`spurgekit.augment.manifest.labels` reads them.

    Parameters
    ----------
    rows : pandas.DataFrame
        With ``cover``; the class of tiles, as ``target``, says which are taken together where some are left out.
    min_cover : float
        Share from which on a tile without a class counts as one of the second.
    where : path
        The dataset, for messages.

    Returns
    -------
    rows : pandas.DataFrame
        Those whose cover is known.
    notes : tuple of str
        How many are left out, if any.

    Raises
    ------
    InputError
        If it is known of none.
    """
    unknown = rows["cover"].isna() if "cover" in rows else pd.Series(True, rows.index)
    if unknown.all():
        raise InputError(f"{where}: of none of the {len(rows):,} tiles the cover is known; label them by polygons or a mask")
    notes: tuple[str, ...] = ()
    if unknown.any():
        example = rows["tile_id"][unknown].iloc[0]
        notes = (
            f"{int(unknown.sum()):,} of {len(rows):,} tiles are left out of the training: their cover is not known ({example})",
        )
        rows = rows[~unknown].reset_index(drop=True)
    cover = rows["cover"].to_numpy(np.float64)
    target = (cover >= min_cover) & (cover > 0)
    labels = {"target": target.astype(np.int64), "source_target": 1 - target.astype(np.int64)}
    return rows.assign(**labels, share=np.where(target, cover, 1 - cover)), notes


def calibrate_cover(
    logits: Floats, cover: Floats, *, groups: NDArray[Any] | None = None, tiles: NDArray[np.intp] | None = None
) -> tuple[CoverLine, Calibration]:
    """Fit slope and offset to tiles that a model had not seen, and measure what they do to tiles that they were not fitted to.

    Or to positions of tiles; those of a tile weigh as much as a tile together.

    Parameters
    ----------
    logits : ndarray of float64, shape (n,)
        Log odds of the second class.
    cover : ndarray of float64, shape (n,)
    groups : ndarray, shape (n,), optional
        The place of each tile, which was left out as a whole.
    tiles : ndarray of int, shape (n,), optional
        The number of the tile that each is a position of.

    Returns
    -------
    line : CoverLine
        Drawn to a slope of 1 and no offset by an L2 penalty, so that few tiles leave logits as they are.
    calibration : Calibration
        With :func:`cover_error` in place of the expected calibration error of classes.
    """
    names, number = np.unique(np.arange(len(cover)) if tiles is None else tiles, return_inverse=True)
    weights = 1 / np.bincount(number)[number]
    parts = number % FOLDS if groups is None else np.unique(groups, return_inverse=True)[1]
    line = _fit_line(logits, cover, weights)
    after = line(logits)
    if parts.max() > 0:
        for part in range(parts.max() + 1):
            out = parts == part
            after[out] = _fit_line(logits[~out], cover[~out], weights[~out])(logits[out])
    return line, Calibration(
        method="vector",
        tiles=len(names),
        groups=0 if groups is None else int(parts.max()) + 1,
        ece_before=cover_error(expit(logits), cover, weights),
        ece_after=cover_error(after, cover, weights),
    )


def _fit_line(logits: Floats, cover: Floats, weights: Floats) -> CoverLine:
    def loss(line: Floats) -> tuple[float, Floats]:
        z = line[0] * logits + line[1]
        away = line - [1.0, 0.0]
        residuals = weights * (expit(z) - cover)
        value = weights @ (np.logaddexp(0, z) - cover * z) + PENALTY / 2 * (away @ away)
        return float(value), np.array([residuals @ logits, residuals.sum()]) + PENALTY * away

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    return CoverLine(*map(float, found.x))


def cover_error(predicted: Floats, cover: Floats, weights: Floats | None = None) -> float:
    """Return the mean distance of predicted and true cover over ten bins of the prediction, weighted by their tiles."""
    weights = np.ones(len(cover)) if weights is None else weights
    number = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
    away = np.bincount(number, weights * (predicted - cover), minlength=BINS)
    return float(np.abs(away).sum() / weights.sum())


def cover_scores(predicted: Floats, cover: Floats) -> Mapping[str, float]:
    """Return what is said of predicted cover: mean absolute and root mean square error, bias (predicted less true), and R2."""
    away = predicted - cover
    spread = float(((cover - cover.mean()) ** 2).mean())
    return {
        "cover_mae": float(np.abs(away).mean()),
        "cover_rmse": float(np.sqrt((away**2).mean())),
        "cover_bias": float(away.mean()),
        "cover_r2": 1 - float((away**2).mean()) / spread if spread else float("nan"),
    }
