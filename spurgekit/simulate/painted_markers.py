"""Ground markers painted into a picture, their centres known to a few hundredths of a pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from spurgekit.errors import InputError
from spurgekit.markers.aruco import dictionary_of
from spurgekit.markers.families import FAMILIES
from spurgekit.simulate.light import Light
from spurgekit.simulate.random_fields import Field, Pixels, noise
from spurgekit.simulate.stamp import Stamp

Rgb = tuple[int, int, int]
Layer = NDArray[np.bool_]

LIGHT: Rgb = (222, 224, 230)
"""White tape or paint in the sun."""

DARK: Rgb = (24, 24, 27)
"""A black panel in the sun."""

BACK: Rgb = (92, 94, 96)
"""The back of a panel that is folded over."""

DUST: Rgb = (132, 120, 102)

TAPE = 1 / 8
"""Width of a cross's arms, in sides of its panel."""

DIGIT_TAPE = 1 / 20
"""Width of the strokes of a digit, in sides of its panel."""

SEGMENTS = {
    # The strokes of a digit as a pocket calculator shows it: from (u, v) to (u, v), the digit's box reaching from -1 to 1.
    "a": ((-1, -1), (1, -1)),
    "b": ((1, -1), (1, 0)),
    "c": ((1, 0), (1, 1)),
    "d": ((-1, 1), (1, 1)),
    "e": ((-1, 0), (-1, 1)),
    "f": ((-1, -1), (-1, 0)),
    "g": ((-1, 0), (1, 0)),
}
DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")

SHARP = 1e-3
"""Blur, in sizes, through which a template is looked at to paint what it shows."""


@dataclass(frozen=True, slots=True)
class PaintedMarker:
    """A marker to paint.

    Attributes
    ----------
    family : str
        A name in :data:`spurgekit.markers.families.FAMILIES`.
    col, row : float
        Its centre, in continuous pixel coordinates.
    size_px : float
        Side or diameter; of a coded marker, of its black square.
    angle_deg : float
        Turned clockwise in the image.
    id : int
        What a coded marker says.
    color : tuple of int, optional
        RGB of what is light on it. Default white.
    digit : int, optional
        Taped into one quarter of a cross.
    brightness : float
        Factor on its colours.
    dirt : float
        From 0 (clean and flat) to 1 (dust and blotches all over it).
    blades : int
        Blades of grass that lie over its rim.
    hidden : float
        Share of it that cannot be seen, from 0 to below 1.
    hidden_by : {"grass", "fold"}
        Grown over from one side, or folded over.
    shadow_px : float
        How far its shadow reaches where the sun is 45 degrees high.
    """

    family: str
    col: float
    row: float
    size_px: float
    angle_deg: float = 0.0
    id: int = 0
    color: Rgb | None = None
    digit: int | None = None
    brightness: float = 1.0
    dirt: float = 0.0
    blades: int = 0
    hidden: float = 0.0
    hidden_by: Literal["grass", "fold"] = "grass"
    shadow_px: float = 0.0

    def __post_init__(self) -> None:
        if FAMILIES[self.family].dictionary and not 0 <= self.id < id_count(self.family):
            raise InputError(f"{self.family} has no marker {self.id}; its ids go up to {id_count(self.family) - 1}")
        if not (math.isfinite(self.size_px) and self.size_px > 0):
            raise InputError(f"a marker of {self.size_px} px cannot be painted; pass a positive size")
        if not 0 <= self.hidden < 1:
            raise InputError(f"{self.hidden} is no share of a marker to hide; pass 0 or more, but less than 1")


