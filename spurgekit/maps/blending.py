"""Overlapping tiles blended: each cell the weighted mean of all tiles that hold some of it.

What is said of a cell by the one tile around it jumps where that tile reaches a plant; the mean of many is smoother. Weights
are highest in the middle of a tile and nowhere zero, so that a cell that one tile alone holds has a value, too.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.classifier import TileClassifier, TilePredictions
from spurgekit.errors import InputError
from spurgekit.imagery import PixelSource
from spurgekit.imagery.quicklook import Watcher
from spurgekit.maps.bands import DISSIMILARITY, PROBABILITY, BandLayout
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.sliding_window import Sliding, slide
from spurgekit.progress import Progress, silent

FLOOR = 0.05
"""Weight at the edge of a tile, of 1 in its middle."""

Floats = NDArray[np.float32]


def blend_weights(tile_px: int, stride_px: int) -> NDArray[np.float64]:
    """Return how much cells in a row count in the tile that is centred on the middle one.

    A Hann window with a floor, integrated over what of each cell lies in the tile.

    Parameters
    ----------
    tile_px, stride_px : int
        Side of a tile, and of a cell.

    Returns
    -------
    ndarray of float64, shape (2 reach + 1,)

    Examples
    --------
    >>> blend_weights(4, 4)
    array([1.])
    >>> blend_weights(4, 2).round(3)
    array([0.106, 0.788, 0.106])
    """
    half, reach = tile_px / 2, math.ceil((tile_px - stride_px) / (2 * stride_px))
    edges = np.clip((np.arange(2 * reach + 2) - reach - 0.5) * stride_px, -half, half)
    hann = edges / 2 + tile_px / (4 * math.pi) * np.sin(2 * math.pi * edges / tile_px)
    weights = np.diff(FLOOR * edges + (1 - FLOOR) * hann)
    return np.asarray(weights / weights.sum())


def slide_blended(
    raster: PixelSource,
    model: TileClassifier,
    sliding: Sliding,
    *,
    layout: BandLayout,
    mask: CellMask | None = None,
    min_valid: float = 0.5,
    batch_size: int = 8,
    watch: Watcher | None = None,
    progress: Progress = silent,
) -> Iterator[tuple[int, Floats, Floats]]:
    """Yield the map in runs of rows, as :func:`spurgekit.maps.sliding_window.slide` does.

    Tiles are those of its cells, and of cells near enough to share ground with one of them. No more rows are held than a tile
    reaches over.

    Parameters
    ----------
    raster, model, sliding, mask, min_valid, batch_size, watch, progress
        As of ``slide``.
    layout : BandLayout
        What is said of each cell; its bands are given what tiles say on average, and what the tile around the cell does.

    Raises
    ------
    InputError
        If cells are as large as tiles.
    """
    weights = blend_weights(sliding.tile_px, sliding.stride_px)
    reach = len(weights) // 2
    if reach == 0:
        raise InputError("`blend` is of tiles that overlap, and cells are as large as tiles; pass a smaller `stride_px`")
    mask = mask or CellMask.everywhere(sliding.cells)
    near = mask.grown(reach, sliding.cells)
    first, left = mask.window.row - near.window.row, mask.window.col - near.window.col
    columns = slice(left, left + mask.window.width)
    knows_tiles = [] if model.applicability is None else [DISSIMILARITY]
    own = BandLayout((PROBABILITY, *knows_tiles), model.info.classes)
    told = slide(
        raster,
        model,
        sliding,
        mask=near,
        layout=own,
        min_valid=min_valid,
        batch_size=batch_size,
        watch=watch,
        progress=progress,
    )
    classes = own.channels(PROBABILITY.name)
    nothing = np.full((len(own.titles), near.window.width), np.nan, np.float32), np.zeros(near.window.width, np.float32)
    ring = deque([_Row.of(*nothing, classes, weights)] * len(weights), maxlen=len(weights))  # the active rows
    rows = chain(_every_row(told, near.window.height, nothing), repeat(nothing, reach))
    for number, (tiles, share) in enumerate(rows):
        ring.append(_Row.of(tiles, share, classes, weights))
        row, middle = number - reach - first, ring[reach]
        if not 0 <= row < mask.window.height or not (wanted := mask.inside[row]).any():
            continue
        said = middle.tiles[:, columns]
        seen = np.isfinite(said[0]) & wanted
        total = sum(weight * one.sums[:, columns][:, seen] for weight, one in zip(weights, ring, strict=True))
        blended = (total[:-1] / total[-1]).astype(np.float32)
        unlike = said[own.channels(DISSIMILARITY.name)][0, seen] if knows_tiles else None
        found = np.full((len(layout.titles), 1, len(seen)), np.nan, np.float32)
        found[:, 0, seen] = layout.values(TilePredictions(blended.T, dissimilarity=unlike, around=said[classes][:, seen].T)).T
        yield row, found, (middle.share[columns] * wanted)[None]


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """What tiles say of a row of cells.

    Attributes
    ----------
    tiles : ndarray of float32, shape (channels, columns)
        Of the tile around each cell; NaN where there is none.
    share : ndarray of float32, shape (columns,)
        Of each cell's pixels that have data.
    sums : ndarray of float64, shape (classes + 1, columns)
        Of what tiles in the row say that hold some of a cell, and last of their weights, which share in what they have of data.
    """

    tiles: Floats
    share: Floats
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, tiles: Floats, share: Floats, classes: slice, weights: NDArray[np.float64]) -> _Row:
        """Blend along the row."""
        seen = np.isfinite(tiles[0])
        part = np.where(seen, share, 0).astype(np.float64)
        values = np.concatenate([np.where(seen, tiles[classes], 0) * part, part[None]])
        reach, columns = len(weights) // 2, len(share)
        padded = np.pad(values, ((0, 0), (reach, reach)))
        sums = np.zeros_like(values)
        for at, weight in enumerate(weights):  # in one order wherever the row begins, so that sums are rounded alike
            sums += weight * padded[:, at : at + columns]
        return cls(tiles, share, sums)


def _every_row(
    runs: Iterable[tuple[int, Floats, Floats]], height: int, nothing: tuple[Floats, Floats]
) -> Iterator[tuple[Floats, Floats]]:
    """Yield row by row what is in runs of rows, and nothing of those that are left out."""
    done = 0
    for first, found, valid in runs:
        yield from repeat(nothing, first - done)
        yield from zip(found.swapaxes(0, 1), valid, strict=True)
        done = first + len(valid)
    yield from repeat(nothing, height - done)
