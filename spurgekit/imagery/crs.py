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

BEYOND_AREA_DEG = 6.0
"""How far outside of its area of use a CRS may be used: a UTM zone further, as countries on the edge of one do."""


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


def has_place(crs: CRS | pyproj.CRS | None) -> bool:
    """Whether coordinates in a CRS have a place on Earth; those of local, engineering and undefined ones have none.

    >>> has_place(parse_crs("EPSG:32612")), has_place(parse_crs('LOCAL_CS["site grid",UNIT["metre",1]]')), has_place(None)
    (True, False, False)
    """
    if crs is None:
        return False
    known = to_pyproj(crs) if isinstance(crs, CRS) else crs
    return bool(known.is_projected or known.is_geographic or known.is_geocentric)


def misplaced(crs: CRS | pyproj.CRS, x: float, y: float) -> str | None:
    """Return what shows that coordinates are hardly meant in a CRS, to follow "lies"; None where nothing does.

    Parameters
    ----------
    crs : rasterio.crs.CRS or pyproj.CRS
        With a place on Earth.
    x, y : float
        Coordinates in it, longitude first.
    """
    known = to_pyproj(crs) if isinstance(crs, CRS) else crs
    if known.is_geocentric:
        return None
    longitude, latitude = (x, y) if known.is_geographic else pyproj.Proj(known)(x, y, inverse=True)
    if not (abs(longitude) <= 180 and abs(latitude) <= 90):  # infinity and NaN are caught here, too
        return "where nothing can be"
    area = _area_of_use(known.to_wkt())
    if area is None:
        return None
    west, south, east, north = area
    width = (east - west) % 360 or 360.0  # areas may reach across 180 degrees
    beyond_east = (longitude - west) % 360 - width
    beyond = max(min(beyond_east, 360 - width - beyond_east), latitude - north, south - latitude)
    reads_as_degrees = not known.is_geographic and abs(x) <= 360 and abs(y) <= 90
    if beyond <= (0.0 if reads_as_degrees else BEYOND_AREA_DEG):
        return None
    return f"outside of where that is used (longitude {west:.0f} to {east:.0f}, latitude {south:.0f} to {north:.0f})" + (
        "; these look like degrees" if reads_as_degrees else ""
    )


@lru_cache(maxsize=16)
def _area_of_use(wkt: str) -> tuple[float, float, float, float] | None:
    """Return west, south, east and north of where a CRS is used, in degrees; None where nobody says."""
    crs = pyproj.CRS.from_wkt(wkt)
    authority = crs.to_authority()  # WKT of the kind that files hold leaves the area out
    area = crs.area_of_use or (pyproj.CRS.from_authority(*authority).area_of_use if authority else None)
    return area.bounds if area else None


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
