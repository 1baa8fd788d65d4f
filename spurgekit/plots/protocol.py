"""How a survey lays out its plots: what the botanists agreed on before they went out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spurgekit.errors import InputError
from spurgekit.markers.marker_options import MarkerStyle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CORNERS = ("NW", "NE", "SE", "SW")
"""The order of a plot's corners, clockwise; of a plot whose rows run east."""

DEFAULT_SIDE_M = 10.0
MOST_PLOTS = 10_000
"""Of a lattice: each takes memory while markers are brought to it."""

LARGEST_M = 1e4
"""Of a plot's side and of gaps."""


@dataclass(frozen=True, kw_only=True)
class PlotProtocol(MarkerStyle):
    """A lattice of square plots with a marker at every corner.

    Positions are in metres in the lattice's own frame: x along a row of plots (east where the lattice is not turned), y
    towards the first row (north), the origin at the south-west corner of the last row's first plot.

    Attributes
    ----------
    rows : int
        Rows of plots.
    columns : int
        Columns of plots.
    size_m : float, optional
        Side of a plot in metres, between the centres of its corner markers. Default: 10, or what a file of plots says.
    gaps_m : tuple of float
        Space between columns and between rows of plots, in metres. Default: none.

        Where it is 0, neighbours share their corners and so a marker; otherwise each plot has corners of its own.
    """

    rows: int = 3
    columns: int = 3
    size_m: float | None = None
    gaps_m: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        MarkerStyle.__post_init__(self)
        for name in ("rows", "columns"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}={getattr(self, name)}` leaves no plots; pass 1 or more")
        if self.rows * self.columns > MOST_PLOTS:
            raise InputError(f"{self.rows:,} `rows` of {self.columns:,} plots are more than {MOST_PLOTS:,} plots; tile parts")
        if self.size_m is not None and not 0 < self.size_m <= LARGEST_M:
            raise InputError(f"`size_m={self.size_m}` is not a size of a plot; pass metres")
        if not min(self.gaps_m) >= 0:
            raise InputError("a gap between plots cannot be negative; see `gaps_m`")
        if not max(self.gaps_m) <= LARGEST_M:
            raise InputError(f"`gaps_m={self.gaps_m}` is no space between plots; pass metres")
        if self.marker_ids and len(self.marker_ids) != len(self.nodes_m):
            raise InputError(
                f"`marker_ids` needs {len(self.nodes_m)} numbers, one for each node of the lattice, row by row; it has "
                f"{len(self.marker_ids)}"
            )

    @property
    def side_m(self) -> float:
        """The side of a plot in metres."""
        return DEFAULT_SIDE_M if self.size_m is None else self.size_m

    @property
    def nodes_m(self) -> NDArray[np.float64]:
        """Where the markers stand, row by row from the north-west, each once; shape (nodes, 2), metres."""
        import numpy as np

        xs = _edges(self.columns, self.side_m, self.gaps_m[0])
        ys = _edges(self.rows, self.side_m, self.gaps_m[1])
        x, y = np.meshgrid(np.unique(xs), np.unique(ys)[::-1])
        return np.column_stack([x.ravel(), y.ravel()])

    @property
    def plot_nodes(self) -> NDArray[np.intp]:
        """The four nodes of each plot in the order NW, NE, SE, SW; plots row by row from the north-west; shape (plots, 4)."""
        import numpy as np

        xs = _edges(self.columns, self.side_m, self.gaps_m[0])
        ys = _edges(self.rows, self.side_m, self.gaps_m[1])
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
    import numpy as np

    lower = np.arange(count) * (size_m + gap_m)
    edges = np.column_stack([lower, lower + size_m]).ravel()
    return np.asarray(np.round(edges, 9), dtype=np.float64)  # shared edges are to be equal


def plot_names(count: int, lattice: int | None = None) -> Sequence[str]:
    """Return the ids of a lattice's plots: 1 to 9, or A1 to A9 where an image holds several lattices."""
    prefix = "" if lattice is None else chr(ord("A") + lattice % 26) * (lattice // 26 + 1)
    return [f"{prefix}{number}" for number in range(1, count + 1)]
