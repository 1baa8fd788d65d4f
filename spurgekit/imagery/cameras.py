"""How many pixels a camera's focal length measures, from what a photo says of its camera.

A pixel covers ``height / focal length in pixels`` of the ground below, so this is the scale of a frame.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from spurgekit.imagery.exif import Exif
from spurgekit.imagery.xmp import DroneXmp

FILM_DIAGONAL_MM = math.hypot(36, 24)
"""43.27 mm. "35 mm equivalent" compares the diagonals of the sensor and the film (CIPA DCG-001)."""

WIDE = 1.6
"""Photos wider than this for their height are video shapes (16:9), cut at the top and bottom out of a 4:3 sensor.

Their 35 mm equivalent is that of the whole sensor: taken for the photo's own, it would make the FC300S's ground sample
distance 12 % too large.
"""

SAME_FOCAL = 0.05
"""How far, as a share, a focal length may be from a known camera's, so that another lens under the same name is not taken."""


class CameraModel(NamedTuple):
    """A camera as its maker describes it."""

    focal_length_mm: float
    sensor_width_mm: float
    width_px: int
    height_px: int


_SMALL = CameraModel(3.61, 6.17, 4000, 3000)  # 1/2.3 inch type
_INCH = CameraModel(8.8, 13.2, 5472, 3648)
_FOUR_THIRDS = CameraModel(12.29, 17.3, 5280, 3956)

CAMERAS = {
    "FC300C": _SMALL,  # Phantom 3 Standard
    "FC300S": _SMALL,  # Phantom 3 Advanced
    "FC300X": _SMALL,  # Phantom 3 Professional
    "FC330": _SMALL,  # Phantom 4
    "FC220": CameraModel(4.73, 6.17, 4000, 3000),  # Mavic Pro
    "FC6310": _INCH,  # Phantom 4 Pro
    "FC6310R": _INCH,  # Phantom 4 RTK
    "FC6310S": _INCH,  # Phantom 4 Pro V2
    "L1D-20c": CameraModel(10.26, 13.2, 5472, 3648),  # Mavic 2 Pro
    "L2D-20c": _FOUR_THIRDS,  # Mavic 3
    "M3E": _FOUR_THIRDS,  # Mavic 3 Enterprise
    "M3M": _FOUR_THIRDS,  # Mavic 3 Multispectral; its four narrow-band cameras share the name, not the focal length
    "FC3411": CameraModel(8.38, 13.2, 5472, 3648),  # Air 2S
    "ZenmuseP1": CameraModel(35.0, 35.9, 8192, 5460),
}
"""By EXIF's Model. Sensor widths are those of the sensor formats that DJI's specifications name."""


def focal_length_px(exif: Exif | None, xmp: DroneXmp | None, width: int, height: int) -> tuple[float, str] | None:
    """Return the focal length in pixels of a photo and where it is from, or None where nothing says it.

    Sources, best first: DJI's own calibration, EXIF's resolution of the focal plane, a table of drones' cameras, and EXIF's
    35 mm equivalent, which is rounded to whole millimetres (4 % at 24 mm).

    Parameters
    ----------
    exif, xmp : Exif, DroneXmp or None
    width, height : int
        Size of the photo in pixels, as stored.
    """
    long_side = max(width, height)
    taken = max(exif.camera_size_px) if exif and exif.camera_size_px else long_side
    resized = long_side / taken  # what is in pixels counts those that the camera took
    if xmp and xmp.calibrated_focal_px and xmp.calibrated_focal_px > 0:
        return xmp.calibrated_focal_px * resized, "calibrated focal length (XMP)"
    if exif is None:
        return None
    if exif.focal_length_mm and exif.focal_plane_px_per_mm:
        return exif.focal_length_mm * exif.focal_plane_px_per_mm * resized, "focal length and focal plane resolution (EXIF)"
    camera = CAMERAS.get(exif.model or "")
    if camera and exif.focal_length_mm and abs(exif.focal_length_mm / camera.focal_length_mm - 1) < SAME_FOCAL:
        # The larger share of the two sides: other shapes of photo are cut out of the sensor along one side only.
        share = max(long_side / camera.width_px, min(width, height) / camera.height_px)
        px = exif.focal_length_mm / camera.sensor_width_mm * camera.width_px * share
        return px, f"focal length (EXIF) and sensor of the {exif.model}"
    if exif.focal_length_35mm:
        short_side = max(min(width, height), long_side * 3 / 4) if long_side > WIDE * min(width, height) else min(width, height)
        px = exif.focal_length_35mm / FILM_DIAGONAL_MM * math.hypot(long_side, short_side)
        return px, "35 mm equivalent focal length (EXIF)"
    return None
