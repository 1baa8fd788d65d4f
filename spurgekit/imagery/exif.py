"""What a camera wrote into a photo: where, when and how it was taken (standard EXIF)."""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from pydantic import BaseModel, ConfigDict, Field

from spurgekit.imagery.gdal_warnings import without_warnings

MAX_PX = 150_000_000
"""Images with more pixels are no photos; Pillow would refuse them as decompression bombs."""


class Position(BaseModel):
    """Where the camera was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    longitude: float = Field(description="degrees, east positive")
    latitude: float = Field(description="degrees, north positive")
    altitude_m: float | None = Field(description="metres above the reference")
    altitude_reference: str | None = Field(description="what the file says: sea level or ellipsoid")


class Exif(BaseModel):
    """What EXIF says of a photo; null where it does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: Position | None
    make: str | None
    model: str | None
    taken: str | None = Field(description="local time, ISO 8601, with the offset from UTC if the camera knew it")
    orientation: int | None = Field(description="EXIF code 1 to 8; 1 = as stored")
    focal_length_mm: float | None
    focal_length_35mm: float | None = Field(description="of a lens with the same angle of view on 35 mm film, in mm")
    focal_plane_px_per_mm: float | None = Field(description="pixels along a row of the sensor, a millimetre")
    exposure_s: float | None
    f_number: float | None
    iso: int | None
    software: str | None = Field(description="firmware, or the program that saved the photo again")
    camera_size_px: tuple[int, int] | None = Field(description="width and height that the camera says it took")
    thumbnail_size_px: tuple[int, int] | None = Field(description="width and height of the embedded thumbnail")
    satellite_date: str | None = Field(description="UTC date of the positioning satellites, ISO 8601")
    has_maker_note: bool = Field(description="whether the camera's own notes are there; programs that save again lose them")


def read_exif(path: Path | io.BytesIO) -> Exif | None:
    """Return what the camera wrote into a photo, or None where there is nothing (or nothing that can be read).

    Parameters
    ----------
    path : pathlib.Path or io.BytesIO
        JPEG, TIFF or any other format in which Pillow finds EXIF.
    """
    try:
        with without_warnings(Warning), Image.open(path) as image:  # about damaged EXIF and large images
            if image.width * image.height > MAX_PX:
                return None
            tags = image.getexif()
            photo, gps = dict(tags.get_ifd(ExifTags.IFD.Exif)), dict(tags.get_ifd(ExifTags.IFD.GPSInfo))
            thumbnail = _thumbnail_size(image.info.get("exif"), tags.get_ifd(ExifTags.IFD.IFD1))
    except (OSError, SyntaxError, ValueError, TypeError, struct.error, Image.DecompressionBombError):
        return None  # whether the pixels can be read is GDAL's to say
    make, model = _text(tags.get(ExifTags.Base.Make)), _text(tags.get(ExifTags.Base.Model))
    # A mosaic's DateTime is when it was computed, so it counts only beside a camera.
    taken = _time(photo.get(ExifTags.Base.DateTimeOriginal), photo.get(ExifTags.Base.OffsetTimeOriginal))
    if taken is None and (make or model):
        taken = _time(tags.get(ExifTags.Base.DateTime), photo.get(ExifTags.Base.OffsetTime))
    orientation = _number(tags.get(ExifTags.Base.Orientation))
    iso = _number(photo.get(ExifTags.Base.ISOSpeedRatings))
    width, height = (_positive(photo.get(tag)) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight))
    found = {
        "position": _position(gps),
        "make": make,
        "model": model,
        "taken": taken,
        "focal_length_mm": _positive(photo.get(ExifTags.Base.FocalLength)),
        "focal_length_35mm": _positive(photo.get(ExifTags.Base.FocalLengthIn35mmFilm)),
        "focal_plane_px_per_mm": _focal_plane(photo),
        "exposure_s": _positive(photo.get(ExifTags.Base.ExposureTime)),
        "f_number": _positive(photo.get(ExifTags.Base.FNumber)),
        "iso": int(iso) if iso else None,
    }
    code = int(orientation) if orientation and orientation in range(1, 9) else None
    if code in (None, 1) and all(value is None for value in found.values()):  # any mosaic may say that it is upright
        return None
    return Exif(
        **found,
        orientation=code,
        software=_text(tags.get(ExifTags.Base.Software)),
        camera_size_px=(int(width), int(height)) if width and height else None,
        thumbnail_size_px=thumbnail,
        satellite_date=_date(gps.get(ExifTags.GPS.GPSDateStamp)),
        has_maker_note=bool(photo.get(ExifTags.Base.MakerNote)),
    )


