"""What training and evaluation start from: a backbone with its weights, and how tiles get into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.features import FeatureStore, FeatureWorkers, Known
from spurgekit.classify.normalisation import band_statistics, normalisation
from spurgekit.classify.offline_weights import OFFLINE_BACKBONE, SOURCE, has_offline_weights
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.tile_reader import DType
from spurgekit.classify.timm_backbone import WeightsUnavailableError, is_packaged, make_backbone
from spurgekit.classify.training.network import Network
from spurgekit.devices import choose_device
from spurgekit.errors import InputError, ModelError
from spurgekit.progress import Progress, silent

PRETRAINED = "vit_small_patch14_reg4_dinov2.lvd142m"
PRETRAINED_SIZE_PX = 252
"""18 patches of 14 px a side: close to a tile of 250 px, and a quarter of the work of the 518 px that it was trained at."""

UNTRAINED = "resnet18"
"""Taken with random weights where none is named: small, and textures can be told apart by it."""

DEFAULT_SIZE_PX = 224


@dataclass(frozen=True)
class Setup:
    """A backbone that is ready to be shown tiles.

    Attributes
    ----------
    name : str
        timm's.
    options : BackboneOptions
    backbone : torch.nn.Module
        Without a classifier.
    preprocess : Preprocess
    size_px : int
    mean, std : tuple of float
    dtype : {"uint8", "uint16", "float32"}
        Of the tiles.
    weights : str
        Where the backbone's weights are from.
    notes : tuple of str
        What is to be said of them, and of the bands.
    by_tiles : bool
        Whether tiles are normalised by those that are learned from.
    training : tuple of str
        Files of these.
    seen : dict
        What the backbone is known to see in tiles normalised by a mean and std, for all stores (:meth:`FeatureStore.keep`).
    """

    name: str
    options: BackboneOptions
    backbone: nn.Module
    preprocess: Preprocess
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: DType
    weights: str
    notes: tuple[str, ...] = ()
    by_tiles: bool = False
    training: tuple[str, ...] = ()
    seen: dict[object, Known] = field(default_factory=dict, compare=False, repr=False)

    def normalised_by(self, training: pd.DataFrame, progress: Progress = silent) -> Setup:
        """Return the same with other training tiles: where tiles are normalised by these, with their mean and std.

        Parameters
        ----------
        training : pandas.DataFrame
            Rows of the tiles that are learned from.
        progress : Progress

        Returns
        -------
        Setup
            With the same backbone; itself where the normalisation does not depend on tiles, or they are the same.
        """
        if not self.by_tiles or _files(training) == self.training:
            return self
        statistics = band_statistics(training["path"].tolist(), progress=progress)
        mean, std = self.options.mean or statistics.mean, self.options.std or statistics.std
        preprocess = Preprocess(self.size_px, mean, std, self.preprocess.device, self.dtype)
        return replace(self, mean=mean, std=std, preprocess=preprocess, training=_files(training))

    @property
    def base_model(self) -> str | None:
        """The repository of the Hub that the backbone's weights are from; None where they are from elsewhere."""
        if not self.options.pretrained or self.options.weights is not None or is_packaged(self.name):
            return None
        config: Mapping[str, Any] = self.backbone.pretrained_cfg  # type: ignore[assignment]
        return config.get("hf_hub_id")

    @property
    def asked_px(self) -> int | None:
        """The side of images that the backbone is told of; None where it was not asked for."""
        return self.options.image_size_px and self.size_px

    def store(self, progress: Progress = silent, workers: FeatureWorkers | None = None) -> FeatureStore:
        """Return a store of the backbone's features, which workers of other processes may extract."""
        options = self.options
        return FeatureStore(
            self.backbone, self.preprocess, batch_size=options.batch_size, precision=options.precision, workers=workers,
            kept=self.seen.setdefault((self.mean, self.std), {}), progress=progress,
        )  # fmt: skip

    def network(self, classes: int, *, unit_features: bool = False, seed: int = 0) -> Network:
        """Return a network of its own, with the backbone's weights and a new classifier for some classes."""
        return Network(self.new_backbone(classes, seed=seed), unit_features=unit_features)

    def new_backbone(self, classes: int = 0, *, seed: int = 0) -> nn.Module:
        """Return a copy of the backbone, with a new classifier for some classes where there are any."""
        model = make_backbone(
            self.name,
            options=self.options.backbone_options,
            image_size_px=self.asked_px,
            num_classes=classes,
            bands=len(self.mean),
            seed=seed,
        )
        tensors = {key: value.cpu() for key, value in self.backbone.state_dict().items()}
        tensors.update({key: value for key, value in model.state_dict().items() if key not in tensors})
        model.load_state_dict(tensors)
        return model


