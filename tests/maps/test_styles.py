import sqlite3
from contextlib import closing
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine

from spurgekit.imagery import PixelGrid
from spurgekit.maps.colours import COLOURS, class_colour
from spurgekit.maps.polygons import LAYER, presence_polygons, write_polygons
from spurgekit.maps.styles import store_vector_style, write_raster_style

CLASSES = ("bare ground", 'so-called "spurge" & <kin>', "knapweed")


@pytest.fixture(params=[1, 0])
def geopackage(request, tmp_path):
    cells = PixelGrid(2, 1, Affine(1, 0, 500_000, 0, -1, 5_000_000), rasterio.CRS.from_epsg(32612))
    path = tmp_path / "presence.gpkg"
    predicted = np.array([[0, request.param]], np.uint8)
    write_polygons(presence_polygons(predicted, *np.ones((2, 1, 2), np.float32), cells, CLASSES), path)
    store_vector_style(path, LAYER, CLASSES)
    return path


def test_qgis_finds_the_style_in_the_geopackage(geopackage):
    with closing(sqlite3.connect(geopackage)) as database:
        row = database.execute("SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles").fetchall()
        columns = [c[1] for c in database.execute(f"PRAGMA table_info({LAYER})")]
    ((table, geometry, default, qml),) = row
    assert (table, default) == (LAYER, 1)
    assert geometry in columns
    renderer = ET.fromstring(qml).find("renderer-v2")
    assert renderer.get("attr") in columns
    categories = [(c.get("value"), c.get("symbol")) for c in renderer.iter("category")]
    assert categories == [(CLASSES[1], "1"), (CLASSES[2], "2")]
    symbols = {s.get("name"): s.find("layer/Option/Option[@name='color']").get("value") for s in renderer.iter("symbol")}
    assert symbols == {str(i): ",".join(map(str, class_colour(i))) + ",60" for i in (1, 2)}


def test_of_the_raster(tmp_path):
    write_raster_style(tmp_path / "presence.qml", band=2)
    renderer = ET.parse(tmp_path / "presence.qml").getroot().find("pipe/rasterrenderer")
    assert renderer.get("band") == "2"  # the first is the background's
    items = [(float(item.get("value")), int(item.get("alpha"))) for item in renderer.iter("item")]
    assert items[0] == (0, 0)
    assert items[-1] == (1, 190)  # the ground shows through
    assert {item.get("color") for item in renderer.iter("item")} == {"#d81b8c"}


def test_colours_start_again_when_they_run_out():
    assert class_colour(1) == class_colour(1 + len(COLOURS)) == COLOURS[0]
