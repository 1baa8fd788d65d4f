"""Pictures of any size as a diffusion model takes them, and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as nnf

from spurgekit.errors import InputError
from spurgekit.imagery import Raster, open_tile_image

Picture = NDArray[np.uint8]
"""Red, green, blue: shape (height, width, 3)."""


def read_picture(path: Path, *, fills: bool = True) -> Picture:
    """Read a tile of red, green and blue.

    Parameters
    ----------
    path : pathlib.Path
    fills : bool
        Give pixels without data (not valid, or 0 in all bands, as tiles have them) the mean colour of the others: black corners
        would be learned as if they belonged to the plants.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    InputError
        If the file is missing, damaged, or no image of three bands of uint8.
    """
    with _opened(path) as raster:
        pixels, valid = raster.read(raster.grid.window)
    picture = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    seen = valid & picture.any(axis=2)
    if fills and seen.any() and not seen.all():
        picture[~seen] = picture[seen].mean(axis=0).round()
    return picture


def picture_size(path: Path) -> tuple[int, int]:
    """Return height and width of a tile; errors are those of :func:`read_picture`."""
    with _opened(path) as raster:
        return raster.grid.height, raster.grid.width


@contextmanager
def _opened(path: Path) -> Iterator[Raster]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; the dataset lists it: build it again")
    with open_tile_image(path) as raster:
        if len(raster.bands) != 3 or raster.dtype != np.uint8:
            bands = f"{len(raster.bands)} band{'' if len(raster.bands) == 1 else 's'} of {raster.dtype}"
            raise InputError(f"{path} has {bands}; diffusion models paint 3 bands of uint8: tile with `bands=(1, 2, 3)`")
        yield raster


def to_model(pictures: Sequence[Picture], size_px: int) -> Tensor:
    """Return pictures as a model takes them.

    Parameters
    ----------
    pictures : sequence of ndarray of uint8, each of shape (height, width, 3)
        Of any sizes. Each is resized by itself, so that none depends on the others.
    size_px : int
        Side of the result.

    Returns
    -------
    Tensor of float32, shape (n, 3, size_px, size_px)
        From -1 to 1.
    """
    rows = [_resized(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), (size_px, size_px)) for picture in pictures]
    return torch.cat(rows).clamp(0, 255) / 127.5 - 1 if rows else torch.empty(0, 3, size_px, size_px)


def from_model(images: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Picture]:
    """Return what a model painted as pictures.

    Parameters
    ----------
    images : Tensor, shape (n, 3, side, side)
        From -1 to 1; what lies outside is clipped.
    sizes : sequence of (height, width)
        Of each picture.

    Returns
    -------
    list of ndarray of uint8, each of shape (height, width, 3)
    """
    return fetched(to_bytes(images, sizes))


def to_bytes(images: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Return what a model painted as bytes, on a GPU without waiting for it.

    Parameters
    ----------
    images, sizes
        See :func:`from_model`.

    Returns
    -------
    list of Tensor of uint8, each of shape (k, height, width, 3)
        Pictures of one size that follow each other are in one, which makes no difference to any of them. Black is 1, since 0 in
        all three marks pixels without data.
    """
    if images.device.type != "cuda":  # which resizes faster than it hands over
        images = images.cpu()
    pixels = (images.detach().float().clamp(-1, 1) + 1) * 127.5
    runs = [(size, len(list(run))) for size, run in itertools.groupby(sizes)]
    parts = zip(torch.split(pixels, [count for _, count in runs]), (size for size, _ in runs), strict=True)
    return [_as_data(_resized(part, size).round().clamp(0, 255).to(torch.uint8)) for part, size in parts]


def _as_data(images: Tensor) -> Tensor:
    """Return bytes [n, 3, height, width] as [n, height, width, 3], none of them 0 in all three."""
    return torch.where(images.amax(dim=1, keepdim=True) == 0, 1, images).permute(0, 2, 3, 1).contiguous()


def fetched(parts: Sequence[Tensor]) -> list[Picture]:
    """Return the pictures of :func:`to_bytes` one by one, when the device has made them."""
    return [picture for part in parts for picture in part.cpu().numpy()]


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize by bicubic interpolation, antialiased; pictures of that size stay as they are to the bit."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return nnf.interpolate(images, size=size, mode="bicubic", antialias=True)