def _position(gps: Mapping[int, Any]) -> Position | None:
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "EW", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:  # 0, 0 is what cameras write without a fix
        return None
    altitude = _number(gps.get(ExifTags.GPS.GPSAltitude))
    reference = gps.get(ExifTags.GPS.GPSAltitudeRef, 0)  # 0 is EXIF's default
    code = reference[0] if isinstance(reference, bytes) and reference else reference
    if altitude is not None and code in (1, 3):  # below sea level, below the ellipsoid
        altitude = -altitude
    known = {0: "sea level", 1: "sea level", 2: "ellipsoid", 3: "ellipsoid"}.get(code) if isinstance(code, int) else None
    return Position(
        longitude=longitude,
        latitude=latitude,
        altitude_m=altitude,
        altitude_reference=None if altitude is None else known,
    )


def _degrees(parts: Any, reference: Any, letters: str, limit: float) -> float | None:
    """Return signed degrees of (degrees, minutes, seconds) and N, S, E or W; None where either is missing."""
    side = (_text(reference) or "").upper()
    values = [_number(part) for part in parts] if isinstance(parts, tuple | list) else []
    if len(values) != 3 or None in values or len(side) != 1 or side not in letters:
        return None
    degrees, minutes, seconds = (float(value) for value in values if value is not None)
    size = degrees + minutes / 60 + seconds / 3600
    if not 0 <= size <= limit:
        return None
    return -size if side == letters[1] else size


def _focal_plane(photo: Mapping[int, Any]) -> float | None:
    """Return pixels a millimetre on the sensor, of EXIF's FocalPlaneXResolution and its unit."""
    resolution = _positive(photo.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _number(photo.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    unit_mm = {2: 25.4, 3: 10.0, 4: 1.0}.get(int(unit)) if unit else None  # inch, which is the default; cm; mm
    return resolution / unit_mm if resolution and unit_mm else None


def _thumbnail_size(raw: Any, ifd: Mapping[int, Any]) -> tuple[int, int] | None:
    """Return width and height of the JPEG thumbnail in raw EXIF (of the photo as taken: editors seldom renew it)."""
    start, length = _number(ifd.get(ExifTags.Base.JpegIFOffset)), _number(ifd.get(ExifTags.Base.JpegIFByteCount))
    if not isinstance(raw, bytes) or not start or not length:
        return None
    header = len(b"Exif\0\0") if raw.startswith(b"Exif\0\0") else 0
    try:
        with Image.open(io.BytesIO(raw[header + int(start) : header + int(start + length)])) as thumbnail:
            return thumbnail.size
    except (OSError, SyntaxError, ValueError):
        return None


def _date(value: Any) -> str | None:
    """Return ISO 8601 of EXIF's ``2016:06:23``."""
    try:
        return datetime.strptime(_text(value) or "", "%Y:%m:%d").date().isoformat()
    except ValueError:
        return None


def _time(value: Any, offset: Any) -> str | None:
    """Return ISO 8601 of EXIF's ``2016:06:23 16:33:27``."""
    try:
        time = datetime.strptime(_text(value) or "", "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    zone = _text(offset) or ""
    return time.isoformat() + (zone if re.fullmatch(r"[+-]\d\d:\d\d", zone) else "")


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    return value.split("\0")[0].strip() or None  # DJI pads with zero bytes


def _number(value: Any) -> float | None:
    """Return a finite number; EXIF's rationals may be n/0, and some values come as tuples of one."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None
