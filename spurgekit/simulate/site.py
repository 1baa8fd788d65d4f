"""A site drawn in memory: its picture, and the truth about what is in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from rasterio import Affine

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, parse_crs
from spurgekit.plots import Plot, PlotProtocol
from spurgekit.plots.protocol import plot_names
from spurgekit.progress import Progress, silent
from spurgekit.simulate.camera import expose, photograph_mosaic
from spurgekit.simulate.distractors import KINDS, paint_distractor
from spurgekit.simulate.drone_photo import Pose, draw_pose
from spurgekit.simulate.layout import choose, draw_warp, lattice_nodes, scatter_distractors
from spurgekit.simulate.painted_markers import DIGITS, PaintedMarker, extent, paint_marker
from spurgekit.simulate.random_fields import Pixels
from spurgekit.simulate.scene import Mask, Scene, draw_scene, mosaic_outline
from spurgekit.simulate.survey_options import LARGEST_PX, SMALLEST_PX, SurveyOptions

GSD_M = 0.0125
"""Ground sample distance of mosaics, where none is asked for."""

MARGIN_M = 2.0
"""Ground around the lattice, and what a mosaic's rough edge may take of its side."""
EDGE_SHARE = 0.075

PLAIN_SIZE_M = 40.0
"""Side of a mosaic without plots, where none is asked for."""

CLEARING = 0.8
"""Radius around a marker, in its sizes, where nothing grows but grass."""

SHADOW_M = 0.015
"""Length of the shadow of a panel that lies on the grass."""


@dataclass(frozen=True, slots=True)
class LaidMarker:
    """A marker that was laid out.

    Attributes
    ----------
    family : str
    size_m : float
    node : int
        Of the lattice, in the order of ``PlotProtocol.nodes_m``.
    x, y : float
        World coordinates of its centre in the CRS of the site.
    col, row : float
        The same in the picture, in continuous pixel coordinates.
    id : int or None
        What a coded marker says.
    visible : float
        Share of it that can be seen.
    """

    family: str
    size_m: float
    node: int
    x: float
    y: float
    col: float
    row: float
    id: int | None
    visible: float


@dataclass(frozen=True, slots=True)
class DrawnSite:
    """A picture of a site and the truth about it.

    Attributes
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
        Of a mosaic, on the grid; of a frame, as the camera saw it.
    grid : PixelGrid
        The ground's.
    weed, valid : ndarray of bool, shape (grid.height, grid.width)
        Where the weed is, and what the picture shows of the ground.
    markers : tuple of LaidMarker
    plots : tuple of Plot
        Corners are where the markers were laid; where none was, where the protocol wants one.
    distractors : ndarray, shape (n, 2)
        About their centres, in pixels of the grid.
    pose : Pose or None
        Of a frame's camera.
    """

    rgb: Pixels
    grid: PixelGrid
    weed: Mask
    valid: Mask
    markers: tuple[LaidMarker, ...]
    plots: tuple[Plot, ...]
    distractors: NDArray[np.float64]
    pose: Pose | None


def draw_site(options: SurveyOptions, *, progress: Progress = silent) -> DrawnSite:
    """Draw a site.

    Raises
    ------
    InputError
        If it cannot be drawn as asked for; the message says what to pass.
    """
    rng = np.random.default_rng([options.seed, *options.name.encode()])
    # One stream for each step, so that a change of one leaves the others as they were.
    for_view, for_layout, for_scene, for_markers, for_things, for_camera = rng.spawn(6)
    visits = [visit.spawn(2) for visit in rng.spawn(options.visit - 1)]
    for_camera = visits[-1][1] if visits else for_camera
    with progress(f"simulating {options.name}", 3) as advance:
        rotation = for_layout.uniform(-45, 45) if options.rotation_deg is None else options.rotation_deg
        around = lattice_nodes(options, rotation) if options.markers else np.empty((0, 2))
        grid, valid, pose = _view(options, around, for_view)
        ideal, laid, missing = _lay_out(options, around, grid, valid, for_layout)
        things = scatter_distractors(options.distractors, ideal, valid, grid.gsd_m, for_things)
        reach = CLEARING * options.marker_side_m * extent(options.marker_family) / grid.gsd_m
        clear = np.column_stack([np.vstack([laid, things]), np.full(len(laid) + len(things), reach)])
        scene = draw_scene(
            grid.width, grid.gsd_m, options.weed_share, for_scene, valid=valid, clear=clear, light=options.light,
            visits=[for_weed for for_weed, _ in visits], turnover=options.turnover,
        )  # fmt: skip
        advance(1)
        for col, row in things:
            paint_distractor(scene.rgb, KINDS[for_things.integers(len(KINDS))], col, row, grid.gsd_m, for_things, options.light)
        visible = _paint_markers(options, scene, laid, missing, grid.gsd_m, for_markers)
        markers = _as_markers(options, grid, laid, visible, pose)
        corners = np.where(missing[:, None], ideal, laid)
        plots = _as_plots(options, grid, corners, missing) if options.markers else ()
        advance(1)
        if pose is None:
            rgb = photograph_mosaic(scene.rgb, options.camera, grid.gsd_m, for_camera, options.light.warmth)
            rgb[~valid] = 0
        else:
            rgb = _seen_by(pose, scene.rgb, grid)
            expose(rgb, options.camera, pose.gsd_m, for_camera, options.light.warmth)
        advance(1)
    return DrawnSite(rgb, grid, scene.weed, valid, markers, plots, things, pose)


