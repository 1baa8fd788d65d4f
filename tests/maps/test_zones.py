"""Zones of a map: each counted on its own, by the estimators of the whole map."""

from __future__ import annotations

import json
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
from shapely import LineString, Point, Polygon, box

from spurgekit.errors import InputError
from spurgekit.maps import MapOptions, map_site
from spurgekit.maps.areas import occupied_areas
from tests.command import succeed
from tests.conftest import CORNER
from tests.maps.brightness import brightness_model

X, Y = CORNER
CELL_M2 = 0.04**2
CONFUSION = ((80, 20), (10, 90))

# 10 x 12 fields of 4 px: the left half is bright in three rows of four.
BRIGHT = np.zeros((10, 12), bool)
BRIGHT[:, :6] = (np.arange(10) % 4 > 0)[:, None]


def ground(left, top, right, bottom):
    """A rectangle, in fields of the image from its upper left corner."""
    return box(X + left * 0.04, Y - bottom * 0.04, X + right * 0.04, Y - top * 0.04)


def store(path, *shapes, crs="EPSG:32612", **columns):
    gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs).to_file(path)
    return path


@pytest.fixture
def site(tmp_path, make_tif):
    fields = np.where(BRIGHT, 160, 40) + np.random.default_rng(0).integers(-9, 9, BRIGHT.shape)
    return make_tif(tmp_path / "site.tif", np.kron(fields, np.ones((4, 4))).astype(np.uint8)[None])


@pytest.fixture
def mapped(site, tmp_path):
    def run(*shapes, place_m2=None, zone_column=None, stride_px=None, aoi=None, **columns):
        model = brightness_model(4, confusion=CONFUSION)
        held_out = model.info.held_out.model_copy(update={"place_m2": place_m2})
        model.info = model.info.model_copy(update={"held_out": held_out})
        zones = store(tmp_path / "zones.gpkg", *shapes, **columns)
        options = MapOptions(zones=zones, zone_column=zone_column, stride_px=stride_px, aoi=aoi)
        return map_site(site, model, tmp_path / "map", options, overwrite=True)

    return run


def estimate(counted_m2, tested, site_places=1.0):
    return occupied_areas(counted_m2, tested, site_places=site_places, tile_m2=CELL_M2)[1]


def summary(made):
    return json.loads((made.folder / "summary.json").read_text())


def layer(made):
    return gpd.read_file(made.folder / "presence.gpkg", layer="zones")


