"""The plots of a survey, from the markers that were found in an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spurgekit.errors import InputError
from spurgekit.imagery.pixel_grid import PixelGrid
from spurgekit.markers.marker import Marker
from spurgekit.plots.lattice import AmbiguousLatticeError, LatticeFit, fewest_markers, fit_lattices
from spurgekit.plots.lattice_placement import LatticeModel
from spurgekit.plots.lattice_transform import Array
from spurgekit.plots.plot import Plot
from spurgekit.plots.protocol import PlotProtocol, plot_names
from spurgekit.plots.significance import common_distance

SAME_SIZE = 0.03
"""Distances that differ by less than this share are taken for the same side of a plot."""


@dataclass(frozen=True, slots=True)
class LocatedPlots:
    """The plots of an image.

    Attributes
    ----------
    plots : tuple of Plot
        Lattice by lattice, each row by row from the north-west.
    at_corners : tuple of Marker
        The markers that stand at corners of plots, in the order in which they were given.
    left_over : tuple of Marker
        The others.
    rms_cm : tuple of float
        Of each lattice, the root mean square distance of its markers from where it has them.
    log10_false_alarms : tuple of float
        Of each lattice, the decimal logarithm of how many as good as it chance would give.
    """

    plots: tuple[Plot, ...]
    at_corners: tuple[Marker, ...]
    left_over: tuple[Marker, ...]
    rms_cm: tuple[float, ...]
    log10_false_alarms: tuple[float, ...]


def locate_plots(
    grid: PixelGrid,
    markers: Sequence[Marker],
    protocol: PlotProtocol,
    *,
    tolerance_m: float | None = None,
    model: LatticeModel = "similarity",
) -> LocatedPlots:
    """Return the plots whose corners markers stand at.

    Parameters
    ----------
    grid : PixelGrid
        Of the image that the markers were found in; its CRS has to measure the ground.
    markers : sequence of Marker
        In pixel coordinates of ``grid``.
    protocol : PlotProtocol
    tolerance_m : float, optional
    model : {"similarity", "projective"}
        Both as of :func:`spurgekit.plots.lattice.fit_lattices`.

    Returns
    -------
    LocatedPlots

    Raises
    ------
    InputError
        If there are too few markers, if they fit no lattice of this protocol, or if they fit more than one as well. The
        message says what was found.
    ImageryError
        If lengths cannot be measured in the CRS of the image.
    """
    metres = grid.metres_per_unit
    _require_enough(markers, protocol)
    x, y = grid.to_world([marker.col for marker in markers], [marker.row for marker in markers])
    world = np.column_stack([x, y])
    origin = world.mean(axis=0)
    positions = (world - origin) * metres
    scores = [marker.score for marker in markers]
    ids = [marker.id for marker in markers]
    sizes_m = [marker.size_m for marker in markers]
    fits = fit_lattices(positions, protocol, scores=scores, ids=ids, sizes_m=sizes_m, tolerance_m=tolerance_m, model=model)
    if not fits:
        raise InputError(_why_none(positions, protocol, tolerance_m))
    plots: list[Plot] = []
    for number, fit in enumerate(fits):
        corners = fit.nodes_m / metres + origin
        # Where a marker was found is passed on as it is, not through metres and back.
        corners[fit.found] = world[fit.detections[fit.found]]
        plots += _plots_of(fit, corners, protocol, number if len(fits) > 1 else None)
    used = {int(i) for fit in fits for i in fit.detections[fit.found]}
    return LocatedPlots(
        plots=tuple(plots),
        at_corners=tuple(marker for i, marker in enumerate(markers) if i in used),
        left_over=tuple(marker for i, marker in enumerate(markers) if i not in used),
        rms_cm=tuple(100 * fit.rms_m for fit in fits),
        log10_false_alarms=tuple(fit.log10_false_alarms for fit in fits),
    )


def _plots_of(fit: LatticeFit, corners: Array, protocol: PlotProtocol, lattice: int | None) -> list[Plot]:
    plots = []
    quads = protocol.plot_nodes
    for name, quad in zip(plot_names(len(quads), lattice), quads, strict=True):
        nw, ne, se, sw = ((float(x), float(y)) for x, y in corners[quad])
        residuals = fit.residuals_m[quad][fit.found[quad]]
        rms_cm = 100 * float(np.sqrt(np.mean(residuals**2))) if len(residuals) else None
        first, second, third, fourth = (bool(found) for found in fit.found[quad])
        plots.append(Plot(name, (nw, ne, se, sw), (first, second, third, fourth), rms_cm))
    return plots


# -- what was found instead -----------------------------------------------------------------------------------------


def _require_enough(markers: Sequence[Marker], protocol: PlotProtocol) -> None:
    nodes = len(protocol.nodes_m)
    if not markers:
        raise InputError(
            f"no markers were found, where {_say(protocol)} have {nodes}; "
            "check the family and the size of the markers (spurgekit markers)"
        )
    least = fewest_markers(protocol)
    if len(markers) < least:
        found = "1 marker was" if len(markers) == 1 else f"{len(markers)} markers were"
        raise InputError(
            f"{found} found, where {_say(protocol)} have {nodes} and at least {least} are needed to tell where they lie"
        )


def _why_none(positions_m: Array, protocol: PlotProtocol, tolerance_m: float | None) -> str:
    """Return what to say where markers fit no lattice: above all if they would fit one of another size."""
    found = f"{len(positions_m)} markers were found, but they do not fit {_say(protocol)}"
    apart = common_distance(positions_m, 3 * protocol.side_m)
    if apart is None:
        return f"{found}; too many may be missing, or most of those found no markers"
    if abs(apart / protocol.side_m - 1) < SAME_SIZE:
        return f"{found}: many stand {apart:.1f} m apart, but too few of them in the protocol's pattern"
    across, down = (gap * apart / protocol.side_m for gap in protocol.gaps_m)
    other = PlotProtocol(
        rows=protocol.rows, columns=protocol.columns, size_m=apart, gaps_m=(across, down), marker_ids=protocol.marker_ids
    )
    try:
        fits = fit_lattices(positions_m, other, tolerance_m=tolerance_m)
    except AmbiguousLatticeError:
        fits = ()
    if fits:
        size = apart * float(np.sqrt(abs(np.linalg.det(fits[0].transform[:2, :2]))))
        hint = f"{int(fits[0].found.sum())} of them stand as plots of {size:.1f} m would"
    else:
        hint = f"markers stand about {apart:.1f} m apart"
    return f"{found}: {hint}, the protocol says {protocol.side_m:g} m; check the size of the plots and the GSD of the image"


def _say(protocol: PlotProtocol) -> str:
    return f"{protocol.rows} x {protocol.columns} plots of {protocol.side_m:g} m"