# -- the ground that is seen ----------------------------------------------------------------------------------------


def _view(options: SurveyOptions, around: NDArray[np.float64], rng: Generator) -> tuple[PixelGrid, Mask, Pose | None]:
    """Return the ground's grid, what of it is seen, and the camera of a frame."""
    crs = parse_crs(options.crs)
    left, top = options.origin
    if options.frame_px is not None:
        pose = draw_pose(options.frame_px, options.gsd_m, options.tilt_deg, rng)
        west, south = pose.footprint().min(axis=0)
        east, north = pose.footprint().max(axis=0)
        side = _side_px(max(east - west, north - south) + 4 * pose.gsd_m, pose.gsd_m, options)
        grid = PixelGrid(side, side, Affine(pose.gsd_m, 0, left, 0, -pose.gsd_m, top), crs)
        pose = replace(pose, x=left - west + 2 * pose.gsd_m, y=top - north - 2 * pose.gsd_m)
        ring = np.column_stack(grid.to_pixel(*pose.footprint().T))
        seen = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), np.round(ring - 0.5).astype(np.int32), 1)
        return grid, seen > 0, pose
    gsd_m = options.gsd_m or GSD_M
    size_m = options.site_size_m
    if size_m is None:
        size_m = PLAIN_SIZE_M
        if len(around):
            size_m = math.ceil((np.ptp(around, axis=0).max() + 2 * MARGIN_M) / (1 - 2 * EDGE_SHARE))
    side = _side_px(size_m, gsd_m, options)
    grid = PixelGrid(side, side, Affine(gsd_m, 0, left, 0, -gsd_m, top), crs)
    return grid, mosaic_outline(rng, side), None


def _side_px(size_m: float, gsd_m: float, options: SurveyOptions) -> int:
    if SMALLEST_PX <= size_m / gsd_m <= LARGEST_PX:
        return round(size_m / gsd_m)
    if options.frame_px is None:
        hint = f"pass a size from {SMALLEST_PX * gsd_m:g} to {LARGEST_PX * gsd_m:g} m, or another `gsd_m`"
        raise InputError(f"a site of {size_m:g} m cannot be drawn at {gsd_m:g} m; {hint}")
    raise InputError(f"the {size_m:.0f} m of ground below the frame cannot be drawn at {gsd_m:g} m; pass a smaller `frame_px`")


