import json
import math
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely.geometry import box

from spurgekit.errors import InputError
from spurgekit.export import ExportOptions, export_map, join_patches
from spurgekit.export.sprayer import spray_zones
from tests.export.conftest import make_map
from tests.export.test_patches import X, Y, cells

KML = "{http://www.opengis.net/kml/2.2}"

TWO = """
1.....1
"""
"""Cells of 2 m, 10 m apart."""


def options(**more):
    return ExportOptions(recipient="sprayer", **{"swath_m": 2, "rate_l_ha": 50, **more})


def disc(radius):
    return math.pi * radius**2


def area_of(path, crs="EPSG:32612"):
    return gpd.read_file(path).to_crs(crs).area


class TestZones:
    def test_half_of_the_swath_is_sprayed_around_a_cell(self):
        zones = spray_zones(join_patches(cells((0, 0))), 2, 100)
        # The cell, a metre along each of its four sides, and a quarter of a disc at each corner.
        assert zones.treated_m2 == pytest.approx(4 + 4 * 2 + disc(1), rel=0.01)
        assert zones.joining_m2 == 0
        assert zones.shapes.total_bounds == pytest.approx([X - 1, Y - 1, X + 3, Y + 3])

    def test_ground_that_two_cells_share_is_sprayed_once(self):
        zones = spray_zones(join_patches(cells((0, 0), (3, 0)), 0), 2, 100)
        assert len(zones.shapes) == 1
        assert zones.treated_m2 < 2 * (12 + disc(1))
        assert zones.treated_m2 == pytest.approx(zones.shapes.area.sum())

    def test_the_nearest_are_joined_by_a_strip_of_the_swath(self):
        patches = join_patches(cells((0, 0), (6, 0), (13, 0)), 1)
        apart = spray_zones(patches, 2, 3)
        assert (len(apart.shapes), apart.joining_m2) == (3, 0)
        joined = spray_zones(patches, 2, 2)
        assert len(joined.shapes) == 2
        assert joined.joining_m2 == pytest.approx(2 * 2, rel=0.1)  # 2 m between the zones, 2 m wide, but for rounded ends
        assert joined.shapes.bounds["maxx"].tolist() == pytest.approx([X + 9, X + 16])
        assert len(spray_zones(patches, 2, 1).shapes) == 1

    def test_zones_are_no_more_than_asked_for_and_lose_nothing(self):
        rng = np.random.default_rng(0)
        frame = cells(*rng.permutation(np.stack(np.meshgrid(*[np.arange(0, 120, 4)] * 2), -1).reshape(-1, 2))[:200])
        patches = join_patches(frame, 1)
        free = spray_zones(patches, 1, 10_000)
        for most in (100, 17, 1):
            zones = spray_zones(patches, 1, most)
            assert len(zones.shapes) <= most
            assert shapely.union_all(zones.shapes.buffer(1e-6)).covers(shapely.union_all(free.shapes))
            assert zones.treated_m2 - zones.joining_m2 == pytest.approx(free.treated_m2)
            assert shapely.union_all(zones.shapes).area == pytest.approx(zones.treated_m2)  # none shares ground

    def test_zones_of_a_map_in_degrees_have_metres(self):
        own = cells((0, 0), (13, 0))
        zones = spray_zones(join_patches(own.to_crs("EPSG:4326")), 2, 100)
        assert zones.shapes.crs == "EPSG:4326"
        assert zones.treated_m2 == pytest.approx(spray_zones(join_patches(own), 2, 100).treated_m2, rel=1e-3)


