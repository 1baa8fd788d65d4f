"""What the files of a model folder are called."""

from __future__ import annotations

DESCRIPTION = "model.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
RELIABILITY = "reliability.png"

PREDICTIONS = "test_predictions.csv"
"""What the model said of held-out tiles."""

TRAINING_FEATURES = "training_features.safetensors"
"""By which tiles are told that are unlike the training tiles."""

CONFIG = "config.json"
"""By which timm makes the model on its own."""

STAC_ITEM = "model.stac.json"
