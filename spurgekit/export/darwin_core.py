"""Darwin Core: a table of occurrences, and the archive of it that GBIF's tools take (Darwin Core Text Guide, TDWG 2023)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import shapely

from spurgekit.export.archives import write_zip
from spurgekit.export.kml import DECIMALS
from spurgekit.export.records import Found, Records
from spurgekit.tables import csv_of

OCCURRENCES, ARCHIVE, META = "occurrence.csv", "darwin-core.zip", "meta.xml"
DWC, DCTERMS = "http://rs.tdwg.org/dwc/terms/", "http://purl.org/dc/terms/"
TEXT = "http://rs.tdwg.org/dwc/text/"
OF_DUBLIN_CORE = ("license", "rightsHolder")
"""Terms that Darwin Core takes from Dublin Core."""

WGS_84 = "EPSG:4326"


def write_darwin_core(folder: Path, records: Records) -> None:
    """Write ``occurrence.csv``, and ``darwin-core.zip`` of it and its ``meta.xml``.

    Parameters
    ----------
    folder : pathlib.Path
    records : Records
    """
    table = pd.DataFrame([occurrence(records, one) for one in records.found])
    text = csv_of(table, OCCURRENCES).encode()
    (folder / OCCURRENCES).write_bytes(text)
    write_zip(folder / ARCHIVE, {OCCURRENCES: text, META: meta_xml(list(table.columns))})


def occurrence(records: Records, one: Found) -> dict[str, Any]:
    """Return a record by the terms of Darwin Core; None where a term has no value.

    Parameters
    ----------
    records : Records
    one : Found
        Of the records.
    """
    table, taxon = records.table, records.taxa[one.kind]
    observer = table.observer
    return {
        "occurrenceID": records.id_of(one),
        "basisOfRecord": "HumanObservation" if one.is_visited else "MachineObservation",
        "occurrenceStatus": "present" if one.is_present else "absent",
        "scientificName": taxon.scientific_name,
        "taxonID": taxon.taxon_id,
        "taxonRank": taxon.taxon_rank,
        "kingdom": taxon.kingdom,
        "vernacularName": records.common_name(one),
        "verbatimIdentification": one.kind,
        "eventDate": records.date_of(one).isoformat(),
        "recordedBy": (one.who if one.is_visited else None) or observer,
        "identifiedBy": (one.who or table.identified_by or observer) if one.seen else "spurgekit",
        "dateIdentified": one.when.isoformat() if one.when else None,
        "identificationVerificationStatus": records.verification(one),
        "samplingProtocol": records.protocol(one),
        "sampleSizeValue": None if one.patch else one.gross_m2,
        "sampleSizeUnit": None if one.patch or one.gross_m2 is None else "square metre",
        "organismQuantity": one.infested_m2,
        "organismQuantityType": None if one.infested_m2 is None else "square metres of occupied ground",
        "decimalLatitude": f"{one.point.y:.{DECIMALS}f}",
        "decimalLongitude": f"{one.point.x:.{DECIMALS}f}",
        "geodeticDatum": WGS_84,
        "coordinateUncertaintyInMeters": one.uncertainty_m,
        "footprintWKT": shapely.to_wkt(one.shape, rounding_precision=DECIMALS),
        "footprintSRS": WGS_84,
        "country": table.country,
        "countryCode": table.country_code,
        "stateProvince": table.state,
        "county": table.county,
        "locality": records.site,
        "habitat": table.habitat,
        "institutionCode": table.organisation,
        "datasetName": table.dataset_name or records.survey,
        "datasetID": table.dataset_id,
        "license": table.licence_address,
        "rightsHolder": table.rights_holder,
        "occurrenceRemarks": records.remarks(one),
    }


def meta_xml(terms: list[str]) -> bytes:
    """Return the description of a table of occurrences with these terms as columns.

    Parameters
    ----------
    terms : list of str
        In the order of the columns; the first identifies a row.
    """
    archive = ET.Element("archive", xmlns=TEXT)
    core = ET.SubElement(
        archive, "core", encoding="UTF-8", fieldsTerminatedBy=",", linesTerminatedBy="\\n", fieldsEnclosedBy='"',
        ignoreHeaderLines="1", rowType=f"{DWC}Occurrence",
    )  # fmt: skip
    ET.SubElement(ET.SubElement(core, "files"), "location").text = OCCURRENCES
    ET.SubElement(core, "id", index="0")
    for index, term in enumerate(terms):
        ET.SubElement(core, "field", index=str(index), term=f"{DCTERMS if term in OF_DUBLIN_CORE else DWC}{term}")
    ET.indent(archive)
    written: bytes = ET.tostring(archive, encoding="UTF-8", xml_declaration=True)
    return written + b"\n"