def _seen_by(pose: Pose, ground: Pixels, grid: PixelGrid) -> Pixels:
    """Return the ground as a camera sees it."""
    t = grid.transform
    to_foot = np.array([[t.a, t.b, t.c - pose.x], [t.d, t.e, t.f - pose.y], [0, 0, 1]])
    # cv2 counts from the centre of the first pixel, the grid from its corner.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = np.linalg.inv(half) @ pose.homography() @ to_foot @ half
    seen = cv2.warpPerspective(ground, matrix, (pose.width, pose.height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, np.uint8)


# -- markers and plots ----------------------------------------------------------------------------------------------


def _lay_out(
    options: SurveyOptions, around: NDArray[np.float64], grid: PixelGrid, valid: Mask, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return where the protocol wants the nodes, where people would lay a marker (both in pixels), and which have none."""
    for_place, for_warp, for_tape, for_missing = rng.spawn(4)
    offsets = around + draw_warp(options.warp_m, for_warp)(around)
    taped = offsets + np.clip(for_tape.normal(0, 1, around.shape), -2.5, 2.5) * options.tape_sd_m
    to_px = np.array([1, -1]) / grid.gsd_m  # north is up
    centre = _place(np.vstack([offsets, taped]) * to_px, options, grid, valid, for_place) if len(around) else np.zeros(2)
    return centre + offsets * to_px, centre + taped * to_px, choose(len(around), options.missing, for_missing)


def _place(
    offsets_px: NDArray[np.float64], options: SurveyOptions, grid: PixelGrid, valid: Mask, rng: Generator
) -> NDArray[np.float64]:
    """Return where the lattice's centre may lie so that all of its markers are seen whole: by chance, or else as it fits."""
    half = round(options.marker_side_m * extent(options.marker_family) / grid.gsd_m)
    padded = cv2.copyMakeBorder(valid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1] > half
    row, col = (np.flatnonzero(inner.any(axis=axis)) for axis in (1, 0))
    if len(row):
        low = np.array([col[0], row[0]]) - offsets_px.min(axis=0)
        high = np.array([col[-1], row[-1]]) - offsets_px.max(axis=0)
        middle = (low + high) / 2
        tries = np.vstack([rng.uniform(np.minimum(low, high), np.maximum(low, high), (100, 2)), middle])
        for centre in tries:
            at = np.floor(centre + offsets_px).astype(np.intp)
            if ((at >= 0) & (at < grid.width)).all() and inner[at[:, 1], at[:, 0]].all():
                return np.asarray(centre, np.float64)
    across = np.ptp(offsets_px, axis=0).max() * grid.gsd_m
    hint = "a larger `site_size_m`"
    if options.frame_px is not None:
        hint = "a coarser `gsd_m` (a greater height), or a larger `frame_px`"
    raise InputError(f"the lattice and its markers, {across:.1f} m across, do not fit into the picture; pass {hint}")


def _paint_markers(
    options: SurveyOptions, scene: Scene, laid: NDArray[np.float64], missing: NDArray[np.bool_], gsd_m: float, rng: Generator
) -> NDArray[np.float64]:
    """Paint the markers that are there and return how much of each can be seen; 0 of those that are not."""
    visible = np.zeros(len(laid))
    covered = np.zeros(len(laid), np.bool_)
    covered[~missing] = choose(int((~missing).sum()), options.covered, rng)
    for node, stream in enumerate(rng.spawn(len(laid))):
        if missing[node] or not options.markers:
            continue
        marker = PaintedMarker(
            family=options.marker_family,
            col=laid[node, 0],
            row=laid[node, 1],
            size_px=options.marker_side_m / gsd_m,
            angle_deg=stream.uniform(0, 360),
            id=_marker_id(options, node),
            color=options.marker_color,
            digit=int(stream.integers(len(DIGITS))) if stream.uniform() < 0.7 else None,
            brightness=stream.uniform(0.88, 1.1),
            dirt=stream.uniform(0.05, 0.6),
            blades=int(stream.integers(0, 10)),
            hidden=stream.uniform(0.3, 0.6) if covered[node] else 0.0,
            hidden_by="grass" if stream.uniform() < 0.5 else "fold",
            shadow_px=SHADOW_M / gsd_m,
        )
        visible[node] = paint_marker(scene.rgb, marker, stream, sun=options.light)
    return visible


def _marker_id(protocol: PlotProtocol, node: int) -> int:
    return protocol.marker_ids[node] if protocol.marker_ids else node


def _as_markers(
    options: SurveyOptions,
    grid: PixelGrid,
    laid: NDArray[np.float64],
    visible: NDArray[np.float64],
    pose: Pose | None,
) -> tuple[LaidMarker, ...]:
    x, y = grid.to_world(*laid.T)
    at = laid if pose is None else pose.to_frame(x, y)
    coded = extent(options.marker_family) > 1
    return tuple(
        LaidMarker(
            family=options.marker_family,
            size_m=options.marker_side_m,
            node=int(node),
            x=float(x[node]),
            y=float(y[node]),
            col=float(at[node, 0]),
            row=float(at[node, 1]),
            id=_marker_id(options, int(node)) if coded else None,
            visible=float(visible[node]),
        )
        for node in np.flatnonzero(visible)
    )


def _as_plots(
    protocol: PlotProtocol, grid: PixelGrid, corners_px: NDArray[np.float64], missing: NDArray[np.bool_]
) -> tuple[Plot, ...]:
    world = np.column_stack(grid.to_world(*corners_px.T))
    plots = []
    for name, nodes in zip(plot_names(len(protocol.plot_nodes)), protocol.plot_nodes, strict=True):
        nw, ne, se, sw = ((float(x), float(y)) for x, y in world[nodes])
        found = tuple(not missing[node] for node in nodes)
        plots.append(Plot(name, (nw, ne, se, sw), (found[0], found[1], found[2], found[3])))
    return tuple(plots)
