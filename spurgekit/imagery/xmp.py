"""What a drone wrote into a photo beside EXIF: height above the take-off point and the angles of camera and aircraft.

DJI's drones write them as XMP in the namespace ``drone-dji``, as attributes or as elements. Angles are of the NED frame in the
order yaw, pitch, roll (DJI Mavic 3E/3T and 3M user manuals, "Data Storage").
"""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from pydantic import BaseModel, ConfigDict, Field
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from spurgekit.imagery.gdal_warnings import without_warnings

NAMESPACE = "{http://www.dji.com/drone-dji/1.0/}"
_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""What an APP1 segment of a JPEG starts with when it holds XMP (Adobe XMP specification, part 3, section 1.1.3)."""


class DroneXmp(BaseModel):
    """What a drone says of its camera's pose; null where it does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relative_altitude_m: float | None = Field(default=None, description="metres above the take-off point")
    absolute_altitude_m: float | None = Field(default=None, description="metres above sea level or the ellipsoid")
    latitude: float | None = Field(default=None, description="degrees, north positive")
    longitude: float | None = Field(default=None, description="degrees, east positive")
    gimbal_yaw_deg: float | None = Field(default=None, description="of the camera, clockwise from true north")
    gimbal_pitch_deg: float | None = Field(default=None, description="of the camera; -90 looks straight down")
    gimbal_roll_deg: float | None = Field(default=None, description="of the camera")
    flight_yaw_deg: float | None = Field(default=None, description="of the aircraft, clockwise from true north")
    calibrated_focal_px: float | None = Field(default=None, description="focal length in pixels of the photo as taken")

    @property
    def position(self) -> tuple[float, float] | None:
        """Longitude and latitude in degrees, or None; 0, 0 is what is written without a fix."""
        if self.longitude is None or self.latitude is None or self.longitude == self.latitude == 0:
            return None
        return (self.longitude, self.latitude) if abs(self.longitude) <= 180 and abs(self.latitude) <= 90 else None


_NAMES = {
    "RelativeAltitude": "relative_altitude_m",
    "AbsoluteAltitude": "absolute_altitude_m",
    "GpsLatitude": "latitude",
    "GpsLongitude": "longitude",
    "GpsLongtitude": "longitude",  # as several firmwares spell it
    "GimbalYawDegree": "gimbal_yaw_deg",
    "GimbalPitchDegree": "gimbal_pitch_deg",
    "GimbalRollDegree": "gimbal_roll_deg",
    "FlightYawDegree": "flight_yaw_deg",
    "CalibratedFocalLength": "calibrated_focal_px",
}


def read_xmp(path: Path | io.BytesIO) -> DroneXmp | None:
    """Return what a drone wrote into a JPEG or TIFF, or None where there is nothing (or nothing that can be read)."""
    for packet in _packets(path):
        if found := parse_xmp(packet):
            return found
    return None


def parse_xmp(packet: bytes) -> DroneXmp | None:
    """Return what an XMP packet says in the namespace ``drone-dji``, or None.

    Parameters
    ----------
    packet : bytes
        XML in UTF-8. One with a document type is refused unread: XMP has none, and entities could be made to fill the memory.
    """
    try:
        text = packet.decode("utf-8").strip("\0 \r\n\t\ufeff")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return None
        root = ET.fromstring(text)
    except (UnicodeDecodeError, ET.ParseError, ValueError):
        return None
    found: dict[str, float] = {}
    for element in root.iter():
        for name, value in [(element.tag, element.text), *element.attrib.items()]:
            field = _NAMES.get(name.removeprefix(NAMESPACE)) if name.startswith(NAMESPACE) else None
            number = _number(value)
            if field and number is not None:
                found.setdefault(field, number)
    return DroneXmp(**found) if found else None


def _number(text: str | None) -> float | None:
    """Return a finite number of DJI's ``+40.10``."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _packets(path: Path | io.BytesIO) -> list[bytes]:
    """Return the XMP packets of an image; a JPEG may have several, since programs put one of their own ahead of the drone's."""
    try:
        with without_warnings(Warning), Image.open(path) as image:
            if isinstance(image, JpegImageFile):
                found = [data for name, data in image.applist if name == "APP1" and data.startswith(_HEADER)]
                return [data.removeprefix(_HEADER) for data in found]
    except (OSError, SyntaxError, ValueError, TypeError, struct.error, Image.DecompressionBombError):
        pass  # whether the pixels can be read is GDAL's to say, and Pillow does not know all TIFFs of many bits
    if isinstance(path, io.BytesIO):  # of a JPEG
        return []
    try:
        with without_warnings(NotGeoreferencedWarning), rasterio.open(path) as dataset:
            return [text.encode() for text in dataset.tags(ns="xml:XMP").values()]
    except (RasterioError, UnicodeDecodeError):
        return []
