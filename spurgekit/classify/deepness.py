"""Models as Deepness (a plugin of QGIS) and GeoDeep (of WebODM) read them: ONNX of semantic segmentation that describes itself.

Both cut an image into tiles as large as the model's input, at its resolution; divide bytes by 255; put values below a threshold
to 0; and take for each pixel the class with the largest one, the first of equals. Without a threshold that is the rule of
:meth:`spurgekit.classify.model_info.ModelInfo.predicted` for presence. Of tiles that overlap, each tells of its inner part.

Sources: "Model classes and requirements" and "Adding metadata to ONNX model" in the documentation of Deepness 0.6, and how
GeoDeep 0.9 behaves.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spurgekit.errors import InputError
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.classify.model_info import ModelInfo

GEODEEP_BANDS = 3
"""What GeoDeep feeds, whatever a model takes."""

HALF = 0.5
"""The share from which on the second of two classes is the larger one."""


def check_readable(info: ModelInfo, folder: str | Path) -> None:
    """Refuse a model that these programs cannot feed.

    Parameters
    ----------
    info : ModelInfo
    folder : str or pathlib.Path
        Where it was read from, for messages.

    Raises
    ------
    InputError
        If the ground sample distance of its tiles is not known, or they are not of bytes.
    """
    if info.gsd_m is None:
        raise InputError(
            f"{folder} knows nothing of what a pixel measured on the ground in training, and Deepness and GeoDeep resample "
            "images to a model's resolution; build its dataset with `gsd_m`, and train again"
        )
    if info.dtype != "uint8":
        raise InputError(
            f"{folder} reads tiles of {info.dtype}, and Deepness and GeoDeep feed bytes alone (0 to 255); train a model on "
            "tiles of uint8, or export this one for another `reader`"
        )


def metadata(info: ModelInfo) -> dict[str, str]:
    """Return what they read of a model, each value as JSON.

    Parameters
    ----------
    info : ModelInfo
        That :func:`check_readable` accepts.
    """
    assert info.gsd_m is not None
    found: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(number): name for number, name in enumerate(info.classes)},
        "resolution": round(100 * info.gsd_m, 6),  # cm a pixel
        "tile_size": info.tile_size_px,  # what Deepness reads
        "tiles_size": info.tile_size_px,  # what its documentation says
        "tiles_overlap": math.ceil(100 * 2 * info.halo / info.cells),  # whole percents of a tile
        "seg_thresh": 0,
        "seg_small_segment": 0,  # nothing is too small to be shown
        "standardization_mean": [0.0] * info.bands,
        "standardization_std": [1.0] * info.bands,
    }
    return {key: json.dumps(value) for key, value in found.items()}


def notes(info: ModelInfo) -> tuple[str, ...]:
    """Return what there is to say of how they show a model."""
    found = []
    if info.bands != GEODEEP_BANDS:
        found.append(
            f"the model takes {counted(info.bands, 'band')}, which Deepness feeds in the order that the image has them; "
            f"GeoDeep feeds {GEODEEP_BANDS} bands only"
        )
    if info.target == "cover" and info.positions is None and info.min_cover != HALF:
        found.append(
            f"Deepness and GeoDeep draw {info.classes[1]} where it covers more than half of a tile; "
            f"in maps of spurgekit it is from {info.min_cover:.3g} of a tile on"
        )
    return tuple(found)