def paint_marker(
    rgb: Pixels, marker: PaintedMarker, rng: Generator, *, blur_px: float = 0.0, sun: Light | None = None
) -> float:
    """Paint a marker into a picture.

    It is sampled several times a pixel and averaged over each pixel's area, so that its centre is the one asked for to less
    than 0.03 px, whatever the dirt on it.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
        Changed in place, no further than 1.5 sizes from the centre. What lies outside it is left out.
    marker : PaintedMarker
    rng : numpy.random.Generator
        Draws the dirt, the blades of grass, and where it is hidden.
    blur_px : float
        Standard deviation of a lens's blur, where the picture has been taken already; 0 where that comes later.
    sun : Light, optional

    Returns
    -------
    float
        The share of the marker that can be seen, from 0 to 1.
    """
    half = extent(marker.family) / 2
    sun = sun or Light()
    shadow_px = marker.shadow_px + sun.shadow_length(marker.shadow_px)
    reach = marker.size_px * half * (1 if marker.family in ROUND else math.sqrt(2)) + shadow_px + 3 * blur_px + 1
    stamp = Stamp.around(marker.col, marker.row, reach)
    u, v = stamp.turned(marker.angle_deg, marker.size_px)
    inside = _inside(marker.family, u, v)
    light = _light(marker, u, v, rng)
    front, back = _uncovered(marker, stamp, u, v, inside, rng)
    seen, folded = stamp.averaged(front), stamp.averaged(back)
    lit = stamp.averaged(light & front)
    colour = sum(
        cover[..., None] * np.array(tone, np.float32)
        for cover, tone in ((lit, marker.color or LIGHT), (seen - lit, DARK), (folded, BACK))
    )
    alpha = seen + folded
    colour = _weathered(np.asarray(colour, np.float32), alpha, marker, rng)
    stamp.press(rgb, colour, alpha, blur_px=blur_px, shadow_px=marker.shadow_px, sun=sun)
    return float(np.count_nonzero(front) / np.count_nonzero(inside))


def extent(family: str) -> float:
    """Return how wide all of a marker is, in sizes: coded markers have a white margin around their black square."""
    return 1 + 2 / _cells(family) if FAMILIES[family].dictionary else 1.0


def id_count(family: str) -> int:
    """Return how many markers a dictionary holds; 0 of a family without codes."""
    return len(dictionary_of(family).bytesList) if FAMILIES[family].dictionary else 0


# -- what is on it --------------------------------------------------------------------------------------------------


def _checker(u: Field, v: Field) -> Layer:
    return np.asarray((u > 0) == (v > 0), np.bool_)


def _bullseye(u: Field, v: Field) -> Layer:
    ring = np.hypot(u, v)
    return np.asarray((ring < 1 / 6) | (ring > 1 / 3), np.bool_)


def _cross(u: Field, v: Field) -> Layer:
    return np.asarray((np.abs(u) < TAPE / 2) | (np.abs(v) < TAPE / 2), np.bool_)


def _plain(u: Field, v: Field) -> Layer:  # noqa: ARG001
    return np.ones(u.shape, np.bool_)


CROSSES = ("cross", "dark-cross")
ROUND = ("bullseye", "disc")
PATTERNS: Mapping[str, Callable[[Field, Field], Layer]] = {
    "cross": _cross,
    "dark-cross": lambda u, v: ~_cross(u, v),
    "checker": _checker,
    "bullseye": _bullseye,
    "panel": _plain,
    "disc": _plain,
}
"""Where markers are light, apart from the detector's templates, so that what finds them is not tested on itself. Markers of
other families are painted as their templates show them."""


def _inside(family: str, u: Field, v: Field) -> Layer:
    if not FAMILIES[family].dictionary and family not in PATTERNS:
        _, _, outside = FAMILIES[family].template().cover(u, v, SHARP)
        return np.asarray(outside < 0.5, np.bool_)
    half = extent(family) / 2
    inside = np.hypot(u, v) <= half if family in ROUND else (np.abs(u) <= half) & (np.abs(v) <= half)
    return np.asarray(inside, np.bool_)


def _light(marker: PaintedMarker, u: Field, v: Field, rng: Generator) -> Layer:
    """Return where a marker is light."""
    if FAMILIES[marker.family].dictionary:
        return _coded(marker, u, v)
    if marker.family not in PATTERNS:
        light, _, _ = FAMILIES[marker.family].template().cover(u, v, SHARP)
        return np.asarray(light > 0.5, np.bool_)
    is_light = PATTERNS[marker.family](u, v)
    if marker.digit is not None and marker.family in CROSSES:
        digit = _digit(marker.digit, u, v, rng)
        return is_light & ~digit if marker.family == "dark-cross" else is_light | digit
    return is_light


def _digit(digit: int, u: Field, v: Field, rng: Generator) -> Layer:
    """Return the strokes of a digit in one quarter of a cross, in one of four directions and somewhat askew."""
    turn = rng.integers(4) * 90 + rng.normal(0, 4)
    c, s = (np.float32(f(math.radians(turn))) for f in (math.cos, math.sin))
    at_u, at_v = u * c + v * s - np.float32(0.26), v * c - u * s - np.float32(0.26)
    wide, high = 0.08, 0.14
    strokes = np.zeros(u.shape, np.bool_)
    for name in DIGITS[digit]:
        (left, top), (right, bottom) = SEGMENTS[name]
        strokes |= (
            (at_u > left * wide - DIGIT_TAPE / 2)
            & (at_u < right * wide + DIGIT_TAPE / 2)
            & (at_v > top * high - DIGIT_TAPE / 2)
            & (at_v < bottom * high + DIGIT_TAPE / 2)
        )
    return strokes


