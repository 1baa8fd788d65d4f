"""Classifiers: train on a dataset, test on held-out places, predict tiles."""

from typing import TYPE_CHECKING, Any

from spurgekit.classify.info import ModelInfo
from spurgekit.classify.model import TileClassifier, load_model, read_model_info

if TYPE_CHECKING:
    from spurgekit.classify.train import TrainOptions, train_model

__all__ = ["ModelInfo", "TileClassifier", "TrainOptions", "load_model", "read_model_info", "train_model"]


def __getattr__(name: str) -> Any:
    # Mapping needs neither scikit-learn nor the dataset room, which take 100 MB and seconds to import.
    if name in ("TrainOptions", "train_model"):
        from spurgekit.classify import train

        return getattr(train, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
