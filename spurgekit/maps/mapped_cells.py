"""What a map says of its cells, and the model that said so, as rooms find them that start from a map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from spurgekit.classify.model_files import DESCRIPTION
from spurgekit.errors import InputError, first_line
from spurgekit.imagery import PixelGrid
from spurgekit.imagery.crs import points_in
from spurgekit.maps.bands import BANDS, PROBABILITY, TILE_PROBABILITY
from spurgekit.maps.map_folder import REMEDY
from spurgekit.outputs import fingerprint

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class MappedCells:
    """The cells of a map of presence.

    Attributes
    ----------
    grid : PixelGrid
    classes : tuple of str
        The first is the background.
    said : ndarray of float32, shape (classes, rows, columns)
        Probabilities; NaN where nothing is mapped.
    around : ndarray of float32, shape (classes, rows, columns)
        Probabilities of the tile around each cell: the same, unless the map is finer than a tile.
    """

    grid: PixelGrid
    classes: tuple[str, ...]
    said: Floats
    around: Floats

    @property
    def is_mapped(self) -> NDArray[np.bool_]:
        """Which cells have a class."""
        return np.asarray(np.isfinite(self.said[0]))


@dataclass(frozen=True, slots=True, eq=False)
class MapFile:
    """``presence.tif``, opened, and which of its bands say what.

    Attributes
    ----------
    dataset : rasterio.DatasetReader
    grid : PixelGrid
        Of its cells.
    classes : tuple of str
        The first is the background; none of a map of cover.
    cells : tuple of int
        Numbers of the bands of their probabilities, counted from 1.
    tiles : tuple of int
        Those of the tile around each cell, where the map is finer than a tile; else none.
    uncertainty : int or None
        Of the cells.
    """

    dataset: DatasetReader
    grid: PixelGrid
    classes: tuple[str, ...]
    cells: tuple[int, ...]
    tiles: tuple[int, ...]
    uncertainty: int | None


@contextmanager
def open_map(path: Path) -> Iterator[MapFile]:
    """Open ``presence.tif`` for a ``with`` block, in which it may be read.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    start, (plain, end) = PROBABILITY.titles([""])[0], TILE_PROBABILITY.titles(["|"])[0].split("|")
    assert plain == start  # by which both are told from other bands
    (uncertain,) = BANDS["uncertainty"].titles(())
    try:
        with rasterio.open(path, driver="GTiff") as file:
            named = {number: text or "" for number, text in enumerate(file.descriptions, 1)}
            said = [number for number, text in named.items() if text.startswith(start)]
            tiles = tuple(number for number in said if named[number].endswith(end))
            cells = tuple(number for number in said if number not in tiles)
            grid = PixelGrid(file.width, file.height, file.transform, file.crs)
            classes = tuple(named[number].removeprefix(start) for number in cells)
            uncertainty = next((number for number, text in named.items() if text == uncertain), None)
            yield MapFile(file, grid, classes, cells, tiles, uncertainty)
    except RasterioError as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}); {REMEDY}") from error


def read_cells(path: Path) -> MappedCells:
    """Read the probabilities of ``presence.tif``.

    Raises
    ------
    InputError
        If it cannot be read, or has none.
    """
    with open_map(path) as map_file:
        if len(map_file.classes) < 2:
            raise InputError(f"{path} has no bands of probability; {REMEDY}")
        said = map_file.dataset.read(map_file.cells).astype(np.float32)
        fine = len(map_file.tiles) == len(map_file.cells)
        around = map_file.dataset.read(map_file.tiles).astype(np.float32) if fine else said
    return MappedCells(map_file.grid, map_file.classes, said, around)


def find_model(folder: Path, record: dict[str, Any]) -> Path | None:
    """Return the folder of the model among what a map was made from, known by its fingerprint; None where it is gone.

    Parameters
    ----------
    folder : pathlib.Path
        Of the map.
    record : dict
        Its provenance.
    """
    inputs = record.get("inputs")
    for name, known in (inputs if isinstance(inputs, dict) else {}).items():
        for start in (Path(), folder.parent, folder.parent.parent):
            if (start / name / DESCRIPTION).is_file() and fingerprint(start / name) == known:
                return Path(start, name)
    return None


def cells_below(picture: PixelGrid, cells: PixelGrid) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return which cell lies below each pixel of a picture.

    Returns
    -------
    at : ndarray of int, shape (2, height, width)
        Its row and its column; 0 and 0 of pixels off the map.
    inside : ndarray of bool, shape (height, width)
        Which pixels are on it.
    """
    rows, cols = np.mgrid[: picture.height, : picture.width] + 0.5
    x, y = picture.to_world(cols, rows)
    if picture.crs != cells.crs:
        points = points_in(np.column_stack([x.ravel(), y.ravel()]), picture.crs, cells.crs)
        x, y = (one.reshape(cols.shape) for one in points.T)
    col, row = cells.to_pixel(x, y)
    at = np.floor(np.stack([row, col])).astype(np.intp)
    inside = np.asarray((at >= 0).all(axis=0) & (at[0] < cells.height) & (at[1] < cells.width))
    at[:, ~inside] = 0
    return at, inside
