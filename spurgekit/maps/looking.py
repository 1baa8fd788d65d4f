"""An image opened as a model is to see it, and looked at part by part."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.classifier import TileClassifier
from spurgekit.classify.tile_reader import DType, TileKind
from spurgekit.errors import InputError
from spurgekit.image_names import ImageName
from spurgekit.imagery import Mosaic, PixelSource, Raster, Window, as_one, open_raster
from spurgekit.imagery.collar import CollarWatch
from spurgekit.imagery.quicklook import QuickLook, Sampler
from spurgekit.maps.bands import DISSIMILARITY, BandLayout
from spurgekit.maps.blending import slide_blended
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.fine import FineWindows, slide_fine
from spurgekit.maps.map_options import MapOptions
from spurgekit.maps.parts import PART_BYTES, PART_CELLS, MapPart, part_rows
from spurgekit.maps.sliding_window import Sliding, slide, stride_of
from spurgekit.parallel import cores
from spurgekit.progress import Progress, silent

LEAST_WINDOWS = 8
"""Rows of windows of a part of a fine map, since one on each side is looked at beside them."""

STRIP_ROWS = 256
"""Rows of pixels that are compared at once where images overlap."""

Walk = Callable[..., Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]]


def open_site(images: Sequence[ImageName], model: TileClassifier, options: MapOptions) -> Raster | Mosaic:
    """Open an image, or several as one, at the ground sample distance at which a model is to see it.

    Parameters
    ----------
    images : sequence of pathlib.Path or GdalName
        Several are laid along the axes of their CRS, corners of cells on multiples of a cell's side.
    model : TileClassifier
    options : MapOptions

    Returns
    -------
    Raster or Mosaic
        To be closed, or used in a ``with`` block.

    Raises
    ------
    InputError
        If the model cannot map, or not these images, or they do not go together.
    """
    info = model.info
    if info.gsd_m is None:
        raise InputError(
            f"{model.folder or 'the model'} knows nothing of what a pixel measured on the ground in training; "
            "build its dataset with `gsd_m`, and train again"
        )
    gsd_m, cell_px = info.gsd_m, options.stride_px or info.tile_size_px
    if options.resolution == "fine":  # read as large as the backbone is shown it
        gsd_m, cell_px = info.gsd_m * info.tile_size_px / info.image_size_px, model.positions.stride_px
    align_m = options.cell_m
    if options.cell_m is not None:
        gsd_m = options.cell_m / stride_of(options.cell_m, info)
    elif len(images) > 1:
        align_m = gsd_m * cell_px
    with ExitStack() as stack:
        rasters = []
        for image in images:
            raster = open_raster(
                image,
                crs=options.crs,
                gsd_m=gsd_m,
                align_m=align_m,
                image_crs=options.image_crs,
                bands=options.bands,
                nodata=options.nodata,
                threads=cores(),
            )
            rasters.append(stack.enter_context(raster))
            check_bands(raster, model)
        opened = as_one(rasters)
        stack.pop_all()
        return opened


def cells_seen_twice(raster: Mosaic, lattice: Sliding | FineWindows, mask: CellMask) -> int:
    """Return how many cells of a mask have ground that several images have data of."""
    px, of = lattice.cell_px, mask.window
    twice = np.zeros((of.height, of.width), np.bool_)
    for window, seen in raster.seen_twice(STRIP_ROWS):
        rows, cols = np.nonzero(seen)
        rows, cols = (rows + window.row) // px - of.row, (cols + window.col) // px - of.col
        inside = (rows >= 0) & (rows < of.height) & (cols >= 0) & (cols < of.width)
        twice[rows[inside], cols[inside]] = True
    return int((twice & mask.inside).sum())


def check_bands(raster: PixelSource, model: TileClassifier) -> None:
    """Refuse an image that has other bands than a model reads, or bands of another type."""
    # Types are not converted: where whole numbers stand for what the training tiles had in floats, they are of other units.
    has = TileKind(len(raster.bands), cast(DType, raster.dtype.name))
    wanted = TileKind(model.info.bands, model.info.dtype)
    if has != wanted:
        raise InputError(
            f"{raster.path} has {has}, the model reads {wanted.bands} of {wanted.dtype}; choose them with `bands`, "
            "or convert the image as the training tiles were"
        )


def lattice_of(raster: PixelSource, model: TileClassifier, options: MapOptions) -> Sliding | FineWindows:
    """Return how cells, and what is shown to the model, lie over an image."""
    if options.resolution == "fine":
        return FineWindows.of(raster.grid, model)
    info, stride_px = model.info, options.stride_px
    if options.cell_m is not None:
        stride_px = stride_of(options.cell_m, info)
    return Sliding(raster.grid, info.tile_size_px, stride_px or info.tile_size_px)


def layout_of(model: TileClassifier, options: MapOptions) -> BandLayout:
    """Return the bands of a model's map."""
    knows_tiles = [] if model.applicability is None else [DISSIMILARITY]
    return BandLayout.of(model.info, *knows_tiles, of_positions=options.resolution == "fine", blended=options.blend)


def pixels_below(mask: CellMask, lattice: Sliding | FineWindows) -> Window:
    """Return the pixels of an image below some cells."""
    px, of = lattice.cell_px, mask.window
    below = Window(of.col * px, of.row * px, of.width * px, of.height * px) & lattice.grid.window
    assert below is not None  # each cell has a pixel of the image
    return below


