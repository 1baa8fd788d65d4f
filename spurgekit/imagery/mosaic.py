"""Several images on one lattice of pixels, read as one; where they overlap, the first that has data there is seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from spurgekit.errors import ImageryError
from spurgekit.image_names import ImageName
from spurgekit.imagery.collar import CollarWatch
from spurgekit.imagery.crs import name_crs
from spurgekit.imagery.image_source import ImageSource
from spurgekit.imagery.limits import check_window
from spurgekit.imagery.pixel_grid import PixelGrid, Window
from spurgekit.imagery.raster import Raster, open_raster
from spurgekit.text import counted

MOST_COARSER = 1.5
"""How much coarser than another one an image of the same ground may be: flights of one survey differ by less."""


class PixelSource(Protocol):
    """What is read by windows of one grid: a :class:`~spurgekit.imagery.raster.Raster`, or several as one."""

    @property
    def path(self) -> ImageName:
        """For messages and titles."""
        ...

    @property
    def grid(self) -> PixelGrid:
        """Where the pixels lie."""
        ...

    @property
    def bands(self) -> tuple[int, ...]:
        """Numbers of the bands that are read, counted from 1."""
        ...

    @property
    def rgb(self) -> tuple[int, ...] | None:
        """The bands that are red, green and blue, where that is known."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels: uint8, uint16 or float32."""
        ...

    @property
    def collar(self) -> CollarWatch | None:
        """Counts pixels of the colours in corners, for ``notes``."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, and what is doubtful."""
        ...

    @property
    def gsd_m(self) -> float:
        """Ground sample distance in metres."""
        ...

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of the blocks that are decoded together."""
        ...

    @property
    def source(self) -> ImageSource | None:
        """How one image is opened again in another process; None of several."""
        ...

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read a window, which may reach outside: pixels [bands, height, width], and which of them are valid."""
        ...


class Mosaic:
    """Several images read as one.

    Parameters
    ----------
    rasters : sequence of Raster
        Whose pixels lie on one lattice along the axes of one CRS, as :func:`~spurgekit.imagery.raster.open_raster` opens them
        with one ``align_m``. They are closed with the mosaic.

    Attributes
    ----------
    path : pathlib.Path
        A name of all, for messages and titles.
    grid : PixelGrid
        That of all.

    Raises
    ------
    ImageryError
        If they differ in their CRS, their bands or their type, one is named twice, or one is much coarser than another.
    """

    def __init__(self, rasters: Sequence[Raster]) -> None:
        first = rasters[0]
        _check_alike(rasters)
        pixel, corners = first.grid.transform.a, np.array([(r.grid.transform.c, r.grid.transform.f) for r in rasters])
        left, top = corners[:, 0].min(), corners[:, 1].max()
        at = np.rint((corners - (left, top)) / (pixel, -pixel)).astype(int).tolist()
        self.rasters = tuple(rasters)
        self.windows = tuple(Window(col, row, r.grid.width, r.grid.height) for (col, row), r in zip(at, rasters, strict=True))
        """Where each lies in the grid of all."""
        width, height = (max(getattr(window, stop) for window in self.windows) for stop in ("stop_col", "stop_row"))
        self.grid = PixelGrid(width, height, Affine(pixel, 0, float(left), 0, -pixel, float(top)), first.grid.crs)
        self.path: ImageName = Path(name_of([raster.path.name for raster in rasters]))
        self.bands, self.rgb, self.dtype = first.bands, first.rgb, first.dtype
        self.source: ImageSource | None = None
        self.collar = CollarWatch.joined([raster.collar for raster in rasters if raster.collar is not None])
        for raster in rasters:
            raster.collar = None

    def __enter__(self) -> Mosaic:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all images."""
        for raster in self.rasters:
            raster.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of each image, by its name; of a collar, what has been read of all of them shows."""
        found = self.collar.note(self.rasters[0].path.name) if self.collar else None
        each = (f"{raster.path.name}: {note}" for raster in self.rasters for note in raster.notes)
        return (*each, *([found] if found else []))

    @property
    def gsd_m(self) -> float:
        """Ground sample distance in metres."""
        return self.rasters[0].gsd_m

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of the largest blocks; those of different images begin in different rows."""
        rows, columns = zip(*(raster.block_shape for raster in self.rasters), strict=True)
        return max(rows), max(columns)

    def image_at(self, window: Window) -> Raster:
        """Return the image that is read in the middle of a window: the first that reaches there, else the first of all."""
        col, row = window.col + window.width // 2, window.row + window.height // 2
        middle = Window(col, row, 1, 1)
        reaching = (raster for raster, own in zip(self.rasters, self.windows, strict=True) if middle & own is not None)
        return next(reaching, self.rasters[0])

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read a window, which may reach outside; see :meth:`spurgekit.imagery.raster.Raster.read`."""
        check_window(self.path, window.width, window.height, len(self.bands) * self.dtype.itemsize)
        pixels = np.zeros((len(self.bands), window.height, window.width), self.dtype)
        valid = np.zeros((window.height, window.width), np.bool_)
        for raster, own in zip(self.rasters, self.windows, strict=True):
            if (inside := window & own) is None:
                continue
            at = inside.shifted(-window.col, -window.row).slices
            if valid[at].all():
                continue
            theirs, seen = raster.read(inside.shifted(-own.col, -own.row))
            fresh = seen & ~valid[at]
            np.copyto(pixels[:, *at], theirs, where=fresh)
            valid[at] |= fresh
        return pixels, valid

    def seen_twice(self, rows: int) -> Iterator[tuple[Window, NDArray[np.bool_]]]:
        """Yield where two images have data: windows of at most so many rows, and which of their pixels it is."""
        for (one, here), (other, there) in combinations(zip(self.rasters, self.windows, strict=True), 2):
            if (shared := here & there) is None:
                continue
            for row in range(shared.row, shared.stop_row, rows):
                window = Window(shared.col, row, shared.width, min(rows, shared.stop_row - row))
                seen = [raster.read(window.shifted(-own.col, -own.row))[1] for raster, own in ((one, here), (other, there))]
                yield window, seen[0] & seen[1]


