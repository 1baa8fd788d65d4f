"""Plots from corners that were surveyed by GNSS, or from polygons drawn in QGIS."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, slug
from spurgekit.markers.marker import Marker
from spurgekit.outlines import both_places
from spurgekit.plots.plot import Plot, Point
from spurgekit.plots.protocol import CORNERS, PlotProtocol, plot_names
from spurgekit.similarity import fit_similarity, to_complex
from spurgekit.vectors import read_vector

ID_COLUMNS = ("plot", "plot_id", "id", "name")
"""Columns that name plots, the first that is there."""

NOT_ATTRIBUTES = (*ID_COLUMNS, "site", "corner", "corners_found", "filled_in", "residual_cm")
"""Columns that are known of a plot in other ways, or that ``plots.gpkg`` has of how it was found."""

LAYER = "plots"
"""The layer that is meant of a file with several, as in the ``plots.gpkg`` beside tiles."""

COLLINEAR = 0.01
"""A vertex of a drawn polygon that strays from a straight line by less than this share of its side is no corner."""

ON_NODE = 0.25
"""A surveyed point may lie this share of a plot's side from the node of the lattice that it stands for."""


def read_plots(
    path: Path, grid: PixelGrid, protocol: PlotProtocol, *, site: str = "", declared_crs: str | None = None
) -> tuple[list[Plot], tuple[str, ...]]:
    """Read the plots of an image from a file of corners or of polygons.

    Corners are points with a column ``plot`` (four a plot) and, if they are to be told apart by name, ``corner`` (NW, NE, SE,
    SW); or, without either, one point for each node of the protocol's lattice. Polygons have four corners. Further columns
    become attributes of the plots. Where a column ``site`` names this site, only its rows are taken.

    Parameters
    ----------
    path : pathlib.Path
        A vector file or a CSV, as :func:`spurgekit.vectors.read_vector` reads them.
    grid : PixelGrid
        The image.
    protocol : PlotProtocol
        What the lattice is, for points that do not say their plot.
    site : str
        Name of the image's site.
    declared_crs : str, optional
        CRS of the coordinates, where the file does not say it.

    Returns
    -------
    plots : list of Plot
        In the CRS of the grid, in the file's order; those that do not touch the image are left out.
    notes : tuple of str
        What is to be said of the file.

    Raises
    ------
    InputError
        If a plot lacks corners, two have one id, or none lies in the image.
    """
    shapes = read_vector(path, grid.crs, declared_crs=declared_crs, usual_layer=LAYER, pixel_m=grid.gsd_m)
    frame = of_site(shapes.rows.rename(columns=lower_columns(shapes.rows)), site)
    kinds = set(frame.geom_type)
    if kinds == {"Point"}:
        plots = _from_points(frame, path, protocol, grid.metres_per_unit)
    elif kinds <= {"Polygon", "MultiPolygon"}:
        plots = _from_polygons(frame, path)
    else:
        raise InputError(f"{path} holds {' and '.join(sorted(kinds))}s; plots come from points or from polygons")
    here = [plot for plot in plots if plot.polygon.intersects(grid.footprint())]
    if not here:
        raise InputError(_why_elsewhere(frame, path, grid))
    check_ids(here, path)
    return here, shapes.notes


def snap_plots(
    plots: Sequence[Plot], markers: Sequence[Marker], grid: PixelGrid, snap_m: float
) -> tuple[list[Plot], int, float | None]:
    """Move corners of plots to the markers that were found near them.

    Parameters
    ----------
    plots : sequence of Plot
    markers : sequence of Marker
        In pixel coordinates of the grid.
    grid : PixelGrid
    snap_m : float
        A corner moves to the nearest marker within this many metres, if it is the plot's nearest corner to that marker.

    Returns
    -------
    plots : list of Plot
        With the root mean square of a plot's own moves as its residual.
    snapped : int
        Corners that were moved, of all plots together.
    residual_cm : float or None
        Root mean square of the moves, in centimetres.
    """
    if not markers:
        return list(plots), 0, None
    there = np.column_stack(grid.to_world([m.col for m in markers], [m.row for m in markers]))
    moved: list[Plot] = []
    all_moves: list[float] = []
    for plot in plots:
        corners = np.asarray(plot.corners)
        distance_m = np.linalg.norm(corners[:, None] - there, axis=2) * grid.metres_per_unit
        nearest = distance_m.argmin(axis=1)
        moves = {
            i: float(distance_m[i, j])
            for i, j in enumerate(nearest)
            if distance_m[i, j] <= snap_m and distance_m[:, j].argmin() == i
        }
        corners[list(moves)] = there[nearest[list(moves)]]
        moved.append(replace(plot, corners=_as_corners(corners), residual_cm=_rms_cm(list(moves.values()))))
        all_moves += moves.values()
    return moved, len(all_moves), _rms_cm(all_moves)


