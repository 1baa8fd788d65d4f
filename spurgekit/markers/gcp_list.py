"""Surveyed points from OpenDroneMap's list of ground control points, ``gcp_list.txt``.

Its first line names the CRS, each other one a point as seen in an image: x, y, z, pixel column, pixel row, image and,
optionally, a name (docs.opendronemap.org, "Ground Control Points").
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery.crs import height_unit, name_crs, parse_crs, points_in
from spurgekit.markers.gcp_matching import KnownPoint
from spurgekit.tables import read_text

_WGS84_UTM = re.compile(r"WGS84\s+UTM\s+(\d{1,2})\s*([NS])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ControlPoint:
    """A surveyed point as seen in an image.

    Attributes
    ----------
    x, y, z : float
        World coordinates in the list's CRS.
    col, row : float
        Where it is in the image, in pixels as the list has them.
    image : str
        Name of the image's file.
    name : str
        Empty where the list gives none.
    """

    x: float
    y: float
    z: float
    col: float
    row: float
    image: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ControlList:
    """Ground control points, the CRS of their coordinates, and what was assumed of their file."""

    crs: CRS
    points: tuple[ControlPoint, ...]
    notes: tuple[str, ...] = ()

    def known_points(self, crs: CRS | None = None) -> tuple[KnownPoint, ...]:
        """Return each surveyed point once, in the CRS given or the list's own, in the order of the list.

        Raises
        ------
        InputError
            If they cannot be brought to that CRS.
        """
        names: dict[tuple[float, float], str] = {}
        heights = {(point.x, point.y): point.z for point in reversed(self.points)}
        for point in self.points:
            names[point.x, point.y] = names.get((point.x, point.y)) or point.name
        places = np.array(list(names))
        z = heights_in(np.array([heights[place] for place in names]), self.crs, crs or self.crs).tolist()
        if crs is not None and crs != self.crs:
            try:
                places = points_in(places, self.crs, crs)
            except ImageryError as error:
                said = f"the control points, in {name_crs(self.crs)}, cannot be brought to {name_crs(crs)}"
                raise InputError(said) from error
        x, y = places.T
        return tuple(KnownPoint(float(a), float(b), name, z=c) for a, b, c, name in zip(x, y, z, names.values(), strict=True))


def heights_in(z: NDArray[np.float64], crs: CRS | pyproj.CRS, target: CRS | pyproj.CRS) -> NDArray[np.float64]:
    """Return heights beside coordinates in a CRS in the unit of those beside coordinates in another, shape (n,)."""
    return z * (height_unit(crs)[1] / height_unit(target)[1])


def heights_note(z: NDArray[np.float64], crs: CRS | pyproj.CRS, target: CRS | pyproj.CRS, name: str) -> tuple[str, ...]:
    """Return what to say of heights of a file that change their unit, if any do."""
    (mine, mine_m), (theirs, theirs_m) = height_unit(crs), height_unit(target)
    if mine_m == theirs_m or not np.any(z[np.isfinite(z)]):
        return ()
    of_crs = name_crs(crs), name_crs(target)
    return (
        f"heights of {name} are taken to be in the unit of {of_crs[0]} ({mine}), and brought to that of {of_crs[1]} ({theirs})",
    )


def read_gcp_list(path: Path) -> ControlList:
    """Read a list of ground control points in OpenDroneMap's format.

    Parameters
    ----------
    path : pathlib.Path
        Columns parted by tabs or spaces; names of images may hold spaces where tabs part them.

    Raises
    ------
    InputError
        If the file is missing or a line is not of that format; the message names the line.
    """
    text, notes = read_text(path)
    lines = text.splitlines()
    told = [
        (number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(told) < 2:
        raise InputError(f"{path} holds no ground control points; it needs a line with the CRS and a line for each point")
    return ControlList(_crs(path, told[0][1]), tuple(_point(path, number, line) for number, line in told[1:]), notes)


def _crs(path: Path, text: str) -> CRS:
    zone = _WGS84_UTM.fullmatch(text)
    try:
        return parse_crs(f"EPSG:{(32600 if zone[2].upper() == 'N' else 32700) + int(zone[1])}" if zone else text)
    except ImageryError as error:
        raise InputError(
            f"{path}: its first line, {text[:60]!r}, names no CRS; write one such as EPSG:32611 or WGS84 UTM 11N"
        ) from error


def _point(path: Path, number: int, line: str) -> ControlPoint:
    parts = [part.strip() for part in line.split("\t")] if line.count("\t") >= 5 else line.split()
    try:
        numbers = [float(part) for part in parts[:5]]
    except ValueError:
        numbers = []
    if len(parts) < 6 or not numbers or not all(map(math.isfinite, numbers)):
        raise InputError(
            f"{path}, line {number}: {line[:60]!r} is not x, y, z, column, row and image, parted by tabs or spaces"
        )
    x, y, z, col, row = numbers
    return ControlPoint(x, y, z, col, row, parts[5], parts[6] if len(parts) > 6 else "")
