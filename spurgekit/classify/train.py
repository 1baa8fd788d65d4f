"""``spurgekit train``: a dataset in, a model folder out, tested on the places that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from torch import nn

from spurgekit.classify.backbone import make_backbone
from spurgekit.classify.card import write_card
from spurgekit.classify.info import HeldOut, ModelInfo
from spurgekit.classify.model import TileClassifier, choose_device, save_model
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.probe import extract_features, fit_head
from spurgekit.classify.tiles import batches
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.errors import InputError
from spurgekit.outputs import output_folder, write_provenance
from spurgekit.progress import Progress, silent

DEFAULT_BACKBONE = "resnet18.a1_in1k"
DEFAULT_SIZE_PX = 224


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train.

    Attributes
    ----------
    backbone : str
        timm's name.
    weights : pathlib.Path, optional
        Local safetensors; without them the pretrained ones are fetched.
    pretrained : bool
        False gives random weights where there is no local file.
    backbone_options : mapping
        Further arguments of ``timm.create_model``.
    image_size_px : int, optional
        Side to resize tiles to; by default the one that the backbone was trained on.
    mean, std : tuple of float, optional
        Normalisation per band; by default the backbone's.
    batch_size : int
    device : str
    seed : int
    """

    backbone: str = DEFAULT_BACKBONE
    weights: Path | None = None
    pretrained: bool = True
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    image_size_px: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    batch_size: int = 32
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"--batch-size {self.batch_size} is too small; pass 1 or more")
        if self.image_size_px is not None and self.image_size_px < 32:
            raise InputError(f"--image-size {self.image_size_px} is too small for the backbones of timm; pass 32 or more")


def train_model(
    dataset: Path, out: Path, options: TrainOptions = TrainOptions(), *, overwrite: bool = False, progress: Progress = silent
) -> ModelInfo:
    """Train a model and test it once.

    Parameters
    ----------
    dataset : pathlib.Path
        Folder that ``spurgekit build-dataset`` made.
    out : pathlib.Path
        Model folder to make.

    Returns
    -------
    ModelInfo
        With the balanced accuracy and the confusion matrix on the test split.

    Raises
    ------
    ModelError
        If the backbone or its weights cannot be had.
    InputError
        If the dataset does not serve.
    """
    data = open_dataset(dataset)
    train, test = _splits(data)
    device = choose_device(options.device)
    backbone = make_backbone(
        options.backbone,
        pretrained=options.pretrained and options.weights is None,
        weights=options.weights,
        options=options.backbone_options,
        image_size_px=options.image_size_px,
        seed=options.seed,
    )
    config: Mapping[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    size_px = options.image_size_px or (config.get("input_size") or (3, DEFAULT_SIZE_PX))[-1]
    preprocess = Preprocess(size_px, options.mean or tuple(config["mean"]), options.std or tuple(config["std"]), device)

    inputs = [Path(dataset), *([options.weights] if options.weights else [])]
    with output_folder(out, overwrite=overwrite, inputs=inputs) as folder:
        features = _features(backbone.to(device, memory_format=torch.channels_last), preprocess, train, options, progress)  # type: ignore[call-overload]
        head = fit_head(features, train["target"].to_numpy(np.int64), len(data.info.classes))
        network = _join(backbone, head, options, size_px)
        info = ModelInfo(
            backbone=options.backbone,
            backbone_options=dict(options.backbone_options),
            classes=data.info.classes,
            image_size_px=size_px,
            tile_size_px=data.info.size_px,
            gsd_m=data.info.gsd_m,
            mean=options.mean or tuple(config["mean"]),
            std=options.std or tuple(config["std"]),
            training_counts=data.info.counts["train"],
            held_out=HeldOut(balanced_accuracy=0, confusion_matrix=(), split=data.info.split),
        )
        probabilities = _predict(TileClassifier(info, network, device), test, options, progress)
        info = info.model_copy(update={"held_out": _score(data, test, probabilities)})
        save_model(folder, info, network)
        predictions = test[["tile_id", "label"]].assign(
            predicted=[info.classes[i] for i in probabilities.argmax(axis=1)],
            **{f"p({name})": probabilities[:, i].round(5) for i, name in enumerate(info.classes)},
        )
        predictions.to_csv(folder / "test_predictions.csv", index=False)
        write_card(folder, info, weights=_describe_weights(options))
        parameters = {name: getattr(options, name) for name in options.__slots__}
        write_provenance(folder, parameters=parameters, inputs=inputs)
    return info


def _splits(data: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to train and to test on; every class is in both."""
    splits = data.split("train"), data.split("test")
    for name, rows in zip(("train", "test"), splits, strict=True):
        if missing := [label for label in data.info.classes if label not in set(rows["label"])]:
            raise InputError(f"{data.path} holds no tile of class {missing[0]!r} in its {name} split; hold out other places")
    return splits


def _features(
    backbone: nn.Module, preprocess: Preprocess, rows: pd.DataFrame, options: TrainOptions, progress: Progress
) -> NDArray[np.float32]:
    found = []
    with progress("extracting features", len(rows)) as advance:
        for batch in extract_features(backbone, preprocess, batches(rows["path"].tolist(), options.batch_size)):
            found.append(batch)
            advance(len(batch))
    return np.concatenate(found)


def _predict(model: TileClassifier, rows: pd.DataFrame, options: TrainOptions, progress: Progress) -> NDArray[np.float32]:
    found = []
    with progress("testing", len(rows)) as advance:
        for batch in batches(rows["path"].tolist(), options.batch_size):
            found.append(model.predict(batch))
            advance(len(batch))
    return np.concatenate(found)


def _join(backbone: nn.Module, head: nn.Linear, options: TrainOptions, size_px: int) -> nn.Module:
    """Return the backbone with the head as its classifier: a plain timm model, which timm alone can load again."""
    network = make_backbone(
        options.backbone,
        options=options.backbone_options,
        image_size_px=options.image_size_px and size_px,
        num_classes=head.out_features,
    )
    tensors = backbone.cpu().state_dict()
    tensors.update({key: value for key, value in network.state_dict().items() if key not in tensors})
    network.load_state_dict(tensors)
    classifier = network.get_classifier()  # type: ignore[operator]
    classifier.load_state_dict(head.state_dict())
    return network


def _score(data: Dataset, test: pd.DataFrame, probabilities: NDArray[np.float32]) -> HeldOut:
    numbers = range(len(data.info.classes))
    matrix = confusion_matrix(test["target"], probabilities.argmax(axis=1), labels=list(numbers))
    recognised = np.diag(matrix) / matrix.sum(axis=1)
    return HeldOut(
        balanced_accuracy=float(recognised.mean()),
        confusion_matrix=tuple(tuple(int(n) for n in row) for row in matrix),
        split=data.info.split,
    )


def _describe_weights(options: TrainOptions) -> str:
    if options.weights is not None:
        return f"from {options.weights.name}"
    return "pretrained" if options.pretrained else f"random (seed {options.seed})"
