"""Classifiers: train on a dataset, test on held-out places, predict tiles."""

import importlib
from typing import TYPE_CHECKING, Any

from spurgekit.classify.model_info import ModelInfo, read_model_info

if TYPE_CHECKING:
    from spurgekit.classify.classifier import TileClassifier, load_model
    from spurgekit.classify.train import TrainOptions, train_model

__all__ = ["ModelInfo", "TileClassifier", "TrainOptions", "load_model", "read_model_info", "train_model"]

# What a model is can be read without torch; mapping needs neither scikit-learn nor the dataset room.
_LATER = {"TileClassifier": "classifier", "load_model": "classifier", "TrainOptions": "train", "train_model": "train"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"spurgekit.classify.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
