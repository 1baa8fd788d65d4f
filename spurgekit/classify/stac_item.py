"""``model.stac.json``: a model as a STAC item with the extension for machine learning models (MLM), for catalogues.

Sources: the SpatioTemporal Asset Catalog specification 1.1.0, its extensions MLM 1.5.2, with the best practices of that, and
File 2.1.0.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import timm
import torch
from shapely.geometry.base import BaseGeometry
from torch import nn

import spurgekit
from spurgekit.classify.arms import parse_arm
from spurgekit.classify.model_card import title_of
from spurgekit.classify.model_files import CARD, CONFIG, DESCRIPTION, STAC_ITEM, WEIGHTS
from spurgekit.dataset.places import footprints
from spurgekit.imagery.crs import EARTH, has_place

if TYPE_CHECKING:
    from spurgekit.classify.model_info import ModelInfo
    from spurgekit.dataset import Dataset

STAC_VERSION = "1.1.0"
MLM = "https://stac-extensions.github.io/mlm/v1.5.2/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"

ALWAYS = ("1900-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
"""Start and end of a time that is not known, as the extension's best practices write it."""

DEGREES = 7
"""Decimals of coordinates: a centimetre."""

SHA256 = "1220"
"""What a multihash of SHA-256 begins with: the function's code, and 32 bytes."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where and when training tiles were seen.

    Attributes
    ----------
    ground : shapely geometry or None
        The convex hull of those of each site, in longitude and latitude (WGS 84); None where nobody knows.
    dates : (datetime.date, datetime.date) or None
        Of the first and the last flight; None where nobody knows that of each survey.
    """

    ground: BaseGeometry | None
    dates: tuple[dt.date, dt.date] | None


def training_extent(data: Dataset, tiles: pd.DataFrame) -> Extent:
    """Return where and when the training tiles of a dataset were seen.

    Parameters
    ----------
    data : Dataset
    tiles : pandas.DataFrame
        Rows of its splits.
    """
    return Extent(_ground(data, tiles), _dates(survey.date for survey in data.info.surveys))


def write_stac_item(folder: Path, info: ModelInfo, network: nn.Module, extent: Extent, *, pretrained: str | None) -> None:
    """Write ``model.stac.json`` into a model folder that has its weights.

    Parameters
    ----------
    folder : pathlib.Path
    info : ModelInfo
    network : torch.nn.Module
        Whose weights they are.
    extent : Extent
        Of the training tiles.
    pretrained : str or None
        Where the backbone's weights were from; None of random ones.
    """
    item = stac_item(folder, info, network, extent, pretrained=pretrained)
    (folder / STAC_ITEM).write_text(json.dumps(item, indent=2, allow_nan=False) + "\n", encoding="utf-8", newline="\n")


def stac_item(folder: Path, info: ModelInfo, network: nn.Module, extent: Extent, *, pretrained: str | None) -> dict[str, Any]:
    """Return the item; see :func:`write_stac_item`. The same model gives the same one, and another model another id."""
    with (folder / WEIGHTS).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    arm = re.sub(r"[^a-z0-9]+", "-", info.arm.lower()).strip("-")
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [MLM, FILE],
        "id": f"{arm}-{digest[:12]}",
        **_place(extent.ground),
        "properties": {
            "title": title_of(info),
            "description": f"{info.arm}: {parse_arm(info.arm).recipe.description}. {CARD} says how it was tested.",
            "datetime": None,
            **_times(extent.dates),
            **({} if info.gsd_m is None else {"gsd": info.gsd_m}),
            "bands": [{"name": name, "data_type": info.dtype} for name in _band_names(info)],
            "mlm:name": f"spurgekit-{arm}-{info.backbone}",
            "mlm:architecture": info.backbone.split(".")[0],
            "mlm:tasks": _tasks(info),
            "mlm:framework": "PyTorch",
            "mlm:framework_version": ".".join(re.findall(r"\d+", torch.__version__)[:3]),
            "mlm:total_parameters": sum(parameter.numel() for parameter in network.parameters()),
            "mlm:memory_size": sum(value.numel() * value.element_size() for value in network.state_dict().values()),
            "mlm:pretrained": pretrained is not None,
            "mlm:pretrained_source": pretrained,
            "mlm:accelerator": None,
            "mlm:accelerator_constrained": False,
            "mlm:input": [_input(info)],
            "mlm:output": _outputs(info),
            "mlm:hyperparameters": _hyperparameters(info),
        },
        "links": [],
        "assets": _assets(folder, info, digest),
    }


def _ground(data: Dataset, tiles: pd.DataFrame) -> BaseGeometry | None:
    index = data.index()
    if index is None or not has_place(index.crs):
        return None
    ground = gpd.GeoSeries(footprints(data, tiles), crs=index.crs)
    sites = (tiles["site"] if "site" in tiles else pd.Series("", tiles.index)).fillna("").to_numpy()
    known = (ground.notna() & ~ground.is_empty).to_numpy()
    if not known.any():
        return None
    hulls = [of.union_all().convex_hull for _, of in ground[known].groupby(sites[known])]
    placed = gpd.GeoSeries(hulls, crs=index.crs).to_crs(EARTH.to_wkt()).union_all()
    if not np.isfinite(shapely.get_coordinates(placed)).all():
        return None
    rounded: BaseGeometry = shapely.transform(shapely.orient_polygons(placed), lambda xy: xy.round(DEGREES))
    return rounded


