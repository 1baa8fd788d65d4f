"""Programs that read models as ONNX, by name: each wants another input, another output and other metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spurgekit.classify import deepness
from spurgekit.registry import Registry

if TYPE_CHECKING:
    from spurgekit.classify.model_info import ModelInfo
    from spurgekit.classify.onnx_graphs import PixelModel, WholeModel
    from spurgekit.classify.training.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxReader:
    """What one name stands for.

    Attributes
    ----------
    name : str
    description : str
    file : str
        What the file is called in a model folder.
    graph : callable
        ``graph(network, info)`` returns what is written (see :mod:`spurgekit.classify.onnx_graphs`).
    metadata : callable
        ``metadata(info)`` returns what the file says of itself.
    check : callable
        ``check(info, folder)`` refuses a model that it cannot feed.
    notes : callable
        ``notes(info)`` returns what there is to say of a model in its hands.
    """

    name: str
    description: str
    file: str
    graph: Callable[[Network, ModelInfo], WholeModel | PixelModel]
    metadata: Callable[[ModelInfo], dict[str, str]]
    check: Callable[[ModelInfo, str | Path], None] = lambda info, folder: None  # noqa: ARG005
    notes: Callable[[ModelInfo], tuple[str, ...]] = lambda info: ()  # noqa: ARG005


def _whole_model(network: Network, info: ModelInfo) -> WholeModel:
    from spurgekit.classify.onnx_graphs import WholeModel

    return WholeModel(network, info)


def _pixel_model(network: Network, info: ModelInfo) -> PixelModel:
    from spurgekit.classify.onnx_graphs import PixelModel

    return PixelModel(network, info)


def _metadata(info: ModelInfo) -> dict[str, str]:
    """Return what a user must know to prepare tiles and to read the result."""
    found: dict[str, Any] = {
        "classes": json.dumps(info.classes),
        "arm": info.arm,
        "backbone": info.backbone,
        "image_size_px": info.image_size_px,
        "tile_size_px": info.tile_size_px,
        "gsd_m": info.gsd_m,
        "dtype": info.dtype,
        "views": info.views,
        "target": info.target,
        "cell_px": info.positions and info.positions.stride_px,
        "training_counts": json.dumps(info.training_counts),
        "prior": json.dumps(info.prior),
    }
    return {key: str(value) for key, value in found.items() if value is not None}


READERS = Registry(
    "reader of ONNX",
    [
        OnnxReader(
            name="onnxruntime",
            description="Programs of your own: resized tiles go in, a probability of each class comes out.",
            file="model.onnx",
            graph=_whole_model,
            metadata=_metadata,
        ),
        OnnxReader(
            name="deepness",
            description="Deepness in QGIS, and GeoDeep of WebODM: tiles as they are cut from an image go in, the probabilities "
            "of each pixel come out.",
            file="deepness.onnx",
            graph=_pixel_model,
            metadata=deepness.metadata,
            check=deepness.check_readable,
            notes=deepness.notes,
        ),
    ],
)
"""Every reader; register another, and ``--for`` takes its name."""
