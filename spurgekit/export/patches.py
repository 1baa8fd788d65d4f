"""Patches: the cells of a map that are near one another, as one thing to go to, with a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import LambertAzimuthalEqualAreaConversion

from spurgekit.export.linking import Numbers, Shapes, near_groups, united
from spurgekit.imagery.crs import has_place, linear_scale, unit_m
from spurgekit.imagery.pixel_grid import MAX_SCALE_ERROR
from spurgekit.maps.polygons import COLUMNS, MEAN_COVER
from spurgekit.vectors import median_place

MEAN_PROBABILITY = list(COLUMNS)[-1]
LEAST_DIGITS = 3
"""Of a name, so that P001 to P999 are sorted as texts, too."""

DECIMALS = 3
"""Of areas in square metres."""


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Patches of a map, largest first.

    Attributes
    ----------
    rows : geopandas.GeoDataFrame
        Their outlines, with the columns ``name`` (P001, P002, ...), ``class``, ``area_m2`` (of their cells), ``gross_m2`` (of
        their outlines) and ``mean_probability``, or ``mean_cover`` of a map of cover.
    cells : geopandas.GeoSeries
        The cells of each, in the same order.
    centres : geopandas.GeoSeries
        A point of each, in the largest run of its cells.
    """

    rows: gpd.GeoDataFrame
    cells: gpd.GeoSeries
    centres: gpd.GeoSeries

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def mean(self) -> str:
        """What the column of the mean is called."""
        return mean_of(self.rows)

    def to_crs(self, crs: Any) -> Patches:
        """Return the same in another CRS."""
        return Patches(*(one.to_crs(crs) for one in (self.rows, self.cells, self.centres)))

    def of(self, *classes: str) -> Patches:
        """Return the patches of some classes, by the names that they have among all."""
        mine = self.rows["class"].isin(classes).to_numpy()
        return Patches(*(one[mine].reset_index(drop=True) for one in (self.rows, self.cells, self.centres)))


def join_patches(polygons: gpd.GeoDataFrame, join_m: float = 1.0) -> Patches:
    """Join the polygons of a map that are near one another to patches.

    Polygons of one class are of one patch if a chain of them leads from one to the other in steps of ``join_m`` or less.

    The outline of a patch is what is drawn around an infestation to have its gross area: its general perimeter, with ground in
    it that holds none of the plant (North American Weed Management Association, now NAISMA, 2002: North American Invasive Plant
    Mapping Standards). Here it is drawn by rule: the cells are widened by half of ``join_m``, united, their holes filled, and
    narrowed by as much (a morphological closing; Serra 1982, Image Analysis and Mathematical Morphology), with corners left
    sharp. What lies in a gap or a bay narrower than ``join_m``, or is shut in, counts in. An outline is no smaller than its
    cells, and has several parts where cells are near one another at corners alone.

    Parameters
    ----------
    polygons : geopandas.GeoDataFrame
        As in ``presence.gpkg``: ``class``, ``area_m2`` and ``mean_probability`` or ``mean_cover``, in any CRS; where its unit
        does not measure the ground, as degrees do not, distances and areas are those of an equal-area projection of the place.
    join_m : float
        How far apart cells of a patch may be, in metres; 0 joins those that touch, at a corner too.

    Returns
    -------
    Patches
        In the CRS of the polygons. Names go by area over all classes, those of one area by the order of the polygons, so that
        the same map has the same.

    Examples
    --------
    >>> cells = gpd.GeoDataFrame({"class": "weed", "area_m2": 4.0, "mean_probability": [0.6, 0.8]},
    ...                          geometry=[shapely.box(0, 0, 2, 2), shapely.box(3, 0, 5, 2)])
    >>> join_patches(cells, join_m=1).rows.drop(columns="geometry").to_dict("records")
    [{'name': 'P001', 'class': 'weed', 'area_m2': 8.0, 'gross_m2': 10.0, 'mean_probability': 0.7}]
    """
    on_ground, unit_m = measured(polygons)
    shapes, classes, mean = on_ground.geometry.to_numpy(), polygons["class"].to_numpy(), mean_of(polygons)
    numbers, count = np.zeros(len(shapes), np.intp), 0
    for name in pd.unique(polygons["class"]):
        mine = classes == name
        groups = near_groups(shapes[mine], join_m / unit_m)
        numbers[mine] = groups + count
        count += groups.max() + 1
    firsts = np.unique(numbers, return_index=True)[1]
    cells = _cells(shapes, numbers)
    outlines = _outlines(shapes, numbers, join_m / unit_m)
    sizes = shapely.area(shapes)  # whole cells, each of which counts as much in the mean
    area_m2 = np.bincount(numbers, polygons["area_m2"], count).round(DECIMALS)
    rows = gpd.GeoDataFrame(
        {
            "class": classes[firsts],
            "area_m2": area_m2,
            "gross_m2": np.maximum((shapely.area(outlines) * unit_m**2).round(DECIMALS), area_m2),
            mean: (np.bincount(numbers, sizes * polygons[mean], count) / np.bincount(numbers, sizes, count)).round(DECIMALS),
        },
        geometry=outlines,
        crs=on_ground.crs,
    )
    order = np.lexsort([firsts, -area_m2])
    digits = max(LEAST_DIGITS, len(str(count)))
    rows = rows.iloc[order].reset_index(drop=True)
    rows.insert(0, "name", [f"P{number:0{digits}d}" for number in range(1, count + 1)])
    series = (gpd.GeoSeries(one[order], crs=on_ground.crs) for one in (cells, centres_of(cells)))
    found = Patches(rows, *series)
    return found if rows.crs == polygons.crs else found.to_crs(polygons.crs)


