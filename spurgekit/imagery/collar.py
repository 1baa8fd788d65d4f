"""Collars: what surrounds a mosaic in one exact colour while nothing in its file says that there is no data.

Corners of an image are looked at when it is opened; how much of it is of their colour is counted while it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NodataShadowWarning, RasterioIOError
from rasterio.io import DatasetReader

from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.imagery.pixel_grid import Window

CORNER_PX = 4
"""Side of the squares in the corners that are of one colour."""

LEAST_SHARE = 0.01
"""Of all pixels that are read: less is ground that happens to be black or white."""

ROW_BY_ROW = ("JPEG", "PNG")
"""Formats that are decoded from their first row on, so that a look at their last would cost as much as reading all."""

Colour = tuple[float, ...]


class CollarWatch:
    """Counts pixels of the colour that an image has in its corners.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        As it is stored.
    bands : iterable of int
        That are read.
    """

    def __init__(self, dataset: DatasetReader, bands: Iterable[int]) -> None:
        colours = set(_corner_colours(dataset, list(bands)))
        self._colour = colours.pop() if len(colours) == 1 else None  # a drawing has several, and no collar
        self._count = self._seen = 0

    def watch(self, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Take in pixels that were read, shape (bands, height, width)."""
        if self._colour is None:
            return
        self._seen += valid.size
        same = pixels[0] == self._colour[0]
        if same.any():
            for band, value in zip(pixels[1:], self._colour[1:], strict=True):
                same &= band == value
            self._count += int(np.count_nonzero(same & valid))

    def note(self, name: str) -> str | None:
        """Return what is to be said of the image of a name, as far as it was read; None where it has no collar."""
        if self._colour is None or not LEAST_SHARE * self._seen <= self._count < self._seen:  # all of one colour is no collar
            return None
        share = f"{self._count / self._seen:.0%}".replace("%", " %")
        values = ", ".join(f"{value:g}" for value in self._colour)
        return (
            f"{share} of the pixels are exactly {values}, as corners of the image are, and nothing says that they hold no "
            f"data; if they hold none, {_remedy(self._colour, name)}"
        )


def _remedy(colour: Colour, name: str) -> str:
    if len(set(colour)) == 1:
        return f"pass `nodata={colour[0]:g}`, or mend the file: gdal_edit.py -a_nodata {colour[0]:g} {name}"
    values = " ".join(f"{value:g}" for value in colour)
    return f'mend the file: gdalwarp -srcnodata "{values}" -dstalpha {name} NEW.tif'


def _corner_colours(dataset: DatasetReader, bands: list[int]) -> Iterator[Colour]:
    """Yield the colours of corners that are of one colour."""
    height, width = min(CORNER_PX, dataset.height), min(CORNER_PX, dataset.width)
    if height * width == dataset.height * dataset.width:
        return
    rows = (0,) if dataset.driver in ROW_BY_ROW else (0, dataset.height - height)
    for row in rows:
        for col in (0, dataset.width - width):
            window = Window(col, row, width, height).to_rasterio()
            try:
                corner = dataset.read(bands, window=window)
                with without_warnings(NodataShadowWarning):
                    is_valid = (dataset.read_masks(bands, window=window) > 0).all()
            except RasterioIOError:  # it is said where that is read in earnest
                continue
            first = corner[:, 0, 0]
            if is_valid and (corner == first[:, None, None]).all():
                yield tuple(float(value) for value in first)
