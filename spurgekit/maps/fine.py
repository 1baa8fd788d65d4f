"""Maps finer than a tile: one dense pass over windows tells of each position of the backbone, and of the tile around it.

Windows are as large as the tiles that the head learned from: what a backbone sees at a position depends on how far away the rim
of the image is, where it pads with zeros. In windows of four times the side, a head of cover found two thirds of the plants.
They overlap by a halo, so that no position is told of that lies at the rim of one. What is missing in a window takes the mean
colour of its rest, as in tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from spurgekit.classify.classifier import TileClassifier, TilePredictions
from spurgekit.classify.tile_reader import Pixels, mark_missing
from spurgekit.classify.tile_stream import stream_tiles
from spurgekit.imagery import PixelGrid, PixelSource, Window
from spurgekit.imagery.quicklook import Watcher
from spurgekit.maps.bands import BandLayout
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.guided_filter import RADIUS, guided_filter
from spurgekit.parallel import stream_map
from spurgekit.progress import Progress, silent

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FineWindows:
    """How windows lie over an image that is read as large as the backbone is shown it.

    Attributes
    ----------
    grid : PixelGrid
        The image; a tile is as many of its pixels as the backbone's images have.
    tile_px, cell_px : int
        Side of a tile, and of a cell, which is a position of the backbone.
    inner, halo : int
        Cells of a window that are told of, a side, and around them.
    part : Window, optional
        The cells that are told of, by default all: they begin where a window of the whole image does.
    """

    grid: PixelGrid
    tile_px: int
    cell_px: int
    inner: int
    halo: int
    part: Window | None = None

    @classmethod
    def of(cls, grid: PixelGrid, model: TileClassifier) -> FineWindows:
        """Return the windows for a model.

        Raises
        ------
        InputError
            If the model has no head that looks at positions.
        """
        cell_px, info = model.positions.stride_px, model.info
        return cls(grid, info.image_size_px, cell_px, info.cells - 2 * info.halo, info.halo)

    def around(self, cells: Window, margin: int) -> FineWindows:
        """Return those of the windows that have a cell within a margin of some cells."""
        whole, step = self.grid.coarsened(self.cell_px).window, self.inner
        first_col, first_row = (max(start - margin, 0) // step * step for start in (cells.col, cells.row))
        stop_col, stop_row = (math.ceil((stop + margin) / step) * step for stop in (cells.stop_col, cells.stop_row))
        return replace(self, part=Window(first_col, first_row, stop_col - first_col, stop_row - first_row) & whole)

    @property
    def cells(self) -> PixelGrid:
        """The grid of the cells that are told of."""
        whole = self.grid.coarsened(self.cell_px)
        return whole if self.part is None else whole.crop(self.part)

    @property
    def columns(self) -> int:
        """Windows side by side."""
        return math.ceil(self.cells.width / self.inner)

    def strip(self, row: int) -> Window:
        """Return the pixels below the windows whose first row of cells is given."""
        margin, step = self.halo * self.cell_px, self.inner * self.cell_px
        left, top = (0, 0) if self.part is None else (self.part.col * self.cell_px, self.part.row * self.cell_px)
        return Window(left - margin, top + row * self.cell_px - margin, self.columns * step + 2 * margin, step + 2 * margin)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is known of some rows of cells.

    Attributes
    ----------
    logits : ndarray of float32, shape (views, classes, rows, columns)
        Of positions.
    valid : ndarray of float32, shape (rows, columns)
        Share of their pixels that are data.
    share : ndarray of float32, shape (rows, columns)
        The same; 0 where they are too few to map a cell.
    colours : ndarray of float32, shape (bands, rows, columns)
        Mean of their pixels that are data.
    unlike : ndarray of float32, shape (rows, columns)
        Dissimilarity of the window that tells of them; NaN where nobody asks.
    """

    logits: Floats
    valid: Floats
    share: Floats
    colours: Floats
    unlike: Floats

    @classmethod
    def unknown(cls, model: TileClassifier, bands: int, shape: tuple[int, int]) -> _Rows:
        """Return rows that nobody looked at."""
        logits = np.zeros((model.info.views, len(model.info.classes), *shape), np.float32)
        nothing = np.zeros(shape, np.float32)
        return cls(logits, nothing, nothing, np.zeros((bands, *shape), np.float32), np.full(shape, np.nan, np.float32))

    @classmethod
    def join(cls, parts: Iterable[_Rows]) -> _Rows:
        """Return rows below rows."""
        return cls(*(np.concatenate(arrays, axis=-2) for arrays in zip(*(p.arrays for p in parts), strict=True)))

    @property
    def arrays(self) -> tuple[Floats, ...]:
        """All of it."""
        return self.logits, self.valid, self.share, self.colours, self.unlike

    def __getitem__(self, rows: slice) -> _Rows:
        return _Rows(*(array[..., rows, :] for array in self.arrays))


