"""Tables in the columns of those who keep records of invasive plants in North America: NAISMA and EDDMapS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import shapely

from spurgekit.export.kml import DECIMALS
from spurgekit.export.records import Found, Records
from spurgekit.tables import csv_of

NAISMA, EDDMAPS = "naisma.csv", "eddmaps.csv"
M2_PER_ACRE = 4046.8564224
"""The international acre, of 66 by 660 feet of 0.3048 m."""

ACRE_DECIMALS = 7
"""Of acres: 4 square centimetres."""


def write_naisma(folder: Path, records: Records) -> None:
    """Write ``naisma.csv``: fields of NAISMA's Mapping Standards for Program Managers (17 October 2018), under their headings.

    Where a field is of several values, such as an area and its unit, or ``Coordinates``, each has a column.

    Parameters
    ----------
    folder : pathlib.Path
    records : Records
    """
    _write(folder / NAISMA, [naisma(records, one) for one in records.found])


def write_eddmaps(folder: Path, records: Records) -> None:
    """Write ``eddmaps.csv``, in columns that EDDMapS gives its own data out in.

    Parameters
    ----------
    folder : pathlib.Path
    records : Records
    """
    _write(folder / EDDMAPS, [eddmaps(records, one) for one in records.found])


def naisma(records: Records, one: Found) -> dict[str, Any]:
    """Return a record by the fields of NAISMA's standard; None where one has no value.

    Parameters
    ----------
    records : Records
    one : Found
        Of the records.
    """
    table, taxon = records.table, records.taxa[one.kind]
    surveyed_m2 = records.mapped_m2 if one.patch else one.gross_m2
    return {
        "Universally Unique Identifier": records.id_of(one),
        "Species Name": taxon.scientific_name,
        "Common Name": records.common_name(one),
        "Taxonomic Serial Number": None if taxon.tsn is None else str(taxon.tsn),
        "Country": table.country,
        "State OR Province": table.state,
        "County OR Municipality": table.county,
        "Location": records.site,
        "Latitude": f"{one.point.y:.{DECIMALS}f}",
        "Longitude": f"{one.point.x:.{DECIMALS}f}",
        "Datum": "WGS84",
        "Geographic Well-Known Text": shapely.to_wkt(one.shape, rounding_precision=DECIMALS),
        "Centroid Type": _centroid(one),
        "Data Type": _data_type(one),
        "Coordinate Uncertainty in Meters": one.uncertainty_m,
        "Georeferenced Protocol": "visit on the ground" if one.surveyed and not one.patch else "drone orthomosaic",
        "Ecosystem": table.habitat,
        "Occurrence Status": "Detected" if one.is_present else "Undetected",
        "Basis of Record": _basis(one),
        "Data Collection Method": records.protocol(one),
        "Verification Method": records.verification(one),
        "Examiner": (one.who if one.is_visited else None) or table.observer,
        "Data Source": table.organisation or table.observer,
        "Collection Date": records.date_of(one).isoformat(),
        "Date Accuracy in Days": 0,
        "Infested Area": one.infested_m2,
        "Infested Area Units": None if one.infested_m2 is None else "square meters",
        "Area Surveyed": surveyed_m2,
        "Area Surveyed Units": None if surveyed_m2 is None else "square meters",
        "Comments": records.remarks(one),
    }


def eddmaps(records: Records, one: Found) -> dict[str, Any]:
    """Return a record in columns of EDDMapS; None where one has no value. Areas are in acres, infested no more than gross.

    Parameters
    ----------
    records : Records
    one : Found
        Of the records.
    """
    table, taxon = records.table, records.taxa[one.kind]
    infested, gross = (None if m2 is None else round(m2 / M2_PER_ACRE, ACRE_DECIMALS) for m2 in (one.infested_m2, one.gross_m2))
    return {
        "reporter": table.observer,
        "RecOwner": table.organisation,
        "SciName": taxon.scientific_name,
        "ComName": records.common_name(one),
        "OccStatus": "Detected" if one.is_present else "Undetected",
        "Status": "Positive" if one.is_present else "Negative",
        "ObsDate": records.date_of(one).strftime("%m/%d/%Y"),
        "Location": ", ".join(filter(None, (table.county, table.state, table.country))),
        "Latitude": f"{one.point.y:.{DECIMALS}f}",
        "Longitude": f"{one.point.x:.{DECIMALS}f}",
        "Datum": "WGS84",
        "Method": "visit on the ground" if one.surveyed and not one.patch else "drone orthomosaic",
        "CoordAcc": one.uncertainty_m,
        "DataType": _data_type(one),
        "Centroid": _centroid(one),
        "InfestAcre": infested,
        "GrossAcre": gross,
        "Habitat": table.habitat,
        "LocalOwner": table.land_owner,
        "Site": records.site,
        "RecBasis": _basis(one),
        "ObsIDer": (one.who or table.identified_by or table.observer) if one.seen else "spurgekit",
        "UUID": records.id_of(one),
        "OrigName": one.kind,
        "Surveyor": (one.who if one.is_visited else None) or table.observer,
        "DateAcc": 0,
        "DataMthd": records.protocol(one),
        "Comments": "; ".join([records.verification(one), *filter(None, [records.remarks(one)])]),
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(csv_of(pd.DataFrame(rows), path.name), encoding="utf-8", newline="\n")


def _basis(one: Found) -> str:
    return "Human Observation" if one.is_visited else "Machine Observation"


def _data_type(one: Found) -> str:
    return "Point" if one.shape.geom_type == "Point" else "Polygon"


def _centroid(one: Found) -> str | None:
    """Return what the coordinates are a point of, where that is more than the point."""
    return None if one.shape.geom_type == "Point" else "patch" if one.patch else "plot"
