"""Coordinate reference systems: read, named, and points brought from one to another."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from pyproj.transformer import AreaOfInterest, TransformerGroup
from rasterio._err import CPLE_BaseError  # what GDAL raises beside rasterio's own errors; not exported
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform

from spurgekit.errors import ImageryError
from spurgekit.imagery.gdal_warnings import without_warnings

EARTH = CRS.from_epsg(4326)
"""Longitude and latitude, WGS 84."""

BEYOND_AREA_DEG = 6.0
"""How far outside of its area of use a CRS may be used: a UTM zone further, as countries on the edge of one do."""


def parse_crs(text: str) -> CRS:
    """Return the CRS that a user named (``EPSG:32612``, a PROJ string, WKT)."""
    try:
        with rasterio.Env():  # else PROJ's own lines are printed, too
            return CRS.from_user_input(text)
    except (CRSError, ValueError) as error:  # "EPSG:" with anything but a number is a ValueError
        raise ImageryError(f"{text!r} is no CRS that PROJ knows; pass a code such as EPSG:32612") from error


def name_crs(crs: CRS | pyproj.CRS | None) -> str:
    """Return a short name: the authority's code where there is one, else the CRS's own name."""
    if crs is None:
        return "no CRS"
    return _name(to_pyproj(crs))


def _name(crs: pyproj.CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.name


def utm_code(longitude: float, latitude: float) -> str:
    """Return the UTM zone of a place as an EPSG code, e.g. ``EPSG:32612``.

    >>> utm_code(-111.0, 45.2), utm_code(18.4, -33.9)
    ('EPSG:32612', 'EPSG:32734')
    """
    zone = min(60, max(1, int((longitude + 180) // 6) + 1))
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


def to_pyproj(crs: CRS | pyproj.CRS) -> pyproj.CRS:
    """Return a CRS as pyproj has it, which tells more of one than rasterio does."""
    return _parse_wkt(crs.to_wkt()) if isinstance(crs, CRS) else crs


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
    known = to_pyproj(crs)
    return bool(known.is_projected or known.is_geographic or known.is_geocentric)


def unit_m(crs: CRS | pyproj.CRS) -> float:
    """Return the length of one unit of a CRS that is not in degrees, in metres."""
    return float(to_pyproj(crs).axis_info[0].unit_conversion_factor)


def linear_scale(crs: CRS | pyproj.CRS, longitude: float, latitude: float) -> float:
    """Return the length that a projection gives to a metre at a place: the square root of its areal scale there."""
    return math.sqrt(pyproj.Proj(to_pyproj(crs)).get_factors(longitude, latitude).areal_scale)


def height_unit(crs: CRS | pyproj.CRS) -> tuple[str, float]:
    """Return the name of the unit that heights beside coordinates in a CRS are in, and its length in metres.

    It is that of the CRS's own heights where it has them, else that of its coordinates, as surveyors keep them; beside degrees
    heights are in metres.
    """
    axes = to_pyproj(crs).axis_info
    axis = axes[2] if len(axes) > 2 else axes[0]
    if len(axes) < 3 and to_pyproj(crs).is_geographic:
        return "metre", 1.0
    return axis.unit_name, float(axis.unit_conversion_factor)


def misplaced(crs: CRS | pyproj.CRS, x: float, y: float) -> str | None:
    """Return what shows that coordinates are hardly meant in a CRS, to follow "lies"; None where nothing does.

    Parameters
    ----------
    crs : rasterio.crs.CRS or pyproj.CRS
        With a place on Earth.
    x, y : float
        Coordinates in it, longitude first.
    """
    known = to_pyproj(crs)
    if known.is_geocentric:
        return None
    area, beyond = _area_of_use(known.srs), _degrees_beyond_area(known, x, y)
    reads_as_degrees = not known.is_geographic and abs(x) <= 360 and abs(y) <= 90
    if beyond <= (0.0 if reads_as_degrees else BEYOND_AREA_DEG):
        return None
    where, why = "where nothing can be", ""
    if area is not None and math.isfinite(beyond):
        west, south, east, north = area
        where = f"outside of where that is used (longitude {west:.0f} to {east:.0f}, latitude {south:.0f} to {north:.0f})"
    if reads_as_degrees:
        why = "; these look like degrees"
    elif not known.is_geographic and _degrees_beyond_area(known, y, x) <= BEYOND_AREA_DEG:
        why = "; are easting and northing swapped?"
    return where + why


def _degrees_beyond_area(crs: pyproj.CRS, x: float, y: float) -> float:
    """Return how far outside of where a CRS is used a place lies; 0 or less within, infinity where nothing can be."""
    longitude, latitude = (x, y) if crs.is_geographic else pyproj.Proj(crs)(x, y, inverse=True)
    if not (abs(longitude) <= 180 and abs(latitude) <= 90):  # infinity and NaN are caught here, too
        return math.inf
    area = _area_of_use(crs.srs)
    if area is None:
        return 0.0
    west, south, east, north = area
    width = (east - west) % 360 or 360.0  # areas may reach across 180 degrees
    beyond_east = (longitude - west) % 360 - width
    return max(min(beyond_east, 360 - width - beyond_east), latitude - north, south - latitude)


@lru_cache(maxsize=16)
def _area_of_use(text: str) -> tuple[float, float, float, float] | None:
    """Return west, south, east and north of where a CRS is used, in degrees; None where nobody says."""
    crs = pyproj.CRS.from_user_input(text)
    authority = crs.to_authority()  # WKT of the kind that files hold leaves the area out
    area = crs.area_of_use or (pyproj.CRS.from_authority(*authority).area_of_use if authority else None)
    return area.bounds if area else None


def doubtful_shift(crs: CRS | pyproj.CRS, target: CRS | pyproj.CRS, x: float, y: float, *, pixel_m: float = 0.0) -> str | None:
    """Return what to say of how well a place is brought from one CRS to another; None where that is no worse than a pixel.

    Parameters
    ----------
    crs, target : rasterio.crs.CRS or pyproj.CRS
    x, y : float
        The place, in ``crs``, longitude first.
    pixel_m : float
        How well it is to be known, in metres.
    """
    wkts = [known.to_wkt() for known in (crs, target)]
    if wkts[0] == wkts[1]:
        return None
    try:
        accuracy_m, missing = _operation(*wkts, round(x, 3), round(y, 3))
    except (pyproj.exceptions.ProjError, pyproj.exceptions.CRSError):
        return None  # whoever moves points says that it cannot be done
    if accuracy_m is not None and accuracy_m <= pixel_m:
        return None
    names = " to ".join(name_crs(known) for known in (crs, target))
    good = "off by an unknown distance" if accuracy_m is None else f"good to about {accuracy_m:g} m"
    return f"coordinates brought from {names} are {good}" + (
        f"; better with a grid that PROJ lacks here: pyproj sync --file {missing}" if missing else ""
    )


@lru_cache(maxsize=64)
def _operation(wkt: str, target: str, x: float, y: float) -> tuple[float | None, str | None]:
    """Return how far off the operation is that brings a place to another CRS, in metres, and a grid with which it is less.

    The first is None where nobody knows, as between data that PROJ knows no way between; the second where all grids are there.
    """
    source, goal = pyproj.CRS.from_wkt(wkt), pyproj.CRS.from_wkt(target)
    transformer = pyproj.Transformer.from_crs(source, goal, always_xy=True)
    transformer.transform(x, y, errcheck=True)
    used = transformer.get_last_used_operation()
    accuracy_m = used.accuracy if used.accuracy >= 0 else None
    longitude, latitude = pyproj.Transformer.from_crs(source, source.geodetic_crs, always_xy=True).transform(x, y)
    with without_warnings(UserWarning):  # that grids are missing, which is what is asked for
        group = TransformerGroup(
            source, goal, always_xy=True, area_of_interest=AreaOfInterest(longitude, latitude, longitude, latitude)
        )
    better = [
        (_extent(way.area_of_use.bounds if way.area_of_use else None), grid.short_name)
        for way in group.unavailable_operations
        for grid in way.grids
        if not grid.available and way.accuracy >= 0 and (accuracy_m is None or way.accuracy < accuracy_m)
    ]
    return accuracy_m, min(better)[1] if better else None


def _extent(bounds: tuple[float, float, float, float] | None) -> float:
    """Return the square degrees of where an operation is used: of several, the one for the smallest area is meant."""
    if bounds is None:
        return math.inf
    west, south, east, north = bounds
    return ((east - west) % 360) * (north - south)


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
