"""What is said of a backbone of a survey's own: ``backbone.json`` for programs, ``README.md`` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict

from spurgekit.diffusion.checkpoint_files import is_local
from spurgekit.outputs import output_file
from spurgekit.text import counted, markdown

INFO = "backbone.json"
CARD = "README.md"
SHEET = "sheet.png"
COPIES = "nearest.png"


class PretrainedInfo(BaseModel):
    """What ``backbone.json`` says of a backbone.

    Attributes
    ----------
    schema_version : int
        1; another one is refused.
    sources : tuple of str
        What it learned from.
    tile_px, size_px : int
        Side of a tile, and side that the model sees it at.
    training_tiles, held_out_tiles : int
        Whole tiles side by side.
    crops : int
        Crops that were drawn, at any offset.
    steps : int
        Steps of training that it has done.
    parameters : int
        Numbers that were trained.
    loss : float
        Mean over the last hundred steps.
    judged_by : str or None
        Network whose features tiles are compared in.
    references : dict
        How far real tiles are from held-out ones: ``training tiles``, ``held-out tiles through the VAE``.
    judged : list of dict
        How far painted tiles are, at some steps; of a LoRA at step 0, too, which is the model without it.
    prompts : tuple of str
        Examples of what it was told.
    options : dict
        Options that it was trained with.
    licence : str or None
        Licence of the pictures that it learned from, as it was given.
    lora_of : str or None
        The model that it is a LoRA of; None: it is a model itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    sources: tuple[str, ...]
    tile_px: int
    size_px: int
    training_tiles: int
    held_out_tiles: int
    crops: int
    steps: int
    parameters: int
    loss: float
    judged_by: str | None
    references: dict[str, dict[str, Any]]
    judged: list[dict[str, Any]]
    prompts: tuple[str, ...]
    options: dict[str, Any]
    licence: str | None
    lora_of: str | None = None


def write_info(folder: Path, info: PretrainedInfo) -> None:
    """Write ``backbone.json`` and the card."""
    with output_file(folder / INFO) as file:
        file.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
    with output_file(folder / CARD) as file:
        file.write_text(card_of(info), encoding="utf-8", newline="\n")


def card_of(info: PretrainedInfo) -> str:
    """Return the card of a backbone, with the YAML header that the Hugging Face Hub reads."""
    header: dict[str, Any] = {"library_name": "diffusers", "pipeline_tag": "text-to-image", "tags": ["drone", "spurgekit"]}
    if info.licence:
        header["license"] = info.licence
    if info.lora_of is not None:
        header["tags"] = ["lora", *header["tags"]]
        if not is_local(info.lora_of):  # a folder of somebody's machine tells nobody anything
            header["base_model"] = info.lora_of
    lines = [
        "---",
        yaml.safe_dump(header, sort_keys=True).strip(),
        "---",
        "",
        *_what(info),
        "",
        f"{'' if info.lora_of else 'It knows this ground and nothing else. '}Prompts that it was trained with: "
        f"{'; '.join(f'*{markdown(prompt)}*' for prompt in info.prompts)}.",
        "",
        "## Held-out ground",
        "",
        *_judged(info),
        "",
    ]
    return "\n".join(lines)


def _what(info: PretrainedInfo) -> list[str]:
    """Return what it is, what it learned from, and who takes it."""
    learned = (
        f"{info.parameters / 1e6:.1f} M trained numbers, learned without labels in {counted(info.steps, 'step')} from "
        f"{markdown(', '.join(info.sources))}: {counted(info.training_tiles, 'tile')} of {info.tile_px} px side by side, "
        f"{counted(info.crops, 'crop')} drawn at any offset, shown at {info.size_px} px."
    )
    if info.lora_of is None:
        taken = "`spurgekit invert` and `augment` take it as `--backbone`, diffusers as a `StableDiffusionPipeline`."
        return ["# A diffusion backbone of one survey's own ground", "", f"A latent diffusion model of {learned} {taken}"]
    of = markdown(Path(info.lora_of).name if is_local(info.lora_of) else info.lora_of)
    taken = "`spurgekit invert`, `augment` and `study` take it as `--lora` beside that model, diffusers by `load_lora_weights`."
    return ["# A LoRA of one survey's own ground", "", f"A LoRA of {of}: {learned} {taken}"]


def _judged(info: PretrainedInfo) -> list[str]:
    if not info.judged_by:
        return ["It was not judged."]
    return [
        f"Tiles are compared with {counted(info.held_out_tiles, 'tile')} of places that nothing was learned from, in features "
        f"of `{info.judged_by}`. KID x 1000 (0: alike; with its 95 % interval), precision (share of tiles that lie where "
        "held-out ones do), recall (share of held-out ones that lie where they do); copies: tiles nearer to a training tile "
        "than 99 % of held-out tiles are, where chance makes 1 %.",
        "",
        "| tiles | KID x 1000 | precision | recall | copies |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(_row(name, record) for name, record in info.references.items()),
        *(_row(_when(one["step"]), one) for one in info.judged if "kid" in one),
        "",
        f"`{SHEET}` shows held-out tiles, the same edited, and tiles from noise alone; `{COPIES}` the painted tiles that are "
        "nearest to a tile of the training, in any of their 8 views, each above it.",
    ]


def _when(step: int) -> str:
    return f"painted, after {counted(step, 'step')}" if step else "painted without the LoRA"


def _row(name: str, record: Mapping[str, Any]) -> str:
    copies = record.get("copies")
    cells: Sequence[str] = (
        name,
        f"{record['kid']:.1f} ({record['kid_low']:.1f} to {record['kid_high']:.1f})",
        f"{record['precision']:.2f}",
        f"{record['recall']:.2f}",
        f"{100 * copies['share']:.1f} %" if copies else "",
    )
    return f"| {' | '.join(cells)} |"
