"""Plants cut out of tiles and pasted onto other ground: which, where, and how much of a tile they cover there.

Copy and paste is the oldest way to more training images of things (Dwibedi et al. 2017, Cut, paste and learn, arXiv:1708.01642;
Ghiasi et al. 2021, Simple copy-paste is a strong data augmentation method for instance segmentation, arXiv:2012.07177). Seen
from above any of the 8 views of a plant is as good as another, and its size stays: that of a pixel is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spurgekit.augment.edit_masks import edit_mask, feather
from spurgekit.augment.support_sets import SupportSetKey
from spurgekit.byte_cache import ByteCache
from spurgekit.diffusion.compositing import Mask, paste
from spurgekit.diffusion.image_tensors import Picture, read_picture
from spurgekit.dihedral import VIEWS, view_of

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.bool_])

TRIES = 8
"""Pieces of ground and places on them that are drawn for a plant until enough of it lies there; the last is where it was."""

GROUND_BYTES = 64 << 20
"""Of what is remembered of the ground: which of its pixels have data."""


@dataclass(frozen=True, slots=True)
class Paste:
    """A plant on other ground.

    Attributes
    ----------
    plant : pathlib.Path
        The tile that it is cut out of.
    mask : bytes
        What is cut out, as a PNG: 255 where the plant is.
    ground : pathlib.Path
        The tile that it is pasted onto.
    ground_id : str
    view : int
        How it is turned and mirrored; see :func:`spurgekit.dihedral.view_of`.
    shift : (int, int)
        Columns to the right and rows down that it is moved by after that.
    cover : float
        Share of the tile that it covers.
    is_enough : bool
        Whether that makes the tile one of its class.
    """

    plant: Path
    mask: bytes
    ground: Path
    ground_id: str
    view: int
    shift: tuple[int, int]
    cover: float
    is_enough: bool = True

    def picture(self, feather_px: int) -> Picture:
        """Return the ground with the plant on it.

        Parameters
        ----------
        feather_px : int
            Pixels of a soft rim within the plant.
        """
        turned = moved(read_picture(self.plant, fills=False), self.view, self.shift)
        return paste(read_picture(self.ground, fills=False), turned, feather(self.plant_pixels(), feather_px))

    def plant_pixels(self) -> NDArray[np.bool_]:
        """Return which pixels are the plant's: none where plant or ground have no data."""
        return moved(_cut_out(self.plant, self.mask), self.view, self.shift) & _seen(self.ground)

    def edit_mask(self, grow_px: float, feather_px: int) -> Mask:
        """Return where a model may paint over it: see :func:`spurgekit.augment.edit_masks.edit_mask`."""
        return edit_mask(self.plant_pixels(), grow_px=grow_px, feather_px=feather_px)


@dataclass(frozen=True, eq=False)
class Pasting:
    """What is pasted onto what.

    Attributes
    ----------
    cuts : mapping of SupportSetKey to mapping of str to bytes
        By tile: what of it is cut out for a support set, as a PNG.
    background : str
        The class of tiles that nothing is cut out of, and that are the ground where there is no other.
    min_cover : float
        Share of a tile from which on a plant makes it one of its class.
    grounds : mapping of str to pandas.DataFrame
        By place that is left out: unlabelled tiles, with tile_id and path. Empty: the background tiles of the support set.
    """

    cuts: Mapping[SupportSetKey, Mapping[str, bytes]]
    background: str
    min_cover: float
    grounds: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    _seen: ByteCache[NDArray[np.bool_]] = field(default_factory=lambda: ByteCache(GROUND_BYTES, lambda one: one.nbytes))

    def ground(self, key: SupportSetKey, tiles: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the tiles that plants of a support set are pasted onto."""
        return self.grounds[key.fold] if self.grounds else tiles[tiles["class"] == self.background]

    def draw(self, key: SupportSetKey, tile: pd.Series, ground: pd.DataFrame, seed: int) -> Paste:
        """Return a plant of a tile on a piece of ground, turned and moved by chance; ground and place are drawn until it fits.

        Parameters
        ----------
        key : SupportSetKey
        tile : pandas.Series
            Of the support set: tile_id and path.
        ground : pandas.DataFrame
            From :meth:`ground`.
        seed : int
        """
        rng = np.random.default_rng(seed)
        mask = self.cuts[key][tile["tile_id"]]
        view = int(rng.integers(VIEWS))
        plant = moved(_cut_out(tile["path"], mask), view, (0, 0))
        for attempt in range(TRIES):
            onto = ground.iloc[int(rng.integers(len(ground)))]
            stays = attempt == TRIES - 1 or not plant.any()  # there are no data where it was
            shift = (0, 0) if stays else draw_shift(plant, rng)
            valid = self._seen.get(onto["path"], partial(_seen, onto["path"]))
            cover = float((moved(plant, 0, shift) & valid).mean())
            if is_enough := cover >= self.min_cover and cover > 0:
                break
        return Paste(tile["path"], mask, onto["path"], str(onto["tile_id"]), view, shift, cover, is_enough)


def moved(pixels: Pixels, view: int, shift: tuple[int, int]) -> Pixels:
    """Turn and mirror pixels, and move them; where none come from, they are 0.

    Parameters
    ----------
    pixels : ndarray of uint8 or bool, shape (side, side) or (side, side, bands)
    view : int
        See :func:`spurgekit.dihedral.view_of`.
    shift : (int, int)
        Columns to the right, rows down.

    Examples
    --------
    >>> moved(np.array([[1, 2], [3, 4]], np.uint8), 1, (0, 1)).tolist()
    [[0, 0], [2, 4]]
    """
    layers = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1)))
    turned = view_of(layers, view).permute(1, 2, 0).numpy().reshape(pixels.shape)
    (height, width), (right, down) = pixels.shape[:2], shift
    found = np.zeros_like(pixels)
    found[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = turned[
        max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return found


def draw_shift(plant: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """Draw by how much a plant is moved: columns to the right, rows down.

    Its middle stays in the tile. What the tile's edge cuts off stays at that edge or goes beyond it, so that no straight cut
    comes to lie on open ground.

    Parameters
    ----------
    plant : ndarray of bool, shape (side, side)
        With something in it.
    rng : numpy.random.Generator
    """
    right, down = (_draw_along(np.asarray(plant.any(axis=axis)), rng) for axis in (0, 1))
    return right, down


def _draw_along(occupied: NDArray[np.bool_], rng: np.random.Generator) -> int:
    """Draw by how much what lies along an axis is moved."""
    places, size = np.flatnonzero(occupied), len(occupied)
    middle = int(places[0] + places[-1] + 1) // 2
    low = 0 if places[-1] == size - 1 else -middle
    high = 0 if places[0] == 0 else size - middle
    return int(rng.integers(low, high + 1))


@lru_cache(256)
def _cut_out(plant: Path, mask: bytes) -> NDArray[np.bool_]:
    """Return which pixels of a tile are cut out of it."""
    encoded = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert encoded is not None  # it was encoded for this
    return np.asarray(encoded > 0) & _seen(plant)


def _seen(path: Path) -> NDArray[np.bool_]:
    """Return which pixels of a tile have data."""
    return np.asarray(read_picture(path, fills=False).any(axis=2))
