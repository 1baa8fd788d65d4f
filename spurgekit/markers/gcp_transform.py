"""A better grid for an image from markers in it whose coordinates are known.

The approximate grid of a drone's frame is off by metres, a few degrees and a few per cent. Which marker is which known point is
found by consensus (:mod:`spurgekit.markers.gcp_matching`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from spurgekit.errors import InputError
from spurgekit.imagery.crs import has_place
from spurgekit.imagery.pixel_grid import PixelGrid
from spurgekit.markers.gcp_matching import GcpSearch, KnownPoint, coded
from spurgekit.markers.marker import Marker
from spurgekit.similarity import Complex, fit_similarity, to_complex
from spurgekit.text import counted

TransformModel = Literal["similarity", "affine"]

SEARCH_M = 20.0
"""How far the approximate grid may be off: a drone's position without corrections, and half a marker lattice's cell again."""

TURN_DEG = 15.0
SCALE_ERROR = 0.15
"""How far it may be turned, and by what share its scale may be off: height is counted from the take-off point."""

TOLERANCE = 0.01
"""How far a pair may disagree with the others, as a share of the image's diagonal: lens, tilt and terrain."""

MIN_TOLERANCE_M = 0.1
AFFINE_GAIN = 0.9
"""An affine map replaces a similarity where it predicts points that it was not fitted to at least this much better."""

AFFINE_PAIRS = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """A marker and the known point that it stands on, and how far apart the new grid has them, in centimetres."""

    marker: Marker
    known: KnownPoint
    residual_cm: float


@dataclass(frozen=True, slots=True)
class Georeference:
    """A grid fitted to known points.

    Attributes
    ----------
    grid : PixelGrid
    model : str
        ``similarity`` or ``affine``: what was fitted on top of the approximate grid.
    pairs : tuple of Pair
        In the order of the markers.
    rms_cm, max_cm : float or None
        Of the residuals; None for two pairs, which any similarity meets.
    left_out_cm : float or None
        Root mean square distance of each pair from where the others have it: what to expect at other points nearby.
    """

    grid: PixelGrid
    model: TransformModel
    pairs: tuple[Pair, ...]
    rms_cm: float | None
    max_cm: float | None
    left_out_cm: float | None


def georeference(
    grid: PixelGrid,
    markers: Sequence[Marker],
    known: Sequence[KnownPoint],
    *,
    crs: CRS | None = None,
    search_m: float = SEARCH_M,
    turn_deg: float = TURN_DEG,
    scale_error: float = SCALE_ERROR,
    tolerance_m: float | None = None,
) -> Georeference:
    """Fit an image's grid to known points by the markers on them.

    Markers and points may be in any order, and some of either may have no counterpart.

    Parameters
    ----------
    grid : PixelGrid
        Approximate. If its CRS is a local one, as of a photo of which only the ground sample distance is known, the image may
        lie anywhere and any way round.
    markers : sequence of Marker
        In pixels of that grid.
    known : sequence of KnownPoint
        In ``crs``.
    crs : rasterio.crs.CRS, optional
        Default that of the grid.
    search_m, turn_deg, scale_error : float
        How far the approximate grid may be off: metres, degrees, share of the scale. Coded markers are taken wherever they are.
    tolerance_m : float, optional
        How far a pair may be from where the others have it. Default 1 % of the image's diagonal.

    Raises
    ------
    InputError
        If fewer than two pairs agree, or the markers fit the points in more than one way; the message says what was found.
    """
    metres = grid.metres_per_unit
    is_local = not has_place(grid.crs)
    target = crs or grid.crs
    if not is_local and target != grid.crs:
        raise InputError("the known points are in another CRS than the image; bring them to the image's first")
    if len(markers) < 2 or len(known) < 2:
        raise InputError(
            f"{counted(len(markers), 'marker')} and {counted(len(known), 'known point')}: at least two of each are needed to "
            "georeference an image"
        )
    x, y = grid.to_world([m.col for m in markers], [m.row for m in markers])
    here, there = to_complex(x, y), np.array([complex(point.x, point.y) for point in known])
    diagonal = float(abs(np.diff(to_complex(*grid.corners()[[0, 2]].T))[0]))
    search = GcpSearch(
        here=here - here.mean(),
        there=there - there.mean(),
        offset=here.mean() - there.mean(),
        coded=coded(markers, known),
        search=math.inf if is_local else search_m / metres,
        turn=math.pi if is_local else math.radians(turn_deg),
        scale_error=scale_error,
        tolerance=max(MIN_TOLERANCE_M, TOLERANCE * diagonal * metres if tolerance_m is None else tolerance_m) / metres,
        least=MIN_TOLERANCE_M / metres,
    )
    pairs = search.best(metres)
    i, j = np.array(pairs).T
    model, matrix, left_out = _choose(search.here[i], search.there[j], scale_error)
    back, forth = Affine.translation(-here.mean().real, -here.mean().imag), there.mean()
    better = PixelGrid(
        grid.width, grid.height, Affine.translation(forth.real, forth.imag) @ matrix @ back @ grid.transform, target
    )
    residuals = np.abs(_apply(matrix, search.here[i]) - search.there[j]) * metres * 100
    checked = len(pairs) > 2
    return Georeference(
        grid=better,
        model=model,
        pairs=tuple(Pair(markers[a], known[b], float(r)) for a, b, r in zip(i, j, residuals, strict=True)),
        rms_cm=float(np.sqrt(np.mean(residuals**2))) if checked else None,
        max_cm=float(residuals.max()) if checked else None,
        left_out_cm=left_out * metres * 100 if left_out is not None else None,
    )


