"""Nadir frames: where a drone's photo lies on the ground, from what the drone wrote into it.

Good to a few metres: enough to find markers of known coordinates (see :mod:`spurgekit.markers.gcp_transform`), not to measure
positions by.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rasterio.crs import CRS

from spurgekit.errors import ImageryError
from spurgekit.imagery.cameras import focal_length_px
from spurgekit.imagery.crs import utm_code
from spurgekit.imagery.exif import Exif, read_exif
from spurgekit.imagery.metadata_checks import metadata_warnings, was_cropped, was_turned
from spurgekit.imagery.orientation import AS_STORED
from spurgekit.imagery.pixel_grid import PixelGrid
from spurgekit.imagery.xmp import DroneXmp, read_xmp

NADIR_DEG = 15.0
"""A camera tilted by more than this does not look at the ground but at a landscape: one affine map no longer serves."""

PLAUSIBLE_ALTITUDE_M = (2.0, 1000.0)
"""Lower is a drone on the ground or a barometer that was reset in the air; higher is no drone survey."""

SAME_HEADING_DEG = 10.0
"""A camera whose top is this close to the aircraft's heading looks the way the aircraft flies.

Straight down a gimbal's yaw and roll turn about the same axis, and what it reports of them is a guess at best. Measured on the
Brighton survey's frames (tests/benchmarks/bench_frames.py), the line from one camera's position to the next says that the
gimbal's yaw is off by 2.5 degrees and the aircraft's by 1.0; frames agree to 0.5 m by the aircraft's yaw, to 0.9 m by the
gimbal's. A camera that was turned by itself is known by its gimbal alone.
"""

# How well a drone knows its pose, for saying roughly how far off an approximate grid is. The frames of the Brighton survey
# agree with each other to within this (tests/benchmarks/bench_frames.py); a compass that was not calibrated is worse.
POSITION_ERROR_M = 3.0
TILT_ERROR_DEG = 2.0
YAW_ERROR_DEG = 3.0
SCALE_ERROR = 0.05

LOCAL_CRS = 'LOCAL_CS["photo, metres from its lower left corner",UNIT["metre",1]]'
"""The CRS of a photo of which nothing but the ground sample distance is known: it measures, and lies nowhere on the globe."""

UNPLACED = "is not georeferenced and cannot be placed as a frame"
ADVICE = "pass its ground sample distance, e.g. `image_gsd_m=0.012`, or georeference it first, e.g. in QGIS"


class FramePose(BaseModel):
    """Where a camera was and looked when it took a frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    longitude: float = Field(description="degrees, east positive")
    latitude: float = Field(description="degrees, north positive")
    altitude_m: float | None = Field(description="metres above the ground, taken to be as high as the take-off point")
    yaw_deg: float = Field(description="of the camera, clockwise from true north: where the top of the photo as stored points")
    pitch_deg: float = Field(description="-90 looks straight down")
    roll_deg: float
    focal_px: float | None = Field(description="focal length in pixels")
    gsd_m: float = Field(description="ground sample distance straight below, in metres")
    position_from: str
    altitude_from: str | None = Field(description="above what, and what says so")
    yaw_from: str | None = Field(description="null where nothing says it, and the top was taken for north")
    gsd_from: str

    @property
    def tilt_deg(self) -> float:
        """Angle between the camera's axis and straight down, in degrees."""
        return abs(self.pitch_deg + 90)

    def error_m(self, width: int, height: int) -> float:
        """Return roughly how far a point near a corner of the frame may be from where the approximate grid has it, in metres.

        Parameters
        ----------
        width, height : int
            Size of the frame in pixels.
        """
        corner_m = math.hypot(width, height) / 2 * self.gsd_m
        return math.hypot(
            POSITION_ERROR_M,
            (self.altitude_m or 0.0) * math.tan(math.radians(TILT_ERROR_DEG)),
            corner_m * math.radians(YAW_ERROR_DEG),
            corner_m * SCALE_ERROR,
        )


