"""Families of markers by name."""

from __future__ import annotations

from collections.abc import Sequence

from spurgekit.errors import InputError
from spurgekit.imagery import Raster
from spurgekit.markers.aruco import CodedDetector, dictionaries
from spurgekit.markers.detection import find_other_size
from spurgekit.markers.marker import MarkerDetector
from spurgekit.markers.target_detector import TargetDetector
from spurgekit.markers.template import TARGETS

DEFAULT_FAMILY = "cross"
DEFAULT_SIZE_M = 0.45
FAMILY_NAMES = (*TARGETS, *sorted(dictionaries()))


def make_detector(family: str, size_m: float, *, ids: Sequence[int] = (), color: Sequence[int] | None = None) -> MarkerDetector:
    """Return the detector of a family.

    Parameters
    ----------
    family : str
        One of :data:`FAMILY_NAMES`.
    size_m : float
        Side or diameter in metres; of a coded marker, the side of its black square.
    ids : sequence of int
        The codes that were laid out, of coded markers.
    color : sequence of int, optional
        Red, green and blue of plain targets; by default they are brighter than their surroundings.

    Raises
    ------
    InputError
        If there is no such family, or it has no use for what was passed.
    """
    if family not in FAMILY_NAMES:
        raise InputError(
            f"no family of markers is called {family!r}; there are {', '.join(TARGETS)}, and OpenCV's dictionaries "
            "such as aruco-4x4-50 and apriltag-36h11"
        )
    if not size_m > 0:
        raise InputError(f"a marker of {size_m} m cannot be; pass its side or diameter in metres with --marker-size")
    if family not in TARGETS:
        if color is not None:
            raise InputError(f"{family} markers are black and white; --marker-color goes with panel and disc")
        return CodedDetector(family, size_m, tuple(ids))
    if ids:
        raise InputError(f"{family} markers carry no codes; --marker-ids goes with aruco and apriltag families")
    if color is not None and not TARGETS[family].plain:
        raise InputError(f"{family} markers are light and dark; --marker-color goes with panel and disc")
    if color is None:
        return TargetDetector(family, size_m)
    if len(color) != 3 or not all(0 <= value <= 255 for value in color):
        raise InputError(f"a colour is red, green and blue from 0 to 255, such as 200,40,30, not {','.join(map(str, color))}")
    return TargetDetector(family, size_m, (color[0], color[1], color[2]))


def size_hint(raster: Raster, family: str, size_m: float, color: Sequence[int] | None = None) -> str:
    """Return what to say where no markers of a size were found: that there are some of another size, or nothing.

    It searches the image at several sizes, so it is for failures only.
    """
    other = find_other_size(raster, lambda size: make_detector(family, size, color=color), size_m)
    if other is None:
        return ""
    return f"; {other[1]} of family {family} are about {other[0]:.2f} m across: pass --marker-size {other[0]:.2g}"
