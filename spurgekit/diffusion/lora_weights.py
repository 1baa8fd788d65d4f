"""LoRAs of diffusion models: small weights that shift a model towards a domain, merged into it once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from spurgekit.errors import ModelError, first_line

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

NAME = "pytorch_lora_weights.safetensors"
"""Of the file of a LoRA in a folder of diffusers'."""

SETTINGS = (
    "r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules", "exclude_modules", "bias", "lora_bias",
    "fan_in_fan_out", "use_dora", "use_rslora",
)  # fmt: skip
"""Of peft's configuration, what a file may say."""


def find_lora(path: Path) -> Path:
    """Return the file of a LoRA, given that or its folder.

    Raises
    ------
    ModelError
        If there is none, several, or a pickled one only.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        named = [file for file in files if file.name == NAME]
        if len(found := named or files) == 1:
            return found[0]
        if files:
            raise ModelError(f"{path} holds {len(files)} files of weights; pass one of them as `lora`")
        pickled = " as safetensors; convert it where you trust it" if any(path.glob("*.bin")) else ""
        raise ModelError(f"{path} holds no LoRA{pickled or f': {NAME}'}")
    if not path.is_file():
        raise ModelError(f"{path}: no such LoRA; pass its folder, or its .safetensors file")
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is no safetensors file; a pickled LoRA must be converted first, where you trust it")
    return path


def merge_lora(pipeline: DiffusionPipeline, file: Path) -> None:
    """Merge a LoRA into the weights of a pipeline's networks.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
        Of Stable Diffusion or SDXL.
    file : pathlib.Path
        As diffusers, peft's or kohya's scripts write it.

    Raises
    ------
    ModelError
        If it is damaged, or any of it has no place in the model.
    """
    import diffusers.utils

    tools: Any = diffusers.utils
    loader: Any = pipeline
    try:
        state, alphas, metadata = loader.lora_state_dict(
            str(file.parent),
            weight_name=file.name,
            use_safetensors=True,
            return_lora_metadata=True,
            unet_config=loader.unet.config,
        )
        # Files of diffusers' scripts mix its names with peft's, of which its loader then leaves some out: all in peft's first.
        unet = {f"unet.{key}": rows for key, rows in tools.convert_unet_state_dict_to_peft(_of("unet", state)).items()}
        loader.load_lora_into_unet(
            unet, network_alphas=alphas, unet=loader.unet, metadata=_settings(metadata, "unet.") or None, _pipeline=loader
        )
        encoders = {name: part for name, part in loader.components.items() if name.startswith("text_encoder")}
        for name, encoder in encoders.items():
            if own := _of(name, state):
                own = tools.convert_state_dict_to_peft(tools.convert_state_dict_to_diffusers(own))
                _put_into_encoder(encoder, own, _of(name, alphas), _of(name, metadata))
        placed = sum(_layers(network) for network in (loader.unet, *encoders.values()))
    except (SafetensorError, OSError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        raise ModelError(f"{file} cannot be merged into this model ({first_line(error)}); pass a LoRA made for it") from error
    expected = sum(key.endswith(("lora_A.weight", "lora.down.weight", "lora_linear_layer.down.weight")) for key in state)
    if not expected or placed != expected:
        # diffusers leaves out what it finds no place for, and only logs that.
        raise ModelError(
            f"{file} does not fit: the model has a place for {placed} of its {expected} layers; pass a LoRA made for it"
        )
    loader.fuse_lora(components=["unet", *encoders], safe_fusing=True)
    loader.unload_lora_weights()


def _put_into_encoder(encoder: Any, state: dict[str, Any], alphas: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Put a LoRA's layers into a text encoder.

    As ``load_lora_into_text_encoder`` of diffusers does it, but by peft itself: that function goes by way of transformers, some
    releases of which refuse the newest peft that there is.
    """
    import diffusers.utils
    import peft

    if not hasattr(encoder, "text_model"):  # since transformers 5
        state = {key.removeprefix("text_model."): rows for key, rows in state.items()}
        alphas = {key.removeprefix("text_model."): alpha for key, alpha in alphas.items()}
    ranks = {key: rows.shape[1] for key, rows in state.items() if key.endswith("lora_B.weight")}
    tools: Any = diffusers.utils
    settings = _settings(metadata) or tools.get_peft_kwargs(
        ranks, network_alpha_dict=alphas, peft_state_dict=state, is_unet=False
    )
    peft.inject_adapter_in_model(peft.LoraConfig(**settings), encoder)
    outcome: Any = peft.set_peft_model_state_dict(encoder, state)
    if left := outcome.unexpected_keys:
        raise ValueError(f"no place for {left[0]}")
    encoder.to(encoder.dtype)


def _settings(metadata: dict[str, Any] | None, prefix: str = "") -> dict[str, Any]:
    """Return what a file says of how its LoRA was made, as far as merging goes by it.

    Of what else peft takes some names modules, which it would import.
    """
    said = (metadata or {}).items()
    return {key: value for key, value in said if key.startswith(prefix) and key.removeprefix(prefix) in SETTINGS}


def _of(part: str, entries: dict[str, Any] | None) -> dict[str, Any]:
    """Return what of a LoRA is for one part of the model."""
    prefix = f"{part}."
    return {key.removeprefix(prefix): value for key, value in (entries or {}).items() if key.startswith(prefix)}


def _layers(module: Any) -> int:
    """Return how many layers of a network have a LoRA."""
    from peft.tuners.lora import LoraLayer

    return sum(isinstance(layer, LoraLayer) for layer in module.modules()) if hasattr(module, "modules") else 0
