"""Tiles of a map that can be walked to: where they lie, what the map says of them, and how the model sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spurgekit.classify.classifier import TileClassifier
from spurgekit.classify.tile_reader import Pixels, mark_missing
from spurgekit.classify.tile_stream import stream_tiles
from spurgekit.errors import InputError
from spurgekit.imagery import PixelSource, Window
from spurgekit.maps.bands import entropy
from spurgekit.maps.mapped_cells import MappedCells
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

LEAST_VALID = 0.5
"""Share of a tile that is to have data."""

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Tiles to choose from, none of which overlaps another.

    Attributes
    ----------
    rows, cols : ndarray of int, shape (n,)
        The cell in the middle of each.
    probabilities : ndarray of float32, shape (n, classes)
        What the map says of the tile.
    features : ndarray of float32, shape (n, d)
        What the classifier is shown of it.
    novelty : ndarray of float32, shape (n,)
        How far it lies from all training tiles, as the model sees it; 1 is the mean distance between two of these. See
        :mod:`spurgekit.classify.applicability`.
    """

    rows: Numbers
    cols: Numbers
    probabilities: Floats
    features: Floats
    novelty: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, numbers: Sequence[int]) -> Candidates:
        """Return some of them, in that order."""
        kept = np.asarray(numbers, np.intp)
        places = self.rows[kept], self.cols[kept]
        return Candidates(*places, self.probabilities[kept], self.features[kept], self.novelty[kept])

    @property
    def uncertainty(self) -> Floats:
        """Entropy of the probabilities, from 0 to 1."""
        return entropy(self.probabilities)


def tiles_apart(cells: MappedCells, support_m: float) -> tuple[Numbers, Numbers]:
    """Return the cells in the middle of tiles side by side, as far as these are mapped.

    Parameters
    ----------
    cells : MappedCells
    support_m : float
        Side of a tile.

    Returns
    -------
    rows, cols : ndarray of int, shape (n,)
    """
    down, across = (max(1, int(np.ceil(support_m / side - 1e-6))) for side in cells.grid.pixel_size_m[::-1])
    inside = np.zeros(cells.is_mapped.shape, np.bool_)
    inside[down // 2 :: down, across // 2 :: across] = True
    rows, cols = np.nonzero(inside & np.isfinite(cells.around[0]))
    return rows, cols


def drawn(rows: Numbers, cols: Numbers, most: int, site: str) -> tuple[Numbers, Numbers]:
    """Return as many of some cells as are to be looked at, in their order: which ones, the name of the map decides."""
    if len(rows) <= most:
        return rows, cols
    kept = np.sort(np.random.default_rng(seed_of("next-survey", site)).choice(len(rows), most, replace=False))
    return rows[kept], cols[kept]


def look_at(
    raster: PixelSource,
    model: TileClassifier,
    cells: MappedCells,
    rows: Numbers,
    cols: Numbers,
    *,
    batch_size: int = 8,
    progress: Progress = silent,
) -> Candidates:
    """Let a model look at the tiles around some cells.

    Parameters
    ----------
    raster : PixelSource
        That was mapped, at the model's ground sample distance.
    model : TileClassifier
        That knows its training tiles.
    cells : MappedCells
    rows, cols : ndarray of int, shape (n,)
    batch_size : int
    progress : Progress

    Returns
    -------
    Candidates
        Without tiles that the image has too little of.

    Raises
    ------
    InputError
        If it has too little of all of them.
    """
    side = model.info.tile_size_px
    at = np.column_stack(raster.grid.to_pixel(*cells.grid.to_world(cols + 0.5, rows + 0.5)))
    kept: list[int] = []

    def tiles(advance: Callable[[int], None]) -> Iterator[NDArray[Any]]:
        for number, (left, top) in enumerate(np.rint(at - side / 2).astype(int).tolist()):
            pixels, valid = raster.read(Window(left, top, side, side))
            advance(1)
            if valid.mean() < LEAST_VALID:
                continue
            mark_missing(pixels, valid)
            kept.append(number)
            yield pixels

    with progress(f"looking at tiles of {raster.path.name}", len(rows)) as advance:
        ((_, found),) = stream_tiles([(None, tiles(advance))], _FeatureLook(model), batch_size)
    if found is None:
        raise InputError(f"{raster.path} shows nothing of the map's tiles; pass the image that was mapped by `image`")
    rows, cols = rows[kept], cols[kept]
    return Candidates(rows, cols, cells.around[:, rows, cols].T, *found)


@dataclass(frozen=True, slots=True)
class _FeatureLook:
    """What a model sees in tiles: their features, and how unlike training tiles they are."""

    model: TileClassifier

    @property
    def device(self) -> torch.device:
        return self.model.device

    def start(self, tiles: Pixels) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.model.logits(tiles, features=True)

    def finish(self, started: tuple[torch.Tensor, torch.Tensor | None]) -> tuple[Floats, Floats]:
        said = self.model.said(*started)
        assert said.features is not None
        assert said.dissimilarity is not None  # of a model that knows its training tiles
        return said.features, said.dissimilarity
