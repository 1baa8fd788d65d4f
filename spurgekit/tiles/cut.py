"""Cut tiles out of an image in one pass: one thread reads row bands, all cores encode.

Encoding is several times slower than reading, so the rate to reach is the encoder's on all cores. Every block of the image
is decoded once: tiles of one row are read as one strip, and the blocks that the next row shares stay in GDAL's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from spurgekit.imagery import PixelGrid, Raster, Window
from spurgekit.imagery.quicklook import Watcher
from spurgekit.parallel import cores, stream_map
from spurgekit.progress import Progress, silent
from spurgekit.tiles.layouts import Tile
from spurgekit.tiles.plot_layout import PlotTile

if TYPE_CHECKING:
    from spurgekit.tiles.tile_formats import Encoder

STRIP_PX = 8_192
"""The widest strip that is read at once, so that memory does not grow with the image; 8 MB with 250 px tiles of RGBA."""

CHUNK = 16
"""Tiles that are encoded as one unit: enough that handing them over costs nothing, few enough to share out evenly."""

Job = TypeVar("Job")


@dataclass(frozen=True, slots=True)
class CutTile:
    """A tile that was looked at: the share of it that holds data, and its file if it was kept.

    Attributes
    ----------
    tile : Tile or PlotTile
    valid_fraction : float
        From 0 to 1; what lies outside the image is not valid.
    file_name : str or None
        None if too little of it was valid.
    """

    tile: Tile | PlotTile
    valid_fraction: float
    file_name: str | None


@dataclass(frozen=True, slots=True)
class _CutJob:
    """Some tiles and the pixels to cut them from."""

    tiles: Sequence[Tile]
    window: Window
    pixels: NDArray[np.generic]
    valid: NDArray[np.bool_]


def cut_tiles(
    raster: Raster,
    tiles: Iterable[Tile],
    folder: Path,
    *,
    encode: Encoder,
    suffix: str,
    min_valid: float = 0.0,
    watch: Watcher | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> list[CutTile]:
    """Write tiles of an image as files.

    Parameters
    ----------
    raster : Raster
        The image, read in the calling thread only.
    tiles : iterable of Tile
        Row by row for speed; any order is right.
    folder : pathlib.Path
        Gets ``{tile.id}{suffix}``.
    encode : callable
        From :func:`spurgekit.tiles.encode.encoder`.
    min_valid : float
        Least share of valid pixels of a tile that is written. A tile without any valid pixel is never written.
    watch : callable, optional
        Is shown every strip that is read.
    executor : concurrent.futures.Executor, optional
        Runs the encoding. Default: a thread for each core.

    Returns
    -------
    list of CutTile
        In the order of the tiles, those that were not written included.
    """
    tiles = list(tiles)

    def work(job: _CutJob) -> list[CutTile]:
        return [cut(tile, job) for tile in job.tiles]

    def cut(tile: Tile, job: _CutJob) -> CutTile:
        rows, columns = tile.window.shifted(-job.window.col, -job.window.row).slices
        pixels, valid = job.pixels[:, rows, columns], job.valid[rows, columns]
        return write_tile(tile, pixels, valid, raster.grid.crop(tile.window), folder, encode, suffix, min_valid)

    return run_jobs(work, _jobs(raster, tiles, watch), raster, len(tiles), executor, progress)


def run_jobs(
    work: Callable[[Job], list[CutTile]],
    jobs: Iterable[Job],
    raster: Raster,
    total: int,
    executor: Executor | None,
    progress: Progress,
) -> list[CutTile]:
    """Do jobs on all cores, or on an executor, while the calling thread reads the next ones."""
    own = ThreadPoolExecutor(cores()) if executor is None else None
    try:
        cut: list[CutTile] = []
        with progress(f"cutting {raster.path.name}", total) as advance:
            for done in stream_map(executor or own, work, jobs, in_flight=4 * cores()):  # type: ignore[arg-type]
                cut += done
                advance(len(done))
        return cut
    finally:
        if own is not None:
            own.shutdown(cancel_futures=True)


def write_tile(
    tile: Tile | PlotTile,
    pixels: NDArray[np.generic],
    valid: NDArray[np.bool_],
    grid: PixelGrid,
    folder: Path,
    encode: Encoder,
    suffix: str,
    min_valid: float,
) -> CutTile:
    """Write a tile's pixels, unless too few of them are valid."""
    count = np.count_nonzero(valid)
    fraction = float(count / valid.size)
    if count == 0 or fraction < min_valid:
        return CutTile(tile, fraction, None)
    name = f"{tile.id}{suffix}"
    # Not cv2.imwrite: on a full disk it returns False, and half a file stays behind.
    (folder / name).write_bytes(encode(pixels, valid, grid))
    return CutTile(tile, fraction, name)


def _jobs(raster: Raster, tiles: Sequence[Tile], watch: Watcher | None) -> Iterator[_CutJob]:
    for strip, window in _strips(tiles):
        pixels, valid = raster.read(window)
        if watch is not None:
            watch(window, pixels, valid)
        rest = iter(strip)
        while chunk := list(islice(rest, CHUNK)):
            yield _CutJob(chunk, window, pixels, valid)


def _strips(tiles: Sequence[Tile]) -> Iterator[tuple[list[Tile], Window]]:
    """Yield runs of tiles in one row that touch or overlap, with the window that holds them."""
    strip: list[Tile] = []
    for tile in tiles:
        if strip and not _continues(strip, tile):
            yield strip, _around(strip)
            strip = []
        strip.append(tile)
    if strip:
        yield strip, _around(strip)


def _continues(strip: list[Tile], tile: Tile) -> bool:
    first, last, window = strip[0].window, strip[-1].window, tile.window
    in_row = (window.row, window.height) == (first.row, first.height)
    return in_row and last.col < window.col <= last.stop_col and window.stop_col - first.col <= STRIP_PX


def _around(strip: list[Tile]) -> Window:
    first, last = strip[0].window, strip[-1].window
    return Window(first.col, first.row, last.stop_col - first.col, first.height)
