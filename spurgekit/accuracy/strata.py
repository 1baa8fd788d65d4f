"""Strata of a map: its classes, each parted by how uncertain the map is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid
from spurgekit.maps.map_folder import RASTER, REMEDY, check_map
from spurgekit.maps.mapped_cells import open_map

NO_STRATUM = 255
LEAST_ERROR = 0.05
"""Share of a stratum that is expected not to be what the map says, however sure the map is: elsewhere it is less so."""


@dataclass(frozen=True, slots=True, eq=False)
class MapStrata:
    """The cells of a map in strata.

    Attributes
    ----------
    classes : tuple of str
    grid : PixelGrid
        Of the cells.
    numbers : ndarray of uint8, shape (rows, columns)
        Stratum of each cell: twice the number of its class, and one more where the map is uncertain; :data:`NO_STRATUM` where
        there is no data.
    cells : ndarray of int64, shape (2 * classes,)
        Cells in each; 0 for those that there are not.
    probabilities : ndarray of float64, shape (2 * classes, classes)
        Mean probability of each class in each stratum.
    """

    classes: tuple[str, ...]
    grid: PixelGrid
    numbers: NDArray[np.uint8]
    cells: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def spread(self, of: int | None) -> NDArray[np.float64]:
        """Return the standard deviation that the map expects in each stratum: of what is of a class, or of what is right."""
        mapped = np.arange(len(self.cells)) // 2
        expected = self.probabilities[:, of] if of is not None else self.probabilities[np.arange(len(self.cells)), mapped]
        expected = np.clip(expected, LEAST_ERROR, 1 - LEAST_ERROR)
        return np.asarray(np.sqrt(expected * (1 - expected)))


def read_strata(folder: Path, uncertain_from: float, least: int) -> MapStrata:
    """Part the cells of a map into strata, in one pass.

    Parameters
    ----------
    folder : pathlib.Path
        That :func:`spurgekit.map_site` made.
    uncertain_from : float
        From this uncertainty on, cells of a class are a stratum of their own; 1 or more for none.
    least : int
        Both parts of a class have at least as many cells, else it is one stratum.

    Raises
    ------
    InputError
        If the folder holds no map.
    """
    check_map(folder)
    path = folder / RASTER
    with open_map(path) as map_file:
        file, classes = map_file.dataset, map_file.classes
        if len(classes) < 2 or map_file.uncertainty is None:
            raise InputError(f"{path} has no bands of probability and uncertainty; name a folder that 'spurgekit map' made")
        numbers = np.full(file.shape, NO_STRATUM, np.uint8)
        cells, sums = np.zeros(2 * len(classes), np.int64), np.zeros((2 * len(classes), len(classes)))
        for _, window in file.block_windows(1):
            values = file.read([*map_file.cells, map_file.uncertainty], window=window)
            seen = np.isfinite(values).all(axis=0)
            probabilities = values[:-1, seen].astype(np.float64)
            number = 2 * probabilities.argmax(axis=0) + (values[-1, seen] >= uncertain_from) * (uncertain_from < 1)
            block = np.full(seen.shape, NO_STRATUM, np.uint8)
            block[seen] = number
            numbers[window.toslices()] = block
            cells += np.bincount(number, minlength=len(cells))
            for k, of_class in enumerate(probabilities):
                sums[:, k] += np.bincount(number, of_class, minlength=len(cells))
    if not cells.any():
        raise InputError(f"{path} has no cell with data; {REMEDY}")
    for sure in range(0, len(cells), 2):  # a part that is too small joins the other
        if cells[sure : sure + 2].min() < least:
            numbers[numbers == sure + 1] = sure
            for of_strata in (cells, sums):
                of_strata[sure] += of_strata[sure + 1]
                of_strata[sure + 1] = 0
    return MapStrata(classes, map_file.grid, numbers, cells, sums / np.maximum(cells, 1)[:, None])
