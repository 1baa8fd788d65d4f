"""Weights that take the place of a UNet's own, such as those of one that a concept was erased from.

Erasing (Gandikota et al. 2023, Erasing Concepts from Diffusion Models, arXiv:2303.07345) trains a UNet to leave out what a name
stands for, which is how DA-Fusion tells what it learned of a few tiles from what the model knew before. Weights are files of
tensors by diffusers' names, of the whole UNet or of those that were trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file

from spurgekit.errors import ModelError
from spurgekit.text import counted, shown

if TYPE_CHECKING:
    from torch import nn

NAME = "diffusion_pytorch_model.safetensors"
"""Of the weights in a folder of diffusers'."""


def find_unet(path: Path) -> Path:
    """Return the file of a UNet's weights, given that or the folder that ``save_pretrained`` of diffusers wrote.

    Raises
    ------
    ModelError
        If there is none, or a pickled one only.
    """
    path = Path(path).expanduser()
    file = path / NAME if path.is_dir() else path
    if not file.is_file():
        what = f"holds no {NAME}" if path.is_dir() else "is no file"
        raise ModelError(f"{path} {what}; pass weights of a UNet as safetensors, or the folder that diffusers saved it in")
    if file.suffix != ".safetensors":
        raise ModelError(f"{file} is no safetensors file; pickled weights must be converted first, where you trust them")
    return file


def put_weights(unet: nn.Module, file: Path) -> None:
    """Put weights in the place of a UNet's own.

    Parameters
    ----------
    unet : nn.Module
        UNet2DConditionModel of diffusers.
    file : pathlib.Path
        Tensors by the names of its parameters; those that it does not name stay.

    Raises
    ------
    ModelError
        If it is damaged, holds nothing, or any of it has no place in the UNet.
    """
    try:
        found = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} is damaged or not whole; get it again") from error
    own = unet.state_dict()
    strange = [name for name, rows in found.items() if name not in own or own[name].shape != rows.shape]
    if strange or not found:
        such = f", and none for {shown(strange[0])}" if strange else ""
        placed, tensors = len(found) - len(strange), counted(len(found), "tensor")
        raise ModelError(
            f"{file} does not fit: the UNet has a place for {placed:,} of its {tensors}{such}; pass weights of its own kind"
        )
    if damaged := [name for name, rows in found.items() if not rows.isfinite().all()]:
        raise ModelError(f"{file} has numbers in {shown(damaged[0])} that are not finite; get it again")
    unet.load_state_dict(found, strict=False)