def parts_of(mask: CellMask, raster: PixelSource, lattice: Sliding | FineWindows) -> list[range]:
    """Return the rows of each part of a map, counted from the first one of the mask."""
    cell_px = lattice.cell_px
    row_bytes = mask.window.width * cell_px * cell_px * (len(raster.bands) * raster.dtype.itemsize + 1)
    at_once = max(1, min(PART_BYTES // row_bytes, PART_CELLS // mask.window.width))
    if isinstance(lattice, Sliding):
        return part_rows(mask.inside, at_once)
    at_once = lattice.inner * max(LEAST_WINDOWS, at_once // lattice.inner)
    return part_rows(mask.inside, at_once, first=mask.window.row % lattice.inner)


@dataclass(frozen=True, slots=True)
class PartLook:
    """How parts of a map are looked at.

    Attributes
    ----------
    raster : Raster or Mosaic
    model : TileClassifier
    options : MapOptions
    picture : Window
        The pixels below the whole map.
    """

    raster: Raster | Mosaic
    model: TileClassifier
    options: MapOptions
    picture: Window

    def at(self, mask: CellMask, run: Sequence[range], progress: Progress = silent) -> Iterator[tuple[range, MapPart]]:
        """Look at parts in one stream, and yield each as it is done.

        Parameters
        ----------
        mask : CellMask
            The cells that are wanted, from the first row of the first part on.
        run : sequence of range
            Rows of the map of each part, in their order; between them no cell is wanted.
        progress : Progress
        """
        lattice, layout = lattice_of(self.raster, self.model, self.options), layout_of(self.model, self.options)
        walk: Walk
        if isinstance(lattice, FineWindows):
            walk = partial(slide_fine, windows=lattice, guided=self.options.guided_filter)
        else:
            walk = partial(slide_blended if self.options.blend else slide, sliding=lattice)
        filling = _Filling(self, run, lattice.cell_px, (len(layout.titles), mask.window.width))
        told = walk(
            self.raster,
            self.model,
            mask=mask,
            layout=layout,
            min_valid=self.options.min_valid,
            batch_size=self.options.batch_size,
            watch=filling.watch,
            progress=progress,
        )
        for row, found, valid in told:
            yield from filling.fill(run[0].start + row, found, valid)


class _Draft:
    """A part that is being filled in.

    Parameters
    ----------
    rows : int
    shape : tuple of int
        Channels and columns of the map.
    below : Window
        The pixels below the part.
    sampler : Sampler
        What takes from them what the picture is made of.
    collar : CollarWatch or None
    """

    def __init__(self, rows: int, shape: tuple[int, int], below: Window, sampler: Sampler, collar: CollarWatch | None) -> None:
        self.sampler, self.watcher = sampler, collar
        channels, columns = shape
        top, factor = below.row - sampler.image.row, sampler.factor
        self.first = top // factor
        size = math.ceil((top + below.height) / factor) - self.first, math.ceil(below.width / factor)
        self.part = MapPart(
            np.full((channels, rows, columns), np.nan, np.float32),
            np.zeros((rows, columns), np.float32),
            np.zeros((len(sampler.bands), *size), np.float32),
            np.zeros(size, np.uint8),
            np.zeros(0 if collar is None else 1 + len(collar.colours), np.int64),
        )

    def watch(self, window: Window, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Take in pixels below the part."""
        for sample in self.sampler.take(window, pixels, valid):
            top, (height, width) = sample.row - self.first, sample.seen.shape
            put = slice(top, top + height), slice(sample.col, sample.col + width)
            self.part.look_sums[:, *put] += sample.pixels.astype(np.float32)
            self.part.look_counts[put] += sample.seen
        if self.watcher is not None:
            seen, counts = self.watcher.counted(pixels, valid)
            self.part.collar[:] += [seen, *counts.values()]


class _Filling:
    """Parts that follow upon each other, filled in as strips are read and, later, as cells are told of."""

    def __init__(self, look: PartLook, run: Sequence[range], cell_px: int, shape: tuple[int, int]) -> None:
        self.shape, self.collar = shape, look.raster.collar
        self.sampler = QuickLook(look.raster, window=look.picture).sampler
        self.waiting = deque((rows, _below(rows, look.picture, cell_px)) for rows in run)
        self.drafts: dict[range, _Draft] = {}
        self.next_px = look.picture.row

    def watch(self, window: Window, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Take in a strip, but for rows of pixels that the strip before it had as well."""
        top = max(window.row, self.next_px)
        if top >= window.stop_row:
            return
        self.next_px = window.stop_row
        fresh = Window(window.col, top, window.width, window.stop_row - top)
        for rows, below in self.waiting:
            if (inside := fresh & below) is None:
                continue
            at = inside.shifted(-window.col, -window.row).slices
            self._draft(rows, below).watch(inside, pixels[:, *at], valid[at])

    def fill(self, row: int, found: NDArray[np.float32], valid: NDArray[np.float32]) -> Iterator[tuple[range, MapPart]]:
        """Fill in rows of cells, and yield each part that has all of its own."""
        stop = row + len(valid)
        while self.waiting and self.waiting[0][0].start < stop:
            rows, below = self.waiting[0]
            part, shared = self._draft(rows, below).part, range(max(rows.start, row), min(rows.stop, stop))
            to, of = (slice(shared.start - first, shared.stop - first) for first in (rows.start, row))
            part.found[:, to], part.valid[to] = found[:, of], valid[of]
            if rows.stop > stop:
                return
            self.waiting.popleft()
            yield rows, self.drafts.pop(rows).part

    def _draft(self, rows: range, below: Window) -> _Draft:
        if rows not in self.drafts:
            self.drafts[rows] = _Draft(len(rows), self.shape, below, self.sampler, self.collar)
        return self.drafts[rows]


def _below(rows: range, picture: Window, cell_px: int) -> Window:
    """Return the pixels below some rows of a map."""
    below = Window(picture.col, picture.row + rows.start * cell_px, picture.width, len(rows) * cell_px) & picture
    assert below is not None
    return below
