"""Layers of low rank on the attention of a UNet, to be trained, and their file, as diffusers' own scripts make both.

Hu et al. (2021), LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.lora_weights import NAME
from spurgekit.outputs import save_tensors
from spurgekit.seeds import seed_of, seeded

LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
"""Of attention, that ``train_text_to_image_lora.py`` of diffusers adapts."""


def add_lora(backbone: Backbone, rank: int, seed: int) -> list[nn.Parameter]:
    """Put layers of low rank on the attention of a UNet, in place, and return their weights; what they add is zero at first.

    Parameters
    ----------
    backbone : Backbone
    rank : int
        What a layer adds is scaled by 1, whatever its rank.
    seed : int
        The same seed gives the same weights.
    """
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds

    before = {id(parameter) for parameter in backbone.unet.parameters()}
    config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(LAYERS))
    with seeded(seed_of(seed, "lora")):
        inject_adapter_in_model(config, backbone.unet)
    found = [parameter for parameter in backbone.unet.parameters() if id(parameter) not in before]
    for parameter in found:
        parameter.requires_grad_(False)  # until it is trained
    return found


def save_lora(backbone: Backbone, folder: Path) -> None:
    """Write the layers of :func:`add_lora` as ``load_lora_weights`` of diffusers reads them."""
    from peft.utils import get_peft_model_state_dict

    # In the names of peft: diffusers' own conversion mixes them with older ones, of which its loader leaves some out.
    layers = {f"unet.{name}": rows for name, rows in get_peft_model_state_dict(backbone.unet).items()}
    save_tensors(folder / NAME, layers, {"format": "pt"})
