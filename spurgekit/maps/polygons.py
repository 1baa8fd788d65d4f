"""Presence as polygons with areas, for QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry import shape

from spurgekit.imagery import PixelGrid
from spurgekit.vectors import write_geopackage

LAYER = "presence"
COLUMNS = {"class": "object", "area_m2": "float64", "mean_probability": "float64"}
MEAN_COVER = "mean_cover"
"""The last column, in maps of cover."""


def presence_polygons(
    predicted: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    valid: NDArray[np.float32],
    cells: PixelGrid,
    classes: Sequence[str],
    *,
    mean: str = "mean_probability",
) -> gpd.GeoDataFrame:
    """Return a polygon for each run of cells, joined along edges, that belong to one class; the first class is the background.

    Parameters
    ----------
    predicted : ndarray of uint8, shape (rows, columns)
        Class number of each cell; 255 is no data.
    probabilities : ndarray of float32, shape (rows, columns)
        Probability of that class, or its cover.
    valid : ndarray of float32, shape (rows, columns)
        Share of each cell's pixels that have data.
    cells : PixelGrid
        Of the map.
    classes : sequence of str
    mean : str
        What the column of the mean is called.

    Returns
    -------
    geopandas.GeoDataFrame
        Columns class, area_m2 and that of the mean; largest first.
    """
    rows = []
    for number, name in list(enumerate(classes))[1:]:
        labels, count = ndimage.label(predicted == number)
        if not count:
            continue
        wanted = np.arange(1, count + 1)
        sizes = ndimage.sum(valid.astype(np.float64), labels, wanted)
        means = ndimage.mean(probabilities, labels, wanted)
        for geometry, value in shapes(labels.astype(np.int32), mask=labels > 0, connectivity=4, transform=cells.transform):
            i = int(value) - 1
            rows.append(
                {
                    "class": name,
                    "area_m2": float(sizes[i] * cells.pixel_area_m2),
                    mean: float(means[i]),
                    "geometry": shape(geometry),
                }
            )
    crs = cells.crs.to_wkt() if cells.crs else None
    if not rows:
        names = (*list(COLUMNS)[:-1], mean)
        empty = {name: np.array([], dtype=kind) for name, kind in zip(names, COLUMNS.values(), strict=True)}
        return gpd.GeoDataFrame(empty, geometry=gpd.GeoSeries([], crs=crs), crs=crs)
    frame = gpd.GeoDataFrame(rows, geometry="geometry", crs=crs)
    return frame.sort_values("area_m2", ascending=False, kind="stable", ignore_index=True)


def write_polygons(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write the polygons as a GeoPackage; one without polygons has its columns all the same."""
    write_geopackage(frame, path, layer=LAYER, geometry_type="Polygon")