def slide_fine(
    raster: PixelSource,
    model: TileClassifier,
    windows: FineWindows,
    *,
    layout: BandLayout,
    mask: CellMask | None = None,
    min_valid: float = 0.5,
    batch_size: int = 8,
    guided: bool = False,
    watch: Watcher | None = None,
    progress: Progress = silent,
) -> Iterator[tuple[int, Floats, Floats]]:
    """Yield the map in runs of rows.

    Parameters
    ----------
    raster : PixelSource
        At the ground sample distance of ``windows.grid``, with the model's bands and of its type.
    model : TileClassifier
        With a head that looks at positions.
    windows : FineWindows
    layout : BandLayout
        What is said of each cell; its bands are given the probabilities of the cell, and those of the tile around it.
    mask : CellMask, optional
        The cells that are wanted, by default all: others are NaN, and without ground. The windows are those of the whole image,
        of which those without a wanted cell, and none near enough to be pooled with one, are not looked at.
    min_valid : float
        Least share of a cell's pixels with data; other cells are NaN.
    batch_size : int
        Windows that the model is shown at once.
    guided : bool
        Whether the probabilities of cells go through a guided filter by colour.
    watch : callable, optional
        Is shown every strip that is read.

    Yields
    ------
    row : int
        First row of cells, counted from that of the mask.
    found : ndarray of float32, shape (channels, rows, columns)
        NaN where there is no data. Columns are those of the mask.
    valid : ndarray of float32, shape (rows, columns)
        Share of each cell's pixels that have data.
    """
    tile = windows.tile_px // windows.cell_px
    margin = max(tile // 2, 2 * RADIUS * guided)
    mask = mask or CellMask.everywhere(windows.cells)
    windows = windows.around(mask.window, margin)
    assert windows.part is not None
    needed = cv2.dilate(mask.over(windows.part).astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8)) > 0
    first, left = mask.window.row - windows.part.row, mask.window.col - windows.part.col
    columns = slice(left, left + mask.window.width)
    parts = _looked_at(raster, model, windows, needed, min_valid, batch_size, watch, progress)
    for row, rows, own in _with_surroundings(parts, margin):
        top, bottom = max(row, first), min(row + own.stop - own.start, first + mask.window.height)
        if top >= bottom:
            continue
        own = slice(own.start + top - row, own.start + bottom - row)
        wanted = mask.inside[top - first : bottom - first]
        seen = (rows.share[own, columns] > 0) & wanted
        cells = _cell_probabilities(model, rows)
        around = _around(model, rows, cells, tile)[:, own, columns][:, seen].T
        if guided:
            cells = _guided(model, rows, cells)
        said = TilePredictions(cells[:, own, columns][:, seen].T, dissimilarity=rows.unlike[own, columns][seen], around=around)
        found = np.full((len(layout.titles), *seen.shape), np.nan, np.float32)
        found[:, seen] = layout.values(said).T
        yield top - first, found, rows.valid[own, columns] * wanted


