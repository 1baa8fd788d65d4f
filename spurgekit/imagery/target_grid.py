"""The grid on which an image is read: its own, one in another CRS, one of another ground sample distance."""

from __future__ import annotations

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely import Polygon

from spurgekit.errors import ImageryError
from spurgekit.image_names import ImageName
from spurgekit.imagery.crs import doubtful_shift, has_place, name_crs, parse_crs, points_in
from spurgekit.imagery.pixel_grid import POSSIBLE_GSD_M, PixelGrid


def in_crs(path: ImageName, grid: PixelGrid, crs: str | None, unplaced: str | None = None) -> PixelGrid:
    """Return an image's grid in the CRS asked for: assigned where there is none, else reprojected.

    Parameters
    ----------
    path : pathlib.Path or GdalName
        For messages.
    grid : PixelGrid
    crs : str, optional
        None for the image's own.
    unplaced : str, optional
        What is known of why the image has no place.

    Raises
    ------
    ImageryError
        If the image cannot be brought to that CRS.
    """
    wanted = parse_crs(crs) if crs else grid.crs
    if wanted == grid.crs or wanted is None:
        return grid
    if grid.crs is None:
        if grid.transform.is_identity:
            nowhere = "has no georeference at all, so `crs` cannot place it; georeference it first, e.g. in QGIS"
            raise ImageryError(f"{path} {unplaced or nowhere}")
        if hint := grid.degrees_hint():
            raise ImageryError(f"{path} {hint}")
        return PixelGrid(grid.width, grid.height, grid.transform, wanted)
    if has_place(grid.crs) != has_place(wanted):
        nowhere, remedy = (
            (wanted, "pass another `crs`") if has_place(grid.crs) else (grid.crs, "georeference it first, e.g. by `gcp`")
        )
        raise ImageryError(
            f"{path} says that it is in {name_crs(grid.crs)}, and what lies there cannot be brought to {name_crs(wanted)}: "
            f"{name_crs(nowhere)} has no place on Earth; {remedy}"
        )
    return _north_up(path, grid, wanted)


def shift_note(grid: PixelGrid, native: PixelGrid) -> tuple[str, ...]:
    """Return what is to be said of how well an image lies on its grid in another CRS, if that is worse than a pixel."""
    if grid.crs is None or grid.crs == native.crs:
        return ()
    try:
        pixel_m = native.gsd_m
    except ImageryError:  # it is said where metres are asked for
        return ()
    x, y = (float(value) for value in grid.to_world(grid.width / 2, grid.height / 2))
    shift = doubtful_shift(grid.crs, native.crs, x, y, pixel_m=pixel_m)
    return (shift,) if shift else ()


def _north_up(path: ImageName, grid: PixelGrid, crs: CRS) -> PixelGrid:
    """Return a grid along the axes of another CRS that covers all of a grid, with pixels of the same mean area.

    GDAL's own choice takes the image's bounding box for the image, so that it makes rotated ones coarser than they are.
    """
    outline = _brought(path, grid, grid.outline(), crs)
    side = math.sqrt(Polygon(outline).area / (grid.width * grid.height))
    left, top = outline[:, 0].min(), outline[:, 1].max()
    width = math.ceil((outline[:, 0].max() - left) / side - 1e-6)
    height = math.ceil((top - outline[:, 1].min()) / side - 1e-6)
    return PixelGrid(width, height, Affine(side, 0.0, float(left), 0.0, -side, float(top)), crs)


def _brought(path: ImageName, grid: PixelGrid, points: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Return points of an image, shape (n, 2), in another CRS."""
    try:
        return points_in(points, grid.crs, crs)
    except ImageryError as error:
        raise ImageryError(
            f"{path} says that it is in {name_crs(grid.crs)}, and what lies there cannot be brought to {name_crs(crs)}; "
            "pass another `crs`, or in `image_crs` the CRS that its coordinates are in"
        ) from error


def same_pixels_in(path: ImageName, grid: PixelGrid, crs: CRS) -> PixelGrid:
    """Return the grid of the same pixels in another CRS: the affine map that is closest to where each of them lies there.

    Between projections in metres, that is to about a centimetre over a kilometre.

    Raises
    ------
    ImageryError
        If the image cannot be brought to that CRS.
    """
    if crs == grid.crs:
        return grid
    across, down = (np.ravel(part) for part in np.meshgrid([-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5]))  # from the image's middle
    x, y = grid.to_world((across + 0.5) * grid.width, (down + 0.5) * grid.height)
    places = _brought(path, grid, np.column_stack([x, y]), crs)
    design = np.column_stack([across, down, np.ones(9)])
    (a, d), (b, e), (c, f) = np.linalg.lstsq(design, places, rcond=None)[0].tolist()
    to_middle = Affine.scale(1 / grid.width, 1 / grid.height) @ Affine.translation(-grid.width / 2, -grid.height / 2)
    return PixelGrid(grid.width, grid.height, Affine(a, b, c, d, e, f) @ to_middle, crs)


def at_gsd(path: ImageName, grid: PixelGrid, gsd_m: float | None, unplaced: str | None = None) -> PixelGrid:
    """Return the grid over the same ground with square pixels of a size in metres; the grid itself where None is asked for.

    Raises
    ------
    ImageryError
        If there can be no such pixels, or the image is not in a CRS that measures the ground.
    """
    if gsd_m is None:
        return grid
    check_gsd(gsd_m)
    if unplaced:
        raise ImageryError(f"{path} {unplaced}")
    try:
        return grid.at_gsd(gsd_m)
    except ImageryError as error:
        raise ImageryError(f"{path} {error}") from error


def aligned(path: ImageName, grid: PixelGrid, gsd_m: float, align_m: float, unplaced: str | None = None) -> PixelGrid:
    """Return a grid over the same ground along the axes of its CRS, whose edges lie on multiples of a length.

    As ``gdalwarp -tap`` lays pixels; images of any date in one CRS so have pixels that lie on each other.

    Parameters
    ----------
    path : pathlib.Path or GdalName
        For messages.
    grid : PixelGrid
    gsd_m : float
        Side of a pixel in metres. It is made such that a whole number of pixels is as long as ``align_m``.
    align_m : float
        In metres.
    unplaced : str, optional
        What is known of why the image has no place.

    Raises
    ------
    ImageryError
        If there can be no such pixels, or the image is not in a CRS that measures the ground.
    """
    measured = at_gsd(path, grid, gsd_m, unplaced)
    count, side = max(1, round(align_m / gsd_m)), align_m / measured.metres_per_unit
    steps = grid.corners() / side
    left, bottom = np.floor(steps.min(axis=0) + 1e-6).astype(int).tolist()
    right, top = np.ceil(steps.max(axis=0) - 1e-6).astype(int).tolist()
    pixel = side / count
    transform = Affine(pixel, 0.0, left * side, 0.0, -pixel, top * side)
    return PixelGrid(count * (right - left), count * (top - bottom), transform, grid.crs)


def check_gsd(gsd_m: float) -> None:
    """Refuse what cannot be a ground sample distance, in metres."""
    finest, coarsest = POSSIBLE_GSD_M
    if not finest <= gsd_m <= coarsest:  # neither is NaN
        raise ImageryError(
            f"a ground sample distance of {gsd_m} m cannot be; pass metres a pixel, from {finest:g} to {coarsest:g}, e.g. 0.012"
        )
