"""Dry grassland with leafy spurge as a drone sees it from 50 m, painted from the ground up.

Lengths are in metres until they are painted. What looks like spurge without being it is there on purpose: lush grass has
its mean colour, yellow flowers have its yellow, broad-leaved forbs have its clumps. Only the texture tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from spurgekit.simulate.light import Light
from spurgekit.simulate.random_fields import Field, Pixels, blurred, cover, noise

Mask = NDArray[np.bool_]

SUBPIXEL_BITS = 4
"""Fractional bits of the coordinates that cv2 draws with."""

SOIL_STEP_M = 0.05
"""Step at which the ground's colour is worked out; what is finer comes from the light on the grass."""

LARGEST_SHRUB_M = 0.8
"""Radius of the widest shrub."""

SMALLEST_PATCH_M2 = 0.02
"""Specks and gaps of the weed below this area are not mapped, as nobody would draw them."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A square piece of ground and its truth.

    Attributes
    ----------
    rgb : ndarray of uint8, shape (size_px, size_px, 3)
    weed : ndarray of bool, shape (size_px, size_px)
        Inside a patch of the weed, small gaps between its stems included.
    valid : ndarray of bool, shape (size_px, size_px)
        Inside the mosaic.
    """

    rgb: Pixels
    weed: Mask
    valid: Mask


@dataclass(frozen=True, slots=True)
class Dabs:
    """Small discs to paint, in painting order.

    Attributes
    ----------
    at : ndarray, shape (n, 2)
        Centres, (col, row) in pixels.
    radius_px : ndarray, shape (n,)
    rgb : ndarray, shape (n, 3)
    """

    at: NDArray[np.float64]
    radius_px: NDArray[np.float64]
    rgb: NDArray[np.float64]


def draw_scene(
    size_px: int,
    gsd_m: float,
    weed_share: float,
    rng: Generator,
    *,
    valid: Mask | None = None,
    clear: ArrayLike = (),
    light: Light | None = None,
    visits: Sequence[Generator] = (),
    turnover: float = 0.0,
) -> Scene:
    """Draw a scene as it lies there: sharp, and without the camera's noise (see :mod:`spurgekit.simulate.camera`).

    Parameters
    ----------
    size_px : int
        Side of the square.
    gsd_m : float
        Ground sample distance in metres.
    weed_share : float
        Share of the mosaic's area for the weed. It covers about a tenth less, as it leaves gaps.
    rng : numpy.random.Generator
    valid : ndarray of bool, shape (size_px, size_px), optional
        Inside the mosaic, as of :func:`mosaic_outline`. Default everywhere.
    clear : array_like, shape (n, 3)
        Discs (col, row, radius) in pixels where nothing grows but grass: people have laid something there.
    light : Light, optional
        What it is seen in; the plants are the same in any.
    visits : sequence of numpy.random.Generator
        One for each visit since the first: the ground is the same, and the weed has grown in places and died in others.
    turnover : float
        Share of the variance of what the ground is to the weed that each of them draws anew.
    """
    light = light or Light()
    # One stream for each layer, so that a change of one leaves the others as they were.
    for_ground, for_shrubs, for_weed, for_forbs, for_straw = rng.spawn(5)
    if valid is None:
        valid = np.ones((size_px, size_px), np.bool_)
    cleared = np.asarray(clear, np.float64).reshape(-1, 3)
    rgb, worn = _ground(for_ground, size_px, gsd_m, light)
    shrubs = _shrubs(for_shrubs, size_px, gsd_m, cleared, light)
    clearing = Dabs(cleared[:, :2], cleared[:, 2], np.zeros((len(cleared), 3)))
    closed = (worn > 0.3) | ~valid
    for dabs in (clearing, *shrubs):
        closed |= _silhouette(dabs, size_px) > 0
    field = _patchiness(for_weed, size_px, gsd_m)
    for visit in visits:
        field = math.sqrt(1 - turnover) * field + math.sqrt(turnover) * _patchiness(visit, size_px, gsd_m)
    field[closed] = field.min()
    field -= np.quantile(field[valid], 1 - weed_share).astype(np.float32)
    weed, *spurge = _spurge(for_weed, field, gsd_m, light)
    forbs = _forbs(for_forbs, ~weed & ~closed, gsd_m, light)
    for dabs, height_m in ((shrubs[0], 0.35), (spurge[0], 0.07), (forbs[0], 0.04)):
        _shade(rgb, dabs, height_m / gsd_m, light)
    leaves, flowers = forbs
    foliage, umbels = spurge
    for dabs in (leaves, foliage):
        _paint(rgb, dabs)
    _overgrow(for_straw, rgb, gsd_m)
    for dabs in (flowers, umbels, *shrubs):
        _paint(rgb, dabs)
    return Scene(rgb, weed & valid, valid)


