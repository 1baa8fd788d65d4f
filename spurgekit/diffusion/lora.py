"""LoRAs of diffusion models: small weights that shift a model towards a domain, merged into it once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from spurgekit.errors import ModelError, first_line

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

_NAME = "pytorch_lora_weights.safetensors"
_DOWN = ("lora_A.weight", "lora.down.weight", "_lora.down.weight", "lora_down.weight")


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
        named = [file for file in files if file.name == _NAME]
        if len(found := named or files) == 1:
            return found[0]
        if files:
            raise ModelError(f"{path} holds {len(files)} files of weights; pass one of them with --lora")
        pickled = " as safetensors; convert it where you trust it" if any(path.glob("*.bin")) else ""
        raise ModelError(f"{path} holds no LoRA{pickled or f': {_NAME}'}")
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
    loader: Any = pipeline
    source = {"pretrained_model_name_or_path_or_dict": str(file.parent), "weight_name": file.name, "use_safetensors": True}
    try:
        read = loader.lora_state_dict(**source, unet_config=loader.unet.config)
        expected = sum(key.endswith(_DOWN) for key in read[0])
        loader.load_lora_weights(**source)
        placed = sum(_layers(module) for module in loader.components.values())
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise ModelError(f"{file} cannot be merged into this model ({first_line(error)}); pass a LoRA made for it") from error
    if not expected or placed != expected:
        # diffusers leaves out what it finds no place for, and only logs that.
        raise ModelError(
            f"{file} does not fit this model: it has a place for {placed} of {expected} layers; pass a LoRA made for it"
        )
    loader.fuse_lora(safe_fusing=True)
    loader.unload_lora_weights()


def _layers(module: Any) -> int:
    """Return how many layers of a network have a LoRA."""
    from peft.tuners.lora import LoraLayer

    return sum(isinstance(layer, LoraLayer) for layer in module.modules()) if hasattr(module, "modules") else 0
