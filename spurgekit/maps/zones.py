"""Zones of a map, such as paddocks or management units: what of each is mapped, occupied and covered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon

from spurgekit.dataset.labels import NUMBER_COLUMNS, as_text, columns_of, find_column
from spurgekit.errors import ElsewhereError, InputError, renamed
from spurgekit.imagery import PixelGrid, PixelSource
from spurgekit.maps.areas import AreaEstimate
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.map_options import MapOptions
from spurgekit.maps.sliding_window import Cells
from spurgekit.outlines import check_touches, read_outlines
from spurgekit.progress import Progress, silent
from spurgekit.text import counted, shown, some
from spurgekit.vectors import write_geopackage

if TYPE_CHECKING:
    from spurgekit.maps.products import Areas

LAYER = "zones"
DEFAULT_COLUMN = "zone"
NAME_COLUMNS = {"zones", "zonename", "name", "names", "title"}
"""What people call a column of names of zones where it is not called ``zone``; in any case, letters alone."""

ID_COLUMNS = {"zoneid", "zonecode", "zonenumber", "code", *NUMBER_COLUMNS}
"""What they call a column of numbers of zones, which names them where no column does."""

COLUMNS = ("zone", "area_m2", "mapped_m2")
"""Columns of the layer ahead of those of the classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """A zone, as it was drawn.

    Attributes
    ----------
    name : str
    ground : shapely.MultiPolygon
        In the CRS of the map.
    mask : CellMask or None
        Those cells of the map whose centre lies in it; None where there are none.
    """

    name: str
    ground: MultiPolygon
    mask: CellMask | None


@dataclass(frozen=True, slots=True)
class ZoneAreas:
    """What a map shows of a zone.

    Attributes
    ----------
    area_m2 : float
        Ground of its polygons, on the map or not.
    mapped_m2 : float
        Valid ground of the cells whose centre lies in it that was looked at.
    occupied, cover : dict of AreaEstimate by class
        As of the whole map, of the zone alone; empty where nothing of it is mapped.
    """

    area_m2: float
    mapped_m2: float
    occupied: dict[str, AreaEstimate]
    cover: dict[str, AreaEstimate]


def read_zones(
    raster: PixelSource, cells: PixelGrid, inside: NDArray[np.bool_], options: MapOptions
) -> tuple[tuple[Zone, ...], tuple[str, ...]]:
    """Read zones, those of one name as one, in the order of their file.

    Parameters
    ----------
    raster : PixelSource
        The image.
    cells : PixelGrid
        Of the map.
    inside : ndarray of bool, shape (rows, columns)
        Which of them are to be mapped.
    options : MapOptions
        ``zones`` names the file.

    Returns
    -------
    zones : tuple of Zone
    notes : tuple of str
        What was assumed of the file.

    Raises
    ------
    ElsewhereError
        If no cell that is to be mapped lies in any.
    InputError
        If the file cannot be read, holds anything but polygons, or does not name each.
    """
    file = options.zones
    assert file is not None
    with renamed(declared_crs="zones_crs"):
        shapes = read_outlines(file, raster, what="zones are", declared_crs=options.zones_crs)
    names, notes = _names(shapes.rows, file, options.zone_column)
    check_touches(file, shapes.rows, raster)
    parts: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        parts.setdefault(name, []).append(row)
    drawn = shapely.force_2d(shapes.rows.geometry.to_numpy())
    grounds = {name: _multi(shapely.union_all(drawn[rows])) for name, rows in parts.items()}
    zones = tuple(Zone(name, ground, CellMask.on(ground, cells)) for name, ground in grounds.items())
    if not any((zone.mask.inside & inside[zone.mask.window.slices]).any() for zone in zones if zone.mask is not None):
        where = f"the area of interest {options.aoi}" if options.aoi else str(raster.path)
        raise ElsewhereError(
            f"{file}: no zone holds the centre of a cell of {where}, which are of {cells.gsd_m:.2f} m; pass zones that do"
        )
    if several := [shown(name, quotes=False) for name, rows in parts.items() if len(rows) > 1]:
        number = sum(len(rows) for rows in parts.values() if len(rows) > 1)
        notes += (f"{number:,} polygons of {file.name} are parts of {counted(len(several), 'zone')}: {some(several)}",)
    return zones, (*shapes.notes, *notes)


