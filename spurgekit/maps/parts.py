"""Parts of a map: some rows of cells each, kept on disk as they are done, so that a map that was stopped is gone on with.

A part depends on the image, the model and its own rows alone, so that it is the same whoever makes it, and beside which others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from spurgekit.errors import InputError, SpurgekitError
from spurgekit.outputs import MARK, check_begun, clear, hidden_beside, note_settings, output_file, resolved, settings_begun

PART_BYTES = 32 << 20
"""Bytes of pixels below a part: little to do again where a map was stopped, and enough to fill batches."""

PART_CELLS = 1 << 20
"""The most cells of a part, where they are as small as pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class MapPart:
    """What is said of some rows of a map.

    Attributes
    ----------
    found : ndarray of float32, shape (channels, rows, columns)
        NaN where there is no data.
    valid : ndarray of float32, shape (rows, columns)
        Share of each cell's pixels that have data.
    look_sums : ndarray of float32, shape (bands, height, width)
        What their pixels add to the picture, from the first row of it that they have some of.
    look_counts : ndarray of uint8, shape (height, width)
    collar : ndarray of int, shape (1 + colours,)
        How many pixels they have, and how many of each colour of a collar; empty where the image has none.
    """

    found: NDArray[np.float32]
    valid: NDArray[np.float32]
    look_sums: NDArray[np.float32]
    look_counts: NDArray[np.uint8]
    collar: NDArray[np.int64]


def part_rows(wanted: NDArray[np.bool_], at_once: int, first: int = 0) -> list[range]:
    """Return the rows of each part of a map; those without a cell that is wanted are of none.

    Parameters
    ----------
    wanted : ndarray of bool, shape (rows, columns)
        Which cells are to be mapped.
    at_once : int
        Rows of a part.
    first : int
        Number of the first row, counted from where parts begin.

    Examples
    --------
    >>> part_rows(np.array([[1], [1], [1], [0], [1]], bool), 2)
    [range(0, 2), range(2, 3), range(4, 5)]
    >>> part_rows(np.ones((5, 1), bool), 3, first=2)
    [range(0, 1), range(1, 4), range(4, 5)]
    """
    rows = np.flatnonzero(wanted.any(axis=1))
    numbers = (rows + first) // at_once
    cuts = np.flatnonzero((np.diff(rows) > 1) | (np.diff(numbers) > 0)) + 1
    return [range(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, cuts) if len(part)]


@dataclass(frozen=True, slots=True)
class PartStore:
    """The parts of a map that are done, in a hidden folder beside the one that is to be made.

    Attributes
    ----------
    out : pathlib.Path
        The folder to be made.
    settings : mapping
        What parts depend on.
    """

    out: Path
    settings: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the parts are until all are done."""
        return hidden_beside(resolved(self.out), "parts")

    @contextmanager
    def kept(self, *, anew: bool, lasting: bool = True) -> Iterator[None]:
        """Have parts for the block, and keep them where it is stopped, but not where it is refused.

        Parameters
        ----------
        anew : bool
            Whether those that are there are of no use.
        lasting : bool
            Whether a later run can know them again.

        Raises
        ------
        OutputExistsError
            If there are parts of other settings, and these are not to be made anew.
        """
        if anew or not lasting or not self._are_some() or not check_begun(self.folder / MARK, self.settings, self.out):
            clear(self.folder)
            note_settings(self.folder / MARK, self.settings)
        try:
            yield
        except BaseException as error:
            if isinstance(error, InputError) or not lasting or not self._are_some():
                clear(self.folder)
            raise
        clear(self.folder)

    @staticmethod
    def settings_begun(out: Path) -> Mapping[str, Any]:
        """Return the settings of a run that was stopped and left parts; nothing where there was none."""
        store = PartStore(out, {})
        return settings_begun(store.folder / MARK) if store._are_some() else {}

    def _are_some(self) -> bool:
        return any(self.folder.glob("[!.]*.npz"))

    def path(self, rows: range) -> Path:
        """Return the file of a part, there or not."""
        return self.folder / f"rows_{rows.start:08d}_{rows.stop:08d}.npz"

    def has(self, rows: range) -> bool:
        """Return whether a part is done."""
        return self.path(rows).is_file()

    def missing(self, parts: Iterable[range]) -> Iterator[list[range]]:
        """Yield parts that are not done, those that no other parts them from together."""
        for is_done, run in groupby(list(parts), self.has):
            if not is_done:
                yield list(run)

    def put(self, rows: range, part: MapPart) -> None:
        """Keep a part."""
        write_part(self.path(rows), part)

    def get(self, rows: range) -> MapPart:
        """Return a part.

        Raises
        ------
        SpurgekitError
            If its file is damaged.
        """
        file = self.path(rows)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return MapPart(**{field.name: arrays[field.name] for field in fields(MapPart)})
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise SpurgekitError(f"{file} is damaged; delete it and run it again: what it held is mapped anew") from error


def write_part(path: Path, part: MapPart) -> None:
    """Write the file of a part, whole or not at all."""
    with output_file(path) as partial:
        np.savez(partial, **{field.name: getattr(part, field.name) for field in fields(MapPart)})