def _dates(dates: Iterable[str | None]) -> tuple[dt.date, dt.date] | None:
    try:
        found = sorted(dt.date.fromisoformat(date or "") for date in dates)
    except ValueError:
        return None
    return (found[0], found[-1]) if found else None


def _place(ground: BaseGeometry | None) -> dict[str, Any]:
    if ground is None:
        return {"geometry": None}
    return {"geometry": json.loads(shapely.to_geojson(ground)), "bbox": list(ground.bounds)}


def _times(dates: tuple[dt.date, dt.date] | None) -> dict[str, str]:
    start, end = ALWAYS if dates is None else (f"{dates[0]}T00:00:00Z", f"{dates[1]}T23:59:59Z")
    return {"start_datetime": start, "end_datetime": end}


def _band_names(info: ModelInfo) -> list[str]:
    return [f"band-{number}" for number in range(1, info.bands + 1)]


def _tasks(info: ModelInfo) -> list[str]:
    """Return what the model is for, whole tiles first."""
    return [
        "scene-classification",
        *(["regression"] if info.target == "cover" else []),
        *(["semantic-segmentation"] if info.positions is not None else []),
    ]


def _input(info: ModelInfo) -> dict[str, Any]:
    white = 255 if info.dtype == "uint8" else 1
    side = info.image_size_px
    return {
        "name": "tiles",
        "description": f"Tiles of {info.tile_size_px} x {info.tile_size_px} px"
        + ("" if info.gsd_m is None else f" at {info.gsd_m:.6g} m a pixel")
        + f", resized to {side} x {side} px; then their values are scaled, which are of {info.dtype}, band by band.",
        "bands": _band_names(info),
        "input": {
            "shape": [-1, info.bands, side, side],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [
            {"type": "z-score", "mean": white * mean, "stddev": white * std}
            for mean, std in zip(info.mean, info.std, strict=True)
        ],
        "resize_type": "interpolation-linear",
        "pre_processing_function": {
            "format": "python",
            "expression": "spurgekit.classify.preprocess:Preprocess",
            "description": "Resizes (bilinear, antialiased) and scales; pixels without data take the mean of their tile.",
        },
    }


def _outputs(info: ModelInfo) -> list[dict[str, Any]]:
    """Return what comes out: logits of tiles, and of their positions where a head looks at these."""
    classes = [{"value": number, "name": name, "description": name} for number, name in enumerate(info.classes)]
    said = {
        "format": "python",
        "expression": "spurgekit.classify.classifier:TileClassifier.probabilities",
        "description": f"The softmax of logits divided by {info.temperature:.6g}: "
        + ("shares of a tile that are not and that are covered." if info.target == "cover" else "probabilities."),
    }

    def output(name: str, tasks: list[str], shape: list[int], order: list[str]) -> dict[str, Any]:
        return {
            "name": name,
            "tasks": tasks,
            "result": {"shape": shape, "dim_order": order, "data_type": "float32"},
            "classification:classes": classes,
            "post_processing_function": said,
        }

    tasks = [task for task in _tasks(info) if task != "semantic-segmentation"]
    found = [output("tiles", tasks, [-1, len(classes)], ["batch", "class"])]
    if info.positions is not None:
        shape = [-1, len(classes), info.cells, info.cells]
        found.append(output("cells", ["semantic-segmentation"], shape, ["batch", "class", "height", "width"]))
    return found


def _hyperparameters(info: ModelInfo) -> dict[str, Any]:
    return {
        "arm": info.arm,
        "head": info.head,
        "unit_features": info.unit_features,
        "views": info.views,
        "temperature": info.temperature,
        "tile_size_px": info.tile_size_px,
        "target": info.target,
        "backbone_options": info.backbone_options,
        "timm": timm.__version__,
        "spurgekit": spurgekit.__version__,
    }


def _assets(folder: Path, info: ModelInfo, digest: str) -> dict[str, Any]:
    """Return the files that the item is about, by addresses that start from it."""
    found = {
        "model": {
            "href": f"./{WEIGHTS}",
            "title": f"Weights of {title_of(info)}",
            "type": "application/octet-stream; framework=pytorch",
            "roles": ["mlm:model", "mlm:weights", "data"],
            "mlm:artifact_type": "safetensors.torch.save_file",
            "bands": [{"name": name} for name in _band_names(info)],  # STAC allows those of an item where an asset has some
            "file:size": (folder / WEIGHTS).stat().st_size,
            "file:checksum": SHA256 + digest,
        },
        "description": {
            "href": f"./{DESCRIPTION}",
            "title": "What spurgekit reads of it",
            "type": "application/json",
            "roles": ["metadata"],
        },
        "card": {"href": f"./{CARD}", "title": "Model card", "type": "text/markdown", "roles": ["metadata"]},
    }
    if info.positions is None:
        config = {"href": f"./{CONFIG}", "title": "What timm reads of it", "type": "application/json", "roles": ["metadata"]}
        found["config"] = config
    return found
