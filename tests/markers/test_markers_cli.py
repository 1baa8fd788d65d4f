"""``spurgekit markers``."""

import csv
import json

import cv2
import geopandas as gpd
import numpy as np
import pytest
from PIL import Image

from spurgekit.markers.gcp_list import read_gcp_list
from tests.command import refuse, succeed
from tests.markers.test_target_detector import GSD_M, ground, paint


@pytest.fixture
def site(make_tif, tmp_path_factory):
    """Two crosses of 0.3 m."""
    rgb = ground(400)
    paint(rgb, "cross", 100.5, 120.25, 30, 20)
    paint(rgb, "cross", 300.0, 250.75, 30, 65)
    return make_tif(tmp_path_factory.mktemp("site") / "s.tif", np.ascontiguousarray(np.moveaxis(rgb, -1, 0)), gsd=GSD_M)


def options(site, out):
    return ("markers", site, "--family", "cross", "--marker-size", "0.3", "--out", out)


def test_markers_are_listed_and_drawn(site, tmp_path):
    out = tmp_path / "m.gpkg"
    printed = succeed(*options(site, out))
    assert "2 cross markers of 0.3 m" in printed
    table = gpd.read_file(out)
    assert list(table["marker"]) == [1, 2]
    np.testing.assert_allclose(table[["col", "row"]], [[100.5, 120.25], [300.0, 250.75]], atol=0.2)
    np.testing.assert_allclose(table.geometry.x, table["x"])
    assert table.crs.to_epsg() == 32612
    assert cv2.imread(str(out.with_suffix(".png"))).shape[0] > 1000


def test_lists_in_other_formats_say_the_same(site, tmp_path):
    for suffix in ("csv", "json", "geojson", "gpx", "txt"):
        succeed(*options(site, tmp_path / f"m.{suffix}"))
    with (tmp_path / "m.csv").open() as file:
        rows = list(csv.DictReader(file))
    listed = json.loads((tmp_path / "m.json").read_text())
    assert [row["marker"] for row in listed] == [1, 2]
    assert [float(row["col"]) for row in rows] == [row["col"] for row in listed]
    assert "id" not in listed[0]  # crosses carry no code
    placed = gpd.read_file(tmp_path / "m.geojson")
    assert placed.crs.to_epsg() == 4326
    waypoints = gpd.read_file(tmp_path / "m.gpx", layer="waypoints")
    assert list(waypoints["name"]) == ["1", "2"]
    assert waypoints.geometry.geom_equals_exact(placed.geometry, 1e-9).all()
    points = read_gcp_list(tmp_path / "m.txt").points
    assert [(p.image, round(p.x, 3)) for p in points] == [(site.name, round(row["x"], 3)) for row in listed]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--family", "star"), "there is no family of markers 'star'"),
        (("--out", "m.shp"), "a list of markers ends in .gpkg, .geojson, .gpx, .csv, .json or .txt"),
        (("--marker-size", "0.05"), "are 5.0 px across, fewer than the 8"),
        (("--marker-size", "-1"), "--marker-size -1.0 is not a size"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(site, tmp_path, monkeypatch, changed, said):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert said in refuse(*options(site, tmp_path / "m.gpkg"), *changed)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["m.geojson", "m.txt"])
def test_places_on_earth_are_not_listed_of_a_photo_that_has_none(tmp_path, name):
    Image.fromarray(ground(200)).save(tmp_path / "photo.jpg")
    photo = ("markers", tmp_path / "photo.jpg", "--image-gsd", GSD_M, "--marker-size", "0.3", "--out")
    line = refuse(*photo, tmp_path / name)
    assert f"{name}: {tmp_path.joinpath(name).suffix} holds places on Earth, and photo.jpg is in " in line
    assert "list its markers as .gpkg or .csv" in line
    assert not (tmp_path / name).exists()
    succeed(*photo, tmp_path / "m.gpkg")
    assert gpd.read_file(tmp_path / "m.gpkg").empty


def test_a_list_is_replaced_only_when_asked(site, tmp_path):
    out = tmp_path / "m.csv"
    succeed(*options(site, out))
    written = out.read_text()
    out.write_text("older")
    assert "--overwrite" in refuse(*options(site, out))
    assert out.read_text() == "older"
    succeed(*options(site, out), "--overwrite")
    assert out.read_text() == written


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_a_file_that_may_be_somebody_elses_is_never_replaced(site, tmp_path, more):
    out = tmp_path / "drawn.csv"
    out.write_text("mine")
    assert "drawn.csv exists already, and may be no list of spurgekit's" in refuse(*options(site, out), *more)
    assert out.read_text() == "mine"


def test_an_image_without_markers_gives_an_empty_list(make_tif, tmp_path):
    site = make_tif(tmp_path / "s.tif", np.ascontiguousarray(np.moveaxis(ground(300), -1, 0)), gsd=GSD_M)
    assert "0 cross markers" in succeed(*options(site, tmp_path / "m.gpkg"))
    assert len(gpd.read_file(tmp_path / "m.gpkg")) == 0
