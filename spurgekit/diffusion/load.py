"""Loading diffusion models: whole, from safetensors only, and quietly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from spurgekit.devices import choose_device
from spurgekit.diffusion.checkpoint_files import DEFAULT, find_checkpoint
from spurgekit.diffusion.checkpoint_options import ModelPrecision
from spurgekit.diffusion.diffusers_layout import CHECKER_PARTS, Checkpoint, read_json
from spurgekit.diffusion.latent_model import Backbone, BackboneInfo, vae_dtype
from spurgekit.diffusion.lora_weights import find_lora, merge_lora
from spurgekit.diffusion.unet_weights import find_unet, put_weights
from spurgekit.errors import InputError, ModelError, first_line, known_names

__all__ = ["DEFAULT", "PRECISIONS", "check_backbone", "load_backbone"]

PRECISIONS: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def pick_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """Return the type that a model counts in; ``auto`` is float16 on GPUs and float32 elsewhere.

    Raises
    ------
    InputError
        If there is no such precision.
    """
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision not in PRECISIONS:
        raise InputError(f"there is no precision {precision!r}{known_names(precision, ['auto', *PRECISIONS])}")
    return PRECISIONS[precision]


def check_backbone(
    name: str | Path = DEFAULT,
    *,
    revision: str | None = None,
    lora: Path | None = None,
    unet: Path | None = None,
    device: str = "auto",
    precision: ModelPrecision = "auto",
    safety_checker: bool = False,
) -> BackboneInfo:
    """Return what a model is, having fetched its files, but without loading it.

    Takes what :func:`load_backbone` takes, and raises what that raises for anything but the contents of weights.
    """
    dtype = pick_dtype(choose_device(device), precision)
    return _find(name, revision, lora, unet, dtype, safety_checker=safety_checker).info


def load_backbone(
    name: str | Path = DEFAULT,
    *,
    revision: str | None = None,
    lora: Path | None = None,
    unet: Path | None = None,
    device: str = "auto",
    precision: ModelPrecision = "auto",
    safety_checker: bool = False,
) -> Backbone:
    """Load a Stable Diffusion 1.x or 2.x, or an SDXL.

    Parameters
    ----------
    name : str or pathlib.Path
        A folder in diffusers' layout, or a repository of the Hub.
    revision : str, optional
        Branch, tag or commit of a repository. Default: the commit that is pinned for it
        (:data:`spurgekit.diffusion.checkpoint_files.PINNED`), else ``main``.
    lora : pathlib.Path, optional
        Folder or safetensors file of a LoRA in diffusers' format, to merge into UNet and text encoders.
    unet : pathlib.Path, optional
        Folder or safetensors file of weights that take the place of the UNet's, all or some of them; see
        :mod:`spurgekit.diffusion.unet_weights`. A LoRA is merged into these.
    device : str
        ``auto`` is the GPU where there is one.
    precision : {"auto", "float32", "float16", "bfloat16"}
        ``auto`` is float16 on GPUs and float32 elsewhere.
    safety_checker : bool
        Load that of the checkpoint too. It is off by default, since it knows photographs of people: of vegetation from above it
        only ever flags some by mistake.

    Raises
    ------
    ModelError
        If it is no checkpoint in diffusers' layout with whole safetensors, of another family, lacks a part, or the parts do not
        fit together; if the LoRA or the UNet's weights do not fit; if there is no such device.
    HubError
        If it is neither here nor to be had.
    """
    target = choose_device(device)
    dtype = pick_dtype(target, precision)
    checkpoint = _find(name, revision, lora, unet, dtype, safety_checker=safety_checker)
    from spurgekit.diffusion.library_logs import quiet

    with quiet():
        of_vae = vae_dtype(checkpoint.info.kind, read_json(checkpoint.folder / "vae" / "config.json"), dtype)
        parts = {
            part: _load(checkpoint, part, cls, of_vae if part == "vae" else dtype)
            for part, cls in checkpoint.layout.classes.items()
        }
        _check_vocabularies(checkpoint, parts)
        if unet is not None:
            put_weights(parts["unet"], find_unet(unet))
        if lora is not None:
            merge_lora(_pipeline(checkpoint, parts), find_lora(lora))
    both = ("", "_2") if checkpoint.info.kind == "sdxl" else ("",)
    checker = None
    if safety_checker:
        module, processor = (parts[part] for part in CHECKER_PARTS)
        checker = module.to(target).eval().requires_grad_(False), processor
    return Backbone(
        checkpoint.info,
        unet=parts["unet"],
        vae=parts["vae"],
        tokenizers=tuple(parts[f"tokenizer{number}"] for number in both),
        text_encoders=tuple(parts[f"text_encoder{number}"] for number in both),
        scheduler=parts["scheduler"],
        device=target,
        dtype=dtype,
        safety_checker=checker,
    )


def _find(
    name: str | Path,
    revision: str | None,
    lora: Path | None,
    unet: Path | None,
    dtype: torch.dtype,
    *,
    safety_checker: bool,
) -> Checkpoint:
    """Return the checkpoint, having looked whether the files of its weights are whole."""
    adapter = None if lora is None else find_lora(lora)
    weights = None if unet is None else find_unet(unet)
    half = dtype == torch.float16
    checkpoint = find_checkpoint(name, revision=revision, half=half, safety_checker=safety_checker, lora=adapter)
    for file in checkpoint.layout.files:
        if file.endswith(".safetensors"):
            path = checkpoint.folder / file
            try:
                with safe_open(path, framework="pt"):  # reads the head, and compares the size of the file with it
                    pass
            except (SafetensorError, OSError) as error:
                raise ModelError(f"{path} is damaged or not whole; get it again") from error
    return checkpoint if weights is None else replace(checkpoint, info=replace(checkpoint.info, unet=str(weights)))


def _load(checkpoint: Checkpoint, part: str, cls: str, dtype: torch.dtype) -> Any:
    """Load one part of a checkpoint; only networks have variants of weights."""
    folder = checkpoint.folder / part
    options: dict[str, Any] = {"local_files_only": True}
    is_network = part in checkpoint.layout.variants
    if is_network:
        options |= {
            "dtype": dtype,
            "variant": checkpoint.layout.variants[part],
            "use_safetensors": True,
            "output_loading_info": True,
        }
    try:
        found = _class(part, cls).from_pretrained(str(folder), **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ModelError(f"{folder} cannot be loaded as {cls} ({first_line(error)}); get the checkpoint again") from error
    if not is_network:
        return found
    network, report = found
    # Libraries fill what is missing with random numbers, and only log that.
    if lacking := [*report["missing_keys"], *report["mismatched_keys"]]:
        raise ModelError(
            f"the weights in {folder} lack {len(lacking)} that its configuration asks for; get the checkpoint again"
        )
    return network


def _class(part: str, name: str) -> Any:
    """Return the class of a part."""
    import diffusers
    import transformers

    match part:
        case "safety_checker":
            from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

            return StableDiffusionSafetyChecker
        case "feature_extractor":
            return transformers.CLIPImageProcessor
        case "tokenizer" | "tokenizer_2":
            return transformers.CLIPTokenizer
        case "text_encoder" | "text_encoder_2":
            return getattr(transformers, name)
        case "scheduler":
            found = getattr(diffusers, name)
            # Of the other classes some load whole pipelines, pickled weights among them.
            if not (isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin)):
                raise ValueError(f"{name} is no scheduler")
            return found
        case _:
            return getattr(diffusers, name)


def _check_vocabularies(checkpoint: Checkpoint, parts: Mapping[str, Any]) -> None:
    """Raise an error where a tokenizer numbers its tokens for another text encoder: transformers makes one of no vocabulary."""
    for number in ("", "_2"):
        tokenizer, encoder = parts.get(f"tokenizer{number}"), parts.get(f"text_encoder{number}")
        if tokenizer is not None and encoder is not None and len(tokenizer) != encoder.config.vocab_size:
            raise ModelError(
                f"{checkpoint.folder / f'tokenizer{number}'} knows {len(tokenizer):,} tokens, and the text encoder"
                f" {encoder.config.vocab_size:,}; they do not belong together, or files of the tokenizer are missing"
            )


def _pipeline(checkpoint: Checkpoint, parts: Mapping[str, Any]) -> Any:
    """Return diffusers' pipeline of the same networks."""
    import diffusers

    library: Any = diffusers
    chosen = {part: parts[part] for part in parts if part not in CHECKER_PARTS}
    if checkpoint.info.kind == "sdxl":
        return library.StableDiffusionXLPipeline(**chosen)
    return library.StableDiffusionPipeline(**chosen, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
