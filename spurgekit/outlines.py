"""Polygons that people drew on the ground: from whatever file they are in, valid, and whether they lie on an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import shapely
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from spurgekit.errors import ElsewhereError, InputError
from spurgekit.imagery import PixelGrid, PixelSource, name_crs
from spurgekit.text import counted
from spurgekit.vectors import Shapes, read_vector

POLYGONS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """An area of interest.

    Attributes
    ----------
    ground : shapely geometry
        Its polygons as one, in the CRS of the image.
    notes : tuple of str
        What was assumed of the file.
    """

    ground: BaseGeometry
    notes: tuple[str, ...] = ()


def read_area(path: Path, raster: PixelSource, *, declared_crs: str | None = None) -> Area:
    """Read the area of interest of an image.

    Parameters
    ----------
    path : pathlib.Path
        A file of polygons.
    raster : PixelSource
        The image.
    declared_crs : str, optional
        As :func:`spurgekit.vectors.read_vector` takes it.

    Raises
    ------
    ElsewhereError
        If it does not touch the image.
    InputError
        If the file cannot be read, or holds anything but polygons.
    """
    shapes = read_outlines(path, raster, what="an area of interest is", declared_crs=declared_crs)
    check_touches(path, shapes.rows, raster)
    return Area(shapes.rows.union_all(), shapes.notes)


def read_outlines(path: Path, raster: PixelSource, *, what: str, declared_crs: str | None = None) -> Shapes:
    """Read a file of polygons, and bring it into the CRS of an image.

    Polygons drawn by hand cross themselves: they are made valid, and that is said.

    Parameters
    ----------
    path : pathlib.Path
    raster : PixelSource
        The image.
    what : str
        What they are to be, with its verb: ``zones are``.
    declared_crs : str, optional
        As :func:`spurgekit.vectors.read_vector` takes it.

    Returns
    -------
    Shapes
        Rows of Polygons and MultiPolygons.

    Raises
    ------
    InputError
        If the file cannot be read, or holds anything but polygons.
    """
    shapes = read_vector(path, raster.grid.crs, declared_crs=declared_crs, pixel_m=raster.gsd_m)
    rows = shapes.rows
    others = rows.geom_type[~rows.geom_type.isin(POLYGONS)]
    if len(others):
        raise InputError(f"{path} holds {others.mode()[0]}s; {what} made of polygons")
    wrong = ~rows.is_valid.to_numpy()
    if not wrong.any():
        return shapes
    drawn = rows.geometry.to_numpy().copy()
    drawn[wrong] = [_polygonal(shape) for shape in shapely.make_valid(drawn[wrong])]
    number = int(wrong.sum())
    note = (
        f"{counted(number, 'polygon')} of {path.name} {'is' if number == 1 else 'are'} not valid (most cross themselves) and "
        f"mended, the first of them in row {int(wrong.argmax()) + 1}"
    )
    mended = rows.set_geometry(gpd.GeoSeries(drawn, rows.index, crs=rows.crs))
    return Shapes(mended, (*shapes.notes, note), shapes.crs)


def check_touches(path: Path, rows: gpd.GeoDataFrame, raster: PixelSource) -> None:
    """Refuse shapes of which none touches an image.

    Raises
    ------
    ElsewhereError
        If it is so; the message says where both lie.
    """
    if not rows.intersects(raster.grid.footprint()).any():
        places = both_places(rows.total_bounds, raster.grid)
        crs = name_crs(raster.grid.crs)
        raise ElsewhereError(f"{path} does not touch {raster.path} ({crs}): {places}; check its CRS")


def both_places(bounds: Sequence[float], grid: PixelGrid) -> str:
    """Return in words how far shapes reach and how far an image does, for a message about shapes that lie elsewhere.

    Parameters
    ----------
    bounds : sequence of float, length 4
        Least x and y, and largest x and y, of the shapes.
    grid : PixelGrid
        The image, in the same CRS.
    """
    west, south, east, north = bounds
    site_west, site_south, site_east, site_north = grid.footprint().bounds
    return (
        f"they span x {west:.1f} to {east:.1f}, y {south:.1f} to {north:.1f}, "
        f"the image x {site_west:.1f} to {site_east:.1f}, y {site_south:.1f} to {site_north:.1f}"
    )


def _polygonal(shape: BaseGeometry) -> MultiPolygon:
    """Return the polygons of a shape, without the lines and points that mending leaves where there was no ground."""
    parts = shapely.get_parts(shapely.get_parts(shape))  # of a collection, its MultiPolygons too
    return MultiPolygon([part for part in parts if part.geom_type == "Polygon"])
