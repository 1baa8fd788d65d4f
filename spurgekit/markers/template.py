"""What ground targets look like, as functions of the place on them.

Places are in units of the target's side or diameter, from its centre, so that a target reaches from -0.5 to 0.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of ground target.

    Attributes
    ----------
    reach : float
        How far from its centre along its axes the template looks, in units of its size: beyond 0.5 lies the ground around it.
    order : int
        The rotational symmetry that tells it apart: its pattern comes back after 1 / ``order`` of a turn. 0 where it looks
        the same however it is turned.
    cover : callable
        ``cover(u, v, blur)`` gives the shares (0 to 1) of light, dark and outside at places on the target, seen through a
        blur of that width; arrays of the shape of ``u``.
    crossing : float
        How far from the centre its pattern tells the centre best, in units of its size: the crossing of a cross, which need not
        be the middle of its panel. 0 where the whole target tells it.
    starts : int
        Turns, within a right angle, that a fit has to be started from, where the order does not tell the turn.
    plain : bool
        Whether the target is of one tone, so that the ground around it takes the part of the dark.
    """

    reach: float
    order: int
    cover: Callable[[Array, Array, Array | float], tuple[Array, Array, Array]]
    crossing: float = 0.0
    starts: int = 1
    plain: bool = False

    def signed(self, u: Array, v: Array, blur: float) -> tuple[Array, Array]:
        """Return the pattern from -1 (dark) to 1 (light), and where (0 to 1) it says anything."""
        light, dark, outside = self.cover(u, v, blur)
        if self.plain:  # of a plain target the ground around it is the dark part
            return light - outside, np.ones_like(light)
        return light - dark, 1 - outside


def _edge(inside: Array, blur: Array | float) -> Array:
    """Return how much of a blurred point lies inside an edge, by the signed distance to it (positive inside)."""
    return np.asarray(np.clip(0.5 + inside / blur, 0, 1))


def _square(u: Array, v: Array, blur: Array | float) -> Array:
    return _edge(0.5 - np.abs(u), blur) * _edge(0.5 - np.abs(v), blur)


def cross(tape: float) -> Callable[[Array, Array, Array | float], tuple[Array, Array, Array]]:
    """Return the cover of a light cross from edge middle to edge middle of a dark square panel.

    Parameters
    ----------
    tape : float
        Width of the cross's arms as a share of the panel's side.
    """

    def cover(u: Array, v: Array, blur: Array | float) -> tuple[Array, Array, Array]:
        panel = _square(u, v, blur)
        # The share of a point under a thin tape is the difference of its two edges, which is right however strong the blur.
        along_u = _edge(tape / 2 - v, blur) + _edge(tape / 2 + v, blur) - 1
        along_v = _edge(tape / 2 - u, blur) + _edge(tape / 2 + u, blur) - 1
        arms = along_u + along_v - along_u * along_v
        return panel * arms, panel * (1 - arms), 1 - panel

    return cover


def _checker(u: Array, v: Array, blur: Array | float) -> tuple[Array, Array, Array]:
    panel = _square(u, v, blur)
    right, low = _edge(u, blur), _edge(v, blur)
    light = right * low + (1 - right) * (1 - low)
    return panel * light, panel * (1 - light), 1 - panel


def _bullseye(u: Array, v: Array, blur: Array | float) -> tuple[Array, Array, Array]:
    radius = np.hypot(u, v)
    target = _edge(0.5 - radius, blur)
    ring = _edge(1 / 3 - radius, blur) - _edge(1 / 6 - radius, blur)
    return target - ring, ring, 1 - target


def _panel(u: Array, v: Array, blur: Array | float) -> tuple[Array, Array, Array]:
    panel = _square(u, v, blur)
    return panel, np.zeros_like(panel), 1 - panel


def _disc(u: Array, v: Array, blur: Array | float) -> tuple[Array, Array, Array]:
    disc = _edge(0.5 - np.hypot(u, v), blur)
    return disc, np.zeros_like(disc), 1 - disc


def _inverse(template: Template) -> Template:
    def cover(u: Array, v: Array, blur: Array | float) -> tuple[Array, Array, Array]:
        light, dark, outside = template.cover(u, v, blur)
        return dark, light, outside

    return replace(template, cover=cover)


def _coded(bits: int) -> Template:
    """Return the template of a coded marker: its white margin and black frame; its code says nothing here."""
    cell = 1 / (bits + 2)

    def cover(u: Array, v: Array, blur: Array | float) -> tuple[Array, Array, Array]:
        apart = np.maximum(np.abs(u), np.abs(v))
        margin = _edge(0.5 + cell - apart, blur) - _edge(0.5 - apart, blur)
        frame = _edge(0.5 - apart, blur) - _edge(0.5 - cell - apart, blur)
        return margin, frame, 1 - margin - frame

    return Template(0.5 + cell, 0, cover, starts=4)


TAPE = 0.13
"""Width of a cross's arms where nothing else is said: 5 cm tape on a panel of 40 cm."""

CROSS = Template(0.62, 4, cross(TAPE), crossing=0.3)
DARK_CROSS = _inverse(CROSS)
CHECKER = Template(0.62, 2, _checker, crossing=0.3)
BULLSEYE = Template(0.62, 0, _bullseye)
PANEL = Template(0.85, 0, _panel, starts=2, plain=True)
DISC = Template(0.85, 0, _disc, plain=True)
CODED = {bits: _coded(bits) for bits in (4, 5, 6, 7)}
"""Of coded markers, by the bits along a side: their frames."""