class TestAreas:
    def test_each_is_what_the_map_of_it_alone_would_have(self, mapped):
        made = mapped(ground(0, 0, 6, 10), ground(6, 0, 12, 10), zone=["left", "right"])
        tested = brightness_model(4, confusion=CONFUSION).held_out
        left, right = made.zones["left"], made.zones["right"]
        assert (left.area_m2, left.mapped_m2) == pytest.approx((60 * CELL_M2, 60 * CELL_M2))
        weed = BRIGHT[:, :6].sum()
        assert left.occupied == {"bright": estimate([(60 - weed) * CELL_M2, weed * CELL_M2], tested)}
        assert right.occupied == {"bright": estimate([60 * CELL_M2, 0], tested)}
        assert left.cover == right.cover == {}
        assert left.occupied["bright"].counted_m2 + right.occupied["bright"].counted_m2 == pytest.approx(
            made.occupied["bright"].counted_m2
        )
        assert made.notes == ()

    def test_intervals_of_small_zones_are_wider(self, mapped):
        """Of zones of ten places and of two, for their size."""
        made = mapped(ground(0, 0, 5, 8), ground(0, 0, 2, 4), zone=["large", "small"], place_m2=4 * CELL_M2, stride_px=4)
        widths = {
            name: (zone.occupied["bright"].high_m2 - zone.occupied["bright"].low_m2) / zone.mapped_m2
            for name, zone in made.zones.items()
        }
        assert widths["small"] > widths["large"]
        tested = brightness_model(4, confusion=CONFUSION).held_out
        assert made.zones["small"].occupied["bright"] == estimate([2 * CELL_M2, 6 * CELL_M2], tested, site_places=2)

    def test_of_less_than_a_place_intervals_are_those_of_one_and_that_is_said(self, mapped):
        made = mapped(ground(0, 0, 12, 10), ground(0, 0, 2, 4), ground(3, 0, 4, 3), zone=["all", "a", "b"], place_m2=0.02)
        assert made.notes == (
            f"{11 * CELL_M2:,.1f} m2 of the mapped ground lie in several zones, and count in each",
            "2 zones have less mapped ground than a place that the model was tested in (0.0 m2): intervals are as of one such "
            "place, too narrow for a few tiles: a, b",
        )

    def test_a_cell_belongs_to_the_zone_of_its_centre(self, mapped):
        made = mapped(ground(0, 0, 3.4, 10), ground(3.4, 0, 12, 10), zone=["a", "b"])
        assert made.zones["a"].mapped_m2 == pytest.approx(30 * CELL_M2)
        assert made.zones["b"].mapped_m2 == pytest.approx(90 * CELL_M2)
        assert made.zones["a"].area_m2 == pytest.approx(34 * CELL_M2)

    def test_zones_that_overlap_each_count_in_full(self, tmp_path, make_tif):
        """Pixels of a metre, so that there is ground to speak of."""
        site = make_tif(
            tmp_path / "site.tif", np.kron(np.where(BRIGHT, 160, 40), np.ones((4, 4))).astype(np.uint8)[None], gsd=1
        )
        shapes = [box(X, Y - 40, X + 24, Y), box(X + 16, Y - 40, X + 32, Y)]
        zones = store(tmp_path / "zones.gpkg", *shapes, zone=["a", "b"])
        made = map_site(site, brightness_model(4, gsd_m=1.0), tmp_path / "map", MapOptions(zones=zones))
        assert [zone.mapped_m2 for zone in made.zones.values()] == pytest.approx([24 * 40, 16 * 40])
        assert made.notes[-2:] == (
            "320.0 m2 of the mapped ground lie in several zones, and count in each",
            "640.0 m2 of the mapped ground lie in no zone",
        )

    def test_polygons_of_one_name_are_one_zone(self, mapped):
        """They overlap in one field, which counts once."""
        made = mapped(ground(0, 0, 2, 2), ground(5, 0, 6, 1), ground(1, 1, 3, 3), zone=["a", "b", "a"])
        assert list(made.zones) == ["a", "b"]
        assert (made.zones["a"].mapped_m2, made.zones["a"].area_m2) == pytest.approx((7 * CELL_M2, 7 * CELL_M2))
        assert made.notes[0] == "2 polygons of zones.gpkg are parts of 1 zone: a"

    def test_a_zone_of_which_nothing_is_mapped_is_listed_without_areas(self, mapped):
        made = mapped(ground(0, 0, 6, 10), ground(100, 0, 101, 1), ground(6, 0, 12, 10), zone=["a", "far", "b"])
        assert (made.zones["far"].mapped_m2, made.zones["far"].occupied) == (0, {})
        assert made.notes == ("of 1 zone nothing is mapped: far",)
        assert summary(made)["zones"]["far"] == {"area_m2": 0.002, "mapped_m2": 0.0, "occupied": {}}
        assert layer(made).loc[1].isna().sum() == 4

    def test_within_an_area_of_interest_only_its_cells_count(self, mapped, tmp_path):
        aoi = store(tmp_path / "aoi.gpkg", ground(2, 2, 8, 5), number=[1])
        made = mapped(ground(0, 0, 6, 10), ground(6, 0, 12, 10), zone=["left", "right"], aoi=aoi)
        assert made.zones["left"].mapped_m2 == pytest.approx(12 * CELL_M2)
        assert made.zones["right"].mapped_m2 == pytest.approx(6 * CELL_M2)
        assert made.zones["left"].area_m2 == pytest.approx(60 * CELL_M2)


class TestFiles:
    def test_summary_and_layer(self, mapped):
        made = mapped(ground(0, 0, 6, 10), ground(6, 0, 12, 10), zone=["left", "right"], pasture=[1, 2])
        zones, found = summary(made)["zones"], layer(made)
        assert list(zones) == ["left", "right"]
        area = made.zones["left"].occupied["bright"]
        assert zones["left"]["occupied"]["bright"] == pytest.approx(area.model_dump(), abs=5e-4)
        assert "do not add up" in summary(made)["what_the_areas_mean"]
        fields = ("counted_m2", "estimate_m2", "low_m2", "high_m2")
        assert list(found) == ["zone", "area_m2", "mapped_m2", *(f"occupied_{f} of bright" for f in fields), "geometry"]
        assert found["zone"].tolist() == ["left", "right"]
        assert found.loc[0, "occupied_high_m2 of bright"] == area.high_m2
        assert found.crs == "EPSG:32612"
        assert found.geometry.iloc[1].equals(ground(6, 0, 12, 10))
        layers = dict(pyogrio.list_layers(made.folder / "presence.gpkg"))
        assert layers == {"presence": "Polygon", "zones": "MultiPolygon", "layer_styles": None}

    def test_without_zones_there_is_neither(self, site, tmp_path):
        made = map_site(site, brightness_model(4), tmp_path / "map")
        assert made.zones == {}
        assert "zones" not in summary(made)
        assert "zone" not in summary(made)["what_the_areas_mean"]
        assert "zones" not in pyogrio.list_layers(made.folder / "presence.gpkg")[:, 0]

    def test_once_more_gives_the_same_files(self, mapped):
        zones = (ground(0, 0, 6, 10), ground(6, 0, 12, 10))
        found = []
        for _ in range(2):
            made = mapped(*zones, zone=["left", "right"])
            found.append(
                {name: (made.folder / name).read_bytes() for name in ("presence.gpkg", "summary.json", "presence.png")}
            )
        assert found[0] == found[1]

    def test_zones_in_three_dimensions_and_other_coordinates(self, mapped):
        flat = gpd.GeoSeries([ground(0, 0, 6, 10)], crs="EPSG:32612").to_crs("EPSG:4326")
        high = Polygon([(x, y, 900.0) for x, y in flat.iloc[0].exterior.coords])
        made = mapped(high, zone=["a"], crs="EPSG:4326")
        assert made.zones["a"].mapped_m2 == pytest.approx(60 * CELL_M2)
        assert not layer(made).has_z.any()


