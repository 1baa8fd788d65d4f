"""Placing an image by markers on points of known coordinates: from the file of points to a better grid for the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from rasterio.crs import CRS
from shapely import Point

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Raster, name_crs, parse_crs
from spurgekit.imagery.crs import doubtful_shift, has_place, misplaced, utm_code
from spurgekit.imagery.target_grid import same_pixels_in
from spurgekit.markers.detection import find_markers, size_hint
from spurgekit.markers.gcp_list import heights_in, heights_note, read_gcp_list
from spurgekit.markers.gcp_matching import KnownPoint
from spurgekit.markers.gcp_transform import SEARCH_M, Georeference, georeference
from spurgekit.markers.marker import Marker, MarkerDetector
from spurgekit.progress import Progress, silent
from spurgekit.tables import numbers, read_text, separator_of, without_comments
from spurgekit.text import counted
from spurgekit.vectors import DEGREE_COLUMNS, MAP_COLUMNS, coordinate_columns, read_vector

LEAST_SCORE = 0.3
"""Markers below this score are rather stones, which make agreement by chance likelier than they help."""

CODES_SCALE = 0.05
"""By what share the approximate grid's scale may be off for all codes to be read.

Of simulated frames off by 5 %, all codes are read; off by 10 %, a sixth of them is missed. Crosses and checkers are all found
even off by 15 %.
"""

ID_COLUMNS, NAME_COLUMNS, HEIGHT_COLUMNS = ("id", "marker"), ("name", "label", "gcp", "point"), ("elevation", "height", "z")
"""Columns that say what a point's coded marker says, what the point is called, and its height; the first that is there."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where the file has a known point in the image, in pixels."""

    point: int
    col: float
    row: float


@dataclass(frozen=True, slots=True)
class ControlPoints:
    """Points of known coordinates, and those of them that the file says are seen in the image."""

    points: tuple[KnownPoint, ...]
    sightings: tuple[Sighting, ...] = ()
    notes: tuple[str, ...] = ()
    """What is to be said of the file."""


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """A better grid for an image.

    Attributes
    ----------
    georeference : Georeference
        In pixels of the image as it is stored, turned upright.
    markers : tuple of Marker or None
        All that were found, sizes by the better grid. None where the approximate one was so far off in its scale that codes may
        have been missed.
    notes : tuple of str
        How many points matched and how well, and what is to be said of their file; for the user to read.
    """

    georeference: Georeference
    markers: tuple[Marker, ...] | None
    notes: tuple[str, ...]

    @property
    def grid(self) -> PixelGrid:
        """The better grid."""
        return self.georeference.grid


def place_by_markers(
    open_image: Callable[[PixelGrid | None], Raster],
    detector: MarkerDetector,
    file: Path,
    *,
    crs: str | None = None,
    declared_crs: str | None = None,
    progress: Progress = silent,
) -> PlacedImage:
    """Find the markers of an image, match them with a file of known points, and fit the image's grid to them.

    Parameters
    ----------
    open_image : callable
        Opens the image, its pixels as they are: on the grid that it is given, else on its own.
    detector : MarkerDetector
    file : pathlib.Path
        See :func:`read_control`.
    crs : str, optional
        The CRS to place the image in. Default its own; of a photo that lies nowhere, the UTM zone of the points.
    declared_crs : str, optional
        The CRS of the points, where their file does not say it or says it wrongly.

    Raises
    ------
    InputError
        If the file does not serve, or the markers do not fit its points; the message says what was found.
    """
    with open_image(None) as raster:
        start, path = _start(raster, crs), raster.path
    with open_image(start) as raster:
        seen = find_markers(raster, detector, progress=progress)
        markers = [marker for marker in seen if marker.score >= LEAST_SCORE]
        hint = size_hint(raster, detector.family, detector.size_m) if not markers else ""
        is_stored_upright = raster.orientation == 1
    target = (parse_crs(crs) if crs else _utm_of(file, declared_crs)) if not has_place(start.crs) else start.crs
    assert target is not None  # an image without one was refused
    control = read_control(
        file, target, declared_crs=declared_crs, image=path.name if is_stored_upright else None, pixel_m=start.gsd_m
    )
    try:
        found = match_control(start, markers, control, detector, crs=target)
    except InputError as error:
        scale = _scale_hint(start, control) if not has_place(start.crs) and markers else ""
        raise InputError(f"{path} cannot be georeferenced by {file.name}: {error}{hint or scale}") from error
    note = describe_match(found, len(markers), len(control.points), file.name)
    return PlacedImage(found, _carried(seen, start, found.grid), (note, *control.notes))


