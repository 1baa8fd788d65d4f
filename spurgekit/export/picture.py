"""The picture of a site under its patches: the image that was mapped, as fine as there is room for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from spurgekit.errors import ImageryError, InputError
from spurgekit.export.map_folder import MapPolygons
from spurgekit.imagery import PixelGrid, PixelSource, Window, name_crs, open_images, open_raster
from spurgekit.imagery.crs import points_in
from spurgekit.imagery.quicklook import STRIP_ROWS
from spurgekit.imagery.stretch import Stretch, rgb_bands
from spurgekit.maps.colours import PLAIN
from spurgekit.maps.map_folder import RASTER, find_images, opened_as
from spurgekit.outputs import read_provenance

Pixels = NDArray[np.uint8]

LEAST_CELL_PX = 8
"""Side of a cell on plain ground, where there is room: outlines are drawn on it."""

MOST_SAMPLED = 100_000
"""Cells, and pixels, that are looked at of many."""

COVERED = 0.9
"""An image that shows less of the mapped ground is said to: cells at a mosaic's rim reach beyond it anyway."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture of a site.

    Attributes
    ----------
    rgba : ndarray of uint8, shape (height, width, 4)
        Alpha is 255 where there is ground, else 0.
    grid : PixelGrid
        Where its pixels lie, in a CRS that measures the ground: the map's own, where that does.
    image : str or None
        File name of the image, or what several are called as one; None on plain ground.
    native_gsd_m : float
        Of the image, which may be finer than the picture.
    notes : tuple of str
        What is to be said of it.
    """

    rgba: Pixels
    grid: PixelGrid
    image: str | None
    native_gsd_m: float
    notes: tuple[str, ...] = ()


def picture_of(found: MapPolygons, imagery: Path | None, most_px: float) -> Picture:
    """Return the picture of the site of a map: of an image, or of plain ground where none is found.

    Pixels are those of the image, on its own grid; only where these are too many, or the map's CRS does not measure the ground,
    is it resampled, once, as it is read.

    Parameters
    ----------
    found : MapPolygons
    imagery : pathlib.Path, optional
        The image, or its folder. Where it is not given, the image is looked for where the map's provenance says.
    most_px : float
        Pixels that the picture may have.

    Returns
    -------
    Picture

    Raises
    ------
    ImageryError
        If ``imagery`` cannot be read.
    InputError
        If it shows nothing of the mapped ground.
    """
    opened = opened_as(read_provenance(found.folder).get("parameters"))
    if imagery is not None:
        names = [Path(name).name for name in found.summary.images]  # names alone, whatever is said
        paths = [imagery / name for name in names or [""]] if imagery.is_dir() else [imagery]
        if not all(path.is_file() for path in paths):
            missing = next((name for name in names if not (imagery / name).is_file()), "image of the map")
            raise InputError(f"{imagery} holds no {missing}; name the image itself")
        return _shown(paths, found, most_px, opened if all(path.name in names for path in paths) else {})
    images, why = find_images(found.folder, found.summary.images)
    if images:
        try:
            return _shown(images, found, most_px, opened)
        except (ImageryError, InputError) as error:
            why = str(error)
    return _plain(found, most_px, f"the patches lie on plain ground: {why}; pass `imagery`")


def _shown(paths: Sequence[Path], found: MapPolygons, most_px: float, opened: Mapping[str, Any]) -> Picture:
    crs = _ground_crs(found.grid)
    with open_images(paths, crs=crs, **opened) as raster:
        native = raster.gsd_m
        window = _mapped_window(raster, found)
        gsd_m = native * math.sqrt(window.width * window.height / most_px)
        picture = _read(raster, window) if gsd_m <= native else None
    if picture is None:
        with open_images(paths, crs=crs, gsd_m=gsd_m, **opened) as raster:
            window = _mapped_window(raster, found)
            picture = _read(raster, window)
    grid = raster.grid.crop(window)
    share = _covered(picture, grid, found)
    if share == 0:
        raise InputError(f"{raster.path} shows nothing of the ground that was mapped")
    name = raster.path.name
    notes = (f"{name} shows {share:.0%} of the ground that was mapped",) if share < COVERED else ()
    return Picture(picture, grid, name, native, notes)


def _plain(found: MapPolygons, most_px: float, note: str) -> Picture:
    """Return mapped ground in one colour, on the grid of the cells, which are several pixels wide."""
    crs, path = _ground_crs(found.grid), found.folder / RASTER
    with open_raster(path, crs=crs, bands=[1]) as raster:
        cell, cells = raster.gsd_m, raster.grid.width * raster.grid.height
    side_px = min(float(LEAST_CELL_PX), math.sqrt(most_px / cells))
    with open_raster(path, crs=crs, bands=[1], gsd_m=cell / side_px) as raster:
        seen = _read(raster, raster.grid.window)[..., 3] > 0
    rgba = np.zeros((*seen.shape, 4), np.uint8)
    rgba[seen] = (*PLAIN, 255)
    return Picture(rgba, raster.grid, None, cell / side_px, (note,))


def _ground_crs(grid: PixelGrid) -> str:
    """Return a CRS that measures the ground of a map: its own, or a zone of UTM."""
    assert grid.crs is not None  # maps without one are not exported
    try:
        _ = grid.gsd_m
    except ImageryError:
        return grid.suggest_utm()
    return str(grid.crs.to_wkt())


def _mapped_window(raster: PixelSource, found: MapPolygons) -> Window:
    """Return the pixels of an image that the map is of."""
    corners = points_in(found.grid.outline(), found.grid.crs, raster.grid.crs)
    cols, rows = raster.grid.to_pixel(*corners.T)
    left, top = (math.floor(values.min() + 1e-3) for values in (cols, rows))
    right, bottom = (math.ceil(values.max() - 1e-3) for values in (cols, rows))
    window = Window(left, top, max(1, right - left), max(1, bottom - top)) & raster.grid.window
    if window is None:
        raise InputError(f"{raster.path} lies elsewhere than the map ({name_crs(raster.grid.crs)})")
    return window


def _read(raster: PixelSource, window: Window) -> Pixels:
    """Return a window of an image as bytes; types other than uint8 are stretched to 2-98 %."""
    pixels = np.zeros((3, window.height, window.width), raster.dtype)
    seen = np.zeros((window.height, window.width), np.bool_)
    for top in range(0, window.height, STRIP_ROWS):
        rows = slice(top, min(top + STRIP_ROWS, window.height))
        strip, valid = raster.read(Window(window.col, window.row + top, window.width, rows.stop - top))
        pixels[:, rows], seen[rows] = rgb_bands(strip), valid
    step = max(1, seen.size // MOST_SAMPLED)
    sample = seen.ravel()[::step]
    stretch = Stretch.of(pixels.reshape(3, -1)[:, ::step][:, sample], each_band=True)
    rgba = np.zeros((*seen.shape, 4), np.uint8)
    for top in range(0, window.height, STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        rgba[rows, :, :3] = np.moveaxis(stretch(pixels[:, rows]), 0, -1)
    rgba[..., 3] = 255 * seen
    rgba[~seen, :3] = 0
    return rgba


def _covered(rgba: Pixels, grid: PixelGrid, found: MapPolygons) -> float:
    """Return the share of mapped cells whose middle has a pixel."""
    with rasterio.open(found.folder / RASTER, driver="GTiff") as file:
        rows, cols = np.nonzero(file.read_masks(1))
    if not len(rows):
        return 0.0
    step = -(-len(rows) // MOST_SAMPLED)
    middles = np.column_stack(found.grid.to_world(cols[::step] + 0.5, rows[::step] + 0.5))
    across, down = (np.floor(v).astype(np.int64) for v in grid.to_pixel(*points_in(middles, found.grid.crs, grid.crs).T))
    inside = (across >= 0) & (down >= 0) & (across < grid.width) & (down < grid.height)
    return float(rgba[down[inside], across[inside], 3].astype(bool).sum() / len(middles))


def halved(rgba: Pixels) -> Pixels:
    """Return a picture at half of its size: each pixel the mean of those of the four below it that have data.

    Parameters
    ----------
    rgba : ndarray of uint8, shape (height, width, 4)

    Returns
    -------
    ndarray of uint8, shape (ceil(height / 2), ceil(width / 2), 4)
    """
    height, width = (-(-side // 2) for side in rgba.shape[:2])
    half = np.zeros((height, width, 4), np.uint8)
    for top in range(0, height, STRIP_ROWS):
        part = rgba[2 * top : 2 * (top + STRIP_ROWS)]
        sums = np.zeros((-(-part.shape[0] // 2), width, 3), np.uint16)
        counts = np.zeros((*sums.shape[:2], 1), np.uint16)
        for one in (part[i::2, j::2] for i in (0, 1) for j in (0, 1)):
            seen = one[..., 3:] > 0
            sums[: one.shape[0], : one.shape[1]] += one[..., :3] * seen
            counts[: one.shape[0], : one.shape[1]] += seen
        rows = slice(top, top + sums.shape[0])
        half[rows, :, :3] = (sums + counts // 2) // np.maximum(counts, 1)
        half[rows, :, 3:] = 255 * (counts > 0)
    return half
