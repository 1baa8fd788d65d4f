"""Coordinate reference systems: read, named, and points brought from one to another."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what GDAL raises beside rasterio's own errors; not exported
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform

from spurgekit.errors import ImageryError


def parse_crs(text: str) -> CRS:
    """Return the CRS that a user named (``EPSG:32612``, a PROJ string, WKT)."""
    try:
        return CRS.from_user_input(text)
    except (CRSError, ValueError) as error:  # "EPSG:" with anything but a number is a ValueError
        raise ImageryError(f"{text!r} is no CRS that PROJ knows; pass a code such as EPSG:32612") from error


def name_crs(crs: CRS | None) -> str:
    """Return a short name: the authority's code where there is one, else the CRS's own name."""
    if crs is None:
        return "no CRS"
    authority = crs.to_authority()
    return ":".join(authority) if authority else to_pyproj(crs).name


def utm_code(longitude: float, latitude: float) -> str:
    """Return the UTM zone of a place as an EPSG code, e.g. ``EPSG:32612``.

    >>> utm_code(-111.0, 45.2), utm_code(18.4, -33.9)
    ('EPSG:32612', 'EPSG:32734')
    """
    zone = min(60, max(1, int((longitude + 180) // 6) + 1))
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


def to_pyproj(crs: CRS) -> pyproj.CRS:
    """Return a CRS as pyproj has it, which tells more of one than rasterio does."""
    return _parse_wkt(crs.to_wkt())


@lru_cache(maxsize=16)  # parsing takes longer than all else that a ground sample distance needs
def _parse_wkt(wkt: str) -> pyproj.CRS:
    return pyproj.CRS.from_wkt(wkt)


def points_in(points: NDArray[np.float64], crs: CRS, target: CRS) -> NDArray[np.float64]:
    """Return points of one CRS in another.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        x and y, or longitude and latitude.
    crs, target : rasterio.crs.CRS

    Returns
    -------
    ndarray of float64, shape (n, 2)

    Raises
    ------
    ImageryError
        If one of them has no place in the other CRS.
    """
    try:
        moved = np.column_stack(transform(crs, target, *np.asarray(points).T))
    except (RasterioError, CPLE_BaseError) as error:
        raise ImageryError(_nowhere(crs, target)) from error
    if not np.isfinite(moved).all():
        raise ImageryError(_nowhere(crs, target))
    return moved


def _nowhere(crs: CRS, target: CRS) -> str:
    return f"coordinates in {name_crs(crs)} cannot be brought to {name_crs(target)}; check both CRSs"