class TestNames:
    SHAPES = (ground(0, 0, 6, 10), ground(6, 0, 12, 10))

    @pytest.mark.parametrize(
        ("columns", "names", "said"),
        [
            ({"zone": ["a", "b"], "name": ["x", "y"]}, ["a", "b"], False),
            ({"Name": ["a", "b"], "id": [1, 2]}, ["a", "b"], "Name"),
            ({"zone_ID": [7.0, 12.0], "crop": ["x", "y"]}, ["7", "12"], "zone_ID"),
            ({"OBJECTID": [1, 2]}, ["1", "2"], "OBJECTID"),
        ],
    )
    def test_the_column_is_found_and_said(self, mapped, columns, names, said):
        made = mapped(*self.SHAPES, **columns)
        assert list(made.zones) == names
        assert made.notes == ((f"zones are named by the column {said!r} of zones.gpkg",) if said else ())

    def test_or_asked_for(self, mapped):
        assert list(mapped(*self.SHAPES, zone=["a", "b"], crop=["oats", "rye"], zone_column="crop").zones) == ["oats", "rye"]

    @pytest.mark.parametrize(
        ("columns", "asked", "says"),
        [
            ({"crop": ["a", "b"]}, None, r"zones\.gpkg has no column 'zone' \(crop\); pass `zone_column`"),
            ({"crop": ["a", "b"]}, "corp", r"zones\.gpkg has no column 'corp' \(crop\); pass another `zone_column`"),
            (
                {"Name": ["a", "b"], "title": ["x", "y"]},
                None,
                r"'zone' but Name and title; name one by `zone_column`",
            ),
            ({"zone": ["a", " "]}, None, r"zone is empty in 1 row, the first of them row 2; name each zone, or pass another"),
            ({"zone": [None, None]}, None, r"zone is empty in 2 rows, the first of them row 1"),
        ],
    )
    def test_columns_that_do_not_serve(self, mapped, tmp_path, columns, asked, says):
        with pytest.raises(InputError, match=says) as caught:
            mapped(*self.SHAPES, zone_column=asked, **columns)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.glob("*map*"))


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([LineString([(X, Y), (X + 1, Y - 1)])], r"zones\.gpkg holds LineStrings; zones are made of polygons"),
        ([Point(X, Y)], r"zones\.gpkg holds Points; zones are made of polygons"),
        ([ground(100, 0, 101, 3)], r"zones\.gpkg does not touch .*site\.tif \(EPSG:32612\): they span x .* the image x"),
        ([ground(1.6, 2, 2.4, 9)], r"no zone holds the centre of a cell of .*site\.tif, which are of 0\.04 m; pass zones that"),
    ],
)
def test_shapes_that_are_no_zones(mapped, tmp_path, shapes, says):
    with pytest.raises(InputError, match=says):
        mapped(*shapes, zone=["a"] * len(shapes))
    assert not list(tmp_path.glob("*map*"))


def test_zones_outside_of_the_area_of_interest(mapped, tmp_path):
    aoi = store(tmp_path / "aoi.gpkg", ground(8, 0, 9, 3), number=[1])
    with pytest.raises(InputError, match=r"no zone holds the centre of a cell of the area of interest .*aoi\.gpkg, which"):
        mapped(ground(0, 0, 6, 10), zone=["a"], aoi=aoi)


def test_a_line_is_printed_for_the_first_twenty(chain, tmp_path):
    with rasterio.open(chain.site) as file:
        left, bottom, right, top = file.bounds
    edges = np.linspace(left, right, 23)
    strips = [box(west, bottom, east, top) for west, east in pairwise(edges)]
    zones = store(tmp_path / "zones.gpkg", *strips, zone=["\x1b[2J", *range(1, 22)])
    output = succeed("map", chain.site, "--model", chain.model, "--out", tmp_path / "map", "--zones", zones, "--stride", "16")
    lines = [line for line in output.splitlines() if line.startswith("zone ")]
    assert len(lines) == 20
    assert lines[0].startswith(r"zone \x1b[2J: mapped ")
    assert " on " in lines[1] and "m2, corrected for errors " in lines[1]
    assert "and 2 zones more: summary.json and the layer zones of presence.gpkg have all" in output