def _cells(family: str) -> int:
    """Return the number of cells along a coded marker's black square, its border included."""
    return int(dictionary_of(family).markerSize) + 2


def _coded(marker: PaintedMarker, u: Field, v: Field) -> Layer:
    cells = _cells(marker.family)
    picture = np.pad(cv2.aruco.generateImageMarker(dictionary_of(marker.family), marker.id, cells), 1, constant_values=255)
    column, row = (np.clip((w + np.float32(0.5 + 1 / cells)) * cells, 0, cells + 1.5).astype(np.int32) for w in (u, v))
    return np.asarray(np.take(picture > 0, row * (cells + 2) + column), np.bool_)


# -- what became of it ----------------------------------------------------------------------------------------------


def _uncovered(marker: PaintedMarker, stamp: Stamp, u: Field, v: Field, inside: Layer, rng: Generator) -> tuple[Layer, Layer]:
    """Return where its front can be seen, and where its back, which a fold turns up."""
    nothing = np.zeros_like(inside)
    grown = _blades(marker, stamp, rng) if marker.blades else nothing
    if not marker.hidden:
        return inside & ~grown, nothing
    angle = rng.uniform(0, 2 * np.pi)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    along = u * c + v * s
    if marker.hidden_by == "grass":
        ragged = along + np.float32(0.1) * cv2.resize(noise(rng, stamp.side_px, max(2.0, marker.size_px / 8)), inside.shape)
        return inside & ~grown & (ragged < np.quantile(ragged[inside], 1 - marker.hidden)), nothing
    # What lies beyond the crease comes to lie, mirrored, upon what is before it: half of what is hidden on either side.
    crease = np.float32(np.quantile(along[inside], 1 - marker.hidden / 2))
    beyond = 2 * (crease - along)
    back = (along < crease) & _inside(marker.family, u + beyond * c, v + beyond * s) & inside
    return inside & ~grown & ~back & (along < crease), back & ~grown


def _blades(marker: PaintedMarker, stamp: Stamp, rng: Generator) -> Layer:
    """Return blades of grass that lie over the rim, a tenth of the marker long."""
    layer = np.zeros((stamp.side_px * stamp.samples,) * 2, np.uint8)
    # Distances from the centre, in samples.
    half = marker.size_px * extent(marker.family) / 2 * stamp.samples
    centre = np.array(stamp.centre) * stamp.samples - 0.5
    around = rng.uniform(0, 2 * np.pi, marker.blades)
    edge = half if marker.family in ROUND else half / np.maximum(np.abs(np.cos(around)), np.abs(np.sin(around)))
    out = around + math.radians(marker.angle_deg)
    direction = np.column_stack([np.cos(out), np.sin(out)])
    start = centre + direction * np.broadcast_to(edge, around.shape)[:, None] * 1.05
    lean = out + np.pi + rng.normal(0, 0.7, marker.blades)
    length = half * rng.uniform(0.1, 0.3, (marker.blades, 1))
    lines = np.stack([start, start + length * np.column_stack([np.cos(lean), np.sin(lean)])], axis=1)
    cv2.polylines(layer, np.round(lines).astype(np.int32), False, 1, max(1, round(half / 16)))  # type: ignore[call-overload]
    return layer > 0


def _weathered(colour: Field, alpha: Field, marker: PaintedMarker, rng: Generator) -> Field:
    """Return a marker's colours (times alpha) as bright as it is, behind dust and blotches and no longer quite flat."""
    if not marker.dirt:
        return np.asarray(marker.brightness * colour, np.float32)
    side = len(alpha)
    slopes = 1 + 0.03 * np.clip(noise(rng, side, max(2.0, marker.size_px / 2)), -2, 2)
    blotches = np.clip(0.5 + 0.4 * noise(rng, side, max(2.0, marker.size_px / 6)), 0, 1)
    veil = (0.4 * marker.dirt * blotches)[..., None]
    dust = veil * alpha[..., None] * np.array(DUST, np.float32)
    return np.asarray(colour * marker.brightness * slopes[..., None] * (1 - veil) + dust, np.float32)
