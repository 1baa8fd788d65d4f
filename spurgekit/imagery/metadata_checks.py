"""What cannot be true in a photo's metadata, or has not been since a program saved it again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from spurgekit.imagery.exif import Exif
from spurgekit.imagery.xmp import DroneXmp

FIRST_YEAR = 2005
"""No camera of a survey drone is older. Clocks that lost their power start at 1970, 1980 or 2000."""

SAME_SHAPE = 0.01
"""How far, as a share, the ratio of a photo's sides may change when a program makes it smaller."""

EDITORS = (
    "acdsee",
    "adobe",
    "affinity",
    "apple photos",
    "capture one",
    "darktable",
    "digikam",
    "faststone",
    "gimp",
    "google",
    "imagemagick",
    "irfanview",
    "lightroom",
    "luminar",
    "microsoft",
    "paint.net",
    "photoscape",
    "photoshop",
    "picasa",
    "polarr",
    "snapseed",
    "windows photo",
    "xnview",
)
"""What EXIF's Software holds, in lower case, after a program that is no firmware saved a photo."""


def metadata_warnings(
    exif: Exif | None, xmp: DroneXmp | None, width: int, height: int, *, today: date | None = None
) -> tuple[str, ...]:
    """Return what the user should know about a photo's metadata before trusting it, one line each.

    Parameters
    ----------
    exif, xmp : Exif, DroneXmp or None
    width, height : int
        Size in pixels, as stored.
    today : datetime.date, optional
        Default the day in UTC. No photo is taken later.
    """
    return (*_clock(exif, today or datetime.now(UTC).date()), *_saved_again(exif, xmp, width, height))


def was_cropped(exif: Exif, width: int, height: int) -> str | None:
    """Return what shows that a photo is only part of what the camera took, or None."""
    if exif.camera_size_px is None:
        return None
    now, taken = max(width, height) / min(width, height), max(exif.camera_size_px) / min(exif.camera_size_px)
    if abs(now / taken - 1) <= SAME_SHAPE:
        return None
    return f"it was cropped after the flight ({width} x {height} px of {_size(exif.camera_size_px)})"


def _clock(exif: Exif | None, today: date) -> Iterator[str]:
    if exif is None or exif.taken is None:
        return
    taken = date.fromisoformat(exif.taken[:10])
    if taken.year < FIRST_YEAR:
        yield f"taken on {taken}, it says: the camera's clock was reset, so the time is not to be trusted"
    elif taken > today + timedelta(days=1):  # local time may be a day ahead of UTC
        yield f"taken on {taken}, it says, which is yet to come: the camera's clock was wrong"
    elif exif.satellite_date and abs(taken - date.fromisoformat(exif.satellite_date)) > timedelta(days=1):
        yield f"taken on {taken} by the camera's clock, on {exif.satellite_date} by the satellites': the camera's was wrong"


def _saved_again(exif: Exif | None, xmp: DroneXmp | None, width: int, height: int) -> Iterator[str]:
    """Yield at most one line: the strongest sign that the pixels are no longer as the drone wrote them."""
    if exif is None and xmp is None:
        return
    has_yaw = xmp is not None and (xmp.gimbal_yaw_deg is not None or xmp.flight_yaw_deg is not None)
    if turned := was_turned(exif, xmp, width, height):
        lost = ", so its yaw no longer says which way is up: use the file that the drone wrote" if has_yaw else ""
        yield f"turned by a quarter by a viewer after the flight ({turned}){lost}"
    elif exif and (cropped := was_cropped(exif, width, height)):
        yield f"{cropped.removeprefix('it was ')}: neither its place nor its scale can be known"
    elif exif and (program := _program(exif, xmp)):
        yield f"{program}{'; if it turned the pixels, its yaw is wrong' if has_yaw else ''}"
    elif exif and exif.camera_size_px and max(exif.camera_size_px) != max(width, height):
        yield f"resized after the flight ({width} x {height} px of {_size(exif.camera_size_px)}); its GSD allows for that"


def was_turned(exif: Exif | None, xmp: DroneXmp | None, width: int, height: int) -> str | None:
    """Return what shows that pixels were turned by 90 degrees while the metadata stayed, or None."""
    if width == height:
        return None
    now = f"{width} x {height} px"
    if exif and exif.camera_size_px and _is_across(*exif.camera_size_px, width, height):
        return f"{now}, the camera took {_size(exif.camera_size_px)}"
    if exif and exif.thumbnail_size_px and _is_across(*exif.thumbnail_size_px, width, height):
        return f"{now}, its thumbnail is {_size(exif.thumbnail_size_px)}"
    # A drone's camera has its long side across. Some can be turned on their side; that is a roll of 90 degrees.
    if height > width and xmp and xmp.gimbal_roll_deg is not None and abs(abs(xmp.gimbal_roll_deg) - 90) > 45:
        return f"{now}, upright from a camera that lies across"
    return None


def _is_across(width: int, height: int, other_width: int, other_height: int) -> bool:
    return (width - height) * (other_width - other_height) < 0


def _program(exif: Exif, xmp: DroneXmp | None) -> str | None:
    """Return what shows that a program saved the photo again, or None."""
    software = exif.software or ""
    if any(editor in software.lower() for editor in EDITORS):
        return f"saved again by {software} after the flight"
    if xmp and exif.make == "DJI" and not exif.has_maker_note:
        return "saved again by a program after the flight (the drone's own notes are gone from its EXIF)"
    return None


def _size(size_px: tuple[int, int]) -> str:
    return f"{size_px[0]} x {size_px[1]}"