@dataclass(frozen=True, slots=True)
class FramePlacement:
    """What became of the attempt to place a photo.

    Attributes
    ----------
    grid : PixelGrid
        Of the pixels as stored; without a place where none was found.
    orientation : int
        EXIF code of what turns the stored pixels upright.
    notes : tuple of str
        What was assumed and what cannot be true, for the user to read.
    how : str or None
        What the grid was made from and how good it is, for the user to read.
    pose : FramePose or None
        What the grid was made from.
    unplaced : str or None
        Why there is no place, and what to do; to follow the name of the file.
    """

    grid: PixelGrid
    orientation: int = AS_STORED
    notes: tuple[str, ...] = ()
    how: str | None = None
    pose: FramePose | None = None
    unplaced: str | None = None

    def moved(self, grid: PixelGrid) -> FramePlacement:
        """Return the same with a better grid of the stored pixels, of which the caller says how good it is."""
        return replace(self, grid=grid, how=None, unplaced=None)


def place_photo(path: Path | io.BytesIO, width: int, height: int, gsd_m: float | None = None) -> FramePlacement:
    """Place a photo that has neither CRS nor geotransform, by its EXIF and XMP or a given ground sample distance.

    Parameters
    ----------
    path : pathlib.Path or io.BytesIO
        The file, or what is in it.
    width, height : int
        Size in pixels, as stored.
    gsd_m : float, optional
        Ground sample distance in metres, as the user knows it. Serves even a photo that says nothing of itself, whose grid
        then runs along its own sides from its lower left corner.
    """
    exif, xmp = read_exif(path), read_xmp(path)
    turned = (exif.orientation if exif else None) or AS_STORED
    notes = metadata_warnings(exif, xmp, width, height)
    if turned != AS_STORED:
        notes = (f"turned upright, as its EXIF orientation ({turned}) says", *notes)
    nowhere = PixelGrid(width, height, Affine.identity())
    try:
        pose = _pose(exif, xmp, width, height, gsd_m)
    except ImageryError as error:
        if gsd_m is None:
            return FramePlacement(nowhere, turned, notes, unplaced=f"{UNPLACED}: {error}; {ADVICE}")
        local = PixelGrid(width, height, Affine(gsd_m, 0.0, 0.0, 0.0, -gsd_m, height * gsd_m), CRS.from_wkt(LOCAL_CRS))
        return FramePlacement(local, turned, notes, f"lies nowhere on the globe, and is measured by the given GSD: {error}")
    try:
        grid = frame_grid(pose, width, height)
    except ImageryError as error:
        return FramePlacement(nowhere, turned, notes, unplaced=f"{UNPLACED}: {error}")
    is_across = was_turned(exif, xmp, width, height) is not None
    return FramePlacement(grid, turned, notes, _approximately(pose, width, height, is_across=is_across), pose)


def frame_grid(pose: FramePose, width: int, height: int) -> PixelGrid:
    """Return the approximate grid of a frame, as stored, in the UTM zone where it was taken.

    The ground is taken to be a plane, and the lens to be free of distortion. The grid is the affine map that is right at the
    middle of the frame and, on average, at the middles of its four sides.

    Raises
    ------
    ImageryError
        If the camera did not look down.
    """
    if pose.tilt_deg > NADIR_DEG:
        raise ImageryError(
            f"its camera was tilted by {pose.tilt_deg:.0f}° (gimbal pitch {pose.pitch_deg:.1f}°), and up to "
            f"{NADIR_DEG:.0f}° counts as nadir: take another frame"
        )
    crs = utm_code(pose.longitude, pose.latitude)
    east, north = _on_ground(pose, width, height)
    # Along the ellipsoid rather than by adding metres, since UTM's north is not true north.
    lon, lat, _ = pyproj.Geod(ellps="WGS84").fwd(
        np.full(5, pose.longitude), np.full(5, pose.latitude), np.degrees(np.arctan2(east, north)), np.hypot(east, north)
    )
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    a, d = (x[2] - x[1]) / width, (y[2] - y[1]) / width
    b, e = (x[4] - x[3]) / height, (y[4] - y[3]) / height
    c, f = x[0] - a * width / 2 - b * height / 2, y[0] - d * width / 2 - e * height / 2
    return PixelGrid(width, height, Affine(a, b, c, d, e, f), CRS.from_string(crs))


