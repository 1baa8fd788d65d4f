"""Records for weed databases: of patches that stand, of what a map missed, and of where a person saw that nothing is."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from spurgekit.export.kml import DECIMALS
from spurgekit.export.reviewed import GROUND
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
    summary : dict
        How many there are of what, what was left out, and notes.
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
    summary: dict[str, Any]

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
