import csv
import io
import json
import re
import zipfile
from contextlib import closing
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from spurgekit.export import ExportOptions, export_map
from tests.export.conftest import CORNER, make_map
from tests.outputs.listing import RECORDS, names

TO_EARTH = Transformer.from_crs("EPSG:32612", "EPSG:4326", always_xy=True)
FILES = ["patches.csv", "patches.geojson", "patches.gpx", "patches.kml", "patches.kmz", "patches.zip"]
GPX = "{http://www.topografix.com/GPX/1/1}"
KML = "{http://www.opengis.net/kml/2.2}"
NAMES = [f"P00{number}" for number in range(1, 7)]
NEAR = 1.001e-7
"""Degrees; a rounded seventh decimal is off by half of that."""

BLOCK = [(0, 0), (4, 0), (4, -4), (0, -4)]
"""Corners of the first patch, a block of two by two cells, in metres from the map's corner."""


def on_earth(places):
    x, y = np.array(places, float).T
    return np.column_stack(TO_EARTH.transform(CORNER[0] + x, CORNER[1] + y))


def has_corners(shape, expected):
    """Whether a polygon has the corners of another, wherever its ring begins."""
    found = shapely.get_coordinates(shape)[:-1]
    return len(found) == len(expected) and np.abs(found[:, None] - expected[None]).max(axis=2).min(axis=0).max() <= NEAR


@pytest.fixture
def out(drawn):
    return export_map(drawn, "out").folder


def test_what_is_written(drawn):
    report = export_map(drawn, "out")
    assert names(report.folder) == sorted([*FILES, *RECORDS, "summary.json"])
    assert report.files == tuple(FILES)
    assert (report.patches, report.area_m2, report.gross_m2, report.notes) == (6, 48, 48, ())
    assert json.loads((report.folder / "summary.json").read_text()) == {
        "schema_version": 1, "map": "dune", "classes": ["leafy spurge", "sumac"], "join_m": 1, "patches": 6, "area_m2": 48,
        "gross_m2": 48,
    }  # fmt: skip
    assert json.loads((report.folder / "provenance.json").read_text())["kind"] == "crew export"


def test_gpx(out):
    root = ET.parse(out / "patches.gpx").getroot()
    assert (root.tag, root.get("version")) == (f"{GPX}gpx", "1.1")
    points = root.findall(f"{GPX}wpt")
    assert [[child.tag for child in point] for point in points] == [[f"{GPX}name", f"{GPX}desc", f"{GPX}sym"]] * 6
    assert [point.findtext(f"{GPX}name") for point in points] == NAMES
    assert {point.findtext(f"{GPX}sym") for point in points} == {"Flag, Red"}
    says = "leafy spurge: 16.0 m2 mapped on 16.0 m2 of ground, mean probability 0.75"
    assert points[0].findtext(f"{GPX}desc") == says
    lone = next(point for point in points if "4.0 m2" in point.findtext(f"{GPX}desc"))
    place = [float(lone.get("lon")), float(lone.get("lat"))]
    assert place == pytest.approx(on_earth([(11, -1)])[0], abs=1e-9)  # the middle of the only cell


def test_kml_is_read_by_gdal(out):
    for file in ("patches.kml", "patches.kmz"):
        if file.endswith("kmz") and "LIBKML" not in pyogrio.list_drivers():
            continue
        read = gpd.read_file(out / file)
        assert read.crs == "EPSG:4326"
        assert read["Name"].tolist() == NAMES
        (column,) = {"Description", "description"} & set(read.columns)
        assert read[column][0].startswith("leafy spurge: 16.0 m2")
        assert has_corners(read.geometry[0], on_earth(BLOCK))


def test_kml_is_read_as_xml(out):
    read = ET.parse(out / "patches.kml").getroot()
    marks = read.findall(f".//{KML}Placemark")
    assert [mark.findtext(f"{KML}name") for mark in marks] == NAMES
    text = marks[0].findtext(f".//{KML}coordinates")
    assert has_corners(shapely.Polygon([[float(v) for v in place.split(",")] for place in text.split()]), on_earth(BLOCK))


def test_kmz_is_the_same_document(out):
    with zipfile.ZipFile(out / "patches.kmz") as archive:
        assert archive.namelist() == ["doc.kml"]
        assert archive.read("doc.kml") == (out / "patches.kml").read_bytes()


def test_geojson_is_that_of_rfc_7946(out):
    text = (out / "patches.geojson").read_text()
    found = json.loads(text)
    assert found["type"] == "FeatureCollection"
    assert "crs" not in found
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in found["features"]]
    assert all(shape.exterior.is_ccw for shape in shapes)
    assert has_corners(shapes[0], on_earth(BLOCK))
    assert max(len(decimals) for decimals in re.findall(r"-?\d+\.(\d+)", json.dumps(found["features"][0]["geometry"]))) <= 7
    lon, lat = on_earth([(2, -2)])[0]
    assert found["features"][0]["properties"] == {
        "name": "P001", "class": "leafy spurge", "area_m2": 16, "gross_m2": 16, "mean_probability": 0.75,
        "longitude": pytest.approx(lon, abs=2e-5), "latitude": pytest.approx(lat, abs=2e-5),
        "label": "", "observer": "", "date": "",
    }  # fmt: skip