def _on_ground(pose: FramePose, width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return metres east and north of the camera: the frame's middle and the middles of its left, right, upper, lower side."""
    # Without a focal length the angle of view is unknown, and only matters if the camera was tilted: take a usual one.
    focal_px = pose.focal_px or float(max(width, height))
    yaw, pitch, roll = np.radians([pose.yaw_deg, pose.pitch_deg, pose.roll_deg])
    # NED angles, in the order yaw, pitch, roll; camera axes: forward, right, down.
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    nod = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
    bank = np.array([[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]])
    right = np.array([0, -width, width, 0, 0]) / 2
    down = np.array([0, 0, 0, -height, height]) / 2
    rays = turn @ nod @ bank @ np.stack([np.full(5, focal_px), right, down])
    north, east = rays[:2] / rays[2] * (pose.gsd_m * focal_px)
    return east, north


def _pose(exif: Exif | None, xmp: DroneXmp | None, width: int, height: int, gsd_m: float | None) -> FramePose:
    longitude, latitude, position_from = _position(exif, xmp)
    if exif and (why := was_cropped(exif, width, height)):
        raise ImageryError(f"{why}, so that its middle is not what the camera looked at")
    focal = focal_length_px(exif, xmp, width, height)
    if xmp and xmp.relative_altitude_m is not None:
        altitude, altitude_from = xmp.relative_altitude_m, "take-off point, by XMP"
    else:
        altitude, altitude_from = None, None
    if altitude is not None and not PLAUSIBLE_ALTITUDE_M[0] <= altitude <= PLAUSIBLE_ALTITUDE_M[1]:
        if gsd_m is None:
            raise ImageryError(f"its height of {altitude:.1f} m above the {altitude_from}, cannot be that of a survey")
        altitude, altitude_from = None, None
    if gsd_m is not None:
        gsd, gsd_from = gsd_m, "as given"
    elif altitude is None:
        raise ImageryError("nothing in it says how high above the ground it was taken (no drone-dji XMP)")
    elif focal is None:
        raise ImageryError("it does not say enough of its camera for a scale")
    else:
        gsd, gsd_from = altitude / focal[0], f"height and {focal[1]}"
    yaw, yaw_from = _yaw(xmp)
    return FramePose(
        longitude=longitude,
        latitude=latitude,
        altitude_m=altitude,
        yaw_deg=yaw,
        pitch_deg=xmp.gimbal_pitch_deg if xmp and xmp.gimbal_pitch_deg is not None else -90.0,
        roll_deg=(xmp.gimbal_roll_deg or 0.0) if xmp else 0.0,
        focal_px=focal[0] if focal else None,
        gsd_m=gsd,
        position_from=position_from,
        altitude_from=altitude_from,
        yaw_from=yaw_from,
        gsd_from=gsd_from,
    )


def _position(exif: Exif | None, xmp: DroneXmp | None) -> tuple[float, float, str]:
    if exif and exif.position:
        return exif.position.longitude, exif.position.latitude, "EXIF"
    if xmp and xmp.position:
        return *xmp.position, "XMP"
    said = "its EXIF holds no position" if exif else "it has no EXIF, so nothing says where it was taken"
    raise ImageryError(said)


def _yaw(xmp: DroneXmp | None) -> tuple[float, str | None]:
    """Return the camera's yaw in degrees, and what says so."""
    if xmp is None or (xmp.gimbal_yaw_deg is None and xmp.flight_yaw_deg is None):
        return 0.0, None
    roll = xmp.gimbal_roll_deg or 0.0
    if xmp.gimbal_yaw_deg is None:
        return (xmp.flight_yaw_deg or 0.0) - roll, "aircraft (XMP)"
    if xmp.flight_yaw_deg is None:
        return xmp.gimbal_yaw_deg, "gimbal (XMP)"
    top = xmp.gimbal_yaw_deg + roll  # straight down, roll turns the photo as yaw does
    apart = (xmp.flight_yaw_deg - top + 180) % 360 - 180
    if abs(apart) > SAME_HEADING_DEG:
        return xmp.gimbal_yaw_deg, "gimbal (XMP)"
    return xmp.gimbal_yaw_deg + apart, "aircraft (XMP)"


def _approximately(pose: FramePose, width: int, height: int, *, is_across: bool) -> str:
    if pose.yaw_from is None:
        return "placed by its EXIF: approximate, and turned by an unknown angle, since nothing says which way was north"
    if is_across:
        return "placed by its EXIF and XMP: approximate, and off by a quarter turn one way or the other"
    metres = pose.error_m(width, height)
    return f"placed by its EXIF and XMP: approximate, to about {metres:.0f} m (position, height and yaw as the drone knew them)"
