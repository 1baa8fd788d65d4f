"""Where the markers of a simulated survey stand, and what lies about between them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from spurgekit.plots import PlotProtocol

Points = NDArray[np.float64]

WAVELENGTHS_M = (25.0, 60.0)
WAVES = 4

FROM_MARKERS_M, FROM_EACH_OTHER_M = 1.5, 1.0
"""How far distractors keep away from the lattice's nodes and from one another."""


def lattice_nodes(protocol: PlotProtocol, rotation_deg: float) -> Points:
    """Return the lattice's nodes around its centre, in the order of the protocol.

    Parameters
    ----------
    protocol : PlotProtocol
    rotation_deg : float
        Counter-clockwise.

    Returns
    -------
    ndarray of float64, shape (nodes, 2)
        Metres east and north of the centre.
    """
    nodes = protocol.nodes_m
    around = nodes - (nodes.min(axis=0) + nodes.max(axis=0)) / 2
    c, s = math.cos(math.radians(rotation_deg)), math.sin(math.radians(rotation_deg))
    return np.asarray(around @ np.array([[c, s], [-s, c]]))


def draw_warp(sd_m: float, rng: Generator) -> Callable[[Points], Points]:
    """Return a smooth random displacement: metres (shape (n, 2)) of points in metres, of a standard deviation in x and y."""
    lengths = rng.uniform(*WAVELENGTHS_M, (2, WAVES))
    directions, phases = rng.uniform(0, 2 * np.pi, (2, 2, WAVES))
    waves = 2 * np.pi / lengths * np.stack([np.cos(directions), np.sin(directions)])  # (x or y of the wave, axis, wave)

    def displaced(points: Points) -> Points:
        angles = np.einsum("nd,daw->naw", points, waves) + phases
        return np.asarray(sd_m * math.sqrt(2 / WAVES) * np.sin(angles).sum(axis=-1))

    return displaced


def choose(count: int, share: float, rng: Generator) -> NDArray[np.bool_]:
    """Return which of ``count`` things belong to a share of them: as many as come nearest to it, drawn by lot."""
    chosen = np.zeros(count, np.bool_)
    chosen[rng.permutation(count)[: round(share * count)]] = True
    return chosen


def scatter_distractors(count: int, nodes_px: Points, valid: NDArray[np.bool_], gsd_m: float, rng: Generator) -> Points:
    """Return places (col, row) for distractors, on the mosaic and off the lattice; fewer where there is no room for more.

    Parameters
    ----------
    count : int
    nodes_px : ndarray, shape (nodes, 2)
        The lattice's nodes, with a marker or without.
    valid : ndarray of bool, shape (height, width)
    gsd_m : float
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (up to count, 2)
    """
    places = np.empty((0, 2))
    for place in rng.uniform((0, 0), valid.shape[::-1], (50 * count, 2)):
        if len(places) == count:
            break
        free = (np.linalg.norm(nodes_px - place, axis=1) > FROM_MARKERS_M / gsd_m).all()
        apart = (np.linalg.norm(places - place, axis=1) > FROM_EACH_OTHER_M / gsd_m).all()
        if free and apart and valid[int(place[1]), int(place[0])]:
            places = np.vstack([places, place])
    return places
