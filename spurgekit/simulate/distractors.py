"""What lies about on a site and is no marker: white rocks, buckets, stumps."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from spurgekit.simulate.light import Light
from spurgekit.simulate.random_fields import Field, Pixels, noise
from spurgekit.simulate.stamp import Stamp

Kind = Literal["rock", "bucket", "stump"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SIZES_M: dict[Kind, tuple[float, float]] = {"rock": (0.15, 0.6), "bucket": (0.28, 0.36), "stump": (0.2, 0.5)}
"""Smallest and largest diameter of each kind."""

HEIGHTS_M: dict[Kind, float] = {"rock": 0.12, "bucket": 0.35, "stump": 0.15}


def paint_distractor(
    rgb: Pixels, kind: Kind, col: float, row: float, gsd_m: float, rng: Generator, sun: Light | None = None
) -> None:
    """Paint a thing of random size and shape into a picture, in place.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
    kind : {"rock", "bucket", "stump"}
    col, row : float
        About its centre, in continuous pixel coordinates.
    gsd_m : float
        Ground sample distance in metres.
    rng : numpy.random.Generator
    sun : Light, optional
    """
    sun = sun or Light()
    size_px = rng.uniform(*SIZES_M[kind]) / gsd_m
    shadow_px = HEIGHTS_M[kind] / gsd_m / 3
    stamp = Stamp.around(col, row, 0.75 * size_px + shadow_px + sun.shadow_length(shadow_px))
    u, v = stamp.turned(rng.uniform(0, 360), size_px)
    inside, colour = {"rock": _rock, "bucket": _bucket, "stump": _stump}[kind](stamp, u, v, rng, sun)
    alpha = stamp.averaged(inside)
    shade = 1 + 0.1 * np.clip(noise(rng, stamp.side_px, max(2.0, size_px / 4)), -2, 2) * (kind != "bucket")
    stamp.press(rgb, colour * shade[..., None], alpha, shadow_px=shadow_px, sun=sun)


def _rock(stamp: Stamp, u: Field, v: Field, rng: Generator, sun: Light) -> tuple[NDArray[np.bool_], Field]:
    """Return a light lump with a brighter face towards the sun."""
    inside = _lump(u, v, rng, 0.5)
    towards = stamp.x * sun.towards_sun[0] + stamp.y * sun.towards_sun[1]
    face = sun.strength * stamp.averaged(inside & (towards > rng.uniform(-0.1, 0.1) * len(u) / stamp.samples / 2))
    tone = np.array([1.0, 0.98, 0.94], np.float32) * np.float32(rng.uniform(175, 225))
    return inside, ((0.78 * stamp.averaged(inside) + 0.22 * face)[..., None] * tone).astype(np.float32)


def _bucket(stamp: Stamp, u: Field, v: Field, rng: Generator, sun: Light) -> tuple[NDArray[np.bool_], Field]:
    """Return a light disc: a lid, or a rim around an inside that lies half in its own shadow."""
    inside = np.hypot(u, v) <= 0.5
    tone = np.array([(222, 222, 218), (226, 206, 96), (206, 214, 226)][rng.integers(3)], np.float32)
    level = stamp.averaged(inside)
    if rng.uniform() < 0.5:
        bottom = np.hypot(u, v) < 0.42
        sunless = stamp.x * sun.towards_sun[0] + stamp.y * sun.towards_sun[1] > 0
        level -= 0.25 * stamp.averaged(bottom) + 0.3 * sun.strength * stamp.averaged(bottom & sunless)
    return inside, (level[..., None] * tone).astype(np.float32)


def _stump(stamp: Stamp, u: Field, v: Field, rng: Generator, _: Light) -> tuple[NDArray[np.bool_], Field]:
    """Return a dark lump with rings that are a little lighter."""
    inside = _lump(u, v, rng, 0.1)
    rings = inside & (np.hypot(u, v) < 0.4) & (np.cos(2 * math.pi * 7 * np.hypot(u, v)) > 0)
    tone = np.array([52, 43, 35], np.float32) * np.float32(rng.uniform(0.7, 1.4))
    return inside, ((stamp.averaged(inside) + 0.35 * stamp.averaged(rings))[..., None] * tone).astype(np.float32)


def _lump(u: Field, v: Field, rng: Generator, roughness: float) -> NDArray[np.bool_]:
    """Return the inside of an irregular outline, about 1 across."""
    angle = np.arctan2(v, u)
    edge = np.full(u.shape, 0.45, np.float32)
    for waves in (2, 3, 5, 8):
        edge += np.float32(0.45 * roughness * rng.uniform(0.2, 1) / waves) * np.cos(waves * angle + rng.uniform(0, 2 * math.pi))
    return np.asarray(np.hypot(u, v) < edge, np.bool_)
