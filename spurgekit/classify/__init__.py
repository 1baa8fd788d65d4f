"""Classifiers: train on a dataset, test on held-out places, predict tiles."""

from spurgekit.classify.model import ModelInfo, TileClassifier, load_model, read_model_info
from spurgekit.classify.train import TrainOptions, train_model

__all__ = ["ModelInfo", "TileClassifier", "TrainOptions", "load_model", "read_model_info", "train_model"]
