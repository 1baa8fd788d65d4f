"""How a plot is cut into tiles: four around its centre, its four quarters, or a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Window, slug
from spurgekit.imagery.crs import points_in
from spurgekit.plots import Plot
from spurgekit.tiles.rectify import Homography, apply_homography, homography_of_square, source_window
from spurgekit.tiles.tile_options import Quarters

TOLERANCE = 0.15
"""By how much of its size a side of a plot may differ from it: what a frame that hangs askew makes of a square."""

MAX_SOURCE_PX = 16_384
"""Side of the largest piece of an image that one tile is made of; four bands of it as floats are 4 GB."""


@dataclass(frozen=True, slots=True, eq=False)
class PlotTile:
    """A square of a plot, to be resampled out of an image in which it may lie aslant.

    Attributes
    ----------
    id : str
        Derived from the site, the plot and the place in it, never random.
    window : Window
        The pixels of the image that it is made of, which may reach outside.
    to_image : ndarray of float64, shape (3, 3)
        From its continuous pixel coordinates to the image's.
    corners : ndarray of float64, shape (4, 2)
        The ground that it covers, in world coordinates: upper left, upper right, lower right, lower left.
    size_px : int
    gsd_m : float
        Ground sample distance, by the plot's own measure.
    attributes : mapping
        What else is known: plot, quarter, and what is known of the plot.
    """

    id: str
    window: Window
    to_image: Homography
    corners: NDArray[np.float64]
    size_px: int
    gsd_m: float
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def ground(self, grid: PixelGrid) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the corners of the ground that it covers, shape (4, 2)."""
        return self.corners

    def grid(self, crs: CRS | None) -> PixelGrid:
        """Return the grid of its pixels: the affine transform that comes closest to its corners.

        It meets them as far as they make a parallelogram, as they do in an orthomosaic; in a frame with perspective it is off
        by up to half of what they lack of one, which for a tile of a nadir frame is centimetres. The index has the corners.
        """
        nw, ne, se, sw = self.corners
        across, down = (ne - nw + se - sw) / (2 * self.size_px), (sw - nw + se - ne) / (2 * self.size_px)
        x, y = self.corners.mean(axis=0) - (across + down) * self.size_px / 2
        return PixelGrid(self.size_px, self.size_px, Affine(across[0], down[0], x, across[1], down[1], y), crs)


@dataclass(frozen=True, slots=True)
class _Square:
    """A square of a plot, in metres from its north-west corner, x to the east and y to the south."""

    name: str
    x_m: float
    y_m: float
    side_m: float


def plots_layout(
    plots: Sequence[Plot],
    grid: PixelGrid,
    image: PixelGrid,
    site: str,
    *,
    size_px: int,
    gsd_m: float,
    quarters: Quarters = "crop",
    inset_m: float = 0.0,
    plot_size_m: float | None = None,
) -> list[PlotTile]:
    """Return the tiles of plots.

    Parameters
    ----------
    plots : sequence of Plot
        With corners in the CRS of ``grid``.
    grid : PixelGrid
        In a CRS that measures the ground.
    image : PixelGrid
        The image's own grid; another one where the image is not in that CRS, so that its pixels are resampled but once.
    site : str
        Start of the ids.
    size_px : int
        Side of a tile.
    gsd_m : float
        Ground sample distance of the tiles. Not of full quarters, whose size on the ground is given by the plot.
    quarters : {"crop", "full", "grid"}
        ``crop``: four tiles that meet at the plot's centre. ``full``: from the centre to the inset. ``grid``: as many tiles
        as fit inside the inset, side by side, around the centre.
    inset_m : float
        Width of the strip along the plot's edge that is kept out of tiles.
    plot_size_m : float, optional
        Side of a plot. Default: each as large as its corners say.

    Raises
    ------
    InputError
        If a plot is not a square of that size, or the tiles do not fit into it.
    """
    if size_px < 1:
        raise InputError(f"a tile needs a size of at least 1 px, not {size_px}")
    if not 0 <= inset_m < math.inf:
        raise InputError(f"an inset of {inset_m} m cannot be; pass 0 or more metres")
    tiles = []
    for plot in plots:
        side_m = _side(plot, grid, plot_size_m)
        to_image = homography_of_square(_pixels(plot.corners, grid.crs, image), side_m)
        to_ground = homography_of_square(_pixels(plot.corners, grid.crs, grid), side_m)
        found = {"residual_cm": plot.residual_cm, "corners_found": sum(plot.found), "filled_in": not all(plot.found)}
        for square in _squares(plot, side_m, size_px, gsd_m, quarters, inset_m):
            step = square.side_m / size_px
            place = np.array([[step, 0, square.x_m], [0, step, square.y_m], [0, 0, 1]])
            x, y = square.x_m + np.array([0, 1, 1, 0]) * square.side_m, square.y_m + np.array([0, 0, 1, 1]) * square.side_m
            tile_to_image = np.asarray(to_image @ place)
            window = source_window(tile_to_image, size_px)
            if max(window.width, window.height) > MAX_SOURCE_PX:
                raise InputError(
                    f"plot {plot.id}: a tile would be made of {window.width:,} x {window.height:,} px of the image; "
                    "pass a smaller `size_px` with `quarters=grid`"
                )
            tiles.append(
                PlotTile(
                    id=f"{site}_{slug(plot.id)}_{square.name}",
                    window=window,
                    to_image=tile_to_image,
                    corners=np.column_stack(grid.to_world(*apply_homography(to_ground, x, y))),
                    size_px=size_px,
                    gsd_m=step,
                    attributes={**plot.attributes, "plot": plot.id, "quarter": square.name, **found},
                )
            )
    return tiles