# -- points -----------------------------------------------------------------------------------------------------------


def _from_points(frame: gpd.GeoDataFrame, path: Path, protocol: PlotProtocol, unit_m: float) -> list[Plot]:
    # Without a plot or a corner, an "id" is the number of a point.
    column = _id_column(frame) if {"plot", "plot_id", "corner"} & set(frame.columns) else None
    if column is None:
        return _from_nodes(frame, path, protocol, unit_m)
    ids = pd.Series([as_id(value) for value in frame[column]], index=frame.index)
    if (ids == "").any():
        raise InputError(f"{path}: column {column} is empty in row {int((ids == '').argmax()) + 1}; fill it")
    return [_from_four(str(name), frame.loc[rows], path) for name, rows in ids.groupby(ids, sort=False).groups.items()]


def _from_four(name: str, rows: gpd.GeoDataFrame, path: Path) -> Plot:
    points = shapely.get_coordinates(rows.geometry)
    if "corner" in rows:
        corners = [str(value).strip().upper() for value in rows["corner"]]
        if unknown := [corner for corner in corners if corner not in CORNERS]:
            raise InputError(f"{path}: plot {name} has a corner {unknown[0]!r}; corners are {', '.join(CORNERS)}")
        if twice := [corner for corner in CORNERS if corners.count(corner) > 1]:
            raise InputError(
                f"{path}: plot {name} has its corner {twice[0]} {corners.count(twice[0])} times; make the ids of plots differ "
                "(a column site tells sites apart)"
            )
        if missing := [corner for corner in CORNERS if corner not in corners]:
            raise InputError(f"{path}: plot {name} lacks its corner {missing[0]}; add it, or take the plot out")
        points = points[[corners.index(corner) for corner in CORNERS]]
    elif len(points) != 4:
        raise InputError(f"{path}: plot {name} has {len(points)} corners, not 4; correct it, or take the plot out")
    else:
        points = _around(points)
    _check_square(points, name, path)
    of_plot = [c for c in rows.columns if len({str(value) for value in rows[c]}) == 1]  # others, as longitude, are of corners
    return Plot(name, _as_corners(points), (True,) * 4, attributes=_attributes(rows[of_plot].iloc[0]))


def _from_nodes(frame: gpd.GeoDataFrame, path: Path, protocol: PlotProtocol, unit_m: float) -> list[Plot]:
    """Return the plots of a lattice whose every node was surveyed, in whatever order."""
    points, nodes = shapely.get_coordinates(frame.geometry), protocol.nodes_m
    lattice = f"{protocol.rows} x {protocol.columns} plots of {protocol.side_m:g} m"
    if len(points) != len(nodes):
        raise InputError(
            f"{path} holds {len(points)} points without a column plot, and the lattice of {lattice} has {len(nodes)} corners; "
            "add columns plot and corner, or pass `rows` and `columns`"
        )
    order = _match(points * unit_m, nodes, ON_NODE * protocol.side_m)
    if order is None:
        raise InputError(
            f"{path}: its {len(points)} points do not lie as the corners of {lattice}; "
            "add columns plot and corner, or correct `size_m`"
        )
    points = points[order]
    residuals_m = _residuals(nodes, points * unit_m)
    return [
        Plot(name, _as_corners(points[four]), (True,) * 4, _rms_cm(residuals_m[four]))
        for name, four in zip(plot_names(len(protocol.plot_nodes)), protocol.plot_nodes, strict=True)
    ]


def _match(points: NDArray[np.float64], nodes: NDArray[np.float64], within: float) -> NDArray[np.intp] | None:
    """Return which point lies on each node, the lattice turned as little as may be; None where they do not fit."""
    points, nodes = points - points.mean(axis=0), nodes - nodes.mean(axis=0)
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(shapely.MultiPoint(points)))
    side = box[1] - box[0]
    quarter = np.arctan2(side[1], side[0]) + np.pi / 2 * np.arange(4)
    turns = np.angle(np.exp(1j * quarter))  # from -180 to 180 degrees
    for turn in sorted(turns, key=lambda angle: round(abs(angle), 6)):
        cos, sin = np.cos(turn), np.sin(turn)
        turned = nodes @ np.array([[cos, sin], [-sin, cos]])
        distance = np.linalg.norm(turned[:, None] - points, axis=2)
        nearest = distance.argmin(axis=1)
        if len(set(nearest.tolist())) == len(nodes) and distance.min(axis=1).max() <= within:
            return np.asarray(nearest, dtype=np.intp)
    return None


