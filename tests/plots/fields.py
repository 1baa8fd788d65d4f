"""Fields of detections with known truth: lattices that are turned, bent, half lost and among false detections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurgekit.plots.protocol import PlotProtocol

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Field:
    """Detections, shape (n, 2), and where the corners truly are, shape (nodes, 2); metres."""

    positions_m: Array
    corners_m: Array
    seen: NDArray[np.bool_]


def turn(degrees: float) -> Array:
    """Return the rotation matrix of an angle, anticlockwise."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def bend(rng: np.random.Generator, amplitude_m: float, points: Array) -> Array:
    """Return what terrain does to a mosaic: waves of 30 to 80 m length, up to ``amplitude_m`` on each axis."""
    total = np.zeros_like(points)
    for _ in range(3):
        angle, length, phase = rng.uniform(0, 2 * np.pi), rng.uniform(30, 80), rng.uniform(0, 2 * np.pi, 2)
        along = points @ [np.cos(angle), np.sin(angle)] * 2 * np.pi / length
        total += amplitude_m / 3 * np.sin(along[:, None] + phase)
    return total


def draw_field(
    rng: np.random.Generator,
    protocol: PlotProtocol | None = None,
    *,
    missing: float = 0.0,
    false: int = 0,
    jitter_m: float = 0.04,
    bend_m: float = 0.0,
    scale_sd: float = 0.01,
    tilt: float = 0.0,
) -> Field:
    """Draw one site: its markers, seen by chance, and false detections over the ground about it.

    ``tilt`` is the perspective per metre, as a frame has it that was not taken straight down.
    """
    protocol = protocol or PlotProtocol()
    nodes = protocol.nodes_m - protocol.nodes_m.mean(axis=0)
    nodes = nodes + rng.normal(0, jitter_m, nodes.shape)
    direction = rng.uniform(0, 2 * np.pi)
    nodes = nodes / (1 + tilt * nodes @ [[np.cos(direction)], [np.sin(direction)]])
    corners = nodes @ turn(rng.uniform(0, 360)).T * (1 + rng.normal(0, scale_sd))
    corners = corners + bend(rng, bend_m, corners)
    seen = rng.random(len(corners)) >= missing
    half = np.abs(corners).max() + 8
    found = np.vstack([corners[seen] + rng.normal(0, 0.005, (seen.sum(), 2)), rng.uniform(-half, half, (false, 2))])
    return Field(rng.permutation(found), corners, seen)


def draw_clutter(rng: np.random.Generator, count: int, half_m: float = 35.0) -> Array:
    """Draw detections without a lattice: each third over the whole ground, in clumps, or along a straight trail."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.uniform(-half_m, half_m, (count, 2))
    if kind == 1:
        middles = rng.uniform(-half_m, half_m, (max(2, count // 6), 2))
        return middles[rng.integers(len(middles), size=count)] + rng.normal(0, rng.uniform(0.3, 3), (count, 2))
    if kind == 2:
        along = rng.uniform(-half_m, half_m, count)
        return np.column_stack([along, rng.normal(0, 0.5, count)]) @ turn(rng.uniform(0, 360)).T
    middles = rng.uniform(-half_m, half_m, (4, 2))
    clumped = middles[rng.integers(4, size=count // 2)] + rng.normal(0, 1.5, (count // 2, 2))
    return np.vstack([clumped, rng.uniform(-half_m, half_m, (count - count // 2, 2))])


def matches(corners_m: Array, nodes_m: Array, within_m: float = 1.0) -> bool:
    """Whether every corner that was worked out is where one truly is, each at another; whatever the order."""
    apart = np.hypot(*(nodes_m[:, None] - corners_m[None]).transpose(2, 0, 1))
    nearest = apart.argmin(axis=1)
    return bool(apart.min(axis=1).max() < within_m and len(np.unique(nearest)) == len(corners_m))
