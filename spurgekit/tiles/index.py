"""The index of a tiles folder: one row a tile, as GeoParquet for programs and GeoPackage for QGIS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from spurgekit.errors import InputError
from spurgekit.imagery import PixelSource
from spurgekit.reading import MOST_PX, Columns, Numbers, Texts, read_parquet, take_columns
from spurgekit.tiles.cut import CutTile
from spurgekit.vectors import write_geopackage

PARQUET = "tiles.parquet"
GEOPACKAGE = "tiles.gpkg"
SIZES: Mapping[str, Numbers] = {
    "size_px": Numbers(least=1, most=MOST_PX, whole=True, optional=True),
    "gsd_m": Numbers(above=0, most=1000, gaps=True, optional=True),
    "valid_fraction": Numbers(least=0, most=1, gaps=True, optional=True),
}
COLUMNS: Columns = {
    "tile_id": Texts(unique=True),
    "file_name": Texts(paths=True, unique=True),
    "site": Texts(),
    "layout": Texts(),
    "source": Texts(),
    "col_off": Numbers(whole=True),
    "row_off": Numbers(whole=True),
    **{name: replace(column, optional=False) for name, column in SIZES.items()},
}
"""Of ``tiles.parquet``, and what they can be."""

REMEDY = "make the tiles again with 'spurgekit tile'"
OWN_COLUMNS = tuple(COLUMNS)

ROUNDING = 1e-6
"""Share of its area by which a footprint may differ from its hull."""


def index_tiles(raster: PixelSource, site: str, cut: Sequence[CutTile], layout: str) -> gpd.GeoDataFrame:
    """Return the index of the tiles that were written.

    Returns
    -------
    geopandas.GeoDataFrame
        Columns tile_id, file_name, site, layout, source, col_off, row_off (upper left corner of the pixels of the image that
        the tile is made of), size_px, gsd_m, valid_fraction and the tiles' attributes; the geometry is the ground that the
        whole tile covers, in the CRS of the image. Attributes that have the name of a column get ``point_`` or ``plot_``
        put before it. The corners of the ground are in the order of :func:`footprint_corners`.
    """
    kept = [c for c in cut if c.file_name is not None]
    gsd_m, crs = raster.gsd_m, raster.grid.crs
    rows = [
        {
            **{(f"{layout.rstrip('s')}_{k}" if k in OWN_COLUMNS else k): v for k, v in c.tile.attributes.items()},
            "tile_id": c.tile.id,
            "file_name": c.file_name,
            "site": site,
            "layout": layout,
            "source": raster.path.name,
            "col_off": c.tile.window.col,
            "row_off": c.tile.window.row,
            "size_px": c.tile.size_px,
            "gsd_m": c.tile.gsd_m or gsd_m,
            "valid_fraction": c.valid_fraction,
        }
        for c in kept
    ]
    corners = np.stack([c.tile.ground(raster.grid) for c in kept])
    frame = pd.DataFrame(rows)
    frame = frame[[*OWN_COLUMNS, *(c for c in frame.columns if c not in OWN_COLUMNS)]]
    return gpd.GeoDataFrame(frame, geometry=shapely.polygons(corners), crs=crs.to_wkt() if crs else None)


def footprint_corners(footprints: gpd.GeoSeries) -> NDArray[np.float64]:
    """Return where the corners of the images of tiles lie on the ground.

    Whatever makes tiles draws their footprints in this order: :meth:`spurgekit.imagery.PixelGrid.corners` says it of those
    along the rows of an image, :class:`spurgekit.tiles.plot_layout.PlotTile` of those of plots.

    Parameters
    ----------
    footprints : geopandas.GeoSeries
        Of n tiles.

    Returns
    -------
    ndarray of float64, shape (n, 4, 2)
        Upper left, upper right, lower right, lower left; NaN where a footprint is no convex quadrilateral.

    Examples
    --------
    A tile whose image has the east above:

    >>> footprint_corners(gpd.GeoSeries([shapely.Polygon([(2, 2), (2, 0), (0, 0), (0, 2)])])).tolist()
    [[[2.0, 2.0], [2.0, 0.0], [0.0, 0.0], [0.0, 2.0]]]
    """
    shapes = footprints.to_numpy()
    corners = np.full((len(shapes), 4, 2), np.nan)
    four = (shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON) & (shapely.get_num_coordinates(shapes) == 5)
    four &= shapely.is_valid(shapes)
    four[four] = shapely.area(shapes[four]) > (1 - ROUNDING) * shapely.area(shapely.convex_hull(shapes[four]))
    corners[four] = shapely.get_coordinates(shapes[four]).reshape(-1, 5, 2)[:, :4]
    return corners


def write_index(index: gpd.GeoDataFrame, folder: Path) -> None:
    """Write the index as ``tiles.parquet`` and ``tiles.gpkg``."""
    index.to_parquet(folder / PARQUET)
    names = _geopackage_names([c for c in index.columns if c != index.geometry.name])
    write_geopackage(index.rename(columns=names), folder / GEOPACKAGE, layer="tiles")


def _geopackage_names(columns: Sequence[str]) -> dict[str, str]:
    """Return names for columns of a GeoPackage, where ``fid`` and ``geom`` are taken and names differ in more than case."""
    taken, names = {"fid", "geom"}, {}
    for column in columns:
        name = column
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        names[column] = name
    return names


def read_tiles(folder: str | Path) -> gpd.GeoDataFrame:
    """Read the index of a tiles folder.

    Parameters
    ----------
    folder : str or pathlib.Path

    Returns
    -------
    geopandas.GeoDataFrame
        A row a tile: ``tiles.parquet`` as it is, with the footprints of the tiles as geometry.

    Raises
    ------
    InputError
        If the folder holds no index, or not one of ours.
    """
    path = Path(folder) / PARQUET
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder; make one with 'spurgekit tile'")
    if not path.is_file():
        raise InputError(f"{folder} holds no {PARQUET}; make it with 'spurgekit tile'")
    return take_columns(read_parquet(path, REMEDY, places=True), COLUMNS, path, REMEDY)