def _carried(markers: Sequence[Marker], start: PixelGrid, better: PixelGrid) -> tuple[Marker, ...] | None:
    """Return markers as a better grid of the same pixels has them; None where another search would find more."""
    scale = better.gsd_m / start.gsd_m
    if any(marker.id is not None for marker in markers) and not 1 / (1 + CODES_SCALE) <= scale <= 1 + CODES_SCALE:
        return None
    return tuple(replace(marker, size_m=marker.size_m * scale) for marker in markers)


def match_control(
    grid: PixelGrid, markers: Sequence[Marker], control: ControlPoints, detector: MarkerDetector, *, crs: CRS | None = None
) -> Georeference:
    """Fit a grid to control points, by the markers found and by what the file says of where points are in the image.

    Where the file has a point in the image, the marker found there is that point's; if none was found there, the place itself
    stands for one. Where the markers fit in several ways, or too few of them fit, two such points will do.

    Raises
    ------
    InputError
        As :func:`spurgekit.markers.gcp_transform.georeference` does.
    """
    points = control.points if not has_place(grid.crs) else _within_reach(grid, control.points)
    if not control.sightings:
        return georeference(grid, markers, points, crs=crs)
    reach_px = detector.size_m / grid.gsd_m
    named: dict[Marker, Marker] = {}  # what stands for a marker, with the number of its point for an id
    left = [replace(marker, id=None) for marker in markers]
    for sighting in control.sightings:
        near = min(left, key=lambda m, at=sighting: np.hypot(m.col - at.col, m.row - at.row), default=None)  # type: ignore[misc]
        if near is not None and np.hypot(near.col - sighting.col, near.row - sighting.row) <= reach_px:
            left.remove(near)
        else:
            near = Marker(sighting.col, sighting.row, detector.size_m, detector.family, 1.0)
        named[replace(near, id=sighting.point)] = near
    numbered = [replace(point, id=number) for number, point in enumerate(control.points)]
    try:
        found = georeference(grid, [*named, *left], numbered, crs=crs)
    except InputError:
        if len(named) < 2:
            raise
        found = georeference(grid, list(named), numbered, crs=crs)
    pairs = (replace(p, marker=named.get(p.marker, p.marker), known=control.points[p.known.id or 0]) for p in found.pairs)
    return replace(found, pairs=tuple(pairs))


def _scale_hint(grid: PixelGrid, control: ControlPoints) -> str:
    """Return what to say where a photo of which only the GSD is known does not fit: what the file's own pixels say of it."""
    if len(control.sightings) < 2:
        return "; is `image_gsd_m` right?"
    first, *_, last = sorted(control.sightings, key=lambda s: s.col)
    one, other = control.points[first.point], control.points[last.point]
    apart_px = np.hypot(last.col - first.col, last.row - first.row)
    metres = float(np.hypot(other.x - one.x, other.y - one.y))
    gsd_m = metres / apart_px
    return f"; by where the file has points in the photo, a pixel measures about {gsd_m:.2g} m, not {grid.gsd_m:.2g}"


def describe_match(found: Georeference, markers: int, points: int, name: str) -> str:
    """Return in words how many points were matched, and how well."""
    matched = f"{len(found.pairs)} of {counted(points, 'point')} matched, among {counted(markers, 'marker')}"
    if found.rms_cm is None or found.max_cm is None or found.left_out_cm is None:
        fit = "which two points always fit, so that nothing says how far off it is elsewhere"
    else:
        fit = (
            f"residual {found.rms_cm:.1f} cm (root mean square), {found.max_cm:.1f} cm at most; "
            f"expect about {found.left_out_cm:.1f} cm elsewhere"
        )
    return f"georeferenced by {name}: {matched}; {found.model}, {fit}"