def _residuals(nodes: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each point from its node under the similarity that fits best."""
    here, there = to_complex(*nodes.T), to_complex(*(points - points.mean(axis=0)).T)
    factor, shift = fit_similarity(here, there)
    return np.asarray(np.abs(factor * here + shift - there))


# -- polygons ---------------------------------------------------------------------------------------------------------


def _from_polygons(frame: gpd.GeoDataFrame, path: Path) -> list[Plot]:
    column = _id_column(frame)
    plots = []
    for number, (_, row) in enumerate(frame.iterrows(), start=1):
        name = as_id(row[column]) if column else str(number)
        if not name:
            raise InputError(f"{path}: column {column} is empty in row {number}; fill it")
        parts = shapely.get_parts(row[frame.geometry.name])
        points = _corners_of(parts[0])
        if len(parts) != 1 or len(points) != 4:
            what = f"{len(parts)} parts" if len(parts) != 1 else f"{len(points)} corners"
            raise InputError(f"{path}: plot {name} has {what}, and a plot is one polygon with 4 corners; correct it in QGIS")
        points = _around(points)
        _check_square(points, name, path)
        attributes = _attributes(row.drop(frame.geometry.name))
        plots.append(Plot(name, _as_corners(points), (True,) * 4, attributes=attributes))
    return plots


def _corners_of(polygon: Polygon) -> NDArray[np.float64]:
    """Return the vertices of a polygon at which it turns, shape (corners, 2)."""
    points = shapely.get_coordinates(polygon.exterior)[:-1]
    least = COLLINEAR * np.sqrt(polygon.area)
    while len(points) > 3:
        before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
        chord, reach = after - before, points - before
        length = np.maximum(np.linalg.norm(chord, axis=1), 1e-12)
        height = np.abs(chord[:, 0] * reach[:, 1] - chord[:, 1] * reach[:, 0]) / length
        if height.min() >= least:
            break
        points = np.delete(points, height.argmin(), axis=0)
    return np.asarray(points)


# -- what both share --------------------------------------------------------------------------------------------------


def _around(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return four points clockwise around their middle, the one farthest to the north-west first."""
    x, y = (points - points.mean(axis=0)).T
    order = np.argsort(-np.arctan2(y, x), kind="stable")
    first = int(np.argmax(np.round((y - x)[order], 6)))
    return np.asarray(points[np.roll(order, -first)])


def _check_square(points: NDArray[np.float64], name: str, path: Path) -> None:
    """Refuse corners that no square seen from above can have."""
    sides = np.roll(points, -1, axis=0) - points
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    if (turns >= -COLLINEAR * (sides**2).sum() / 4).any():  # clockwise turns are negative, of a square its area
        raise InputError(
            f"{path}: the corners of plot {name} do not go clockwise around a square from NW over NE and SE to SW; "
            "check which point is which"
        )


def check_ids(plots: Sequence[Plot], path: Path) -> None:
    """Raise an :class:`InputError` if two plots have one id."""
    names = [slug(plot.id) for plot in plots]  # as they come into the names of files
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: two plots have the id {twice[0]}; make them differ")


def _why_elsewhere(frame: gpd.GeoDataFrame, path: Path, grid: PixelGrid) -> str:
    west, south, east, north = frame.total_bounds
    swapped = shapely.box(south, west, north, east).intersects(grid.footprint())
    hint = "easting and northing are swapped" if swapped else "check the CRS and the order of coordinates"
    return f"{path}: none of its plots lies in the image; {both_places(frame.total_bounds, grid)}; {hint}"


def of_site(frame: Any, site: str) -> Any:
    """Return the rows of a site, or all of them where none is named after it."""
    if "site" not in frame:
        return frame
    mine = frame["site"].astype(str) == site
    return frame[mine] if mine.any() else frame


def lower_columns(frame: pd.DataFrame) -> dict[Hashable, str]:
    """Return new names for columns: in lower case, where that leaves them different."""
    names = {column: str(column).strip().lower() for column in frame.columns}
    return {column: name for column, name in names.items() if list(names.values()).count(name) == 1}


def _id_column(frame: gpd.GeoDataFrame) -> str | None:
    return next((column for column in ID_COLUMNS if column in frame), None)


def _attributes(row: pd.Series) -> Mapping[str, Any]:
    return {str(name): value for name, value in row.items() if name not in NOT_ATTRIBUTES}


def as_id(value: Any) -> str:
    """Return an id as text; whole numbers lose the decimals that missing values have given them."""
    if pd.isna(value):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _as_corners(points: NDArray[np.float64]) -> tuple[Point, Point, Point, Point]:
    nw, ne, se, sw = ((float(x), float(y)) for x, y in points)
    return nw, ne, se, sw


def _rms_cm(metres: Sequence[float] | NDArray[np.float64]) -> float | None:
    return 100 * float(np.sqrt(np.mean(np.square(metres)))) if len(metres) else None
