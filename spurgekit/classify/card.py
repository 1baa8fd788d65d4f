"""The model card: what the model is, where it was tested, what it should not be used for."""

from __future__ import annotations

import json
from pathlib import Path

from spurgekit.classify.info import ModelInfo
from spurgekit.dataset.card import describe_split


def write_card(folder: Path, info: ModelInfo, *, weights: str) -> None:
    """Write ``README.md`` of a model folder, with the YAML header that the Hugging Face Hub reads."""
    header = {"library_name": "timm", "pipeline_tag": "image-classification", "tags": ["drone", "vegetation", "spurgekit"]}
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in header.items()), "---", ""]
    lines += [
        f"# {' / '.join(info.classes)} from drone tiles",
        "",
        f"A frozen `{info.backbone}` (weights {weights}) with a logistic regression on its features. It looks at tiles of "
        f"{info.tile_size_px} px{_on_the_ground(info)}, resized to {info.image_size_px} px.",
        "",
        "## Held-out test",
        "",
        f"Balanced accuracy {info.held_out.balanced_accuracy:.3f} on {sum(map(sum, info.held_out.confusion_matrix))} tiles. "
        f"{describe_split(info.held_out.split)}",
        "",
        "| true \\ predicted | " + " | ".join(info.classes) + " |",
        "| --- |" + " ---: |" * len(info.classes),
        *(
            f"| {name} | " + " | ".join(map(str, row)) + " |"
            for name, row in zip(info.classes, info.held_out.confusion_matrix, strict=True)
        ),
        "",
        "## Limits",
        "",
        "- Tested on held-out places of the same survey only: another site, season, camera or height is another question.",
        f"- The probabilities suit ground where the classes are as common as in training ({_shares(info)}); "
        "they are not calibrated.",
        "- Not for decisions about single plants: a tile is the smallest thing that it sees.",
        "",
        "## Use",
        "",
        "`spurgekit map site.tif --model .` maps a site. Without spurgekit: `timm.create_model("
        f'"{info.backbone}", num_classes={len(info.classes)}{_arguments(info)})` and `load_state_dict` of `model.safetensors`; '
        "`model.json` has the normalisation.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _on_the_ground(info: ModelInfo) -> str:
    return "" if info.gsd_m is None else f" = {info.tile_size_px * info.gsd_m:.2f} m at {100 * info.gsd_m:.2f} cm a pixel"


def _shares(info: ModelInfo) -> str:
    total = sum(info.training_counts.values())
    return ", ".join(f"{name} {count / total:.0%}" for name, count in info.training_counts.items())


def _arguments(info: ModelInfo) -> str:
    return "".join(f", {key}={value!r}" for key, value in info.backbone_options.items())