def zone_areas(
    cells: Cells, zones: Sequence[Zone], estimate: Callable[[Cells], Areas], progress: Progress = silent
) -> tuple[dict[str, ZoneAreas], tuple[str, ...]]:
    """Return the areas of each zone, counted on its own: ground in several counts in each.

    Parameters
    ----------
    cells : Cells
        Of the map.
    zones : sequence of Zone
    estimate : callable
        Gives the areas of some cells as it gives those of all.
    progress : Progress

    Returns
    -------
    areas : dict of ZoneAreas by name
    notes : tuple of str
        How much of the map is in several zones, and in none; which zones nothing is mapped of, and which are very small.
    """
    times = np.zeros(cells.valid.shape, np.uint32)
    found = {}
    with progress("estimating areas of zones", len(zones)) as advance:
        for zone in zones:
            area_m2 = float(zone.ground.area) * cells.grid.metres_per_unit**2
            found[zone.name] = ZoneAreas(area_m2, 0.0, {}, {})
            if zone.mask is not None:
                times[zone.mask.window.slices] += zone.mask.inside
                own = cells.within(zone.mask)
                if (mapped_m2 := own.mapped_m2) > 0:
                    areas = estimate(own)
                    found[zone.name] = ZoneAreas(area_m2, mapped_m2, areas.occupied, areas.cover)
            advance(1)
    notes = []
    twice_m2, never_m2 = (cells.ground_m2(which & cells.is_mapped) for which in (times > 1, times == 0))
    if twice_m2:
        notes.append(f"{twice_m2:,.1f} m2 of the mapped ground lie in several zones, and count in each")
    if never_m2:
        notes.append(f"{never_m2:,.1f} m2 of the mapped ground lie in no zone")
    if empty := [shown(name, quotes=False) for name, zone in found.items() if not zone.mapped_m2]:
        notes.append(f"of {counted(len(empty), 'zone')} nothing is mapped: {some(empty)}")
    place_m2 = cells.model.held_out.place_m2 or 0.0
    if small := [shown(name, quotes=False) for name, zone in found.items() if 0 < zone.mapped_m2 < place_m2]:
        have = f"{counted(len(small), 'zone')} {'has' if len(small) == 1 else 'have'}"
        notes.append(
            f"{have} less mapped ground than a place that the model was tested in ({place_m2:,.1f} m2): "
            f"intervals are as of one such place, too narrow for a few tiles: {some(small)}"
        )
    return found, tuple(notes)


def add_zones(path: Path, cells: PixelGrid, zones: Sequence[Zone], areas: Mapping[str, ZoneAreas], whole: Areas) -> None:
    """Add the layer of zones to the GeoPackage of a map.

    Parameters
    ----------
    path : pathlib.Path
    cells : PixelGrid
        Of the map, whose CRS the zones are in.
    zones : sequence of Zone
    areas : mapping of ZoneAreas by name
    whole : Areas
        Those of the map, which say of what classes there are columns.
    """
    rows = []
    for zone in zones:
        of_zone = areas[zone.name]
        row = dict(zip(COLUMNS, (zone.name, of_zone.area_m2, of_zone.mapped_m2), strict=True))
        rows.append({**row, **dict(_columns("occupied", whole.occupied, of_zone.occupied))})
        rows[-1] |= dict(_columns("cover", whole.cover, of_zone.cover))
    crs = cells.crs.to_wkt() if cells.crs else None
    table = gpd.GeoDataFrame(rows, geometry=[zone.ground for zone in zones], crs=crs)
    write_geopackage(table, path, layer=LAYER, geometry_type="MultiPolygon", add=True)


def _columns(what: str, classes: Mapping[str, AreaEstimate], areas: Mapping[str, AreaEstimate]) -> Iterator[tuple[str, float]]:
    """Yield the columns of a zone that say what is occupied or covered, NaN where nothing of it is mapped."""
    for name in classes:
        for field in AreaEstimate.model_fields:
            yield f"{what}_{field} of {name}", getattr(areas[name], field) if name in areas else np.nan


def _names(rows: gpd.GeoDataFrame, file: Path, column: str | None) -> tuple[list[str], tuple[str, ...]]:
    """Return the name of each row, and from which column it is, where that is to be said."""
    table = rows.drop(columns=rows.geometry.name)
    called = find_column(table, column, file, usual=DEFAULT_COLUMN, likely=(NAME_COLUMNS, ID_COLUMNS), option="zone_column")
    if called is None:
        raise InputError(f"{file} has no column {DEFAULT_COLUMN!r} ({columns_of(table)}); pass `zone_column`")
    names = as_text(table[called])
    if (empty := names.isna().to_numpy()).any():
        raise InputError(
            f"{file}: {called} is empty in {counted(int(empty.sum()), 'row')}, the first of them row "
            f"{int(empty.argmax()) + 1}; name each zone, or pass another `zone_column`"
        )
    if called in (column, DEFAULT_COLUMN):
        return list(names), ()
    return list(names), (f"zones are named by the column {called!r} of {file.name}",)


def _multi(shape: shapely.Geometry) -> MultiPolygon:
    return MultiPolygon(list(shapely.get_parts(shape)))
