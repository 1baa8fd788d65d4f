"""The project for QGIS and QField: its XML, and where there is a QGIS, what that makes of it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from spurgekit.imagery.crs import parse_crs
from spurgekit.maps.styles import write_raster_style
from tests.command import succeed
from tests.export.conftest import GROUND, SPURGE, make_image, make_map, note_images

PYTHON = os.environ.get("SPURGEKIT_QGIS_PYTHON", "/usr/bin/python3")
"""Of a system that has QGIS, which no environment can install."""


@pytest.fixture
def folder(seen):
    """The export of the drawn map, which has a style."""
    write_raster_style(seen / "presence.qml", band=1)
    succeed("export", seen, "--for", "phone", "--out", "out", "--join", "0")
    return Path("out")


def layers_of(path):
    return {layer.findtext("layername"): layer for layer in ET.parse(path).iter("maplayer")}


def test_layers_lie_beside_it(folder):
    layers = layers_of(folder / "dune.qgs")
    sources = {name: layer.findtext("datasource") for name, layer in layers.items()}
    assert sources == {
        "Patches": "./patches.gpkg|layername=patches", "Probability": "./presence.tif", "dune.tif": "./image.tif"
    }  # fmt: skip
    assert all((folder / source.partition("|")[0]).is_file() for source in sources.values())
    assert [layer.findtext("provider") for layer in layers.values()] == ["ogr", "gdal", "gdal"]
    assert {layer.findtext("srs/spatialrefsys/authid") for layer in layers.values()} == {"EPSG:32612"}
    assert str(Path.cwd()) not in (folder / "dune.qgs").read_text(encoding="utf-8")


def test_it_is_as_the_map_is_drawn(folder):
    root = ET.parse(folder / "dune.qgs").getroot()
    layers = layers_of(folder / "dune.qgs")
    categories = layers["Patches"].findall("renderer-v2/categories/category")
    assert [category.get("value") for category in categories] == ["leafy spurge", "sumac"]
    assert layers["Probability"].find("pipe/rasterrenderer").get("band") == "1"
    assert root.findtext("properties/Paths/Absolute") == "false"
    assert [node.get("name") for node in root.iter("layer-tree-layer")] == ["Patches", "Probability", "dune.tif"]
    view = root.find("ProjectViewSettings/DefaultViewExtent").attrib
    assert [float(view[name]) for name in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx(
        [499_999.2, 4_999_987.2, 500_016.8, 5_000_000.8]
    )  # 16 x 12 m and a twentieth of that around


def test_a_style_brings_nothing_but_how_it_draws(seen):
    (seen / "presence.qml").write_text(
        "<qgis><pipe><rasterrenderer type='singlebandgray' band='1'/></pipe>"
        "<attributeactions><actionsetting/></attributeactions></qgis>"
    )
    succeed("export", seen, "--for", "phone", "--out", "out")
    text = Path("out/dune.qgs").read_text(encoding="utf-8")
    assert "singlebandgray" in text
    assert "actionsetting" not in text
    (seen / "presence.qml").write_text("<qgis")
    succeed("export", seen, "--for", "phone", "--out", "plain")
    assert layers_of("plain/dune.qgs")["Probability"].find("pipe") is None


def test_the_patches_are_there_to_fill_in(folder):
    rows = gpd.read_file(folder / "patches.gpkg", layer="patches")
    assert list(rows.columns) == [
        "name", "class", "area_m2", "gross_m2", "mean_probability", "longitude", "latitude",
        "label", "observer", "date", "note", "geometry",
    ]  # fmt: skip
    assert (rows["label"] == "").all()
    assert not rows[["label", "observer", "date", "note"]].to_numpy().any(), "to be filled in"
    assert rows.crs.to_epsg() == 32612
    assert rows.geometry.area.to_numpy() == pytest.approx(rows["gross_m2"].to_numpy())
    layer = layers_of(folder / "dune.qgs")["Patches"]
    choices = layer.findall(".//field[@name='label']/editWidget[@type='ValueMap']//Option[@type='QString']")
    assert [choice.get("value") for choice in choices] == ["", "leafy spurge", "sumac", "none"]


def test_the_picture_of_the_project_lies_on_its_own_grid(folder):
    with rasterio.open("dune.tif") as image, rasterio.open(folder / "image.tif") as file:
        assert file.transform == image.transform
        assert (file.crs, file.count, file.compression.name) == (image.crs, 3, "jpeg")
        assert file.read()[:, 20, 20] == pytest.approx(np.array(SPURGE), abs=4)
        assert (file.read_masks(1) == 255).all()


def has_qgis():
    if shutil.which(PYTHON) is None:
        return False
    return subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def qgis():
    """Return what opens a project in QGIS: what it says of it, and its picture."""
    if not has_qgis():
        pytest.skip(f"{PYTHON} has no QGIS; name a Python that has one in SPURGEKIT_QGIS_PYTHON")

    def open_project(path):
        script = Path(__file__).with_name("render_project.py")
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [PYTHON, script, path, "qgis.png"], env={**own, "QT_QPA_PLATFORM": "offscreen"}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), np.asarray(Image.open("qgis.png").convert("RGB")).astype(int)

    return open_project


def test_qgis_opens_it(folder, qgis):
    folder.rename("sent elsewhere")
    said, picture = qgis("sent elsewhere/dune.qgs")
    assert (said["crs"], said["title"]) == ("EPSG:32612", "dune")
    patches, probability, image = said["layers"]
    assert [layer["name"] for layer in said["layers"]] == ["Patches", "Probability", "dune.tif"]
    assert all(layer["valid"] and layer["crs"] == "EPSG:32612" for layer in said["layers"])
    assert [layer["shown"] for layer in said["layers"]] == [True, False, True]
    assert [layer["renderer"] for layer in said["layers"]] == ["categorizedSymbol", "singlebandpseudocolor", "multibandcolor"]
    assert patches["categories"] == [["leafy spurge", [216, 27, 140]], ["sumac", [0, 158, 220]]]
    assert patches["labels"] == "name"
    assert (patches["count"], patches["fixed"]) == (
        6, ["name", "class", "area_m2", "gross_m2", "mean_probability", "longitude", "latitude"]
    )  # fmt: skip
    assert patches["choices"] == [{"(not said)": ""}, {"leafy spurge": "leafy spurge"}, {"sumac": "sumac"}, {"none": "none"}]
    assert probability["extent"] == image["extent"] == pytest.approx([500_000, 4_999_988, 500_016, 5_000_000])
    assert said["view"] == pytest.approx([499_999.2, 4_999_987.2, 500_016.8, 5_000_000.8])
    # The view is 17.6 m wide on 800 px, with the 13.6 m of its height in the middle.
    assert picture[_row(4_999_989), _column(500_011)] == pytest.approx(np.array(GROUND), abs=4)
    spurge = picture[_row(4_999_999), _column(500_003)]
    assert spurge == pytest.approx(np.array(SPURGE) * (1 - 60 / 255) + np.array([216, 27, 140]) * 60 / 255, abs=6)
    assert picture[2, 2] == pytest.approx([255, 255, 255])


def _column(easting):
    return int((easting - 499_999.2) / 17.6 * 800)


def _row(northing):
    return int((5_000_000.8 + (17.6 - 13.6) / 2 - northing) / 17.6 * 800)


def test_qgis_opens_a_turned_one_with_markup_and_no_code(tmp_path, monkeypatch, qgis):
    monkeypatch.chdir(tmp_path)
    turned = Affine.translation(500_000, 200_000) @ Affine.rotation(30) @ Affine.scale(6, -6)
    own = parse_crs("+proj=tmerc +lat_0=45 +lon_0=-110 +x_0=152400 +datum=WGS84 +units=us-ft").to_wkt()
    classes = ("bare", "<b>&\"spurge'", "sumac")
    map_folder = make_map(Path("maps/a <b>"), classes=classes, crs=own, transform=turned, cell=1.8288)
    note_images(map_folder, make_image(Path("turned.tif"), crs=own, transform=turned))
    succeed("export", map_folder, "--for", "phone", "--out", "out")
    (project,) = Path("out").glob("*.qgs")
    said, _ = qgis(project)
    assert said["title"] == "a <b>"
    assert all(layer["valid"] for layer in said["layers"])
    assert [value for value, _ in said["layers"][0]["categories"]] == ["<b>&\"spurge'", "sumac"]
    west, south, east, north = said["layers"][2]["extent"]
    frame = [turned @ corner for corner in ((0, 0), (8, 0), (8, 6), (0, 6))]
    assert [west, south, east, north] == pytest.approx(
        [min(x for x, _ in frame), min(y for _, y in frame), max(x for x, _ in frame), max(y for _, y in frame)], abs=0.5
    )
