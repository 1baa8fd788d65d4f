"""``sample.json``: how a sample of a map's cells was drawn, and which cells are in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from spurgekit.errors import InputError
from spurgekit.reading import ClassNames, Count, Described, Line, Positive, known_version, read_described

SAMPLE = "sample.json"


class Stratum(Described):
    """Cells of a map that a part of the sample was drawn from.

    Attributes
    ----------
    mapped : str
        Their class on the map.
    uncertain : bool
        Whether the map is uncertain of them.
    cells : int
        How many there are.
    sampled : int
        How many were drawn.
    """

    mapped: Line
    uncertain: bool
    cells: Annotated[int, Field(ge=1, le=2**53)]
    sampled: Count

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.mapped}, uncertain" if self.uncertain else self.mapped


class SampledCell(Described):
    """A cell of the sample.

    Attributes
    ----------
    cell : str
        Its id.
    stratum : int
        Number of its stratum, counted from 0.
    """

    cell: Line
    stratum: Count


class Sample(Described):
    """A stratified random sample of the cells of a map.

    Attributes
    ----------
    schema_version : int
        Version of the file's layout.
    map : str
        Name of the map's folder.
    classes : tuple of str
        The map's, in order.
    cell_m, cell_m2 : float
        Side and area of a cell.
    strata : tuple of Stratum
        What the cells were drawn from.
    cells : tuple of SampledCell
        In the order of the lists, which is drawn, too.
    """

    schema_version: known_version(1) = 1  # type: ignore[valid-type]
    map: Line
    classes: ClassNames
    cell_m: Positive
    cell_m2: Positive
    strata: Annotated[tuple[Stratum, ...], Field(min_length=1)]
    cells: Annotated[tuple[SampledCell, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Sample:
        ids = {one.cell for one in self.cells}
        drawn = [sum(one.stratum == number for one in self.cells) for number in range(len(self.strata))]
        if len(ids) < len(self.cells) or sum(drawn) < len(self.cells):
            raise ValueError("a cell is listed twice, or is of no stratum")
        for stratum, count in zip(self.strata, drawn, strict=True):
            if stratum.mapped not in self.classes or stratum.sampled != count or count > stratum.cells:
                raise ValueError(f"the stratum {stratum.name!r} is not what its cells are")
        return self

    @property
    def mapped_m2(self) -> float:
        """Area of all cells of the map."""
        return self.cell_m2 * sum(stratum.cells for stratum in self.strata)


def read_sample(folder: Path) -> Sample:
    """Read what was drawn.

    Raises
    ------
    InputError
        If the folder holds no sample, or a damaged one.
    """
    path = folder / SAMPLE
    if not path.is_file():
        raise InputError(f"{folder} holds no {SAMPLE}; draw a sample with 'spurgekit check MAP'")
    return read_described(path, Sample, "draw the sample again")
