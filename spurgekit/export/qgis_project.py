"""A project of QGIS 3, which QField opens as well, written without QGIS: layers beside it, with their styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from rasterio.crs import CRS

from spurgekit.imagery.crs import name_crs, to_pyproj

VERSION = "3.22.0-Białowieża"
"""Of QGIS, whose projects of that version later ones read."""

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
MARGIN = 0.05
"""Around the site when the project is opened, of its size."""

Bounds = Sequence[float]
"""West, south, east, north."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer of a project.

    Attributes
    ----------
    name : str
        As the legend has it.
    kind : str
        ``vector`` or ``raster``.
    source : str
        The file, in the folder of the project; of a GeoPackage with ``|layername=NAME``.
    crs : rasterio.crs.CRS
    style : str or None
        A style as QGIS saves it (``.qml``).
    label : str or None
        The column that polygons are labelled by.
    choices : mapping of tuple of str by str
        Values to choose from, by column.
    fixed : tuple of str
        Columns that are not to be edited.
    shown : bool
        Whether it is drawn when the project is opened.
    """

    name: str
    kind: Literal["vector", "raster"]
    source: str
    crs: CRS
    style: str | None = None
    label: str | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    shown: bool = True


def write_project(path: Path, title: str, layers: Sequence[Layer], crs: CRS, bounds: Bounds) -> None:
    """Write a project (``.qgs``).

    Parameters
    ----------
    path : pathlib.Path
        In the folder of its layers' files.
    title : str
    layers : sequence of Layer
        The topmost first.
    crs : rasterio.crs.CRS
        Of the project.
    bounds : sequence of four floats
        What is seen when it is opened: west, south, east, north in that CRS.
    """
    root = ET.Element("qgis", projectname=title, version=VERSION)
    _text(root, "title", title)
    _system(ET.SubElement(root, "projectCrs"), crs)
    tree = ET.SubElement(root, "layer-tree-group")
    for number, layer in enumerate(layers):
        ET.SubElement(
            tree, "layer-tree-layer", id=_id(number), name=layer.name, source=f"./{layer.source}", expanded="1",
            checked="Qt::Checked" if layer.shown else "Qt::Unchecked", providerKey=_PROVIDERS[layer.kind],
        )  # fmt: skip
    west, south, east, north = bounds
    gap = MARGIN * max(east - west, north - south)
    view = {"xmin": west - gap, "ymin": south - gap, "xmax": east + gap, "ymax": north + gap}
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas", annotationsVisible="1")
    _text(canvas, "units", "degrees" if crs.is_geographic else "meters")
    extent = ET.SubElement(canvas, "extent")
    for name, value in view.items():
        _text(extent, name, repr(value))
    _text(canvas, "rotation", "0")
    _system(ET.SubElement(canvas, "destinationsrs"), crs)
    made = ET.SubElement(root, "projectlayers")
    for number, layer in enumerate(layers):
        _layer(made, layer, number)
    order = ET.SubElement(root, "layerorder")
    for number in range(len(layers)):
        ET.SubElement(order, "layer", id=_id(number))
    properties = ET.SubElement(root, "properties")
    _text(ET.SubElement(properties, "Paths"), "Absolute", "false", type="bool")
    _text(ET.SubElement(properties, "SpatialRefSys"), "ProjectionsEnabled", "1", type="int")
    settings = ET.SubElement(root, "ProjectViewSettings", UseProjectScales="0", rotation="0")
    _system(ET.SubElement(settings, "DefaultViewExtent", {name: repr(value) for name, value in view.items()}), crs)
    ET.indent(root)
    path.write_text(DOCTYPE + ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8", newline="\n")


_PROVIDERS = {"vector": "ogr", "raster": "gdal"}


def _layer(parent: ET.Element, layer: Layer, number: int) -> None:
    more = {"geometry": "Polygon", "wkbType": "MultiPolygon", "readOnly": "0"} if layer.kind == "vector" else {}
    if layer.label:
        more["labelsEnabled"] = "1"
    element = ET.SubElement(parent, "maplayer", {"type": layer.kind, "styleCategories": "AllStyleCategories", **more})
    _text(element, "id", _id(number))
    _text(element, "datasource", f"./{layer.source}")
    _text(element, "layername", layer.name)
    _system(ET.SubElement(element, "srs"), layer.crs)
    _text(element, "provider", _PROVIDERS[layer.kind], **({"encoding": "UTF-8"} if layer.kind == "vector" else {}))
    if layer.style is not None:
        element.extend(ET.fromstring(layer.style.encode()))
    if layer.label:
        _labels(element, layer.label)
    if layer.kind == "vector":
        _columns(element, layer)


def _labels(element: ET.Element, column: str) -> None:
    settings = ET.SubElement(ET.SubElement(element, "labeling", type="simple"), "settings", calloutType="simple")
    style = ET.SubElement(
        settings, "text-style", fieldName=column, isExpression="0", fontFamily="Open Sans", fontSize="9",
        fontSizeUnit="Point", fontWeight="75", textColor="26,26,24,255", textOpacity="1",
    )  # fmt: skip
    ET.SubElement(
        style, "text-buffer", bufferDraw="1", bufferSize="0.8", bufferSizeUnits="MM", bufferColor="255,255,255,255",
        bufferOpacity="0.85", bufferNoFill="0", bufferJoinStyle="128",
    )  # fmt: skip
    ET.SubElement(settings, "placement", placement="0", dist="2", distUnits="MM", priority="5", centroidInside="1")
    ET.SubElement(settings, "rendering", drawLabels="1", obstacle="0", displayAll="0", fontMinPixelSize="3")


def _columns(element: ET.Element, layer: Layer) -> None:
    configuration = ET.SubElement(element, "fieldConfiguration")
    for name, choices in layer.choices.items():
        widget = ET.SubElement(ET.SubElement(configuration, "field", name=name), "editWidget", type="ValueMap")
        options = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
        listed = ET.SubElement(options, "Option", name="map", type="List")
        for choice in choices:
            one = ET.SubElement(listed, "Option", type="Map")
            ET.SubElement(one, "Option", name=choice or "(not said)", type="QString", value=choice)
    editable = ET.SubElement(element, "editable")
    for name in layer.fixed:
        ET.SubElement(editable, "field", name=name, editable="0")
    if layer.label:
        _text(element, "previewExpression", f'"{layer.label}"')


def _system(parent: ET.Element, crs: CRS) -> None:
    """Write a CRS as QGIS knows it: by its authority's code where there is one, else by its text."""
    known = to_pyproj(crs)
    authority = known.to_authority()
    element = ET.SubElement(parent, "spatialrefsys")
    _text(element, "wkt", known.to_wkt())
    if authority:
        _text(element, "authid", ":".join(authority))
    _text(element, "description", name_crs(crs))
    _text(element, "geographicflag", "true" if known.is_geographic else "false")


def _id(number: int) -> str:
    return f"spurgekit_layer_{number}"  # QGIS takes no id of 10 letters or fewer


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
