"""From a map and what people said of it to records: which patches stand, and where what is or is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from spurgekit.errors import InputError
from spurgekit.export.export_options import ExportOptions
from spurgekit.export.linking import Shapes
from spurgekit.export.map_folder import MapPolygons
from spurgekit.export.matching import Match, at_named_patches, match
from spurgekit.export.patches import DECIMALS, Patches, centres_of, measured
from spurgekit.export.recipients import NothingToExportError
from spurgekit.export.records import Found, Records
from spurgekit.export.reviewed import GROUND, ReviewedPlaces, read_reviewed, usual_sources
from spurgekit.imagery.crs import EARTH
from spurgekit.record_table import RecordTable
from spurgekit.text import counted


def gather_records(mapped: MapPolygons, patches: Patches, options: ExportOptions) -> Records:
    """Gather what of a map and of its review is to be recorded.

    Parameters
    ----------
    mapped : MapPolygons
    patches : Patches
        Those of the classes that are asked for.
    options : ExportOptions

    Returns
    -------
    Records

    Raises
    ------
    NothingToExportError
        If nothing was reviewed.
    InputError
        If an entry is missing that records need, or what was reviewed does not fit the map.
    """
    table, flown = _needed(options)
    taxa = {name: table.taxon_of(name, mapped.known) for name in mapped.classes}
    sources = options.reviewed or usual_sources(mapped.folder)
    reviewed = read_reviewed(mapped, sources, named=bool(options.reviewed))
    places = at_named_patches(patches, reviewed.rows, are_all=set(mapped.classes) == set(mapped.known))
    matched = match(patches, places, mapped.classes)
    found = list(_of_patches(patches, places, matched, unreviewed=options.unreviewed))
    found += _of_places(places, matched)
    if not found:
        raise NothingToExportError(_nothing(mapped, reviewed, sources))
    crs = patches.rows.crs
    placed = tuple(_on_earth(_with_uncertainty(found, crs, table.positional_accuracy_m), crs))
    of_patches = [one for one in found if one.patch]
    unsaid = 0 if options.unreviewed else sum(matched.stands(number) is None for number in range(len(patches)))
    counts = {
        "records": len(found),
        "patches_recorded": len(of_patches),
        "patches_unverified": sum(not one.seen for one in of_patches),
        "patches_disputed": sum(one.disagree > 0 for one in of_patches),
        "patches_denied": len(patches) - unsaid - len(of_patches),
        "patches_left_out": unsaid,
        "missed_by_the_map": sum(one.is_present and not one.patch for one in found),
        "absences": sum(not one.is_present for one in found),
    }
    usual = () if options.reviewed or not sources else ("reviewed places are looked for where commands write them",)
    notes = [*usual, *reviewed.notes, *_notes(counts, matched, table)]
    return Records(
        found=placed,
        table=table,
        taxa=taxa,
        site=mapped.name,
        survey=options.survey or mapped.name,
        flown=flown,
        join_m=options.join_m,
        cell_m=mapped.summary.cell_m,
        mapped_m2=mapped.summary.mapped_m2,
        summary={"reviewed": [str(path) for path in sources], **counts, "notes": notes},
    )


def _needed(options: ExportOptions) -> tuple[RecordTable, dt.date]:
    """Return the table of what records say, and the day of the flight; both have to be given."""
    if options.record is None:
        raise InputError(
            "records need a table [record] in survey.toml: name of the weed, observer, country and state (in Python, record)"
        )
    options.record.check()
    if options.flown is None:
        raise InputError(
            "records need the day of the flight: date of survey.toml, or of the site's entry there (in Python, flown)"
        )
    return options.record, options.flown


def _nothing(mapped: MapPolygons, reviewed: ReviewedPlaces, sources: Iterable[Path]) -> str:
    where = " and ".join(map(str, sources))
    what = f"nothing reviewed in {where} is of a patch" if len(reviewed.rows) else f"nothing of {mapped.folder} is reviewed"
    return (
        f"{what}: label cells of 'spurgekit check {mapped.folder}', review its tiles, or fill in the column label of "
        "the crew's patches.csv, and name it by `reviewed`; or pass `unreviewed` to record all patches as unverified"
    )


def _of_patches(patches: Patches, places: gpd.GeoDataFrame, matched: Match, *, unreviewed: bool) -> Iterator[Found]:
    """Yield the patches that stand, and with ``unreviewed`` those that nobody has looked at."""
    shapes, said = places.geometry.to_numpy(), _said(places)
    for number, row in enumerate(patches.rows.to_dict("records")):
        stands = matched.stands(number)
        if stands is False or (stands is None and not unreviewed):
            continue
        one = Found(
            kind=row["class"],
            is_present=True,
            shape=row[patches.rows.geometry.name],
            point=patches.centres.iloc[number],
            infested_m2=row["area_m2"],
            gross_m2=row["gross_m2"],
            patch=row["name"],
            mean=f"{patches.mean.replace('_', ' ')} {row[patches.mean]:.2f}",
        )
        if stands:
            confirmed, denied = matched.confirmed[number], matched.denied[number]
            one = _told(one, [said[place] for place in confirmed.tolist()])
            one = replace(one, agree=len(confirmed), disagree=len(denied))
            left = _without(one, patches.cells.iloc[number], shapes[denied]) if len(denied) else one
            if left is None:
                continue
            one = left
        yield one


def _of_places(places: gpd.GeoDataFrame, matched: Match) -> Iterator[Found]:
    """Yield the places where the map missed a class, and those where a class is not."""
    shapes = places.geometry.to_numpy()
    points, (on_ground, unit_m) = shapely.point_on_surface(shapes), measured(places)
    said = _said(places)
    areas_m2 = shapely.area(on_ground.geometry.to_numpy()) * unit_m**2
    for is_present, of_class in ((True, matched.missed), (False, matched.absent)):
        for kind, numbers in of_class.items():
            for number in numbers.tolist():
                area_m2 = round(float(areas_m2[number]), DECIMALS) or None
                one = Found(
                    kind=kind,
                    is_present=is_present,
                    shape=shapes[number],
                    point=points[number],
                    infested_m2=area_m2 if is_present else 0.0,
                    gross_m2=area_m2,
                    surveyed=bool(said[number]["surveyed"]),
                )
                yield _told(one, [said[number]])


def _said(places: gpd.GeoDataFrame) -> list[dict[Hashable, Any]]:
    """Return what is known of each reviewed place but its shape."""
    rows: list[dict[Hashable, Any]] = pd.DataFrame(places.drop(columns=places.geometry.name)).to_dict("records")
    return rows


def _told(one: Found, said: Sequence[Mapping[Hashable, Any]]) -> Found:
    """Return a patch or place with who told its class: on the ground, if anybody did, else from the image."""
    said = [place for place in said if place["seen"] == GROUND] or said
    who = dict.fromkeys(name for place in said if place["who"] for name in place["who"].split(" | "))
    days = [place["when"] for place in said if place["when"] is not None]
    return replace(one, seen=said[0]["seen"], who=" | ".join(who) or None, when=max(days, default=None))


def _without(one: Found, cells: BaseGeometry, denied: Shapes) -> Found | None:
    """Return a patch without the cells where a person saw that its class is not; None if none are left."""
    left = shapely.difference(cells, shapely.union_all(denied))
    share = shapely.area(left) / shapely.area(cells)
    infested_m2 = round(float(share) * (one.infested_m2 or 0.0), DECIMALS)
    if infested_m2 == 0:
        return None
    point = one.point if shapely.intersects(left, one.point) else centres_of(np.array([left]))[0]
    return replace(one, infested_m2=infested_m2, point=point)


def _with_uncertainty(found: Sequence[Found], crs: Any, accuracy_m: float | None) -> list[Found]:
    """Return patches and places with the radius about their points that holds them, where it is known how well they are placed.

    The radius is how far the shape reaches from its point, and how far off places of the orthomosaic may be (the point-radius
    method; Wieczorek, Guo and Hijmans 2004, Int. J. Geogr. Inf. Sci. 18). Of places of a survey on the ground nobody says it.
    """
    if accuracy_m is None:
        return list(found)
    shapes, unit_m = measured(gpd.GeoSeries([one.shape for one in found], crs=crs))
    points = gpd.GeoSeries([one.point for one in found], crs=crs).to_crs(shapes.crs).to_numpy()
    reach = shapely.hausdorff_distance(shapes.to_numpy(), points) * unit_m
    return [
        one if one.surveyed and not one.patch else replace(one, uncertainty_m=ceil(10 * (farthest + accuracy_m)) / 10)
        for one, farthest in zip(found, reach.tolist(), strict=True)
    ]


def _on_earth(found: Sequence[Found], crs: Any) -> list[Found]:
    earth = EARTH.to_wkt()
    shapes, points = (gpd.GeoSeries(of, crs=crs).to_crs(earth) for of in zip(*((a.shape, a.point) for a in found), strict=True))
    return [replace(one, shape=shape, point=point) for one, shape, point in zip(found, shapes, points, strict=True)]


def _notes(counts: dict[str, int], matched: Match, table: RecordTable) -> Iterator[str]:
    """Yield what is to be said of what was left out, and of entries that are missing."""
    said = {
        "patches_left_out": "that nobody reviewed left out; `unreviewed` records them as such",
        "patches_denied": "left out, as people say that the class is not there",
        "patches_disputed": "partly denied: recorded without the ground of which people say that the class is not there",
        "patches_unverified": "that nobody reviewed recorded as unverified",
    }
    for name, what in said.items():
        if counts[name]:
            yield f"{_patches(counts[name])} {what}"
    if matched.unused:
        yield f"{counted(matched.unused, 'reviewed place')} unused: at the edge of a patch, in one that stands, or told already"
    missing = [name for name in ("positional_accuracy_m", "county", "country_code") if getattr(table, name) is None]
    why = {
        "positional_accuracy_m": "so records do not say how far off a place may be",
        "county": "which NAISMA and EDDMapS ask for",
        "country_code": "which GBIF asks for",
    }
    yield from (f"survey.toml does not say record.{name}, {why[name]}" for name in missing)


def _patches(number: int) -> str:
    """Return how many patches there are, in words."""
    return "1 patch" if number == 1 else f"{number:,} patches"