def mean_of(polygons: gpd.GeoDataFrame) -> str:
    """Return what the column of the mean is called: of a map of probabilities, or of one of cover."""
    return MEAN_COVER if MEAN_COVER in polygons else MEAN_PROBABILITY


def measured(shapes: gpd.GeoDataFrame | gpd.GeoSeries) -> tuple[Any, float]:
    """Return shapes in a CRS whose unit measures the ground, and the length of that unit in metres.

    That is their own, unless its unit is the degree or it stretches lengths by more than 1 % here, as Web Mercator does: then
    Lambert's azimuthal equal-area projection about the place, which keeps areas, and lengths to a millionth within 10 km.

    Parameters
    ----------
    shapes : geopandas.GeoDataFrame or geopandas.GeoSeries

    Returns
    -------
    shapes : the same
    unit_m : float
    """
    if shapes.crs is None or shapes.empty:
        return shapes, 1.0
    if not has_place(shapes.crs):
        return shapes, unit_m(shapes.crs)
    base = shapes.crs.geodetic_crs
    x, y = median_place(shapes)
    longitude, latitude = pyproj.Transformer.from_crs(shapes.crs, base, always_xy=True).transform(x, y)
    if shapes.crs.is_projected and abs(linear_scale(shapes.crs, longitude, latitude) - 1) <= MAX_SCALE_ERROR:
        return shapes, unit_m(shapes.crs)
    return shapes.to_crs(ProjectedCRS(LambertAzimuthalEqualAreaConversion(latitude, longitude), geodetic_crs=base)), 1.0


def _cells(shapes: Shapes, numbers: Numbers) -> Shapes:
    """Return the cells of each group, also where somebody drew some over one another."""
    cells = united(shapes, numbers)
    for number in np.flatnonzero(~shapely.is_valid(cells)):
        cells[number] = shapely.union_all(shapely.get_parts(cells[number]))
    return cells


def centres_of(cells: Shapes) -> Shapes:
    """Return a point in the largest part of each group: a crew is to arrive where there is most."""
    parts, group = shapely.get_parts(cells, return_index=True)
    order = np.lexsort([-shapely.area(parts).round(DECIMALS), group])
    firsts = np.unique(group[order], return_index=True)[1]
    return np.asarray(shapely.point_on_surface(parts[order][firsts]))


def _outlines(shapes: Shapes, numbers: Numbers, distance: float) -> Shapes:
    """Return the perimeter of each group."""
    if not len(shapes):
        return shapes
    wide = shapely.buffer(shapes, distance / 2, join_style="mitre")
    order = np.argsort(numbers, kind="stable")
    groups = np.split(wide[order], np.flatnonzero(np.diff(numbers[order])) + 1)
    joined = np.array([shapely.union_all(group) if len(group) > 1 else group[0] for group in groups], object)
    parts, group = shapely.get_parts(joined, return_index=True)
    filled = united(np.asarray(shapely.polygons(shapely.get_exterior_ring(parts))), group)
    return np.asarray(shapely.buffer(filled, -distance / 2, join_style="mitre"))