def set_up(options: BackboneOptions, training: pd.DataFrame, progress: Progress = silent) -> Setup:
    """Make the backbone for a dataset.

    Where none is named and the weights of the usual one cannot be had, the one of :mod:`spurgekit.classify.offline_weights` is
    taken if it is installed, and a note says so; one that is named is never exchanged for another.

    Parameters
    ----------
    options : BackboneOptions
    training : pandas.DataFrame
        Rows of the training tiles, for the normalisation of other bands than RGB.

    Raises
    ------
    ModelError
        If the backbone or its weights cannot be had.
    InputError
        If the tiles do not serve.
    """
    name = options.backbone or _named_by(options.weights) or (PRETRAINED if options.has_weights else UNTRAINED)
    asked = options
    if options.image_size_px is None and name == PRETRAINED:
        options = replace(options, image_size_px=PRETRAINED_SIZE_PX)
    statistics = band_statistics(training["path"].tolist(), progress=progress)
    pretrained = options.pretrained and options.weights is None
    make = partial(
        make_backbone,
        pretrained=pretrained,
        weights=options.weights,
        options=options.backbone_options,
        bands=statistics.bands,
        seed=options.seed,
    )
    why = "need no connection"
    try:
        backbone = make(name, image_size_px=options.image_size_px)
    except WeightsUnavailableError:
        if asked.backbone is not None or not has_offline_weights():
            raise
        why = f"are taken since those of {name} can be neither downloaded nor found in the Hub's cache"
        name, options = OFFLINE_BACKBONE, asked
        backbone = make(name, image_size_px=options.image_size_px)
    weights, notes = options.described(), statistics.notes
    if pretrained and is_packaged(name):
        weights, notes = SOURCE, (f"the weights of {name} {SOURCE} {why}", *notes)
    config: Mapping[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    size_px = options.image_size_px or (config.get("input_size") or (3, DEFAULT_SIZE_PX))[-1]
    own_mean, own_std = normalisation(config, statistics, pretrained=options.has_weights)
    mean, std = options.mean or own_mean, options.std or own_std
    for option, values in (("mean", mean), ("std", std)):
        if len(values) != statistics.bands:
            raise InputError(
                f"`{option}` has {len(values)} numbers, the tiles have {statistics.bands} bands; pass one for each"
            )
    if not all(value > 0 for value in std):
        raise InputError(f"`std={std}` has a number that is not positive")
    preprocess = Preprocess(size_px, mean, std, choose_device(options.device), statistics.dtype)
    by_tiles = (own_mean, own_std) == (statistics.mean, statistics.std) and not (options.mean and options.std)
    return Setup(
        name, options, backbone, preprocess, size_px, mean, std, statistics.dtype, weights, notes, by_tiles, _files(training)
    )  # fmt: skip


def _files(tiles: pd.DataFrame) -> tuple[str, ...]:
    return tuple(map(str, tiles["path"]))


def _named_by(weights: Path | None) -> str | None:
    """Return the backbone that a folder of weights is for, as timm's folders say on the Hub; None where it does not."""
    if weights is None or not (file := weights / "config.json").is_file():
        return None
    try:
        name = json.loads(file.read_text(encoding="utf-8")).get("architecture")
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{file} is damaged; pass as `backbone` the name of what the weights are for") from error
    return str(name) if name else None
