"""What the bands of an image are, as its file says: which are red, green and blue, and which says where data is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader

from spurgekit.errors import ImageryError
from spurgekit.image_names import ImageName
from spurgekit.imagery.pixel_grid import Window

RGB = ("red", "green", "blue")

MEASURED = re.compile(r"\b(nir|near[ -]?infra[ -]?red|infra[ -]?red|red[ -]?edge|thermal|[sml]wir)\b", re.IGNORECASE)
"""Words in the description of a band that is measured, whatever its file calls it otherwise."""

COLOUR = re.compile(r"(?<![a-z])(red|green|blue)(?![a-z]|[ _-]+edge)")
INITIALS = {colour[0]: colour for colour in RGB}

LEAST_SEEN = 0.1
"""Share of a block that is not 0 where it tells what an alpha band is: along the rim of a mosaic it may be noise."""

SAMPLED_BLOCK_PX = 16_000_000
"""Larger blocks are not decoded for a look at an alpha band."""


@dataclass(frozen=True, slots=True)
class FileBands:
    """The bands of a file.

    Attributes
    ----------
    read : tuple of int
        The 1-based bands that are read, in that order.
    rgb : tuple of int or None
        Those that are red, green and blue, where the file says it.
    alpha : int or None
        The band that says where data is.
    least_alpha : float
        Above which value of it there is data: half of its range, since lossy compression leaves a rim of small values.
    notes : tuple of str
        What was assumed, for the user to read.
    measured : int or None
        A band that calls itself alpha and is none.
    dropped : int or None
        A band that is no longer there, so that those behind it have moved up.
    """

    read: tuple[int, ...]
    rgb: tuple[int, int, int] | None
    alpha: int | None
    least_alpha: float
    notes: tuple[str, ...]
    measured: int | None = None
    dropped: int | None = None

    @property
    def stored(self) -> tuple[int, ...]:
        """Where the bands that are read are found."""
        return tuple(band - (self.dropped is not None and band > self.dropped) for band in self.read)

    def without_alpha(self) -> FileBands:
        """Return what they are when the alpha band was taken out."""
        return replace(self, alpha=None, dropped=self.alpha)

    def with_alpha(self, band: int) -> FileBands:
        """Return what they are behind a warper, which puts alpha last, and makes one where there is none."""
        return replace(self, alpha=band, least_alpha=self.least_alpha if self.alpha else 0)


def find_bands(path: ImageName, dataset: DatasetReader, asked: Sequence[int] | None) -> FileBands:
    """Return what the bands of a file are, and which are read.

    Without being asked for others, all are but alpha; red, green and blue first, in that order, where the file says which they
    are.

    Parameters
    ----------
    path : path or GdalName
        For messages.
    dataset : rasterio.DatasetReader
    asked : sequence of int or None
        1-based bands, in the order to read them.

    Raises
    ------
    ImageryError
        If a band is not there, or bands are ink.
    """
    colours = band_colours(dataset)
    _check_photometric(path, dataset, colours)
    alpha, least_alpha, notes = _find_alpha(dataset, colours)
    measured = colours.index("alpha") + 1 if alpha is None and "alpha" in colours else None
    rgb, doubt = _find_rgb(dataset, colours)
    if asked:
        if missing := [b for b in asked if not 1 <= b <= dataset.count]:
            raise ImageryError(f"{path} has bands 1 to {dataset.count}, not {missing[0]}; change `bands`")
        read = tuple(asked)
        if rgb and read != rgb and set(read) == set(rgb):
            names = ", ".join(RGB[rgb.index(band)] for band in read)
            notes += (f"the bands asked for are {names}, in that order; for colours as they are pass `bands={_listed(rgb)}`",)
        return FileBands(read, rgb, alpha, least_alpha, notes, measured)
    read = tuple(b for b in range(1, dataset.count + 1) if b != alpha)
    if doubt:
        notes += (doubt,)
    if rgb and read[:3] != rgb:
        names = ", ".join(colour if colour in RGB else str(number) for number, colour in enumerate(_named(rgb, read), 1))
        read = (*rgb, *(b for b in read if b not in rgb))
        notes += (f"bands are stored as {names}: read as red, green, blue (bands {_listed(rgb)})" + _and_others(read),)
    return FileBands(read, rgb, alpha, least_alpha, notes, measured)


def band_colours(dataset: DatasetReader) -> list[str]:
    """Return the colour interpretation of each band in words; ``undefined`` where it is one that rasterio has no name for."""
    try:
        return [colour.name for colour in dataset.colorinterp]
    except ValueError:
        return ["undefined"] * dataset.count


def _check_photometric(path: ImageName, dataset: DatasetReader, colours: Sequence[str]) -> None:
    """Refuse images that are dark where their values are large: of ink (what GDAL does not make RGB of), or with a white 0."""
    if "cyan" in colours:
        raise ImageryError(f"{path} holds {', '.join(colours)}, which is ink; make it red, green and blue in an image editor")
    if dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
        top = np.iinfo(dataset.dtypes[0]).max
        raise ImageryError(
            f"{path} is a TIFF whose 0 is white; turn it round first: "
            f"gdal_calc.py -A {path.name} --calc={top}-A --outfile=NEW.tif"
        )


def has_palette(dataset: DatasetReader) -> bool:
    """Whether the pixels of an image are indexes of colours."""
    return dataset.count == 1 and band_colours(dataset) == ["palette"] and dataset.dtypes[0] in ("uint8", "uint16")


def _listed(bands: Sequence[int]) -> str:
    return ",".join(map(str, bands))


def _named(rgb: tuple[int, int, int], bands: Sequence[int]) -> list[str]:
    return [RGB[rgb.index(band)] if band in rgb else "" for band in bands]


def _and_others(read: Sequence[int]) -> str:
    return f", then the others ({_listed(read[3:])})" if len(read) > 3 else ""


def _find_rgb(dataset: DatasetReader, colours: Sequence[str]) -> tuple[tuple[int, int, int] | None, str | None]:
    """Return the bands that are red, green and blue, and what is to be said where colours and descriptions differ."""
    told = _positions(colours)
    described = _positions([_described(text or "") for text in dataset.descriptions])
    if told and described and told != described:
        return told, (
            f"bands {_listed(told)} say that they are red, green and blue, and descriptions say it of {_listed(described)}: "
            "the former are taken; choose by `bands`"
        )
    return told or described, None


def _described(text: str) -> str:
    """Return the colour that a description is of: ``Blue (450 nm)``, ``band 1: blue``, ``B``."""
    found = set(COLOUR.findall(text.lower().strip())) if not MEASURED.search(text) else set()
    return INITIALS.get(text.strip().lower(), "") or (found.pop() if len(found) == 1 else "")


def _positions(names: Sequence[str]) -> tuple[int, int, int] | None:
    if any(names.count(colour) != 1 for colour in RGB):
        return None
    red, green, blue = (names.index(colour) + 1 for colour in RGB)
    return red, green, blue


def _find_alpha(dataset: DatasetReader, colours: Sequence[str]) -> tuple[int | None, float, tuple[str, ...]]:
    """Return the alpha band, if there is one, from which value on it says that there is data, and what had to be assumed."""
    if "alpha" in colours:
        band = list(colours).index("alpha") + 1
        top, is_measured = _look_at_alpha(dataset, band)
        if is_measured or MEASURED.search(dataset.descriptions[band - 1] or ""):
            said = f"band {band} says that it is alpha, but holds what is measured, such as near infrared: read as a band"
            return None, 0, (said,)
        return band, top / 2, ()
    is_nameless = dataset.count == 4 and colours[3] in ("undefined", "gray") and not dataset.descriptions[3]
    is_whole = dataset.dtypes[-1] != "float32"
    if is_nameless and is_whole and tuple(colours[:3]) == RGB and _is_two_valued(dataset, 4):
        said = "band 4 says nothing of itself but holds nothing but 0 and the largest value: read as alpha"
        return 4, np.iinfo(dataset.dtypes[3]).max / 2, (said,)
    return None, 0, ()


def _look_at_alpha(dataset: DatasetReader, band: int) -> tuple[float, bool]:
    """Return what opaque is in an alpha band, and whether it holds what no alpha band does: mostly values between.

    Files of red, green, blue and near infrared are often written as if the fourth were alpha.
    """
    dtype = np.dtype(dataset.dtypes[band - 1])
    top = float(np.iinfo(dtype).max) if dtype.kind in "iu" else 0.0
    rows, columns = dataset.block_shapes[band - 1]
    if dataset.driver != "GTiff" or rows * columns > SAMPLED_BLOCK_PX:  # in other formats alpha is no habit of their writers
        return top, False
    for values in _sampled_blocks(dataset, band, 3):
        seen = values[values > 0]
        if seen.size >= LEAST_SEEN * values.size:
            opaque = float(seen.max())
            return opaque, dtype.kind in "iu" and float((seen < opaque).mean()) > 0.5
    return top, False


def _is_two_valued(dataset: DatasetReader, band: int) -> bool:
    """Whether blocks spread over the image hold the type's largest value in a band, and nothing else but 0."""
    top = np.iinfo(dataset.dtypes[band - 1]).max
    seen: set[int] = set()
    for values in _sampled_blocks(dataset, band, 8):
        seen.update(np.unique(values).tolist())
        if not seen <= {0, top}:
            return False
    return top in seen


def _sampled_blocks(dataset: DatasetReader, band: int, samples: int) -> Iterator[NDArray[Any]]:
    """Yield blocks of a band from a lattice over the image, those in its middle first."""
    rows, columns = dataset.block_shapes[band - 1]
    down = np.unique(np.linspace(0, max(0, dataset.height - rows), samples, dtype=int)).tolist()
    across = np.unique(np.linspace(0, max(0, dataset.width - columns), samples, dtype=int)).tolist()
    places = sorted(
        ((row, col) for row in down for col in across),
        key=lambda place: (2 * place[0] + rows - dataset.height) ** 2 + (2 * place[1] + columns - dataset.width) ** 2,
    )
    for row, col in places:
        window = Window(col, row, columns, rows) & Window(0, 0, dataset.width, dataset.height)
        try:
            yield dataset.read(band, window=window.to_rasterio())  # type: ignore[union-attr]
        except RasterioIOError:  # a damaged block is reported where it is read in earnest
            continue