def _patchiness(rng: Generator, size_px: int, gsd_m: float) -> Field:
    """Return the weed's suitability: colonies (9 m) of patches (2 m) of clumps (0.7 m) with ragged edges (0.2 m)."""
    field = noise(rng, size_px, 9.0 / gsd_m)
    for scale_m, weight in ((2.0, 0.8), (0.7, 0.9), (0.2, 0.35)):
        field += weight * noise(rng, size_px, scale_m / gsd_m)
    return field


def mosaic_outline(rng: Generator, size_px: int) -> Mask:
    """Return the ground that the mosaic covers: all but 8 to 15 %, with the rough edge where photos ran out."""
    steps = 64
    mean_inset = rng.uniform(0.022, 0.038)
    outline = np.ones((size_px, size_px), np.uint8)
    for quarter in range(4):
        # The edge steps from the corner of one photo to that of the next.
        photos = np.repeat(rng.uniform(0.2, 1.8, steps // 8), 8)
        wander = np.convolve(np.pad(photos, 2, mode="edge"), np.ones(5) / 5, "valid") + rng.normal(0, 0.06, steps)
        inset = mean_inset * np.clip(wander / wander.mean(), 0.05, None)
        strip = np.column_stack([np.linspace(0, 1, steps), inset])
        ring = np.round(np.concatenate([strip, [[1, 0], [0, 0]]]) * size_px).astype(np.int32)
        outside = cv2.fillPoly(np.zeros_like(outline), [ring], 1)
        outline[np.rot90(outside, quarter) > 0] = 0
    return outline > 0


# -- the ground -----------------------------------------------------------------------------------------------------


def _ground(rng: Generator, size_px: int, gsd_m: float, sun: Light) -> tuple[Pixels, Field]:
    """Return the ground without taller plants, and how worn (0 to 1) it is by a trail."""
    step = max(1, round(SOIL_STEP_M / gsd_m))
    soil, bare, worn = (
        cv2.resize(layer, None, fx=step, fy=step).astype(np.float32, copy=False)[:size_px, :size_px]
        for layer in _soil(rng, math.ceil(size_px / step), gsd_m * step)
    )
    # Light on the grass: tussocks, their gaps, stems. Bare soil has little of it.
    light = 0.8 * _stems(rng, size_px, gsd_m)
    for scale_m, stretch, weight in ((0.35, 1.0, 0.05), (0.11, 1.0, 0.08), (0.05, 1.5, 0.09)):
        light += weight * noise(rng, size_px, scale_m / gsd_m, stretch)
    light *= 1 - 0.75 * bare
    light += 1 + 0.06 * noise(rng, size_px, 0.03 / gsd_m)
    rgb = np.empty((size_px, size_px, 3), np.uint8)
    for band in range(3):
        rgb[..., band] = np.clip(soil[..., band] * light, 0, 255)
    _stones(rng, rgb, bare, gsd_m, sun)
    return rgb, worn


def _soil(rng: Generator, size_px: int, gsd_m: float) -> tuple[Field, Field, Field]:
    """Return the ground's colour (size_px, size_px, 3), and how bare and how worn it is (both 0 to 1)."""

    def at(scale_m: float) -> Field:
        return noise(rng, size_px, scale_m / gsd_m)

    patchy = at(2.5) + 0.6 * at(0.6) + 0.4 * at(0.15)
    worn = _trail(rng, size_px, gsd_m) * np.clip(0.8 + 0.25 * patchy, 0, 1)
    bare = np.maximum(cover(patchy + 1.5 * at(6.0), 0.04, 1.5), worn)
    rgb = np.full((size_px, size_px, 3), (98, 98, 83), np.float32)  # dry grass
    for covered, colour, strength in (
        (cover(at(7.0) + 0.6 * at(0.8), 0.25, 2.5), (118, 106, 91), 0.8),  # straw
        (cover(at(4.0) + 0.6 * at(0.5), 0.12, 2.0), (112, 88, 72), 0.6),  # reddish brome
        (cover(at(3.0) + 0.7 * at(0.4), 0.20, 2.0), (80, 92, 60), 0.7),  # greener grass
        (cover(at(5.0) + 0.8 * at(1.2) + 0.5 * at(0.3), 0.08, 1.0), (98, 111, 60), 0.75),  # lush grass
        (bare, (158, 143, 122), 0.85),
    ):
        rgb += strength * covered[..., None] * (np.array(colour, np.float32) - rgb)
    rgb *= 1 + 0.04 * patchy[..., None]
    return rgb, bare, worn


def _trail(rng: Generator, size_px: int, gsd_m: float) -> Field:
    """Return how worn the ground is: a foot trail that wanders from the left to the right."""
    t = np.linspace(-0.05, 1.05, 80)
    across = rng.uniform(0.15, 0.85) + rng.uniform(-0.3, 0.3) * t
    for waves in (1, 2, 5, 9):
        across += rng.normal(0, 0.05 / waves) * np.sin(2 * np.pi * (waves * t + rng.uniform()))
    layer = np.zeros((size_px, size_px), np.uint8)
    points = np.round(np.column_stack([t, across]) * size_px).astype(np.int32)
    cv2.polylines(layer, [points], False, 255, max(1, round(0.35 / gsd_m)), cv2.LINE_AA)
    return blurred(layer, max(0.5, 0.08 / gsd_m)) / np.float32(255)


def _stems(rng: Generator, size_px: int, gsd_m: float) -> Field:
    """Return light and dark grass stems, combed one way, as light relative to their surroundings (-1 to 1)."""
    layer = np.full((size_px, size_px), 128, np.uint8)
    levels = (60, 205, 85, 180, 100, 160)
    for level, some in zip(levels, np.array_split(_strokes(rng, size_px, gsd_m, 400.0), len(levels)), strict=True):
        cv2.polylines(layer, some, False, level)  # type: ignore[call-overload]
    return blurred(layer, 0.6) / np.float32(128) - np.float32(1)


def _strokes(rng: Generator, size_px: int, gsd_m: float, per_m2: float) -> NDArray[np.int32]:
    """Return grass stems as lines in whole pixels, shape (n, 2, 2)."""
    count = round(per_m2 * (size_px * gsd_m) ** 2)
    start = rng.uniform(0, size_px, (count, 2))
    angle = rng.normal(0.5, 0.8, count)
    length = rng.uniform(0.04, 0.13, (count, 1)) / gsd_m
    lines = np.stack([start, start + length * np.column_stack([np.cos(angle), np.sin(angle)])], axis=1)
    return np.round(lines).astype(np.int32)


def _overgrow(rng: Generator, rgb: Pixels, gsd_m: float) -> None:
    """Paint last year's straw over the low plants, which grow through it."""
    straw = ((136, 130, 112), (112, 108, 90), (92, 92, 74), (124, 116, 98))
    for colour, some in zip(straw, np.array_split(_strokes(rng, len(rgb), gsd_m, 70.0), len(straw)), strict=True):
        cv2.polylines(rgb, some, False, colour)  # type: ignore[call-overload]


def _stones(rng: Generator, rgb: Pixels, bare: Field, gsd_m: float, sun: Light) -> None:
    at = _scatter(rng, np.clip(0.02 + 0.5 * bare, 0, 1), 0.3, gsd_m)
    radius = np.clip(rng.lognormal(math.log(0.02), 0.5, len(at)), 0.01, 0.12) / gsd_m
    colour = rng.uniform(120, 190, (len(at), 1)) * np.array([1.0, 0.97, 0.92])
    stones = Dabs(at, radius, colour)
    _shade(rgb, stones, 0.03 / gsd_m, sun)
    _paint(rgb, stones)


# -- plants ---------------------------------------------------------------------------------------------------------


def _shrubs(rng: Generator, size_px: int, gsd_m: float, clear: NDArray[np.float64], sun: Light) -> tuple[Dabs, ...]:
    """Return grey-green shrubs, the lower branches first, and the few that are dead; none that would reach into a clearing."""
    area_m2 = (size_px * gsd_m) ** 2
    at = rng.uniform(0, size_px, (rng.poisson(0.02 * area_m2), 2))
    away = np.linalg.norm(at[:, None] - clear[None, :, :2], axis=-1) - clear[:, 2] > LARGEST_SHRUB_M / gsd_m
    at = at[away.all(axis=1)]
    radius = np.clip(rng.lognormal(math.log(0.28), 0.45, len(at)), 0.12, LARGEST_SHRUB_M) / gsd_m
    colour = np.array([96.0, 108.0, 84.0]) * rng.uniform(0.75, 1.15, (len(at), 1))
    colour[rng.uniform(size=len(at)) < 0.15] = (128, 120, 122)
    leaf = 0.03 / gsd_m
    low = _tufts(rng, at, radius, 110, leaf, 0.55 * colour, light=0.1, sun=sun)
    crown = at + 0.1 * radius[:, None] * sun.towards_sun
    high = _tufts(rng, crown, 0.8 * radius, 90, 0.7 * leaf, colour, light=0.25, sun=sun)
    return low, high


def _spurge(rng: Generator, field: Field, gsd_m: float, sun: Light) -> tuple[Mask, Dabs, Dabs]:
    """Return the weed where a field is positive: its patches, the stems with their narrow leaves, the yellow-green umbels."""
    size_px = len(field)
    patches = _without_specks(field > 0, gsd_m)
    inside = cv2.boxFilter(patches.astype(np.float32), -1, (5, 5))
    dense = np.clip(0.4 + 0.2 * field + 0.35 * noise(rng, size_px, 0.3 / gsd_m), 0.15, 1)
    at = _scatter(rng, np.where(inside > 0.7, dense, 0).astype(np.float32), 0.085, gsd_m)
    # A botanist draws round the stems and the gaps between them, not round ground that could bear some.
    near = Dabs(at, np.full(len(at), 0.12 / gsd_m), np.zeros((len(at), 3)))
    weed = _without_specks(patches & (_silhouette(near, size_px) > 0), gsd_m)
    # Whole patches are not in flower yet, and within a patch every stem has its own day.
    flowering = np.clip(0.7 + 0.25 * _at(noise(rng, size_px, 3.0 / gsd_m), at) + rng.normal(0, 0.15, len(at)), 0, 1)
    radius = rng.uniform(0.045, 0.085, len(at)) / gsd_m
    leaves = np.array([76.0, 88.0, 60.0]) * rng.uniform(0.75, 1.15, (len(at), 1))
    foliage = _tufts(rng, at, radius, 14, 0.016 / gsd_m, leaves, light=0.25, sun=sun)
    umbels = np.repeat(np.arange(len(at)), rng.binomial(6, flowering))
    yellow = np.array([145.0, 157.0, 57.0]) * rng.uniform(0.75, 1.1, (len(umbels), 1))
    bloom = _tufts(rng, at[umbels], 0.75 * radius[umbels], 1, 0.017 / gsd_m, yellow, light=0.15, sun=sun)
    return weed, foliage, bloom


def _forbs(rng: Generator, free: Mask, gsd_m: float, sun: Light) -> tuple[Dabs, ...]:
    """Return what is taken for the weed: broad-leaved green forbs, and yellow flowers with hardly a leaf."""
    size_px = len(free)
    clumps = cover(noise(rng, size_px, 3.0 / gsd_m) + 0.8 * noise(rng, size_px, 0.7 / gsd_m), 0.07, 1.2)
    at = _scatter(rng, np.where(free, 0.02 + 0.7 * clumps, 0).astype(np.float32), 0.14, gsd_m)
    radius = rng.uniform(0.04, 0.12, len(at)) / gsd_m
    green = np.array([88.0, 104.0, 58.0]) * rng.uniform(0.8, 1.2, (len(at), 1))
    leaves = _tufts(rng, at, radius, 14, 0.022 / gsd_m, green, light=0.15, sun=sun)
    meadow = cover(noise(rng, size_px, 4.0 / gsd_m) + 0.7 * noise(rng, size_px, 0.9 / gsd_m), 0.12, 0.8)
    at = _scatter(rng, np.where(free, 0.01 + 0.55 * meadow, 0).astype(np.float32), 0.16, gsd_m)
    yellow = np.array([196.0, 176.0, 62.0]) * rng.uniform(0.7, 1.1, (len(at), 1))
    flowers = Dabs(at, rng.uniform(0.008, 0.022, len(at)) / gsd_m, yellow)
    return leaves, flowers


def _scatter(rng: Generator, chance: Field, spacing_m: float, gsd_m: float) -> NDArray[np.float64]:
    """Return points (col, row), one in each cell of ``spacing_m``, kept with the chance (0 to 1) where they fall."""
    size_px, step = len(chance), spacing_m / gsd_m
    cells = np.stack(np.meshgrid(*[np.arange(math.ceil(size_px / step))] * 2), axis=-1).reshape(-1, 2)
    points = (cells + rng.uniform(0, 1, cells.shape)) * step
    keep = rng.uniform(size=len(points))
    inside = (points < size_px).all(axis=1)
    points, keep = points[inside], keep[inside]
    return points[keep < _at(chance, points)]


def _tufts(
    rng: Generator,
    at: NDArray[np.float64],
    radius_px: NDArray[np.float64],
    dabs: int,
    dab_px: float,
    rgb: NDArray[np.float64],
    light: float,
    sun: Light,
) -> Dabs:
    """Return plants made of ``dabs`` discs each, under a clear sky lighter on the side of the sun by up to ``light``."""
    plant = np.repeat(np.arange(len(at)), dabs)
    angle, out = rng.uniform(0, 2 * np.pi, len(plant)), np.sqrt(rng.uniform(0, 1, len(plant)))
    out *= 1 + 0.25 * np.sin(3 * angle + plant)  # no plant is round
    offset = out[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    shine = 1 + light * sun.strength * offset @ np.array(sun.towards_sun) + rng.normal(0, 0.13, len(plant))
    order = rng.permutation(len(plant))
    centres = at[plant] + radius_px[plant, None] * offset
    return Dabs(centres[order], (dab_px * rng.uniform(0.6, 1.4, len(plant))), (rgb[plant] * shine[:, None])[order])


def _without_specks(mask: Mask, gsd_m: float) -> Mask:
    """Return a mask without islands and holes that are too small to map."""
    smooth = cv2.medianBlur(mask.astype(np.uint8), 5)
    for value in (1, 0):
        _, labels, stats, _ = cv2.connectedComponentsWithStats((smooth == value).astype(np.uint8), connectivity=4)
        speck = stats[:, cv2.CC_STAT_AREA] < SMALLEST_PATCH_M2 / gsd_m**2
        speck[0] = False
        smooth[speck[labels]] = 1 - value
    return smooth > 0


# -- painting -------------------------------------------------------------------------------------------------------


def _at(field: Field, points: NDArray[np.float64]) -> Field:
    col, row = points.astype(np.intp).T
    values: Field = field[row, col]
    return values


def _paint(image: NDArray[np.uint8], dabs: Dabs) -> None:
    # cv2 counts from the centre of the first pixel and wants whole numbers: sixteenths of a pixel.
    centres = np.round((dabs.at - 0.5) * 2**SUBPIXEL_BITS).astype(int).tolist()
    radii = np.maximum(1, np.round(dabs.radius_px * 2**SUBPIXEL_BITS)).astype(int).tolist()
    colours = np.clip(dabs.rgb, 0, 255).tolist()
    for centre, radius, colour in zip(centres, radii, colours, strict=True):
        cv2.circle(image, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def _silhouette(dabs: Dabs, size_px: int) -> Pixels:
    """Return 255 where discs are."""
    layer = np.zeros((size_px, size_px), np.uint8)
    _paint(layer, Dabs(dabs.at, dabs.radius_px, np.full((len(dabs.at), 1), 255.0)))
    return layer


def _shade(rgb: Pixels, dabs: Dabs, height_px: float, sun: Light) -> None:
    """Darken the ground where the shadow of plants of this height falls."""
    # The silhouette smeared away from the sun: exact for tall thin plants, good enough for others.
    # A pixel of a dilation is what lies where the smear points to, which is towards the sun.
    tip = -np.array(sun.shadow_px(height_px))
    reach = math.ceil(float(np.abs(tip).max())) + 1
    smear = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    cv2.line(smear, (reach, reach), tuple(np.round(reach + tip).astype(int).tolist()), 1)
    shadow = cv2.dilate(_silhouette(dabs, len(rgb)), smear)
    light = 1 - sun.sun_share / 255 * blurred(np.asarray(shadow, np.uint8), 1.0)
    for band in range(3):
        rgb[..., band] = rgb[..., band] * light