def _around(model: TileClassifier, rows: _Rows, cells: Floats, tile: int) -> Floats:
    """Return what the model says of the tile that is centred on each cell, shape (classes, rows, columns)."""
    if (sharpness := model.positions.sharpness) is None:
        return mean_around(cells, rows.share, tile).astype(np.float32)
    pooled = pool(rows.logits, rows.share, tile, sharpness)
    return model.pooled_probabilities(pooled.reshape(len(pooled), -1).T).T.reshape(pooled.shape)


def pool(logits: Floats, share: Floats, tile: int, sharpness: float) -> NDArray[np.float64]:
    """Pool the logits of positions over the tile that is centred on each, as a multiple-instance head does it.

    Parameters
    ----------
    logits : ndarray of float32, shape (views, classes, rows, columns)
    share : ndarray of float32, shape (rows, columns)
        Weights of positions; those of 0 take no part.
    tile : int
        Side of a tile in positions; see :func:`mean_around`.
    sharpness : float

    Returns
    -------
    ndarray of float64, shape (classes, rows, columns)
        The mean over views; not finite where nothing takes part.
    """
    powers = np.exp(np.clip(sharpness * logits.astype(np.float64), -600, 600))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(mean_around(powers, share, tile)).mean(axis=0) / sharpness)


def mean_around(values: NDArray[np.floating[Any]], share: Floats, tile: int) -> NDArray[np.float64]:
    """Return the mean of cells over the tile that is centred on each.

    Parameters
    ----------
    values : ndarray of float, shape (..., rows, columns)
    share : ndarray of float32, shape (rows, columns)
        Weights of cells; those of 0 take no part.
    tile : int
        Side of a tile in cells. Of an even number, the outer ones count by half.

    Returns
    -------
    ndarray of float64, shape (..., rows, columns)
        NaN where nothing takes part.
    """
    side = np.ones(tile + (tile + 1) % 2)
    side[[0, -1]] -= (len(side) - tile) / 2

    def box(image: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.sepFilter2D(image, -1, side, side, borderType=cv2.BORDER_CONSTANT))

    weights = share.astype(np.float64)
    images = (weights * values).reshape(-1, *share.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.stack([box(image) for image in images]) / box(weights)).reshape(values.shape)


def _cell_probabilities(model: TileClassifier, rows: _Rows) -> Floats:
    """Return the class probabilities of each cell, shape (classes, rows, columns)."""
    logits = rows.logits.mean(axis=0)
    return model.cell_probabilities(logits.reshape(len(logits), -1).T).T.reshape(logits.shape)


def _guided(model: TileClassifier, rows: _Rows, found: Floats) -> Floats:
    """Return the probabilities of cells as edges of colour have them."""
    white = 255 if model.info.dtype == "uint8" else 1
    mean, std = (np.array(values)[:, None, None] for values in (model.info.mean, model.info.std))
    guide = (rows.colours / white - mean) / (2 * std)  # bytes normalised by 0.5 span 1
    return np.clip(guided_filter(guide, found.astype(np.float64), rows.share > 0), 0, 1).astype(np.float32)


def _with_surroundings(parts: Iterable[_Rows], margin: int) -> Iterator[tuple[int, _Rows, slice]]:
    """Yield runs of rows: the first one, rows that reach beyond them by a margin, and which of these are the run."""
    known: _Rows | None = None
    first = done = 0
    for part, is_last in _marked(parts):
        known = part if known is None else _Rows.join([known, part])
        ready = first + len(known.share) - (0 if is_last else margin)
        if ready > done:
            yield done, known, slice(done - first, ready - first)
            done = ready
            kept = max(0, done - margin - first)
            known, first = known[kept:], first + kept


def _marked(parts: Iterable[_Rows]) -> Iterator[tuple[_Rows, bool]]:
    """Yield each part, and whether it is the last one."""
    waiting: _Rows | None = None
    for part in parts:
        if waiting is not None:
            yield waiting, False
        waiting = part
    if waiting is not None:
        yield waiting, True