def read_control(
    path: Path, crs: CRS, *, declared_crs: str | None = None, image: str | None = None, pixel_m: float = 0.0
) -> ControlPoints:
    """Read points of known coordinates, in a CRS.

    Parameters
    ----------
    path : pathlib.Path
        ODM's list of ground control points, or points that :func:`spurgekit.vectors.read_vector` reads. Of those, a column
        ``id`` (or ``marker``) is what the marker on the point says, if it is a coded one, and ``name`` is the point's.
    crs : rasterio.crs.CRS
        To return them in.
    declared_crs : str, optional
        The CRS that they are in, where the file does not say it or says it wrongly.
    image : str, optional
        File name of the image whose rows in an ODM list say where it shows a point.
    pixel_m : float
        How well places are to be known, in metres; what is worse is said.

    Raises
    ------
    InputError
        If the file is missing, is neither of these, or holds anything but points.
    """
    if _is_gcp_list(path):
        listed = read_gcp_list(path)
        if declared_crs:
            listed = replace(listed, crs=parse_crs(declared_crs))
        number = {place: k for k, place in enumerate(dict.fromkeys((point.x, point.y) for point in listed.points))}
        shown = [point for point in listed.points if image is not None and point.image.casefold() == image.casefold()]
        x, y, z = np.array([(point.x, point.y, point.z) for point in listed.points]).T
        at = float(np.median(x)), float(np.median(y))
        if has_place(listed.crs) and (where := misplaced(listed.crs, *at)) is not None:
            raise InputError(
                f"{path} would be in {name_crs(listed.crs)}, but its coordinates, about ({at[0]:.10g}, {at[1]:.10g}), lie "
                f"{where}; pass `declared_crs`, the CRS that they are in"
            )
        known = listed.known_points(crs)
        moved = doubtful_shift(listed.crs, crs, *at, pixel_m=pixel_m)
        return ControlPoints(
            known,
            tuple(Sighting(number[point.x, point.y], point.col, point.row) for point in shown),
            (*listed.notes, *heights_note(z, listed.crs, crs, path.name), *([f"{path.name}: {moved}"] if moved else [])),
        )
    shapes = read_vector(path, crs, declared_crs=declared_crs, usual_layer="markers", pixel_m=pixel_m)
    table = shapes.rows
    if not (table.geom_type == "Point").all():
        raise InputError(f"{path} holds {table.geom_type.mode()[0]}s; known coordinates are those of points")
    ids, names, heights = (_column(table, wanted) for wanted in (ID_COLUMNS, NAME_COLUMNS, HEIGHT_COLUMNS))
    codes = numbers(ids)
    codes = codes.where(codes % 1 == 0)
    above = numbers(heights).fillna(table.get_coordinates(include_z=True)["z"]).to_numpy(dtype=float)
    source = shapes.crs or crs
    return ControlPoints(
        tuple(
            KnownPoint(
                place.x,
                place.y,
                "" if pd.isna(name) else str(name),
                None if pd.isna(code) else int(code),
                None if pd.isna(z) else float(z),
            )
            for place, name, code, z in zip(table.geometry, names, codes, heights_in(above, source, crs), strict=True)
        ),
        notes=(*shapes.notes, *heights_note(above, source, crs, path.name)),
    )


def _column(table: gpd.GeoDataFrame, wanted: Sequence[str]) -> pd.Series:
    """Return the first of some columns that a table has, whatever the case of its name; without any, one of nothing."""
    columns = {str(name).strip().lower(): name for name in reversed(table.columns)}
    found = next((columns[name] for name in wanted if name in columns), None)
    return pd.Series(None, table.index, dtype=object) if found is None else table[found]


def _is_gcp_list(path: Path) -> bool:
    """Whether a file is ODM's list: a text whose first line names no columns with coordinates."""
    if path.suffix.lower() != ".txt" or not path.is_file():
        return False
    header = without_comments(read_text(path)[0])[0].strip().partition("\n")[0]
    columns = (part.strip().strip('"') for part in header.split(separator_of(header)))
    return not coordinate_columns(columns, (*DEGREE_COLUMNS, *MAP_COLUMNS))


def _start(raster: Raster, crs: str | None) -> PixelGrid:
    """Return the grid to look for markers on: the image's own, in the CRS in which it is to be placed."""
    grid = raster.grid
    if grid.crs is None and grid.transform.is_identity:
        if raster.unplaced:
            raise InputError(f"{raster.path} {raster.unplaced}")
        raise InputError(f"{raster.path} says nothing of its place or scale; pass its GSD, e.g. `image_gsd_m=0.012`")
    if grid.crs is None and crs:
        return replace(grid, crs=parse_crs(crs))
    if crs is None or not has_place(grid.crs):
        return grid
    return same_pixels_in(raster.path, grid, parse_crs(crs))


def _utm_of(file: Path, declared_crs: str | None) -> CRS:
    """Return the UTM zone where the points lie."""
    points = read_control(file, CRS.from_epsg(4326), declared_crs=declared_crs).points
    return parse_crs(utm_code(float(np.mean([p.x for p in points])), float(np.mean([p.y for p in points]))))


def _within_reach(grid: PixelGrid, points: tuple[KnownPoint, ...]) -> tuple[KnownPoint, ...]:
    """Return the points that the image may show; all of them where it shows none, or their ids say which they are."""
    if any(point.id is not None for point in points):
        return points
    reach = grid.footprint().buffer(SEARCH_M / grid.metres_per_unit)
    near = tuple(point for point in points if reach.contains(Point(point.x, point.y)))
    return near if len(near) > 1 else points