def test_the_shapefile_has_short_names_its_crs_and_its_encoding(out):
    with zipfile.ZipFile(out / "patches.zip") as archive:
        assert archive.namelist() == [f"patches.{suffix}" for suffix in ("cpg", "dbf", "prj", "shp", "shx")]
        assert archive.read("patches.cpg").strip() == b"UTF-8"
        assert b"WGS_1984" in archive.read("patches.prj")
        header = io.BytesIO(archive.read("patches.dbf")).getvalue()
    assert tuple(header[1:4]) == (100, 1, 1)  # not of today
    fields = [header[at : at + 11].split(b"\0")[0].decode() for at in range(32, header.index(b"\r"), 32)]
    assert fields == [
        "name", "class", "area_m2", "gross_m2", "mean_prob", "longitude", "latitude", "label", "observer", "date"
    ]  # fmt: skip
    read = gpd.read_file(out / "patches.zip")
    assert read.crs == "EPSG:4326"
    assert read["name"].tolist() == NAMES
    assert has_corners(read.geometry[0], on_earth(BLOCK))


def test_the_table(out):
    with closing((out / "patches.csv").open(newline="")) as file:
        rows = list(csv.DictReader(file))
    columns = ["name", "class", "area_m2", "gross_m2", "mean_probability", "longitude", "latitude", "label", "observer", "date"]
    assert list(rows[0]) == columns
    assert {row["label"] for row in rows} == {""}  # to be filled in
    assert [row["name"] for row in rows] == NAMES
    lone = gpd.read_file(out / "patches.geojson").geometry[2].centroid
    assert [float(rows[2][axis]) for axis in ("longitude", "latitude")] == pytest.approx([lone.x, lone.y], abs=NEAR)


def test_a_map_of_cover_says_so(tmp_path):
    folder = make_map(tmp_path / "dune")
    rows = gpd.read_file(folder / "presence.gpkg", layer="presence").rename(columns={"mean_probability": "mean_cover"})
    (folder / "presence.gpkg").unlink()
    rows.to_file(folder / "presence.gpkg", layer="presence")
    out = export_map(folder, tmp_path / "out").folder
    assert "mean cover 0.75" in (out / "patches.gpx").read_text()
    assert "mean_cover" in gpd.read_file(out / "patches.zip")


@pytest.mark.parametrize("name", ["<b>weed</b> & co", "a \"quoted\" 'weed'", "Wolfsmilch, spitzblättrig", "]]> <!-- weed"])
def test_a_class_with_markup_reads_back_as_itself(tmp_path, name):
    folder = make_map(tmp_path / "<dune> & co", classes=("bare", name, "sumac"))
    out = export_map(folder, tmp_path / "out").folder
    says = f"{name}: 16.0 m2 mapped on 16.0 m2 of ground, mean probability 0.75"
    assert ET.parse(out / "patches.gpx").findtext(f".//{GPX}desc") == says
    kml = ET.parse(out / "patches.kml")
    assert kml.findtext(f".//{KML}Placemark/{KML}description") == says
    assert kml.findtext(f"{KML}Document/{KML}name") == f"<dune> & co: {name} and sumac"
    assert json.loads((out / "patches.geojson").read_text())["features"][0]["properties"]["class"] == name
    assert gpd.read_file(out / "patches.zip")["class"][0] == name
    with closing((out / "patches.csv").open(newline="", encoding="utf-8")) as file:
        assert next(csv.DictReader(file))["class"] == name


def test_the_same_map_gives_the_same_bytes(drawn):
    one = export_map(drawn, "one").folder
    other = export_map(drawn, "other").folder
    assert [(one / name).read_bytes() for name in FILES] == [(other / name).read_bytes() for name in FILES]


def test_names_of_waypoints_are_short_whatever_there_is(tmp_path):
    folder = make_map(tmp_path / "many", "\n".join(["1.1." * 25, "." * 100] * 40))
    report = export_map(folder, tmp_path / "out")
    found = [point.findtext(f"{GPX}name") for point in ET.parse(report.folder / "patches.gpx").findall(f"{GPX}wpt")]
    assert (found[0], found[-1], len(found)) == ("P0001", "P2000", 2000)


def test_what_was_deleted_in_qgis_is_not_exported(drawn):
    rows = gpd.read_file(drawn / "presence.gpkg", layer="presence")
    (drawn / "presence.gpkg").unlink()
    rows[rows["class"] == "sumac"].to_crs(4326).to_file(drawn / "presence.gpkg", layer="presence")
    report = export_map(drawn, "out")
    assert (report.patches, report.area_m2) == (1, 16)


def test_names_of_a_class_are_those_that_it_has_among_all(drawn):
    export_map(drawn, "out", ExportOptions(classes="sumac"))
    assert gpd.read_file("out/patches.geojson")["name"].tolist() == ["P002"]


def test_how_far_off_a_place_may_be_is_said(tmp_path):
    folder = make_map(tmp_path / "old", crs="EPSG:26712")  # NAD27
    (note,) = [note for note in export_map(folder, tmp_path / "out").notes if "good to about" in note]
    assert "EPSG:26712 to EPSG:4326" in note
