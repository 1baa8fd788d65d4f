"""KML and KMZ, written without GDAL, whose drivers for them not every installation has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from shapely import MultiPolygon, Polygon, get_parts
from shapely.geometry.polygon import orient

from spurgekit.export.archives import write_zip

NAMESPACE = "http://www.opengis.net/kml/2.2"
DECIMALS = 7
"""Of degrees: a centimetre."""

RED, CLEAR_RED = "ff0000ff", "400000ff"
"""Colours as KML has them: opacity, blue, green, red."""


@dataclass(frozen=True, slots=True)
class Placemark:
    """A shape with its name.

    Attributes
    ----------
    name, description : str
    shape : Polygon or MultiPolygon
        In degrees, longitude first.
    """

    name: str
    description: str
    shape: Polygon | MultiPolygon


def kml_of(title: str, placemarks: Iterable[Placemark]) -> bytes:
    """Return placemarks as a KML document (OGC 12-007r2): outlines in red, on the ground.

    Parameters
    ----------
    title : str
        Of the document and its folder.
    placemarks : iterable of Placemark
    """
    root = ET.Element("kml", xmlns=NAMESPACE)
    document = ET.SubElement(root, "Document")
    _text(document, "name", title)
    style = ET.SubElement(document, "Style", id="outline")
    line = ET.SubElement(style, "LineStyle")
    _text(line, "color", RED)
    _text(line, "width", "2")
    _text(ET.SubElement(style, "PolyStyle"), "color", CLEAR_RED)
    folder = ET.SubElement(document, "Folder")
    _text(folder, "name", title)
    for placemark in placemarks:
        element = ET.SubElement(folder, "Placemark")
        _text(element, "name", placemark.name)
        if placemark.description:
            _text(element, "description", placemark.description)
        _text(element, "styleUrl", "#outline")
        parts = get_parts(placemark.shape).tolist()
        parent = element if len(parts) == 1 else ET.SubElement(element, "MultiGeometry")
        for part in parts:
            _polygon(parent, part)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written + b"\n"


def write_kmz(path: Path, kml: bytes) -> None:
    """Write a KML document as KMZ, whose main file is ``doc.kml``."""
    write_zip(path, {"doc.kml": kml})


def _polygon(parent: ET.Element, shape: Polygon) -> None:
    element = ET.SubElement(parent, "Polygon")
    whole = orient(shape)  # outer rings run counter-clockwise
    for tag, rings in (("outerBoundaryIs", [whole.exterior]), ("innerBoundaryIs", whole.interiors)):
        for ring in rings:
            places = " ".join(f"{x:.{DECIMALS}f},{y:.{DECIMALS}f}" for x, y in ring.coords)
            _text(ET.SubElement(ET.SubElement(element, tag), "LinearRing"), "coordinates", places)


def _text(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text