def _squares(plot: Plot, side_m: float, size_px: int, gsd_m: float, quarters: Quarters, inset_m: float) -> Iterator[_Square]:
    room_m, centre = side_m - 2 * inset_m, side_m / 2
    if room_m <= 0:
        raise InputError(
            f"an inset of {inset_m:g} m leaves nothing of plot {plot.id} of {side_m:.4g} m; pass a smaller `inset_m`"
        )
    tile_m = room_m / 2 if quarters == "full" else size_px * gsd_m
    fit = math.floor(room_m / tile_m + 1e-9)  # a grid that just fits, does
    if fit < (1 if quarters == "grid" else 2):
        raise InputError(_why_not(plot, side_m, size_px, gsd_m, quarters, inset_m))
    if quarters == "grid":
        first = centre - fit * tile_m / 2
        for row in range(fit):
            for column in range(fit):
                yield _Square(f"r{row:02d}_c{column:02d}", first + column * tile_m, first + row * tile_m, tile_m)
    else:
        for name, x_m, y_m in (("NW", -tile_m, -tile_m), ("NE", 0, -tile_m), ("SE", 0, 0), ("SW", -tile_m, 0)):
            yield _Square(name, centre + x_m, centre + y_m, tile_m)


def _why_not(plot: Plot, side_m: float, size_px: int, gsd_m: float, quarters: Quarters, inset_m: float) -> str:
    across, tiles = (1, "a tile does") if quarters == "grid" else (2, "four tiles do")
    room_m = (side_m - 2 * inset_m) / across
    largest_px, finest = math.floor(room_m / gsd_m + 1e-9), math.floor(room_m / size_px * 1e5) / 1e5
    return (
        f"{tiles} not fit into plot {plot.id} of {side_m:.4g} m less an inset of {inset_m:.3g} m, at {size_px} px of "
        f"{100 * gsd_m:.2f} cm = {size_px * gsd_m:.2f} m each; "
        f"pass `size_px={largest_px}` or `gsd_m={finest:g}` or less, or `quarters=full`"
    )


def _side(plot: Plot, grid: PixelGrid, size_m: float | None) -> float:
    """Return the side of a plot, after a look at what its corners say."""
    corners = np.asarray(plot.corners)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1) * grid.metres_per_unit
    expected = size_m if size_m is not None else float(sides.mean())
    if np.abs(sides / expected - 1).max() <= TOLERANCE:
        return expected
    found = f"plot {plot.id} is {(sides[0] + sides[2]) / 2:.1f} x {(sides[1] + sides[3]) / 2:.1f} m"
    if size_m is not None and np.abs(sides / sides.mean() - 1).max() <= TOLERANCE:
        raise InputError(f"{found}, not {size_m:g} m; pass `size_m={sides.mean():.3g}`")
    raise InputError(f"{found} and its sides differ, while plots are squares; correct its corners")


def _pixels(corners: Sequence[tuple[float, float]], crs: CRS | None, image: PixelGrid) -> NDArray[np.float64]:
    """Return world coordinates as pixel coordinates of an image that may be in another CRS, shape (4, 2)."""
    points = np.asarray(corners)
    if image.crs is not None and image.crs != crs:
        points = points_in(points, crs, image.crs)
    return np.column_stack(image.to_pixel(*points.T))