class TestFiles:
    @pytest.fixture
    def two(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return make_map(tmp_path / "two", TWO)

    def test_the_prescription_has_one_number_for_each_zone(self, two):
        report = export_map(two, "out", options())
        assert report.files == ("boundary.kml", "prescription.zip")
        with zipfile.ZipFile("out/prescription.zip") as archive:
            assert archive.namelist() == [f"prescription.{suffix}" for suffix in ("cpg", "dbf", "prj", "shp", "shx")]
        read = gpd.read_file("out/prescription.zip")
        assert read.crs == "EPSG:4326"
        assert list(read.columns) == ["Rate", "geometry"]
        assert read["Rate"].dtype == np.float64
        assert read["Rate"].tolist() == [50, 50]
        assert set(read.geom_type) == {"Polygon"}
        assert area_of("out/prescription.zip").sum() == pytest.approx(report.details["treated_m2"], rel=1e-5)

    def test_what_is_treated_is_written(self, two):
        details = export_map(two, "out", options()).details
        treated = 2 * (4 + 4 * 2 + disc(1))
        assert details["treated_m2"] == pytest.approx(treated, rel=0.01)
        assert details["treated_ha"] == pytest.approx(details["treated_m2"] / 1e4, abs=1e-6)
        assert details["litres"] == pytest.approx(details["treated_m2"] * 50 / 1e4, abs=1e-3)
        said = json.loads(Path("out/summary.json").read_text())
        assert {name: said[name] for name in details} == details
        assert (said["zones"], said["swath_m"], said["rate_l_ha"]) == (2, 2, 50)

    def test_in_a_folder_for_displays_that_want_one(self, two):
        export_map(two, "out", options(rx_folder=True))
        with zipfile.ZipFile("out/prescription.zip") as archive:
            assert {name.partition("/")[0] for name in archive.namelist()} == {"Rx"}
        assert len(gpd.read_file("zip://out/prescription.zip!Rx/prescription.shp")) == 2

    def test_one_zone_where_a_display_takes_no_more(self, two):
        details = export_map(two, "out", options(zones=1)).details
        assert (details["zones"], len(gpd.read_file("out/prescription.zip"))) == (1, 1)
        assert details["joining_m2"] == pytest.approx(8 * 2, rel=0.05)

    def test_the_boundary_holds_all_zones_and_has_the_name_of_the_map(self, two):
        export_map(two, "out", options())
        root = ET.parse("out/boundary.kml")
        assert [mark.findtext(f"{KML}name") for mark in root.iter(f"{KML}Placemark")] == ["two"]
        boundary = gpd.read_file("out/boundary.kml")
        assert boundary["Name"].tolist() == ["two"]
        assert boundary.geometry[0].buffer(2e-7).covers(gpd.read_file("out/prescription.zip").union_all())
        assert area_of("out/boundary.kml")[0] == pytest.approx(box(0, 0, 16, 4).area - 4 + disc(1), rel=0.01)

    def test_holes_stay_dry(self, tmp_path):
        folder = make_map(tmp_path / "ring", "11111\n1...1\n1...1\n1...1\n11111")
        export_map(folder, tmp_path / "out", options(swath_m=1))
        (zone,) = gpd.read_file(tmp_path / "out" / "prescription.zip").to_crs("EPSG:32612").geometry
        (hole,) = zone.interiors
        assert shapely.Polygon(hole).area == pytest.approx(25, rel=1e-3)  # 6 m less half a metre on each side


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"recipient": "sprayer"}, "`recipient=sprayer` needs `swath_m` and `rate_l_ha`"),
        ({"recipient": "sprayer", "swath_m": 2}, "`recipient=sprayer` needs `rate_l_ha`"),
        ({"swath_m": 2}, "`swath_m` is for `recipient=sprayer`; drop it, or pass that"),
        ({"rx_folder": True}, "`rx_folder` is for `recipient=sprayer`"),
        ({"recipient": "sprayer", "swath_m": 0, "rate_l_ha": 1}, "`swath_m=0.0` cannot be; pass metres above 0"),
        (
            {"recipient": "sprayer", "swath_m": 2, "rate_l_ha": -1},
            "`rate_l_ha=-1.0` cannot be; pass litres per hectare",
        ),
        ({"recipient": "sprayer", "swath_m": 2, "rate_l_ha": float("inf")}, "`rate_l_ha=inf` cannot be"),
        ({"recipient": "sprayer", "swath_m": 2, "rate_l_ha": 1, "zones": 0}, "`zones=0` cannot be; pass 1 or more"),
        ({"recipient": "tractor"}, "there is no recipient of an export 'tractor'"),
    ],
)
def test_options_that_cannot_be(wrong, says):
    with pytest.raises(InputError) as error:
        ExportOptions(**wrong)
    assert str(error.value).startswith(says)
