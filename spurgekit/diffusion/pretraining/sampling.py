"""Tiles that a model in training paints: from noise alone, edited from real ones, and real ones through its VAE."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spurgekit.diffusion.image_tensors import Picture, from_model, to_model
from spurgekit.diffusion.latent_model import Backbone, Posterior
from spurgekit.diffusion.noise import generators_of
from spurgekit.diffusion.prompts import PromptReader
from spurgekit.diffusion.sampler import denoise
from spurgekit.diffusion.schedulers import make_scheduler
from spurgekit.imagery.sheet import Group
from spurgekit.precision import autocast

STEPS = 20
"""Of the default scheduler, over the whole of its noise."""

AT_ONCE = 64
STRENGTHS = (0.3, 0.5, 0.7)
CELL_PX = 128


def paint(
    backbone: Backbone,
    prompts: Sequence[str],
    seeds: Sequence[int],
    tile_px: int,
    *,
    dtype: torch.dtype | None = None,
    pictures: Sequence[Picture] = (),
    strength: float = 1.0,
) -> list[Picture]:
    """Paint tiles by their prompts, without guidance.

    Parameters
    ----------
    backbone : Backbone
    prompts : sequence of str, length n
    seeds : sequence of int, length n
        What a tile looks like depends on its own alone, but for the rounding of sums.
    tile_px : int
        Side of the tiles.
    dtype : torch.dtype or None
        That products are made in.
    pictures : sequence of ndarray of uint8, shape (side, side, 3), length n or 0
        Real tiles to edit (SDEdit); none: from noise alone.
    strength : float
        Share of the noise that a real tile is given.

    Returns
    -------
    list of ndarray of uint8, shape (tile_px, tile_px, 3)
    """
    reader, scheduler = PromptReader(backbone), make_scheduler(backbone)
    painted: list[Picture] = []
    for start in range(0, len(prompts), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        with autocast(backbone.device, dtype):
            image = _encoded(backbone, pictures[rows]) if len(pictures) else None
            latents = denoise(
                backbone,
                scheduler,
                reader.read(list(prompts[rows]), {}),
                None,
                generators_of(seeds[rows]),
                steps=STEPS,
                guidance=1.0,
                size_px=backbone.info.size_px,
                strength=strength,
                image=image,
            )
            images = backbone.decode(latents)
        painted += from_model(images, [(tile_px, tile_px)] * len(images))
    return painted


def round_trip(backbone: Backbone, pictures: Sequence[Picture], *, dtype: torch.dtype | None = None) -> list[Picture]:
    """Return tiles through the VAE and back, in their own sizes."""
    found: list[Picture] = []
    for start in range(0, len(pictures), AT_ONCE):
        part = pictures[start : start + AT_ONCE]
        with autocast(backbone.device, dtype):
            images = backbone.decode(_encoded(backbone, part).mean.to(backbone.device))
        found += from_model(images, [picture.shape[:2] for picture in part])
    return found


def sheet_rows(
    backbone: Backbone,
    real: Sequence[Picture],
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    title: str = "real tiles, held out",
    dtype: torch.dtype | None = None,
) -> list[Group]:
    """Return the rows of a sheet of samples: real tiles, through the VAE, edited at some strengths, and from noise alone.

    Parameters
    ----------
    backbone : Backbone
    real : sequence of ndarray of uint8, length n
    prompts : sequence of str, length m
        Of the tiles from noise alone, of which there may be several rows.
    seeds : sequence of int, length m
        The same on every sheet of a run, so that they compare.
    title : str
        Of the real tiles.
    dtype : torch.dtype or None
    """
    count = len(real)
    plain = [""] * count
    rows = [(title, list(real)), ("through the VAE and back", round_trip(backbone, real, dtype=dtype))]
    for strength in STRENGTHS:
        edited = paint(backbone, plain, seeds[:count], len(real[0]), dtype=dtype, pictures=real, strength=strength)
        rows.append((f"edited at strength {strength:g}", edited))
    rows.append(("from noise alone", paint(backbone, prompts, seeds, len(real[0]), dtype=dtype)))
    return [Group(title, [shown(picture) for picture in pictures]) for title, pictures in rows]


def _encoded(backbone: Backbone, pictures: Sequence[Picture]) -> Posterior:
    found = [backbone.encode(to_model([picture], backbone.info.size_px)) for picture in pictures]
    return Posterior(torch.cat([one.mean for one in found]).cpu(), torch.cat([one.std for one in found]).cpu())


def shown(picture: Picture) -> Picture:
    """Return a picture in the size of a sheet's cells."""
    images: Tensor = to_model([picture], CELL_PX)
    return from_model(images, [(CELL_PX, CELL_PX)])[0]