def _choose(here: Complex, there: Complex, scale_error: float) -> tuple[TransformModel, Affine, float | None]:
    """Return the model that predicts points best that it was not fitted to, its map, and how well; None for two pairs."""
    similarity = _similarity(here, there)
    if len(here) == 2:
        return "similarity", similarity, None
    left_out = _left_out(here, there, _similarity)
    if len(here) < AFFINE_PAIRS:
        return "similarity", similarity, left_out
    affine = _affine(here, there)
    stretches = np.linalg.svd(np.array([[affine.a, affine.b], [affine.d, affine.e]]), compute_uv=False)
    is_mild = 1 / (1 + scale_error) <= stretches.min() and stretches.max() <= 1 + scale_error and affine.determinant > 0
    left_out_affine = _left_out(here, there, _affine)
    if is_mild and left_out_affine < AFFINE_GAIN * left_out:
        return "affine", affine, left_out_affine
    return "similarity", similarity, left_out


def _left_out(here: Complex, there: Complex, fit: Callable[[Complex, Complex], Affine]) -> float:
    """Return the root mean square distance of each pair from where a fit to all others has it."""
    apart = []
    for k in range(len(here)):
        others = np.arange(len(here)) != k
        apart.append(abs(_apply(fit(here[others], there[others]), here[k : k + 1])[0] - there[k]))
    return float(np.sqrt(np.mean(np.square(apart))))


def _similarity(here: Complex, there: Complex) -> Affine:
    factor, shift = fit_similarity(here, there)
    return Affine(factor.real, -factor.imag, shift.real, factor.imag, factor.real, shift.imag)


def _affine(here: Complex, there: Complex) -> Affine:
    """Return the least-squares affine map; of points on a line, the one that changes least across it."""
    # Fitted as a change, so that what the points do not say (the smallest solution) is that nothing changes.
    a, b = here - here.mean(), there - there.mean()
    design = np.column_stack([a.real, a.imag])
    change, *_ = np.linalg.lstsq(design, np.column_stack([(b - a).real, (b - a).imag]), rcond=1e-3)
    linear = np.eye(2) + change.T
    middle_here, middle_there = here.mean(), there.mean()
    shift = np.array([middle_there.real, middle_there.imag]) - linear @ [middle_here.real, middle_here.imag]
    return Affine(linear[0, 0], linear[0, 1], shift[0], linear[1, 0], linear[1, 1], shift[1])


def _apply(t: Affine, points: Complex) -> Complex:
    return to_complex(t.a * points.real + t.b * points.imag + t.c, t.d * points.real + t.e * points.imag + t.f)
