"""How to check a map."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from spurgekit.errors import InputError
from spurgekit.options import Options

Unlabelled = Literal["refuse", "leave-out", "bound"]

USUAL_HALF_WIDTH = 0.05
"""Of the overall accuracy, where nothing is asked for."""


@dataclass(frozen=True, kw_only=True)
class CheckOptions(Options):
    """How to draw the sample of cells by which a map is checked.

    Attributes
    ----------
    cells : int, optional
        Cells to sample. Default: as many as the half-width takes.
    half_width : float, optional
        Wanted half of the interval of the overall accuracy, a share. Default: 0.05, unless cells or an area say how many.
    half_width_m2 : float, optional
        Wanted half of the interval of the area of a class, in square metres.
    area_of : str, optional
        Class that this area is of. Default: the last one.
    least : int
        Least cells of a stratum; of one with fewer, all. More tell the accuracy of a rare class better, and its area worse.
    uncertain_from : float
        Uncertainty on the map, 0 to 1, from which cells of a class are a stratum of their own; 1 makes strata of classes alone.
    seed : int
        Of the drawing.
    """

    cells: int | None = None
    half_width: float | None = None
    half_width_m2: float | None = None
    area_of: str | None = None
    least: int = 10
    uncertain_from: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        said = [name for name in ("cells", "half_width", "half_width_m2") if getattr(self, name) is not None]
        if len(said) > 1:
            raise InputError(f"`{said[0]}` and `{said[1]}` both say how many cells to sample; drop one of them")
        for name, most, words in (
            ("half_width", 0.5, "a share above 0 and below 0.5"),
            ("half_width_m2", inf, "square metres"),
            ("uncertain_from", 1 + 1e-9, "a number above 0 up to 1"),
        ):
            value = getattr(self, name)
            if value is not None and not 0 < value < most:
                raise InputError(f"`{name}={value}` cannot be; pass {words}")
        for name, lowest in (("cells", 1), ("least", 2)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise InputError(f"`{name}={value}` is too few; pass {lowest} or more")
        if self.area_of is not None and self.half_width_m2 is None:
            raise InputError("`area_of` says which class `half_width_m2` is of; pass both")


@dataclass(frozen=True, kw_only=True)
class AssessOptions(Options):
    """How to estimate a map's accuracy from a labelled sample.

    Attributes
    ----------
    labels : pathlib.Path, optional
        Table with columns cell and label. Default: the sample's own cells.csv, and its review.

        A vector file with these columns serves, too, such as the sample's ``cells.gpkg`` filled in with QField.
    unlabelled : {"refuse", "leave-out", "bound"}
        What to do about cells without a label: refuse; leave them out, as if chance had chosen them; or let intervals reach
        from where none of them counts to where all do.
    confidence : float
        Of the intervals.
    """

    labels: Path | None = None
    unlabelled: Unlabelled = "refuse"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if not 0.5 <= self.confidence < 1:
            raise InputError(f"`confidence={self.confidence}` is no level of confidence; pass a share such as 0.95")