def _looked_at(
    raster: PixelSource,
    model: TileClassifier,
    windows: FineWindows,
    needed: NDArray[np.bool_],
    min_valid: float,
    batch_size: int,
    watch: Watcher | None,
    progress: Progress,
) -> Iterator[_Rows]:
    """Yield what the model says of the cells of each strip of windows; strips without a cell that is needed are not read."""
    cells, inner = windows.cells, windows.inner
    strips = [(windows.strip(row), needed[row : row + inner]) for row in range(0, cells.height, inner)]
    with ThreadPoolExecutor(1) as reader, progress(f"mapping {raster.path.name}", cells.width * cells.height) as advance:
        read = stream_map(reader, raster.read, (window for window, mine in strips if mine.any()), in_flight=2)

        def parts() -> Iterator[tuple[_Strip, Iterable[NDArray[Any]]]]:
            for window, mine in strips:
                if not mine.any():
                    yield _Strip(_Rows.unknown(model, len(raster.bands), mine.shape), ()), ()
                    continue
                pixels, valid = next(read)
                if watch is not None:
                    watch(window, pixels, valid)
                share, colours = _shares_and_colours(pixels, valid, windows)
                enough = np.where(share >= max(min_valid, 1e-9), share, 0)
                enough[: len(mine), : cells.width] *= mine
                mark_missing(pixels, valid)
                rows = replace(_Rows.unknown(model, 0, share.shape), valid=share, share=enough, colours=colours)
                found = tuple(j for j in range(windows.columns) if enough[:, j * inner : (j + 1) * inner].any())
                starts = (j * inner * windows.cell_px for j in found)
                yield _Strip(rows, found), (pixels[..., start : start + windows.tile_px] for start in starts)

        done = stream_tiles(parts(), _PositionLook(model), batch_size)
        for (_, mine), (strip, said) in zip(strips, done, strict=True):
            if said is not None:
                logits, unlike = said
                strip.fill(logits, unlike, windows)
            yield _Rows(*(array[..., : len(mine), : cells.width] for array in strip.rows.arrays))
            advance(mine.size)


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows of cells, and the numbers of the windows of them that are looked at."""

    rows: _Rows
    looked_at: tuple[int, ...]

    def fill(self, logits: Floats, unlike: Floats, windows: FineWindows) -> None:
        """Fill in what windows say, of shapes (n, views, classes, rows, columns) and (n,)."""
        h = slice(windows.halo, windows.halo + windows.inner)
        for number, j in enumerate(self.looked_at):
            own = slice(j * windows.inner, (j + 1) * windows.inner)
            self.rows.logits[..., own] = logits[number, ..., h, h]
            self.rows.unlike[:, own] = unlike[number]


@dataclass(frozen=True, slots=True)
class _PositionLook:
    """What a model says of the positions of windows, and how unlike training tiles these are."""

    model: TileClassifier

    @property
    def device(self) -> torch.device:
        return self.model.device

    def start(self, tiles: Pixels) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.model.logits_of_positions(tiles)

    def finish(self, started: tuple[torch.Tensor, torch.Tensor | None]) -> tuple[Floats, Floats]:
        logits, unlike = self.model.said_of_positions(*started)
        return logits.swapaxes(0, 1), np.full(logits.shape[1], np.nan, np.float32) if unlike is None else unlike


def _shares_and_colours(pixels: NDArray[Any], valid: NDArray[np.bool_], windows: FineWindows) -> tuple[Floats, Floats]:
    """Return the share of data in each cell of a strip, and the mean colour of its pixels that are data."""
    margin, px = windows.halo * windows.cell_px, windows.cell_px
    own = slice(margin, margin + windows.inner * px), slice(margin, margin + windows.columns * windows.inner * px)

    def means(values: NDArray[np.generic]) -> Floats:
        *front, height, width = values.shape
        parts = values.reshape(*front, height // px, px, width // px, px)
        return np.asarray(parts.mean(axis=(-3, -1), dtype=np.float32))

    share = means(valid[own])
    colours = means(np.where(valid[own], pixels[:, *own], 0))
    return share, np.divide(colours, share, out=np.zeros_like(colours), where=share > 0)
