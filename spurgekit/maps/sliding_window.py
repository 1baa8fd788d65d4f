"""Slide a classifier over an image: one probability vector for each cell, in one streaming pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spurgekit.classify.classifier import TileClassifier
from spurgekit.classify.model_info import ModelInfo
from spurgekit.classify.tile_reader import Pixels, mark_missing
from spurgekit.classify.tile_stream import stream_tiles
from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, PixelSource, Window
from spurgekit.imagery.quicklook import Watcher
from spurgekit.maps.bands import PROBABILITY, BandLayout
from spurgekit.maps.cell_mask import CellMask
from spurgekit.parallel import stream_map
from spurgekit.progress import Progress, silent

STRIP_BYTES = 8 << 20
"""The most bytes of pixels that are read at once."""

STRIPS_AHEAD = 2
"""Strips that are read or being read, beside the one whose tiles are cut."""

WHOLE = 0.9
"""A tile with a smaller share of data is moved onto the mosaic, where it can be so that it still holds its cell."""

MOST_RESCALED = 0.05
"""By how much pixels may be larger or smaller than in training for cells of a round size."""

NO_CLASS = 255
"""Class number of a cell without data."""


MOVES = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Down and across, in margins of a tile around its cell."""

Corner = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Cells:
    """A map's likeliest classes, filled in strip by strip.

    Attributes
    ----------
    images : tuple of str
        File names of the images.
    grid : PixelGrid
        Of the cells.
    model : ModelInfo
        What says so.
    predicted : ndarray of uint8, shape (rows, columns)
        Number of the class that is predicted; :data:`NO_CLASS` where there is no data.
    said : ndarray of float32, shape (rows, columns)
        Its probability; of a model of cover, the cover of the second class.
    around : ndarray of uint8, shape (rows, columns)
        Number of the class of the tile around the cell, which is that of the cell unless the map is fine or blended.
    valid : ndarray of float32, shape (rows, columns)
        Share of its pixels that have data.
    """

    images: tuple[str, ...]
    grid: PixelGrid
    model: ModelInfo
    predicted: NDArray[np.uint8]
    said: NDArray[np.float32]
    around: NDArray[np.uint8]
    valid: NDArray[np.float32]

    @classmethod
    def empty(cls, images: tuple[str, ...], grid: PixelGrid, model: ModelInfo) -> Cells:
        """Return a map without data."""
        shape = grid.height, grid.width
        none, zeros = np.full(shape, NO_CLASS, np.uint8), np.zeros(shape, np.float32)
        return cls(images, grid, model, none, zeros, none.copy(), zeros.copy())

    def put(self, window: Window, found: NDArray[np.float32], valid: NDArray[np.float32], layout: BandLayout) -> None:
        """Fill in a window.

        Parameters
        ----------
        window : Window
            Of cells.
        found : ndarray of float32, shape (channels, rows, columns)
            NaN where there is no data.
        valid : ndarray of float32, shape (rows, columns)
            Share of valid pixels.
        layout : BandLayout
            Of ``found``.
        """
        probabilities = layout.said(found)
        self.valid[window.slices] = valid
        seen = np.isfinite(probabilities[0])
        mine = probabilities[:, seen].T
        # A least cover is of tiles; a cell finer than that is of what covers most of it.
        self.predicted[window.slices][seen] = mine.argmax(axis=1) if layout.of_positions else self.model.predicted(mine)
        self.said[window.slices][seen] = mine[:, 1] if self.model.target == "cover" else mine.max(axis=1)
        self.around[window.slices][seen] = self.model.predicted(layout.said_around(found)[:, seen].T)

    def ground_m2(
        self, cells: NDArray[np.bool_], weights: NDArray[np.float32] | None = None, of: Window | None = None
    ) -> float:
        """Return the ground of some cells, as far as there are pixels of it, or shares of it; of all cells or of a window."""
        valid = self.valid if of is None else self.valid[of.slices]
        ground = valid[cells].astype(np.float64)
        if weights is not None:
            ground *= weights[cells]
        return float(ground.sum() * self.grid.pixel_area_m2)

    def within(self, mask: CellMask) -> Cells:
        """Return the cells of a mask: its window, what is outside of it without ground."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arrays: dict[str, Any] = {n: value[mask.window.slices] for n, value in fields.items() if isinstance(value, np.ndarray)}
        arrays["valid"] = np.where(mask.inside, arrays["valid"], np.float32(0))
        return dataclasses.replace(self, grid=self.grid.crop(mask.window), **arrays)

    @property
    def support_m(self) -> float:
        """Side of a tile, of which a class is said."""
        assert self.model.gsd_m is not None  # else it could not have been slid over an image
        return self.model.tile_size_px * self.model.gsd_m

    @property
    def is_mapped(self) -> NDArray[np.bool_]:
        """Which cells have a class."""
        return np.asarray(self.predicted != NO_CLASS)

    @property
    def mapped_m2(self) -> float:
        """Ground of all cells that have a class."""
        return self.ground_m2(self.is_mapped)

    @property
    def image_m2(self) -> float:
        """Ground of all valid pixels."""
        return self.ground_m2(np.ones(self.valid.shape, np.bool_))


@dataclass(frozen=True, slots=True)
class Sliding:
    """How tiles lie over an image: a cell for each step, the tile centred on its cell.

    At the rim of a mosaic half of such a tile would be missing. There the tile is moved by as much as it reaches beyond its
    cell, to the side where most of it has data.

    Attributes
    ----------
    grid : PixelGrid
        The image, at the model's ground sample distance.
    tile_px, stride_px : int
        Side of a tile, and of a cell. Their difference is even, so that a tile's centre is its cell's to the pixel.
    """

    grid: PixelGrid
    tile_px: int
    stride_px: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride_px <= self.tile_px:
            raise InputError(
                f"a stride of {self.stride_px} px does not go with tiles of {self.tile_px} px; pass 1 to {self.tile_px}"
            )
        if (self.tile_px - self.stride_px) % 2:
            raise InputError(
                f"a stride of {self.stride_px} px would put cells half a pixel off the centres of tiles of {self.tile_px} px; "
                f"pass {self.stride_px + 1}"
            )

    @property
    def cells(self) -> PixelGrid:
        """The grid of the map."""
        return self.grid.coarsened(self.stride_px)

    @property
    def cell_px(self) -> int:
        """Side of a cell."""
        return self.stride_px

    @property
    def margin_px(self) -> int:
        """How far a tile reaches beyond its cell on each side."""
        return (self.tile_px - self.stride_px) // 2

    def tile(self, row: int, col: int) -> Window:
        """Return the tile that is looked at for a cell."""
        s, m = self.stride_px, self.margin_px
        return Window(col * s - m, row * s - m, self.tile_px, self.tile_px)

    def strip(self, cells: Window) -> Window:
        """Return the pixels below all tiles of a window of cells, wherever they are moved to."""
        s, m = self.stride_px, self.margin_px
        return Window(cells.col * s - 2 * m, cells.row * s - 2 * m, cells.width * s + 4 * m, cells.height * s + 4 * m)

    def corners(self, valid: NDArray[np.bool_], i: NDArray[np.intp], j: NDArray[np.intp]) -> tuple[Corner, Corner]:
        """Return where the tiles of cells begin in their strip.

        Parameters
        ----------
        valid : ndarray of bool, shape (height, width)
            Of the strip.
        i, j : ndarray of int, shape (n,)
            Rows and columns of cells, those of the strip counted from 0.

        Returns
        -------
        rows, columns : ndarray of int, shape (n,)
        """
        s, m, t = self.stride_px, self.margin_px, self.tile_px
        rows, columns = i * s + m, j * s + m
        if m == 0 or valid.all():
            return rows, columns
        sums = np.zeros((valid.shape[0] + 1, valid.shape[1] + 1), np.int32)
        np.cumsum(valid, axis=0, dtype=np.int32, out=sums[1:, 1:])
        np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])

        def seen(down: int, across: int) -> NDArray[np.int32]:
            top, left = rows + down, columns + across
            return sums[top + t, left + t] - sums[top, left + t] - sums[top + t, left] + sums[top, left]

        counts = np.stack([seen(down * m, across * m) for down, across in MOVES])
        best = np.where(counts[0] < WHOLE * t * t, counts.argmax(axis=0), 0)  # of as good ones the first, which moves least
        down, across = (m * np.array(steps)[best] for steps in zip(*MOVES, strict=True))
        return rows + down, columns + across


def stride_of(cell_m: float, info: ModelInfo) -> int:
    """Return of how many pixels a side of a cell is to be, near the ground sample distance that a model was trained at.

    Parameters
    ----------
    cell_m : float
        Side of a cell in metres.
    info : ModelInfo
        Which knows its ground sample distance.

    Raises
    ------
    InputError
        If cells would be larger than tiles, or pixels too far from those of the training tiles.
    """
    assert info.gsd_m is not None
    tile_px, tile_m = info.tile_size_px, info.tile_size_px * info.gsd_m
    stride_px = tile_px - 2 * round((tile_px - cell_m / info.gsd_m) / 2)  # so that a tile and its cell have one centre
    if stride_px > tile_px:
        raise InputError(f"cells of {cell_m:g} m are larger than tiles, of {tile_m:.4g} m; pass a smaller `cell_m`")
    if stride_px < 1 or abs(cell_m / stride_px / info.gsd_m - 1) > MOST_RESCALED:
        near_m = max(stride_px, 2 - tile_px % 2) * info.gsd_m
        raise InputError(
            f"cells of {cell_m:g} m are no whole number of pixels near the model's {info.gsd_m:.4g} m; "
            f"pass `cell_m={near_m:.4g}`, or a larger one"
        )
    return stride_px


def slide(
    raster: PixelSource,
    model: TileClassifier,
    sliding: Sliding,
    *,
    mask: CellMask | None = None,
    layout: BandLayout | None = None,
    min_valid: float = 0.5,
    batch_size: int = 8,
    watch: Watcher | None = None,
    progress: Progress = silent,
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield the map in runs of rows; those without a cell that is wanted are left out, and not read.

    Parameters
    ----------
    raster : PixelSource
        At the model's ground sample distance, with its bands and of its type.
    model : TileClassifier
    sliding : Sliding
    mask : CellMask, optional
        The cells that are wanted, by default all: others are NaN, without ground, and not looked at. Tiles of those at its
        edge show what lies beyond it all the same.
    layout : BandLayout, optional
        What is said of each cell; by default the probability of each class.
    min_valid : float
        Least share of a cell's pixels with data; other cells are NaN and not looked at.
    batch_size : int
        Tiles that the model is shown at once; all batches have as many.
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
    mask = mask or CellMask.everywhere(sliding.cells)
    cells = mask.window
    layout = layout or BandLayout((PROBABILITY,), model.info.classes)
    pixel_bytes = len(raster.bands) * raster.dtype.itemsize + 1
    row_bytes = cells.width * sliding.stride_px * sliding.stride_px * pixel_bytes
    rows_at_once = max(1, STRIP_BYTES // row_bytes)
    starts = range(0, cells.height, rows_at_once)
    runs = [(start, mask.inside[start : start + rows_at_once]) for start in starts]
    runs = [(start, wanted) for start, wanted in runs if wanted.any()]
    windows = [sliding.strip(Window(cells.col, cells.row + start, cells.width, len(wanted))) for start, wanted in runs]
    with ThreadPoolExecutor(1) as reader, progress(f"mapping {raster.path.name}", int(mask.inside.sum())) as advance:
        # One thread reads, since GDAL handles do not cross threads; it is ahead of the model.
        read = stream_map(reader, raster.read, windows, in_flight=STRIPS_AHEAD)

        def strips() -> Iterator[tuple[_Strip, Iterator[NDArray[Any]]]]:
            for (start, wanted), window, (pixels, valid) in zip(runs, windows, read, strict=True):
                if watch is not None:
                    watch(window, pixels, valid)
                mark_missing(pixels, valid)
                share = _cell_shares(valid, sliding, *wanted.shape) * wanted
                looked_at = share >= max(min_valid, 1e-9)
                advance(int((wanted & ~looked_at).sum()))
                top, left = sliding.corners(valid, *np.nonzero(looked_at))
                t = sliding.tile_px
                tiles = (pixels[:, a : a + t, b : b + t] for a, b in zip(top.tolist(), left.tolist(), strict=True))
                yield _Strip(start, looked_at, share.astype(np.float32)), tiles

        for strip, said in stream_tiles(strips(), _TileLook(model, layout), batch_size, advance=advance):
            found = np.full((len(layout.titles), *strip.share.shape), np.nan, np.float32)
            if said is not None:
                found[:, strip.looked_at] = said[0].T
            yield strip.start, found, strip.share


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows of cells: the first of them, which are looked at, and the share of each that has data."""

    start: int
    looked_at: NDArray[np.bool_]
    share: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _TileLook:
    """What a model says of tiles, as the bands of a map have it."""

    model: TileClassifier
    layout: BandLayout

    @property
    def device(self) -> torch.device:
        return self.model.device

    def start(self, tiles: Pixels) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.model.logits(tiles, features=self.layout.needs_features)

    def finish(self, started: tuple[torch.Tensor, torch.Tensor | None]) -> tuple[NDArray[np.float32]]:
        return (self.layout.values(self.model.said(*started)),)


def _cell_shares(valid: NDArray[np.bool_], sliding: Sliding, rows: int, columns: int) -> NDArray[np.float64]:
    """Return the share of valid pixels of each cell of a strip."""
    s, m = sliding.stride_px, 2 * sliding.margin_px
    inner = valid[m : m + rows * s, m : m + columns * s]
    return np.asarray(inner.reshape(rows, s, columns, s).mean(axis=(1, 3)))
