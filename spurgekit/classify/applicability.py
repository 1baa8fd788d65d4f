"""Where a model may be believed: how far tiles lie from those that it learned from, as the model sees them.

The dissimilarity index and the area of applicability of Meyer and Pebesma (Methods in Ecology and Evolution 12, 2021), as CAST
computes them in R, on the features that the classifier is shown. These have one unit and none is weighted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from spurgekit.classify.model_files import TRAINING_FEATURES
from spurgekit.errors import ModelError
from spurgekit.outputs import save_tensors

MOST_TILES = 256
"""Training tiles that are kept: more say little more of where they lie, and are looked through for each cell of a map."""

WHISKER = 1.5
"""Interquartile ranges above the upper quartile, beyond which a training tile is an outlier, as in a box plot."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Applicability:
    """Training tiles, to be compared with.

    Attributes
    ----------
    features : ndarray of float32, shape (n, d)
        Of training tiles.
    scale : float
        Mean distance between two of them, the unit of the index.
    threshold : float
        Of the index: beyond it a tile is farther from all training tiles than those are from the tiles of other places.
    """

    features: Floats
    scale: float
    threshold: float

    @classmethod
    def of(cls, features: Floats, places: Sequence[object] | NDArray[np.generic]) -> Applicability | None:
        """Learn it from training tiles.

        Parameters
        ----------
        features : ndarray of float32, shape (n, d)
        places : sequence, length n
            A tile is compared with the tiles of other places; where all are of one, with all others.

        Returns
        -------
        Applicability or None
            None of a single tile, or of tiles that are all alike.
        """
        if len(features) < 2:
            return None
        apart = _distances(features, features)
        others = ~np.eye(len(features), dtype=np.bool_)
        scale = float(apart[others].mean())
        if not scale > 0:
            return None
        _, place = np.unique(np.asarray(places).astype(str), return_inverse=True)
        elsewhere = place[:, None] != place[None]
        nearest = np.where(elsewhere if elsewhere.any() else others, apart, np.inf).min(axis=1) / scale
        low, high = np.percentile(nearest, (25, 75))
        return cls(features, scale, float(nearest[nearest <= high + WHISKER * (high - low)].max()))

    def dissimilarity(self, features: Floats) -> Floats:
        """Return the dissimilarity index of tiles [n], from their features [n, d]: 0 of a training tile."""
        return np.asarray(_distances(features, self.features).min(axis=1) / self.scale, np.float32)


def write_applicability(folder: Path, found: Applicability) -> None:
    """Write it into a model folder."""
    tensors = {
        "features": torch.from_numpy(found.features).half(),
        "scale": torch.tensor([found.scale]),
        "threshold": torch.tensor([found.threshold]),
    }
    save_tensors(folder / TRAINING_FEATURES, tensors, {"format": "pt"})


def read_applicability(folder: Path) -> Applicability | None:
    """Read it from a model folder; None where there is none.

    Raises
    ------
    ModelError
        If it is damaged.
    """
    file = folder / TRAINING_FEATURES
    if not file.is_file():
        return None
    try:
        tensors = load_file(file)
        features, scale, threshold = (tensors[name].float().numpy() for name in ("features", "scale", "threshold"))
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{file} is damaged; get the model folder again, or train the model again") from error
    sound = features.ndim == 2 and len(features) and np.isfinite(features).all() and scale.shape == threshold.shape == (1,)
    if not sound or not 0 < scale[0] < np.inf or not 0 <= threshold[0] < np.inf:
        raise ModelError(f"{file} does not hold what it should; get the model folder again, or train the model again")
    return Applicability(features, float(scale[0]), float(threshold[0]))


def _distances(one: Floats, other: Floats) -> Floats:
    """Return the distance of each of n rows from each of m, shape (n, m).

    By torch, beside whose threads those of NumPy's matrix product wait for one another: with both, maps took four times as
    long.
    """
    apart = torch.cdist(torch.from_numpy(one), torch.from_numpy(other), compute_mode="donot_use_mm_for_euclid_dist")
    return np.asarray(apart.numpy())
