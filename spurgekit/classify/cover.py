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


def cover_rows(rows: pd.DataFrame, min_cover: float, where: object) -> pd.DataFrame:
    """Return tiles with soft labels that say their cover, as :func:`spurgekit.augment.manifest.labels` reads them.

    Parameters
    ----------
    rows : pandas.DataFrame
        With ``cover``; the class of tiles, as ``target``, says which are taken together where some are left out.
    min_cover : float
        Share from which on a tile without a class counts as one of the second.
    where : path
        The dataset, for messages.
    """
    cover = rows["cover"] if "cover" in rows else pd.Series(np.nan, rows.index)
    if (unknown := cover.isna()).any():
        raise InputError(
            f"{where}: the cover of {int(unknown.sum()):,} tiles is not known, such as {rows['tile_id'][unknown].iloc[0]}; "
            "leave them out, or label them by polygons"
        )
    cover = cover.to_numpy(np.float64)
    target = (cover >= min_cover) & (cover > 0)
    return rows.assign(
        target=target.astype(np.int64), source_target=1 - target.astype(np.int64), share=np.where(target, cover, 1 - cover)
    )


def calibrate_cover(logits: Floats, cover: Floats, *, groups: NDArray[Any] | None = None) -> tuple[CoverLine, Calibration]:
    """Fit slope and offset to tiles that a model had not seen, and measure what they do to tiles that they were not fitted to.

    Parameters
    ----------
    logits : ndarray of float64, shape (n,)
        Log odds of the second class.
    cover : ndarray of float64, shape (n,)
    groups : ndarray, shape (n,), optional
        The place of each tile, which was left out as a whole.

    Returns
    -------
    line : CoverLine
        Drawn to a slope of 1 and no offset by an L2 penalty, so that few tiles leave logits as they are.
    calibration : Calibration
        With :func:`cover_error` in place of the expected calibration error of classes.
    """
    parts = np.arange(len(cover)) % FOLDS if groups is None else np.unique(groups, return_inverse=True)[1]
    line = _fit_line(logits, cover)
    after = line(logits)
    if parts.max() > 0:
        for part in range(parts.max() + 1):
            out = parts == part
            after[out] = _fit_line(logits[~out], cover[~out])(logits[out])
    return line, Calibration(
        method="vector",
        tiles=len(cover),
        groups=0 if groups is None else int(parts.max()) + 1,
        ece_before=cover_error(expit(logits), cover),
        ece_after=cover_error(after, cover),
    )


def _fit_line(logits: Floats, cover: Floats) -> CoverLine:
    def loss(line: Floats) -> tuple[float, Floats]:
        z = line[0] * logits + line[1]
        away = line - [1.0, 0.0]
        residuals = expit(z) - cover
        value = (np.logaddexp(0, z) - cover * z).sum() + PENALTY / 2 * (away @ away)
        return float(value), np.array([residuals @ logits, residuals.sum()]) + PENALTY * away

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    return CoverLine(*map(float, found.x))


def cover_error(predicted: Floats, cover: Floats) -> float:
    """Return the mean distance of predicted and true cover over ten bins of the prediction, weighted by their tiles."""
    number = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
    away = np.bincount(number, predicted - cover, minlength=BINS)
    return float(np.abs(away).sum() / len(cover))


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
