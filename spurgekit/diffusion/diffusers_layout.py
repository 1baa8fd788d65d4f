"""Checkpoints of diffusion models in diffusers' layout: where their files are, and what they say of themselves.

Nothing is loaded here: what is wrong with a checkpoint is found in its list of files and its configurations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurgekit.diffusion.latent_model import Architecture, BackboneInfo
from spurgekit.errors import ModelError

INDEX = "model_index.json"
CARD = "README.md"
HALF = "fp16"
"""Variant of weights that are stored in float16."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL", "AutoencoderTiny"),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
XL_PARTS: Mapping[str, tuple[str, ...]] = {
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer_2": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
CHECKER_PARTS: Mapping[str, tuple[str, ...]] = {
    "safety_checker": ("StableDiffusionSafetyChecker",),
    "feature_extractor": ("CLIPImageProcessor", "CLIPFeatureExtractor"),
}
UNUSED = ("image_encoder",)
"""Parts of some checkpoints that no edit needs."""

_WITHOUT_WEIGHTS = ("scheduler", "tokenizer", "tokenizer_2", "feature_extractor")
_WEIGHTS = re.compile(r"(?:diffusion_pytorch_model|model)(?:\.(?P<variant>fp16))?(?:-\d+-of-(?P<shards>\d+))?\.safetensors")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth")
_KINDS = "Stable Diffusion 1.x and 2.x, and SDXL"


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """The parts of a checkpoint and the files that each is loaded from.

    Attributes
    ----------
    classes : mapping
        Class of each part, by the name of its folder.
    variants : mapping
        Variant of the weights of each part that has some: ``fp16`` or None.
    files : tuple of str
        What is needed, relative to the checkpoint's folder.
    """

    classes: Mapping[str, str]
    variants: Mapping[str, str | None]
    files: tuple[str, ...]

    @property
    def kind(self) -> Architecture:
        """Stable Diffusion, or SDXL."""
        return "sdxl" if "text_encoder_2" in self.classes else "sd"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose files are all on this machine.

    Attributes
    ----------
    folder : pathlib.Path
    info : BackboneInfo
    layout : FolderLayout
    """

    folder: Path
    info: BackboneInfo
    layout: FolderLayout


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    ModelError
        If it is missing, or something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is missing or damaged; get the checkpoint again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no JSON object; get the checkpoint again")
    return found


def parse_layout(
    name: str, index: Mapping[str, Any], files: Iterable[str], *, half: bool = False, safety_checker: bool = False
) -> FolderLayout:
    """Return the parts of a checkpoint, of its index and the list of its files.

    Parameters
    ----------
    name : str
        For messages.
    index : mapping
        What ``model_index.json`` holds.
    files : iterable of str
        Relative to the checkpoint's folder.
    half : bool
        Take weights stored in float16 where there are some. Otherwise they are taken only if there are no others.
    safety_checker : bool
        Whether that is needed.

    Raises
    ------
    ModelError
        If it is of another family, a part is missing, or its weights are pickled only.
    """
    found = {
        part: entry[1]
        for part, entry in index.items()
        if not part.startswith("_") and isinstance(entry, list) and len(entry) == 2 and entry[1]
    }
    wanted = {**PARTS, **(XL_PARTS if found.keys() & XL_PARTS.keys() else {})}
    known = {**wanted, **CHECKER_PARTS}
    for part, cls in found.items():
        if part not in (*known, "scheduler", *UNUSED) or cls not in known.get(part, (cls,)):
            kind = index.get("_class_name", "pipeline")
            raise ModelError(f"{name} is a {kind} with {cls} as its {part}; pass a checkpoint of {_KINDS}")
    if safety_checker:
        if not found.keys() >= CHECKER_PARTS.keys():
            raise ModelError(f"{name} has no safety checker; leave `safety_checker` out, or pass another checkpoint")
        wanted = known
    contents: dict[str, list[str]] = {}
    for file in files:
        folder, _, rest = file.partition("/")
        contents.setdefault(folder, []).append(rest)
    needed, variants = [INDEX, *([CARD] if CARD in contents else [])], {}
    for part in (*wanted, "scheduler"):
        inside = contents.get(part, [])
        settings = [file for file in inside if file.endswith((".json", ".txt")) and ".index." not in file]
        if part not in found or not settings:
            raise ModelError(f"{name} has no {part}; pass a whole checkpoint in diffusers' layout")
        needed += [f"{part}/{file}" for file in settings]
        if part not in _WITHOUT_WEIGHTS:
            variants[part], weights = _pick_weights(f"{name}: the {part}", inside, half=half)
            needed += [f"{part}/{file}" for file in weights]
    classes = {part: found[part] for part in (*wanted, "scheduler")}
    return FolderLayout(classes, variants, tuple(needed))


def _pick_weights(what: str, files: Iterable[str], *, half: bool) -> tuple[str | None, list[str]]:
    """Return the variant of the weights to take and their files, with the index where they are in several."""
    files = list(files)
    for variant in (HALF, None) if half else (None, HALF):
        matches = [match for file in files if (match := _WEIGHTS.fullmatch(file)) and match["variant"] == variant]
        whole = [match.group() for match in matches if match["shards"] is None]
        if whole:
            return variant, whole
        shards = [match.group() for match in matches]
        if shards and len(shards) == int(matches[0]["shards"]):
            ending = f".safetensors.index{f'.{variant}' if variant else ''}.json"
            return variant, [*shards, *(file for file in files if file.endswith(ending))]
        if shards:
            raise ModelError(f"{what} has {len(shards)} of its {int(matches[0]['shards'])} files of weights; get the others")
    if any(file.endswith(_PICKLES) for file in files):
        raise ModelError(
            f"{what} has pickled weights only, which can run any code when loaded; pass a checkpoint with safetensors, or where"
            " you trust this one convert it: StableDiffusionPipeline.from_pretrained(...).save_pretrained(FOLDER) of diffusers"
        )
    raise ModelError(f"{what} has no weights (.safetensors); pass a whole checkpoint in diffusers' layout")


def describe(
    folder: Path, layout: FolderLayout, *, name: str, revision: str | None, licence: str | None, lora: Path | None = None
) -> BackboneInfo:
    """Return what the configurations of a checkpoint say of it.

    Raises
    ------
    ModelError
        If its parts do not fit together, or it is for something else than editing images by prompts.
    """
    unet, vae, scheduler = (read_json(folder / part / file) for part, file in (
        ("unet", "config.json"), ("vae", "config.json"), ("scheduler", "scheduler_config.json"),
    ))  # fmt: skip
    encoders = [read_json(folder / part / "config.json") for part in layout.classes if part.startswith("text_encoder")]
    channels = unet.get("in_channels", 4)
    if channels not in (4, 9):
        raise ModelError(f"{name}: its UNet takes {channels} channels; pass a checkpoint with 4, or one for inpainting, with 9")
    if unet.get("time_cond_proj_dim") is not None:
        raise ModelError(f"{name} was distilled with the guidance as an input; pass the model that it comes from, and its LoRA")
    if any(unet.get(key) for key in ("class_embed_type", "num_class_embeds", "encoder_hid_dim")) or vae.get("latents_mean"):
        raise ModelError(f"{name} is a variation on {layout.kind} with inputs of its own; pass a checkpoint of {_KINDS}")
    if "beta_schedule" not in scheduler:
        kind = scheduler.get("_class_name", "its scheduler")
        raise ModelError(f"{name} was trained for {kind}, which has no schedule of betas; pass a checkpoint of {_KINDS}")
    width = sum(encoder.get("hidden_size", 0) for encoder in encoders)
    if unet.get("cross_attention_dim") != width:
        raise ModelError(
            f"{name}: its UNet reads {unet.get('cross_attention_dim')} numbers a token, and its text encoders write {width};"
            " they do not belong together"
        )
    halvings = len(vae.get("block_out_channels") or vae.get("decoder_block_out_channels") or ()) - 1
    return BackboneInfo(
        name=name,
        revision=revision,
        licence=licence,
        kind=layout.kind,
        size_px=int(unet.get("sample_size") or 64) * 2**halvings,
        inpaints=channels == 9,
        lora=None if lora is None else str(lora),
    )
