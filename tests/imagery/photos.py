"""Small photos with the metadata of a camera or a drone, drawn on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

CAPE = {
    "GPSLatitudeRef": "S",
    "GPSLatitude": (IFDRational(33), IFDRational(30), IFDRational(36)),
    "GPSLongitudeRef": "E",
    "GPSLongitude": (IFDRational(18), IFDRational(15), IFDRational(0)),
    "GPSAltitudeRef": b"\1",
    "GPSAltitude": IFDRational(25, 2),
}
"""33.51° S, 18.25° E, 12.5 m below the sea."""

MERIDIAN = {
    "GPSLatitudeRef": "N",
    "GPSLatitude": (IFDRational(46), IFDRational(0), IFDRational(0)),
    "GPSLongitudeRef": "W",
    "GPSLongitude": (IFDRational(111), IFDRational(0), IFDRational(0)),
}
"""On the central meridian of UTM zone 12, where grid north is true north and 1 m is 0.9996 m of the grid."""

DRONE = {"Make": "DJI", "Model": "FC6310"}
CAMERA = {"FocalLength": IFDRational(88, 10), "MakerNote": b"DJI"}
XMP = {
    "RelativeAltitude": "+40.00",
    "GimbalYawDegree": "+0.00",
    "GimbalPitchDegree": "-90.00",
    "GimbalRollDegree": "+0.00",
    "FlightYawDegree": "+0.00",
    "CalibratedFocalLength": "40.0",
}
"""Straight down from 40 m with a focal length of 40 pixels: a pixel is 1 m."""


def photo(
    path: Path,
    *,
    base: Mapping[str, Any] | None = None,
    camera: Mapping[str, Any] | None = None,
    gps: Mapping[str, Any] | None = None,
    xmp: Mapping[str, str] | None = None,
    size_px: tuple[int, int] = (40, 30),
) -> Path:
    """Save a small photo, JPEG or TIFF, with EXIF and a drone's XMP."""
    exif = Image.Exif()
    for tag, value in (base or {}).items():
        exif[ExifTags.Base[tag]] = value
    if camera:
        exif[ExifTags.IFD.Exif] = {ExifTags.Base[tag]: value for tag, value in camera.items()}
    if gps:
        exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS[tag]: value for tag, value in gps.items()}
    if path.suffix == ".tif":
        written = Image.Exif()
        written.load(exif.tobytes())
        if xmp is not None:
            written[ExifTags.Base.XMLPacket] = packet(xmp)
        Image.new("I;16", size_px, 9000).save(path, exif=written)
        return path
    Image.new("RGB", size_px, (90, 120, 60)).save(path, exif=exif.tobytes())
    if xmp is not None:
        insert(path, packet(xmp))
    return path


def frame(path: Path, **change: str | None) -> Path:
    """Save a drone's frame of 40 x 30 pixels at 46° N, 111° W; its XMP is :data:`XMP` but for what is changed or None."""
    said = {name: value for name, value in {**XMP, **change}.items() if value is not None}
    return photo(path, base=DRONE, camera=CAMERA, gps=MERIDIAN, xmp=said)


def packet(values: Mapping[str, str]) -> bytes:
    """Return an XMP packet as DJI's drones write it."""
    attributes = "".join(f' drone-dji:{name}="{value}"' for name, value in values.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="DJI Meta Data"'
        f' xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"{attributes}/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def insert(path: Path, xmp: bytes) -> None:
    """Put an XMP packet into a JPEG, in an APP1 segment of its own at the front."""
    body = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    raw = path.read_bytes()
    path.write_bytes(raw[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + raw[2:])
