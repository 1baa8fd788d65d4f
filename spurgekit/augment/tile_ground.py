"""Where the pixels of a dataset's tiles lie on the ground, so that what was drawn on a map can be laid over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.dataset.reader import SPLITS, Dataset
from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery import PixelGrid, name_crs, open_tile_image, parse_crs
from spurgekit.imagery.crs import points_in

GEOTIFF = (".tif", ".tiff")


@dataclass(frozen=True, slots=True, eq=False)
class Quad:
    """The ground that a tile shows.

    Attributes
    ----------
    corners : ndarray of float64, shape (4, 2)
        x and y of the corners of its pixels: upper left, upper right, lower right, lower left of the picture, wherever north
        may be.
    crs : rasterio.crs.CRS
    """

    corners: NDArray[np.float64]
    crs: CRS

    def corners_in(self, crs: CRS) -> NDArray[np.float64]:
        """Return the corners in another CRS, shape (4, 2).

        Raises
        ------
        InputError
            If they cannot be brought to it.
        """
        if crs == self.crs:
            return self.corners
        try:
            return points_in(self.corners, self.crs, crs)
        except ImageryError as error:
            raise InputError(
                f"tiles in {name_crs(self.crs)} cannot be brought to {name_crs(crs)}; check the CRS of both mask and dataset"
            ) from error


class Ground:
    """Tells where the tiles of a dataset lie.

    ``tiles.parquet`` has the corners of all tiles that ``spurgekit tile`` cut, in the order of the picture, so that a turned
    plot is known as one. Other tiles lie where they say themselves, as GeoTIFFs do, or else north up around their easting and
    northing in ``metadata.csv``.

    Parameters
    ----------
    dataset : Dataset

    Attributes
    ----------
    crs : rasterio.crs.CRS
        Of most of the tiles.

    Raises
    ------
    InputError
        If nothing says where any tile lies.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._known = _cut_quads(dataset)
        crs = parse_crs(dataset.info.crs) if dataset.info.crs else _crs_of_images(dataset)
        if crs is None:
            raise InputError(
                f"{dataset.path} does not say where its tiles lie, so that a map cannot mask them; "
                "pass a folder of masks named by tile, or build the dataset from GeoTIFF tiles"
            )
        self.crs = crs

    def quad(self, row: pd.Series) -> Quad:
        """Return the ground of a tile.

        Parameters
        ----------
        row : pandas.Series
            Of :meth:`spurgekit.dataset.reader.Dataset.split`.

        Raises
        ------
        InputError
            If nobody knows it, or not which way it is turned.
        """
        if (corners := self._known.get(row["tile_id"])) is not None:
            return Quad(corners, self.crs)
        if Path(row["path"]).suffix.lower() in GEOTIFF and (grid := _own_grid(row["path"])) is not None:
            return Quad(grid.corners(), grid.crs)
        return self._north_up(row)

    def _north_up(self, row: pd.Series) -> Quad:
        place = pd.to_numeric(row.reindex(["easting", "northing", "gsd_m"]), errors="coerce")
        remedy = "pass a folder of masks named by tile, or build the dataset from GeoTIFF tiles"
        where = f"{self._dataset.path}: tile {row['tile_id']}"
        if self._dataset.info.crs is None or not np.isfinite(place.to_numpy(dtype=float)).all():
            raise InputError(f"{where} does not say where it lies, so that a map cannot mask it; {remedy}")
        if pd.notna(row.get("plot")):
            raise InputError(f"{where} is of plot {row['plot']}, and nothing says which way that is turned; {remedy}")
        x, y, gsd_m = (float(value) for value in place)
        size = self._dataset.info.size_px
        try:
            step = gsd_m / PixelGrid(1, 1, Affine(1, 0, x, 0, -1, y), self.crs).metres_per_unit
        except ImageryError as error:  # degrees, or a projection that stretches lengths
            raise InputError(f"{self._dataset.path} {error}") from error
        half = step * size / 2
        return Quad(PixelGrid(size, size, Affine(step, 0, x - half, 0, -step, y + half), self.crs).corners(), self.crs)


def _cut_quads(dataset: Dataset) -> Mapping[str, NDArray[np.float64]]:
    """Return the corners of the tiles that were cut by spurgekit; the footprints of others tell not which corner is which."""
    index = None if dataset.info.crs is None else dataset.index()
    if index is None or "col_off" not in index:
        return {}
    cut = index[index["col_off"].notna() & index.geometry.notna()]
    return {tile: np.asarray(shape.exterior.coords)[:4, :2] for tile, shape in zip(cut["tile_id"], cut.geometry, strict=True)}


def _crs_of_images(dataset: Dataset) -> CRS | None:
    """Return the CRS of the first tile that is a GeoTIFF."""
    for side in SPLITS:
        for path in dataset.split(side)["path"]:
            if path.suffix.lower() in GEOTIFF:
                grid = _own_grid(path)
                return None if grid is None else grid.crs
    return None


def _own_grid(path: Path) -> PixelGrid | None:
    """Return where an image says that it lies, if it does."""
    with open_tile_image(path) as raster:
        return raster.grid if raster.grid.crs is not None and raster.pose is None else None
