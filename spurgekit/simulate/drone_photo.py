"""A nadir photo from a drone: how it sees the ground, and what the drone writes into it.

The camera is that of a DJI Phantom 4 Pro (FC6310: 8.8 mm, 24 mm in 35 mm film, 3 : 2), without the distortion of its lens. Its
pictures may be smaller than the real ones, as if pixels had been binned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import ExifTags, Image
from rasterio.crs import CRS
from rasterio.warp import transform

MODEL = "FC6310"
FOCAL_MM, FOCAL_35_MM = 8.8, 24
FILM_WIDTH_MM = 36.0
HEIGHT_M = 50.0
"""Height above ground at which the surveys are flown."""

GROUND_ALTITUDE_M = 1500.0
TAKEN = "2026:06:14 12:00:00"

POSITION_SD_M, HEIGHT_SD_M, YAW_SD_DEG = 1.0, 0.5, 1.0
"""How well the drone knows where it is: GNSS without corrections, a barometer, a compass."""

XMP = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="DJI Meta Data"
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
   tiff:Make="DJI"
   tiff:Model="{model}"
   drone-dji:AbsoluteAltitude="{absolute:+.2f}"
   drone-dji:RelativeAltitude="{relative:+.2f}"
   drone-dji:GimbalRollDegree="+0.00"
   drone-dji:GimbalYawDegree="{yaw:+.2f}"
   drone-dji:GimbalPitchDegree="-90.00"
   drone-dji:FlightRollDegree="{roll:+.2f}"
   drone-dji:FlightYawDegree="{yaw:+.2f}"
   drone-dji:FlightPitchDegree="{pitch:+.2f}">
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a camera is and which way it looks.

    Attributes
    ----------
    x, y : float
        World coordinates in metres.
    height_m : float
        Above the ground, which is flat.
    yaw_deg : float
        Direction of the picture's upper edge, clockwise from the grid's north.
    pitch_deg, roll_deg : float
        Tilt from the plumb line, forwards and to the right.
    width, height : int
        Size of the picture in pixels.
    """

    x: float
    y: float
    height_m: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    width: int
    height: int

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return focal_px(self.width)

    @property
    def gsd_m(self) -> float:
        """Ground sample distance below the camera, in metres."""
        return self.height_m / self.focal_px

    def homography(self) -> NDArray[np.float64]:
        """Return the 3 x 3 matrix from metres (east, north, 1) of the camera's foot to homogeneous (col, row)."""
        yaw, pitch, roll = (math.radians(a) for a in (self.yaw_deg, self.pitch_deg, self.roll_deg))
        right = (math.cos(yaw), -math.sin(yaw), 0.0)
        back = (-math.sin(yaw), -math.cos(yaw), 0.0)
        plumb = np.array([right, back, (0.0, 0.0, -1.0)])  # rows: the picture's right, its lower edge, the ground
        forwards = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
        sideways = np.array([[math.cos(roll), 0, -math.sin(roll)], [0, 1, 0], [math.sin(roll), 0, math.cos(roll)]])
        lens = np.array([[self.focal_px, 0, self.width / 2], [0, self.focal_px, self.height / 2], [0, 0, 1]])
        return np.asarray(lens @ forwards @ sideways @ plumb @ np.diag([1.0, 1.0, -self.height_m]))

    def to_frame(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return continuous (col, row) of points of the ground, shape (n, 2)."""
        return _project(self.homography(), np.asarray(x) - self.x, np.asarray(y) - self.y)

    def footprint(self) -> NDArray[np.float64]:
        """Return the world corners of the ground that the picture shows, clockwise in it from its upper left; shape (4, 2)."""
        cols, rows = np.array([0.0, self.width, self.width, 0.0]), np.array([0.0, 0.0, self.height, self.height])
        corners = _project(np.linalg.inv(self.homography()), cols, rows)
        return np.asarray(corners + np.array([self.x, self.y]), np.float64)


def focal_px(width: int) -> float:
    """Return the camera's focal length in pixels, for pictures of this width."""
    return FOCAL_35_MM / FILM_WIDTH_MM * width


def draw_pose(width: int, gsd_m: float | None, tilt_deg: float, rng: Generator) -> Pose:
    """Return a camera over the world's origin that looks about straight down, its yaw by chance.

    Parameters
    ----------
    width : int
        Of the picture, in pixels; its height is two thirds of it.
    gsd_m : float, optional
        Sets the camera's height. Default that of :data:`HEIGHT_M`.
    tilt_deg : float
        Largest tilt from the plumb line.
    rng : numpy.random.Generator
    """
    tilt, way = rng.uniform(0, tilt_deg), rng.uniform(0, 2 * math.pi)
    return Pose(
        x=0.0,
        y=0.0,
        height_m=HEIGHT_M if gsd_m is None else gsd_m * focal_px(width),
        yaw_deg=float(rng.uniform(-180, 180)),
        pitch_deg=tilt * math.cos(way),
        roll_deg=tilt * math.sin(way),
        width=width,
        height=round(width * 2 / 3),
    )


def with_metadata(jpeg: bytes, pose: Pose, crs: CRS, rng: Generator) -> bytes:
    """Return a JPEG with what the drone believes about where it was, as EXIF and as DJI's XMP packet."""
    (longitude,), (latitude,) = transform(
        crs, "EPSG:4326", [pose.x + rng.normal(0, POSITION_SD_M)], [pose.y + rng.normal(0, POSITION_SD_M)]
    )
    relative = pose.height_m + rng.normal(0, HEIGHT_SD_M)
    absolute = GROUND_ALTITUDE_M + relative
    xmp = XMP.format(
        model=MODEL,
        absolute=absolute,
        relative=relative,
        yaw=(pose.yaw_deg + rng.normal(0, YAW_SD_DEG) + 180) % 360 - 180,
        roll=pose.roll_deg,
        pitch=pose.pitch_deg,
    )
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "DJI", MODEL
    exif[ExifTags.Base.Orientation] = 1
    exif[ExifTags.Base.DateTime] = TAKEN
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: TAKEN,
        ExifTags.Base.FocalLength: FOCAL_MM,
        ExifTags.Base.FocalLengthIn35mmFilm: FOCAL_35_MM,
        ExifTags.Base.ExifImageWidth: pose.width,
        ExifTags.Base.ExifImageHeight: pose.height,
    }
    exif[ExifTags.IFD.GPSInfo] = {
        ExifTags.GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        ExifTags.GPS.GPSLatitude: _sexagesimal(latitude),
        ExifTags.GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        ExifTags.GPS.GPSLongitude: _sexagesimal(longitude),
        ExifTags.GPS.GPSAltitudeRef: b"\x00",
        ExifTags.GPS.GPSAltitude: round(absolute, 3),
    }
    start = jpeg[:2]
    return start + _segment(exif.tobytes()) + _segment(b"http://ns.adobe.com/xap/1.0/\x00" + xmp.encode()) + jpeg[2:]


def _project(matrix: NDArray[np.floating], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    u, v, w = matrix @ np.stack([x, y, np.ones_like(x)])
    return np.column_stack([u / w, v / w])


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    seconds = round(abs(degrees) * 3600, 4)
    return float(seconds // 3600), float(seconds // 60 % 60), round(seconds % 60, 4)


def _segment(data: bytes) -> bytes:
    """Return an APP1 segment, in which JPEG keeps EXIF and XMP."""
    return b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
