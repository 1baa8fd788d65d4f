"""A classifier whose probabilities can be worked out by hand: it looks at the mean brightness of a tile."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from spurgekit.classify import ModelInfo, TileClassifier
from spurgekit.classify.held_out import HeldOutTiles
from spurgekit.classify.model_info import HeldOut
from spurgekit.classify.tile_reader import DType
from spurgekit.dataset.split_info import SplitInfo

SLOPE = 0.05


class Brightness(nn.Module):
    """Logits 0 and ``SLOPE * (mean - 100)``, of pixels from 0 to 255."""

    def forward(self, images: Tensor) -> Tensor:
        bright = SLOPE * (255 * images.mean(dim=(1, 2, 3)) - 100)
        return torch.stack([torch.zeros_like(bright), bright], dim=1)


def p_bright(mean: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of the second class for a mean brightness: 100 gives a half."""
    return 1 / (1 + np.exp(-SLOPE * (np.asarray(mean, np.float64) - 100)))


def brightness_model(
    tile_px: int,
    *,
    bands: int = 1,
    dtype: DType = "uint8",
    gsd_m: float = 0.01,
    confusion: tuple[tuple[int, ...], ...] = ((50, 0), (0, 50)),
) -> TileClassifier:
    """Return the classifier for tiles of a size. Of all types, it takes 255 for white."""
    info = ModelInfo(
        backbone="brightness",
        classes=("dark", "bright"),
        image_size_px=tile_px,
        tile_size_px=tile_px,
        gsd_m=gsd_m,
        dtype=dtype,
        mean=(0.0,) * bands,
        std=(1.0 if dtype == "uint8" else 255.0,) * bands,
        training_counts={"dark": 1, "bright": 1},
        held_out=HeldOut(balanced_accuracy=1, confusion_matrix=confusion, split=SplitInfo(by="site")),
    )
    return TileClassifier(info, Brightness(), torch.device("cpu"), held_out=held_out_of(confusion))


def held_out_of(confusion: tuple[tuple[int, ...], ...]) -> HeldOutTiles:
    """Return tiles of a confusion matrix, in turn of two places."""
    true, predicted = (np.repeat(numbers, np.ravel(confusion)) for numbers in np.indices(np.shape(confusion)).reshape(2, -1))
    places = np.array(["one", "other"], object)[np.arange(len(true)) % 2]
    return HeldOutTiles(np.eye(len(confusion))[predicted], true, places, np.full(len(true), np.nan))