def name_of(images: Sequence[str]) -> str:
    """Return what an image, or several read as one, are called in titles and messages.

    >>> name_of(["west.tif"]), name_of(["west.tif", "east.tif"])
    ('west.tif', 'west.tif and 1 more')
    """
    return images[0] if len(images) == 1 else f"{images[0]} and {len(images) - 1} more"


def as_one(rasters: Sequence[Raster]) -> Raster | Mosaic:
    """Return what reads one image, or several as one."""
    return rasters[0] if len(rasters) == 1 else Mosaic(rasters)


def open_images(images: Sequence[ImageName], *, gsd_m: float | None = None, **asked: Any) -> Raster | Mosaic:
    """Open an image, or several as one.

    Parameters
    ----------
    images : sequence of pathlib.Path or GdalName
        Several are laid along the axes of their CRS.
    gsd_m : float, optional
        Metres a pixel to resample to. Default: as an image is stored, several as the coarsest of them is.
    **asked
        Further arguments of :func:`spurgekit.imagery.raster.open_raster`.

    Returns
    -------
    Raster or Mosaic
        To be closed, or used in a ``with`` block.

    Raises
    ------
    ImageryError
        If one cannot be opened, or they do not go together.
    """
    if len(images) > 1:
        if gsd_m is None:
            gsd_m = max(_own_gsd_m(image, asked) for image in images)
        asked = {"align_m": gsd_m, **asked}
    with ExitStack() as stack:
        opened = as_one([stack.enter_context(open_raster(image, gsd_m=gsd_m, **asked)) for image in images])
        stack.pop_all()
        return opened


def _own_gsd_m(image: ImageName, asked: Mapping[str, Any]) -> float:
    with open_raster(image, **asked) as raster:
        return raster.gsd_m


def _check_alike(rasters: Sequence[Raster]) -> None:
    first = rasters[0]
    for number, raster in enumerate(rasters):
        if any(raster.path == other.path for other in rasters[:number]):
            raise ImageryError(f"{raster.path} is named twice; name each image once")
        if raster.grid.crs != first.grid.crs:
            raise ImageryError(
                f"{raster.path} is in {name_crs(raster.grid.crs)}, {first.path} in {name_crs(first.grid.crs)}; "
                "pass the `crs` that all are to be brought to"
            )
        if (len(raster.bands), raster.dtype) != (len(first.bands), first.dtype):
            has, wanted = (f"{one.path} has {counted(len(one.bands), 'band')} of {one.dtype}" for one in (raster, first))
            raise ImageryError(f"{has}, and {wanted}; pass the `bands` that all have, or convert them")
    own = {raster: side for raster in rasters if (side := _stored_gsd_m(raster)) is not None}
    if own:
        fine, coarse = min(own, key=own.__getitem__), max(own, key=own.__getitem__)
        if own[coarse] > MOST_COARSER * own[fine]:
            raise ImageryError(
                f"{coarse.path} has pixels of {own[coarse] * 1000:.3g} mm, {fine.path} of {own[fine] * 1000:.3g}: "
                "what is seen in one is not to be seen in the other; make a map of each"
            )


def _stored_gsd_m(raster: Raster) -> float | None:
    """Return what a pixel of the file measures on the ground; None where it does not say."""
    file = raster.dataset
    with suppress(ImageryError, ValueError):
        return PixelGrid(file.width, file.height, file.transform, file.crs).gsd_m
    return None
