"""``config.json``, by which timm makes a model on its own: from a folder (``local-dir:``) or the Hub (``hf-hub:``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import timm
import torch

from spurgekit.classify.timm_backbone import RGB, create_sized

if TYPE_CHECKING:
    from spurgekit.classify.model_info import ModelInfo

UNIT_FEATURES = (
    "The classifier was trained on features of length 1, and timm's forward pass does not scale them: its logits are others. "
    "Right ones are model.get_classifier()(torch.nn.functional.normalize(features, dim=1)), where "
    "features = model.forward_head(model.forward_features(x), pre_logits=True)."
)
OWN_UNITS = "mean and std are in the units of the tiles, which are of {dtype}: x = (tiles - mean) / std."
VIEWS = "It was tested with the mean of logits over the 8 ways to turn and mirror a tile."
TEMPERATURE = "Probabilities are the softmax of logits / {temperature:.6g}."


def timm_config(info: ModelInfo, *, licence: str | None = None) -> dict[str, Any] | None:
    """Return what timm reads of a model, as :func:`timm.models.save_for_hf` writes it.

    Its notes say what timm leaves out of what the model does with a tile.

    Parameters
    ----------
    info : ModelInfo
    licence : str, optional
        As the Hugging Face Hub names it.

    Returns
    -------
    dict or None
        None of a model that timm cannot make: one with a head that looks at the positions of a tile.
    """
    if info.positions is not None:
        return None
    classes, size_px = len(info.classes), info.image_size_px
    arguments = {"in_chans": info.bands, **info.backbone_options}
    with torch.device("meta"):  # without its numbers
        model, sized = create_sized(
            partial(timm.create_model, info.backbone, pretrained=False, num_classes=classes, **arguments), size_px
        )
    own: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    white = info.dtype == "uint8"
    return {
        "architecture": own["architecture"],
        "num_classes": classes,
        "num_features": model.num_features,
        "label_names": list(info.classes),
        "model_args": {**arguments, **sized},
        "pretrained_cfg": {
            "tag": "spurgekit",
            "input_size": [info.bands, size_px, size_px],
            "fixed_input_size": bool(own.get("fixed_input_size")) and not info.backbone_options.get("dynamic_img_size"),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(info.mean),
            "std": list(info.std),
            "num_classes": classes,
            # Of other bands than three, timm up to 1.0.29 would take it for one of RGB, and give it random weights.
            "first_conv": own.get("first_conv") if info.bands == RGB else None,
            "classifier": own.get("classifier"),
            "pool_size": None,
            **({} if licence is None else {"license": licence}),
            "notes": [
                *([UNIT_FEATURES] if info.unit_features else []),
                *([] if white else [OWN_UNITS.format(dtype=info.dtype)]),
                *([VIEWS] if info.views == 8 else []),
                TEMPERATURE.format(temperature=info.temperature),
            ],
        },
    }
