import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from shapely.geometry import box

from spurgekit.imagery import PixelGrid
from spurgekit.maps.polygons import presence_polygons, write_polygons

NORTH_UP = Affine(2, 0, 500_000, 0, -2, 5_000_000)
CLASSES = ("bare", "weed", "shrub")


def polygons_of(predicted, probabilities=None, transform=NORTH_UP, valid=None):
    predicted = np.array(predicted, np.uint8)
    height, width = predicted.shape
    cells = PixelGrid(width, height, transform, rasterio.CRS.from_epsg(32612))
    if probabilities is None:
        probabilities = np.full(predicted.shape, 0.75)
    valid = np.ones(predicted.shape) if valid is None else valid
    return presence_polygons(predicted, np.array(probabilities, np.float32), np.array(valid, np.float32), cells, CLASSES)


def test_cells_that_share_an_edge_are_one():
    found = polygons_of([[1, 1, 0], [0, 1, 0]], [[0.9, 0.6, 0.8], [0.7, 0.9, 0.8]])
    assert found[["class", "area_m2"]].to_numpy().tolist() == [["weed", 12.0]]
    assert found["mean_probability"][0] == pytest.approx(0.8)
    assert found.geometry[0].equals(
        box(500_000, 4_999_998, 500_004, 5_000_000).union(box(500_002, 4_999_996, 500_004, 4_999_998))
    )
    assert found.crs == "EPSG:32612"


def test_of_cells_at_the_rim_only_the_ground_that_was_seen_counts():
    found = polygons_of([[1, 1, 0]], valid=[[1, 0.5, 1]])
    assert found["area_m2"].tolist() == [6]
    assert found.geometry.area.tolist() == [8]


def test_cells_that_share_a_corner_are_two():
    found = polygons_of([[1, 0], [0, 1]], [[0.6, 0.9], [0.9, 0.8]])
    assert found["area_m2"].tolist() == [4, 4]
    assert sorted(found["mean_probability"]) == pytest.approx([0.6, 0.8])


def test_a_hole_is_a_hole():
    found = polygons_of([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    (ring,) = found.geometry[0].interiors
    assert ring.bounds == (500_002, 4_999_996, 500_004, 4_999_998)
    assert found["area_m2"][0] == found.geometry[0].area == 32


def test_an_island_in_a_hole():
    predicted = np.ones((5, 5), int)
    predicted[1:4, 1:4] = 0
    predicted[2, 2] = 1
    assert polygons_of(predicted)["area_m2"].tolist() == [64, 4]


def test_each_class_has_its_own_and_the_largest_comes_first():
    found = polygons_of([[1, 2, 2], [0, 255, 2]])
    assert found[["class", "area_m2"]].to_numpy().tolist() == [["shrub", 12.0], ["weed", 4.0]]


def test_no_data_is_no_ground():
    assert polygons_of([[255, 1, 255]]).geometry.area.sum() == 4


def test_on_a_turned_map_areas_are_those_of_the_cells():
    turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(2, -2)
    found = polygons_of([[1, 1, 0], [0, 0, 1]], transform=turned)
    assert found["area_m2"].tolist() == pytest.approx([8, 4])
    assert found.geometry.area.tolist() == pytest.approx([8, 4], rel=1e-6)


def test_many_patches_keep_their_own_numbers():
    rng = np.random.default_rng(0)
    predicted = (rng.random((40, 50)) < 0.4).astype(np.uint8)
    probabilities = rng.random((40, 50)).astype(np.float32)
    found = polygons_of(predicted, probabilities)
    assert found["area_m2"].to_numpy() == pytest.approx(found.geometry.area.to_numpy())
    assert found["area_m2"].sum() == 4 * predicted.sum()
    weighted = (found["area_m2"] * found["mean_probability"]).sum() / found["area_m2"].sum()
    assert weighted == pytest.approx(probabilities[predicted == 1].mean(), abs=1e-6)
    assert found.is_valid.all()


class TestFile:
    def test_opens_as_it_was_written(self, tmp_path):
        found = polygons_of([[1, 2], [0, 1]])
        write_polygons(found, tmp_path / "presence.gpkg")
        read = gpd.read_file(tmp_path / "presence.gpkg")
        assert read["class"].tolist() == found["class"].tolist()
        assert read.geometry.geom_equals(found.geometry).all()
        assert pyogrio.list_layers(tmp_path / "presence.gpkg").tolist() == [["presence", "Polygon"]]

    def test_without_polygons_it_has_its_columns(self, tmp_path):
        found = polygons_of([[0, 255]])
        write_polygons(found, tmp_path / "presence.gpkg")
        read = gpd.read_file(tmp_path / "presence.gpkg")
        assert len(read) == 0
        assert list(read.columns) == ["class", "area_m2", "mean_probability", "geometry"]
        assert read["area_m2"].dtype == np.float64
        assert read.crs == "EPSG:32612"
