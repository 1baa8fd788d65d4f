"""Collars: what surrounds a mosaic in one or two exact colours while nothing in its file says that there is no data.

Corners of an image are looked at when it is opened; how much of it is of their colours is counted while it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import NodataShadowWarning, RasterioIOError
from rasterio.io import DatasetReader

from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.imagery.pixel_grid import Window

CORNER_PX = 4
"""Side of the squares in the corners that are of one colour."""

LEAST_SHARE = 0.01
"""Of all pixels that are read: less is ground that happens to be black or white."""

MOST_COLOURS = 2
"""Of a collar, as of the white of one mosaic within the black of another; a drawing has more in its corners, and no collar."""

ROW_BY_ROW = ("JPEG", "PNG")
"""Formats that are decoded from their first row on, so that a look at their last would cost as much as reading all."""

Colour = tuple[float, ...]


class CollarWatch:
    """Counts pixels of the colours that an image has in its corners.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        As it is stored.
    bands : iterable of int
        That are read.
    """

    def __init__(self, dataset: DatasetReader, bands: Iterable[int]) -> None:
        bands = list(bands)
        colours = sorted(set(_corner_colours(dataset, bands)))
        self._known = _left_out(dataset, bands)
        self._counts = dict.fromkeys(colours, 0) if len(colours) <= MOST_COLOURS else {}
        self._seen = 0

    @classmethod
    def joined(cls, watches: Sequence[CollarWatch]) -> CollarWatch | None:
        """Return what counts the colours of several images on what is seen of them together; None where there are none."""
        if not watches:
            return None
        one = copy(next((watch for watch in watches if watch._counts), watches[0]))
        one._seen, one._counts = 0, dict.fromkeys(sorted({colour for watch in watches for colour in watch._counts}), 0)
        return one

    def watch(self, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Take in pixels that were read, shape (bands, height, width)."""
        self.add(*self.counted(pixels, valid))

    def counted(self, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> tuple[int, dict[Colour, int]]:
        """Return what is to be taken in of pixels, which are not taken in."""
        counts = dict.fromkeys(self._counts, 0)
        for colour in counts:
            same = pixels[0] == colour[0]
            if same.any():
                for band, value in zip(pixels[1:], colour[1:], strict=True):
                    same &= band == value
                counts[colour] = int(np.count_nonzero(same & valid))
        return valid.size, counts

    def taken(self) -> tuple[int, dict[Colour, int]]:
        """Return what was counted since this was asked for last, to be added elsewhere."""
        counted = self._seen, self._counts
        self._seen, self._counts = 0, dict.fromkeys(self._counts, 0)
        return counted

    def add(self, seen: int, counts: Mapping[Colour, int]) -> None:
        """Take in what was counted elsewhere of the same image."""
        self._seen += seen
        for colour in self._counts:
            self._counts[colour] += counts[colour]

    @property
    def colours(self) -> tuple[Colour, ...]:
        """The colours that are counted, in their order."""
        return tuple(self._counts)

    def note(self, name: str) -> str | None:
        """Return what is to be said of the image of a name, as far as it was read; None where it has no collar."""
        found = [colour for colour, count in self._counts.items() if count >= LEAST_SHARE * self._seen]
        count = sum(self._counts[colour] for colour in found)
        if not found or count == self._seen:  # all of one colour is no collar
            return None
        said = " or ".join(", ".join(_texts(colour)) for colour in found)
        share = f"{count / self._seen:.0%}".replace("%", " %")
        return (
            f"{share} of the pixels are exactly {said}, as corners of the image are, and nothing says that they hold no data; "
            f"if they hold none, {_remedy(found, self._known, name)}"
        )


def _remedy(colours: list[Colour], known: list[str] | None, name: str) -> str:
    """Return what to do about colours; `known` is how the file says already what holds no data, which is to stay so."""
    values = _texts(colours[0])
    if known is None and len(colours) == len(set(values)) == 1:
        return f"pass `nodata={values[0]}`, or mend the file: gdal_edit.py -a_nodata {values[0]} {name}"
    steps = [*(known or []), *(f'-srcnodata "{" ".join(_texts(colour))}" ' for colour in colours)]
    names = [name, *(f"STEP{number}.tif" for number in range(1, len(steps))), "NEW.tif"]
    warps = (f"gdalwarp {step}-dstalpha {old} {new}" for step, old, new in zip(steps, names[:-1], names[1:], strict=True))
    return f"mend the file: {', then '.join(warps)}"


def _left_out(dataset: DatasetReader, bands: list[int]) -> list[str] | None:
    """Return the options of gdalwarp that keep what a file says holds no data; None where it says nothing."""
    flags = set(dataset.mask_flag_enums[bands[0] - 1])
    if MaskFlags.alpha in flags:
        return []
    if MaskFlags.nodata in flags:
        return [f'-srcnodata "{" ".join([f"{dataset.nodata:g}"] * len(bands))}" ']
    return [""] if MaskFlags.per_dataset in flags else None


def _texts(colour: Colour) -> list[str]:
    return [f"{value:g}" for value in colour]


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
