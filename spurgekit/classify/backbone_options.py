"""Which backbone, with which weights, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spurgekit.errors import InputError
from spurgekit.options import Options
from spurgekit.precision import Precision


@dataclass(frozen=True, kw_only=True)
class BackboneOptions(Options):
    """Which backbone, with which weights.

    Attributes
    ----------
    backbone : str, optional
        Any model of timm. Default: DINOv2's small vision transformer at 252 px; without pretrained weights resnet18.

        What a folder of weights says it is for comes first. Where those of DINOv2 cannot be had, the network of
        :mod:`spurgekit.classify.offline_weights` is the default, if it is installed.
    weights : pathlib.Path, optional
        Local safetensors for it, or a folder of timm's, instead of a download.
    pretrained : bool
        Fetch timm's weights, or take random ones. Those of the extra ``offline`` need no connection.
    backbone_options : mapping
        Further arguments of ``timm.create_model``, such as ``pad_type``; one that is known to be harmless.

        See :data:`spurgekit.classify.backbone_arguments.ARGUMENTS`.
    image_size_px : int, optional
        Side that tiles are resized to. Default: the backbone's.
    mean : tuple of float, optional
        Normalisation per band. Default: the backbone's for RGB, else of the training tiles.
    std : tuple of float, optional
        The same.
    batch_size : int
        Tiles that the network is shown at once; a GPU likes hundreds.
    precision : {"auto", "float32", "bfloat16"}
        auto: bfloat16 where the hardware multiplies it.

        See :func:`spurgekit.precision.pick_precision`.
    device : str
        cpu, cuda, cuda:1, ... (auto: a GPU if there is one).
    seed : int
        Of what is drawn.
    """

    backbone: str | None = None
    weights: Path | None = None
    pretrained: bool = True
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    image_size_px: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    batch_size: int = 16
    precision: Precision = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.backbone_options:
            from spurgekit.classify.backbone_arguments import check_arguments  # help does without pydantic

            try:
                check_arguments(self.backbone_options)
            except InputError as error:
                raise InputError(f"`backbone_options`: {error}") from error
        if self.batch_size < 1:
            raise InputError(f"`batch_size={self.batch_size}` is too small; pass 1 or more")
        if self.image_size_px is not None and self.image_size_px < 32:
            raise InputError(f"`image_size_px={self.image_size_px}` is too small for the backbones of timm; pass 32 or more")

    @property
    def has_weights(self) -> bool:
        """Whether weights are not random."""
        return self.pretrained or self.weights is not None

    def described(self) -> str:
        """Return where the weights are from."""
        if self.weights is not None:
            return f"from {self.weights.name}"
        return "pretrained" if self.pretrained else f"random (seed {self.seed})"
