"""Masks of edits as a diffusion model takes them, and tiles put back where nothing may change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as nnf

from spurgekit.diffusion.image_tensors import Picture
from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery.limits import open_picture

Mask = NDArray[np.uint8]
"""255 where a tile may change, 0 where it may not, grey where both are mixed: shape (height, width)."""


def read_mask(path: Path, source: Path, size: tuple[int, int]) -> Mask:
    """Read the mask of a tile.

    Parameters
    ----------
    path : pathlib.Path
        A grey image of 8 bits.
    source : pathlib.Path
        The tile, for messages.
    size : (height, width)
        Of the tile.

    Raises
    ------
    InputError
        If the file is missing, damaged, no grey image of 8 bits, or of another size than the tile.
    """
    try:
        with open_picture(path) as image:
            mode, mask = image.mode, np.asarray(image.convert("L"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; it is the mask of {source}") from error
    except ImageryError as error:
        raise InputError(f"{path} is damaged or no image; it is the mask of {source}: make it again") from error
    if mode not in ("L", "1"):
        raise InputError(f"{path} is no grey image of 8 bits ({mode}); masks are white where a tile may change")
    if mask.shape != tuple(size):
        own, other = (f"{width} x {height} px" for height, width in (mask.shape, size))
        raise InputError(f"{path} is {own} and its tile {source.name} {other}; make the mask again")
    return mask


def open_mask(mask: Mask, side: int) -> Tensor:
    """Return where a picture of another size may change.

    A pixel may wherever any of those of the tile that it covers may, in part or wholly: what is too much is pasted over.

    Parameters
    ----------
    mask : ndarray of uint8, shape (height, width)
    side : int

    Returns
    -------
    Tensor of float32, shape (1, side, side)
        1 or 0.
    """
    may = torch.from_numpy(mask > 0)[None].float()
    return nnf.adaptive_max_pool2d(may, (side, side))


def paste(tile: Picture, painted: Picture, mask: Mask) -> Picture:
    """Return a painted tile with the real one put back where it may not change.

    ``(mask * painted + (255 - mask) * tile) / 255``, rounded: the tile's own bytes where the mask is 0.

    Parameters
    ----------
    tile, painted : ndarray of uint8, shape (height, width, 3)
    mask : ndarray of uint8, shape (height, width)
    """
    weight = mask[..., None].astype(np.uint32)
    return ((weight * painted + (255 - weight) * tile + 127) // 255).astype(np.uint8)
