"""Cut tiles out of an image in one pass: one thread reads row bands, all cores encode.

Encoding is several times slower than reading, so the rate to reach is the encoder's on all cores. Every block of the image
is decoded once: tiles of one row are read as one strip, and the blocks that the next row shares stay in GDAL's cache.

Workers of other processes read for themselves, bands of several rows of tiles: a block that two bands share is decoded twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from spurgekit.executors import Workers, open_workers
from spurgekit.executors.workers import DEFAULT
from spurgekit.imagery import PixelGrid, PixelSource, Raster, Window
from spurgekit.imagery.collar import Colour
from spurgekit.imagery.image_source import ImageSource
from spurgekit.imagery.quicklook import QuickLook, Sample, Sampler
from spurgekit.memory import keep_freed_memory
from spurgekit.outputs import output_file
from spurgekit.progress import Progress, silent
from spurgekit.tiles.layouts import Tile
from spurgekit.tiles.plot_layout import PlotTile

if TYPE_CHECKING:
    from spurgekit.tiles.tile_formats import Encoder

STRIP_PX = 8_192
"""The widest strip that is read at once, so that memory does not grow with the image; 8 MB with 250 px tiles of RGBA."""

CHUNK = 16
"""Tiles that are encoded as one unit: enough that handing them over costs nothing, few enough to share out evenly."""

BAND_PX, BAND_TILES = 512, 1_024
"""Rows of the image, and tiles, from which on a band is a unit of a worker that reads for itself."""

Job = TypeVar("Job")
Job_contra = TypeVar("Job_contra", contravariant=True)


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
    sha256 : str or None
        Of its file.
    """

    tile: Tile | PlotTile
    valid_fraction: float
    file_name: str | None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class TileWriter:
    """Writes tiles of which enough is valid.

    Attributes
    ----------
    folder : pathlib.Path
        Gets ``{tile.id}{suffix}``.
    encode : callable
        From :func:`spurgekit.tiles.encode.encoder`.
    suffix : str
    min_valid : float
        Least share of valid pixels of a tile that is written. A tile without any valid pixel is never written.
    whole : bool
        Whether a file takes its name only when it is whole: the same one may be written by a worker that was given up.
    """

    folder: Path
    encode: Encoder
    suffix: str
    min_valid: float = 0.0
    whole: bool = False

    def write(self, tile: Tile | PlotTile, pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> CutTile:
        """Write a tile's pixels, unless too few of them are valid."""
        count = np.count_nonzero(valid)
        fraction = float(count / valid.size)
        if count == 0 or fraction < self.min_valid:
            return CutTile(tile, fraction, None)
        name = f"{tile.id}{self.suffix}"
        # Not cv2.imwrite: on a full disk it returns False, and half a file stays behind.
        data = self.encode(pixels, valid, grid)
        if self.whole:
            with output_file(self.folder / name, durable=False) as partial:
                partial.write_bytes(data)
        else:
            (self.folder / name).write_bytes(data)
        return CutTile(tile, fraction, name, hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job.

    Attributes
    ----------
    cut : list of CutTile
    samples : list of Sample
        What a worker that read for itself took for the picture of the image.
    collar : tuple, optional
        What it counted of the image's collar; see :meth:`spurgekit.imagery.collar.CollarWatch.taken`.
    """

    cut: list[CutTile]
    samples: list[Sample] = field(default_factory=list)
    collar: tuple[int, dict[Colour, int]] | None = None


@dataclass(frozen=True, slots=True)
class _CutJob:
    """Some tiles and the pixels to cut them from."""

    tiles: Sequence[Tile]
    window: Window
    pixels: NDArray[np.generic]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Cuts tiles out of pixels that were read."""

    grid: PixelGrid
    writer: TileWriter

    def __call__(self, job: _CutJob) -> Done:
        return Done([self._cut(tile, job) for tile in job.tiles])

    def _cut(self, tile: Tile, job: _CutJob) -> CutTile:
        rows, columns = tile.window.shifted(-job.window.col, -job.window.row).slices
        return self.writer.write(tile, job.pixels[:, rows, columns], job.valid[rows, columns], self.grid.crop(tile.window))


@dataclass(frozen=True, slots=True)
class _BandCutter:
    """Reads and cuts a band of an image, strip by strip."""

    source: ImageSource
    writer: TileWriter
    sampler: Sampler | None

    def __call__(self, band: list[list[Tile]]) -> Done:
        keep_freed_memory()  # Dask has its workers give back each strip, to ask for the next one page by page
        raster = reopened(self.source)
        cutter, samples, cut = _Cutter(raster.grid, self.writer), [], []
        for strip in band:
            window = _around(strip)
            pixels, valid = raster.read(window)
            if self.sampler is not None:
                samples += self.sampler.take(window, pixels, valid)
            cut += cutter(_CutJob(strip, window, pixels, valid)).cut
        return Done(cut, samples, collar_seen(raster))


def reopened(source: ImageSource) -> Raster:
    """Return an image as this worker has it open, with nothing counted of its collar."""
    raster = source.opened()
    collar_seen(raster)  # by a unit that failed
    return raster


def collar_seen(raster: Raster) -> tuple[int, dict[Colour, int]] | None:
    """Return what was counted of an image's collar since this was asked for last."""
    return None if raster.collar is None else raster.collar.taken()


def cut_tiles(
    raster: PixelSource,
    tiles: Iterable[Tile],
    folder: Path,
    *,
    encode: Encoder,
    suffix: str,
    min_valid: float = 0.0,
    look: QuickLook | None = None,
    executor: str | Workers = DEFAULT,
    progress: Progress = silent,
) -> list[CutTile]:
    """Write tiles of an image as files.

    Parameters
    ----------
    raster : PixelSource
        The image, read in the calling thread where workers are threads; where they are not, one image and not several as one.
    tiles : iterable of Tile
        Row by row for speed; any order is right.
    folder : pathlib.Path
        Gets ``{tile.id}{suffix}``.
    encode : callable
        From :func:`spurgekit.tiles.encode.encoder`.
    min_valid : float
        Least share of valid pixels of a tile that is written. A tile without any valid pixel is never written.
    look : QuickLook, optional
        Is shown every strip that is read.
    executor : str or Workers
        Who encodes; see :func:`spurgekit.executors.open_workers`.

    Returns
    -------
    list of CutTile
        In the order of the tiles, those that were not written included.
    """
    tiles = list(tiles)
    with open_workers(executor) as workers:
        writer = TileWriter(folder.absolute(), encode, suffix, min_valid, whole=not workers.in_process)
        if workers.in_process:
            return run_jobs(_Cutter(raster.grid, writer), _jobs(raster, tiles, look), raster, len(tiles), workers, progress)
        cutter = _BandCutter(source_of(raster), writer, None if look is None else look.sampler)
        bands = list(_bands(tiles))
        order = side_by_side(len(bands), workers.count())
        return run_jobs(cutter, [bands[i] for i in order], raster, len(tiles), workers, progress, look, order)


def run_jobs(
    work: Callable[[Job], Done],
    jobs: Iterable[Job],
    raster: PixelSource,
    total: int,
    workers: Workers,
    progress: Progress,
    look: QuickLook | None = None,
    order: Sequence[int] | None = None,
) -> list[CutTile]:
    """Have workers do jobs, while the calling thread makes the next ones; what they read themselves is added up.

    Parameters
    ----------
    work : callable
    jobs : iterable
    raster : PixelSource
        What they are jobs on.
    total : int
        Tiles of all jobs.
    workers : Workers
    progress : Progress
    look : QuickLook, optional
        Gets what workers took for it.
    order : sequence of int, optional
        Place of each job in the image, where they are done in another order; what comes of them is in that of the image.
    """
    made: list[Done] = []
    with progress(f"cutting {raster.path.name}", total) as advance:
        for done in workers.stream(work, jobs, ahead=4 if workers.in_process else 2, in_turn=order is not None):
            made.append(done)
            advance(len(done.cut))
    if order is not None:
        made = [made[at] for at in np.argsort(order)]
    for done in made:
        if look is not None:
            look.add(done.samples)
        if done.collar is not None and raster.collar is not None:
            raster.collar.add(*done.collar)
    return [one for done in made for one in done.cut]


def side_by_side(bands: int, workers: int) -> list[int]:
    """Return the order in which workers take the bands of an image so that each goes on below where it was.

    Bands share a row of blocks with the next one, which a worker that has just decoded it has in memory still. Where one gets
    ahead of the others, that is lost once and nothing else.

    Examples
    --------
    >>> side_by_side(7, 2), side_by_side(3, 8)
    ([0, 4, 1, 5, 2, 6, 3], [0, 1, 2])
    """
    length = -(-bands // max(1, min(workers, bands)))
    return [at for first in range(length) for at in range(first, bands, length)]


def source_of(raster: PixelSource) -> ImageSource:
    """Return how workers open an image that is open here.

    Raises
    ------
    InputError
        If they could not find it by its name.
    """
    assert raster.source is not None  # it is one image, and not that of a tile
    raster.source.check()
    return raster.source


def _jobs(raster: PixelSource, tiles: Sequence[Tile], look: QuickLook | None) -> Iterator[_CutJob]:
    for strip, window in _strips(tiles):
        pixels, valid = raster.read(window)
        if look is not None:
            look.watch(window, pixels, valid)
        rest = iter(strip)
        while chunk := list(islice(rest, CHUNK)):
            yield _CutJob(chunk, window, pixels, valid)


def _bands(tiles: Sequence[Tile]) -> Iterator[list[list[Tile]]]:
    """Yield strips that follow each other, as many as make a unit; bands begin with rows of tiles where rows are whole."""
    band: list[list[Tile]] = []
    count = 0
    for strip, window in _strips(tiles):
        first = band[0][0].window if band else window
        if abs(window.row - first.row) >= BAND_PX or (count >= BAND_TILES and window.row != band[-1][0].window.row):
            yield band
            band, count = [], 0
        band.append(strip)
        count += len(strip)
    if band:
        yield band


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
