"""How a survey lays out its plots: what the botanists agreed on before they went out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

CORNERS = ("NW", "NE", "SE", "SW")
"""The order of a plot's corners, clockwise; of a plot whose rows run east."""


class PlotProtocol(BaseModel):
    """A lattice of square plots with a marker at every corner.

    Positions are in metres in the lattice's own frame: x along a row of plots (east where the lattice is not turned), y
    towards the first row (north), the origin at the south-west corner of the last row's first plot.

    Attributes
    ----------
    rows, columns : int
        Number of plots down and across.
    size_m : float
        Side of a plot, between the centres of its corner markers.
    gaps_m : tuple of float
        Space between columns and between rows of plots. Where it is 0, neighbours share their corners and so a marker;
        otherwise each plot has corners of its own.
    marker_ids : tuple of int
        What the coded marker at each node says, in the order of :attr:`nodes_m`; empty where markers carry no codes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=3, ge=1)
    columns: int = Field(default=3, ge=1)
    size_m: float = Field(default=10.0, gt=0)
    gaps_m: tuple[float, float] = (0.0, 0.0)
    marker_ids: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> PlotProtocol:
        if min(self.gaps_m) < 0:
            raise ValueError("a gap between plots cannot be negative")
        if self.marker_ids and len(self.marker_ids) != len(self.nodes_m):
            raise ValueError(f"marker_ids needs {len(self.nodes_m)} numbers, one for each node of the lattice, row by row")
        return self

    @property
    def nodes_m(self) -> NDArray[np.float64]:
        """Where the markers stand, row by row from the north-west, each once; shape (nodes, 2), metres."""
        xs = _edges(self.columns, self.size_m, self.gaps_m[0])
        ys = _edges(self.rows, self.size_m, self.gaps_m[1])
        x, y = np.meshgrid(np.unique(xs), np.unique(ys)[::-1])
        return np.column_stack([x.ravel(), y.ravel()])

    @property
    def plot_nodes(self) -> NDArray[np.intp]:
        """The four nodes of each plot in the order NW, NE, SE, SW; plots row by row from the north-west; shape (plots, 4)."""
        xs = _edges(self.columns, self.size_m, self.gaps_m[0])
        ys = _edges(self.rows, self.size_m, self.gaps_m[1])
        across = len(np.unique(xs))
        down = len(np.unique(ys))
        column = np.searchsorted(np.unique(xs), xs)
        row = down - 1 - np.searchsorted(np.unique(ys), ys)[::-1]
        nodes = []
        for i in range(self.rows):
            for j in range(self.columns):
                north, south, west, east = row[2 * i], row[2 * i + 1], column[2 * j], column[2 * j + 1]
                nodes.append([north * across + west, north * across + east, south * across + east, south * across + west])
        return np.asarray(nodes, dtype=np.intp)


def _edges(count: int, size_m: float, gap_m: float) -> NDArray[np.float64]:
    """Return the lower and the upper edge of each of a row of plots, ascending; shape (2 * count,)."""
    lower = np.arange(count) * (size_m + gap_m)
    edges = np.column_stack([lower, lower + size_m]).ravel()
    return np.asarray(np.round(edges, 9), dtype=np.float64)  # shared edges are to be equal


def plot_names(count: int, lattice: int | None = None) -> Sequence[str]:
    """Return the ids of a lattice's plots: 1 to 9, or A1 to A9 where an image holds several lattices."""
    prefix = "" if lattice is None else chr(ord("A") + lattice % 26) * (lattice // 26 + 1)
    return [f"{prefix}{number}" for number in range(1, count + 1)]
