"""Records for weed databases: of patches that stand, of what a map missed, and of where a person saw that nothing is."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from spurgekit.errors import InputError
from spurgekit.export.export_options import ExportOptions
from spurgekit.export.kml import DECIMALS
from spurgekit.export.linking import Shapes
from spurgekit.export.map_folder import MapPolygons
from spurgekit.export.matching import Match, at_named_patches, match
from spurgekit.export.patches import DECIMALS as AREA_DECIMALS
from spurgekit.export.patches import Patches, centres_of, measured
from spurgekit.export.reviewed import GROUND, ReviewedPlaces, read_reviewed, usual_sources
from spurgekit.imagery.crs import EARTH
from spurgekit.record_table import RecordTable, Taxon
from spurgekit.text import counted

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/spurgekit/spurgekit")
"""Of the identifiers of records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A patch or a place, and what is known of it.

    Attributes
    ----------
    kind : str
        Class of the map.
    is_present : bool
        Whether the plant stands there.
    shape : BaseGeometry
        The ground: the outline of a patch, or a place that a person looked at; in the CRS of the map, or on Earth.
    point : shapely.Point
        A point of it.
    infested_m2, gross_m2 : float or None
        Ground that is held by the plant, and ground of the shape; None of a point.
    patch : str
        Name of the patch; empty where the map has none.
    seen : str
        From what a person told it: ``image``, ``ground``, or empty where nobody did.
    who, when : str or None, and datetime.date or None
        Who told it, and on which day, as far as that is known.
    agree, disagree : int
        Reviewed places in a patch that are of its class, and that are not.
    mean : str
        What the map says of a patch, in words.
    surveyed : bool
        Whether the place is of a survey on the ground and not of the map's image.
    uncertainty_m : float or None
        Radius about the point that holds the shape, wherever it truly lies; None where nobody knows.
    """

    kind: str
    is_present: bool
    shape: BaseGeometry
    point: shapely.Point
    infested_m2: float | None
    gross_m2: float | None
    patch: str = ""
    seen: str = ""
    who: str | None = None
    when: dt.date | None = None
    agree: int = 0
    disagree: int = 0
    mean: str = ""
    surveyed: bool = False
    uncertainty_m: float | None = None

    @property
    def is_visited(self) -> bool:
        """Whether a person saw it on the ground, on a day that is known."""
        return self.seen == GROUND and self.when is not None


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """What goes into the tables for databases.

    Attributes
    ----------
    found : tuple of Found
        On Earth (EPSG:4326).
    table : RecordTable
    taxa : dict of Taxon by class
    site : str
        Name of the map.
    survey : str
    flown : datetime.date
    join_m : float
        How far apart cells of a patch may be.
    cell_m : float
        Side of a cell.
    mapped_m2 : float or None
        Ground that was looked at for the map.
    """

    found: tuple[Found, ...]
    table: RecordTable
    taxa: dict[str, Taxon]
    site: str
    survey: str
    flown: dt.date
    join_m: float
    cell_m: float
    mapped_m2: float | None

    def id_of(self, one: Found) -> str:
        """Return the identifier of a record, which follows from survey, site, class, flight, place and status alone."""
        status = "present" if one.is_present else "absent"
        place = f"{one.point.x:.{DECIMALS}f},{one.point.y:.{DECIMALS}f}"
        return str(uuid.uuid5(NAMESPACE, "\n".join([self.survey, self.site, one.kind, self.flown.isoformat(), place, status])))

    def date_of(self, one: Found) -> dt.date:
        """Return the day on which it was observed: of the visit, else of the flight."""
        return one.when if one.is_visited and one.when is not None else self.flown

    def common_name(self, one: Found) -> str:
        """Return what it is called in the language of the country."""
        return self.taxa[one.kind].common_name or one.kind

    def protocol(self, one: Found) -> str:
        """Return in words how it was found."""
        if one.surveyed and not one.patch:
            return "visit on the ground to check a map of drone imagery"
        how = "drone orthomosaic"
        if one.patch:
            apart = f"{self.join_m:g} m apart or less" if self.join_m else "that touch"
            how += f" classified by a model in cells of {self.cell_m:.4g} m; cells {apart} are one patch"
        if one.seen:
            how += "; checked on the ground" if one.seen == GROUND else "; looked at by a person"
        return how

    def verification(self, one: Found) -> str:
        """Return in words whether a person told the class."""
        return {"": "unverified", GROUND: "verified by a person on the ground"}.get(
            one.seen, "verified by a person from the image"
        )

    def remarks(self, one: Found) -> str:
        """Return in words what the columns do not say."""
        said = []
        if one.patch:
            said.append(f"patch {one.patch} of the map {self.site}: {one.mean}")
        elif one.is_present:
            said.append(f"the map {self.site} does not have it here")
        if not one.seen:
            said.append("not reviewed by a person")
        elif one.patch:
            said.append(f"{counted(one.agree, 'reviewed place')} in it of the class")
        if one.disagree:
            said.append(f"{one.disagree} without it, whose ground is not counted as infested")
        if one.seen == GROUND and one.when is None:
            said.append("day of the visit not recorded")
        return "; ".join(said)


def write_records(folder: Path, mapped: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    """Write ``occurrence.csv`` and ``darwin-core.zip``, ``naisma.csv`` and ``eddmaps.csv``.

    Parameters
    ----------
    folder : pathlib.Path
    mapped : MapPolygons
    patches : Patches
        Those of the classes that are asked for.
    options : ExportOptions

    Returns
    -------
    dict
        For the summary: how many records there are of what, what was left out, and notes.

    Raises
    ------
    InputError
        If an entry is missing that records need, nothing was reviewed, or what was reviewed does not fit the map.
    """
    from spurgekit.export.darwin_core import write_darwin_core
    from spurgekit.export.weed_databases import write_eddmaps, write_naisma

    table, flown = _needed(options)
    taxa = {name: table.taxon_of(name, mapped.known) for name in mapped.classes}
    sources = options.reviewed or usual_sources(mapped.folder)
    reviewed = read_reviewed(mapped, sources, named=bool(options.reviewed))
    places = at_named_patches(patches, reviewed.rows, are_all=set(mapped.classes) == set(mapped.known))
    matched = match(patches, places, mapped.classes)
    found = list(_of_patches(patches, places, matched, unreviewed=options.unreviewed))
    found += _of_places(places, matched)
    if not found:
        raise InputError(_nothing(mapped, reviewed, sources))
    crs = patches.rows.crs
    placed = tuple(_on_earth(_with_uncertainty(found, crs, table.positional_accuracy_m), crs))
    survey = options.survey or mapped.name
    records = Records(placed, table, taxa, mapped.name, survey, flown, options.join_m, mapped.cell_m, mapped.mapped_m2)
    write_darwin_core(folder, records)
    write_naisma(folder, records)
    write_eddmaps(folder, records)
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
    return {"reviewed": [str(path) for path in sources], **counts, "notes": notes}


def _needed(options: ExportOptions) -> tuple[RecordTable, dt.date]:
    """Return the table of what records say, and the day of the flight; both have to be given."""
    if options.record is None:
        raise InputError(
            "records need a table [record] in survey.toml: the name of the weed, observer, country, state; or `record`"
        )
    options.record.check()
    if options.flown is None:
        raise InputError("records need the day of the flight: `date` of survey.toml, or of the site's entry there; or `flown`")
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
            confirmed, denied = (places.iloc[of[number]] for of in (matched.confirmed, matched.denied))
            one = replace(_told(one, confirmed), agree=len(confirmed), disagree=len(denied))
            left = _without(one, patches.cells.iloc[number], denied.geometry.to_numpy())
            if left is None:
                continue
            one = left
        yield one


def _of_places(places: gpd.GeoDataFrame, matched: Match) -> Iterator[Found]:
    """Yield the places where the map missed a class, and those where a class is not."""
    shapes = places.geometry.to_numpy()
    points, (on_ground, unit_m) = shapely.point_on_surface(shapes), measured(places)
    areas_m2 = shapely.area(on_ground.geometry.to_numpy()) * unit_m**2
    for is_present, of_class in ((True, matched.missed), (False, matched.absent)):
        for kind, numbers in of_class.items():
            for number in numbers.tolist():
                area_m2 = round(float(areas_m2[number]), AREA_DECIMALS) or None
                place = places.iloc[[number]]
                one = Found(
                    kind=kind,
                    is_present=is_present,
                    shape=shapes[number],
                    point=points[number],
                    infested_m2=area_m2 if is_present else 0.0,
                    gross_m2=area_m2,
                    surveyed=bool(place["surveyed"].iloc[0]),
                )
                yield _told(one, place)


def _told(one: Found, places: gpd.GeoDataFrame) -> Found:
    """Return a patch or place with who told its class: on the ground, if anybody did, else from the image."""
    if (on_ground := places[places["seen"] == GROUND]).size:
        places = on_ground
    who = dict.fromkeys(name for said in places["who"] if said for name in said.split(" | "))
    days = [day for day in places["when"] if day is not None]
    return replace(one, seen=places["seen"].iloc[0], who=" | ".join(who) or None, when=max(days, default=None))


def _without(one: Found, cells: BaseGeometry, denied: Shapes) -> Found | None:
    """Return a patch without the cells where a person saw that its class is not; None if none are left."""
    left = shapely.difference(cells, shapely.union_all(denied))
    share = shapely.area(left) / shapely.area(cells)
    infested_m2 = round(float(share) * (one.infested_m2 or 0.0), AREA_DECIMALS)
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
            yield f"{counted_patches(counts[name])} {what}"
    if matched.unused:
        yield f"{counted(matched.unused, 'reviewed place')} unused: at the edge of a patch, in one that stands, or told already"
    missing = [name for name in ("positional_accuracy_m", "county", "country_code") if getattr(table, name) is None]
    why = {
        "positional_accuracy_m": "so records do not say how far off a place may be",
        "county": "which NAISMA and EDDMapS ask for",
        "country_code": "which GBIF asks for",
    }
    yield from (f"survey.toml does not say record.{name}, {why[name]}" for name in missing)


def counted_patches(number: int) -> str:
    """Return how many patches there are, in words."""
    return "1 patch" if number == 1 else f"{number:,} patches"
