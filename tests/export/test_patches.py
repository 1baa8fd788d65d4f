import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer
from shapely.geometry import box

from spurgekit.export import join_patches
from spurgekit.export.patches import measured
from spurgekit.vectors import read_vector
from tests.export.conftest import CORNER, make_map

X, Y = CORNER


def cells(*corners, side=2.0, crs="EPSG:32612", kind="weed", mean="mean_probability", **columns):
    """Return squares by their lower left corners, in metres from a place."""
    x, y = np.array(corners, float).T
    rows = {"class": kind, "area_m2": side**2, mean: 0.75, **columns}
    rows = {name: np.full(len(x), value) if np.isscalar(value) else value for name, value in rows.items()}
    return gpd.GeoDataFrame(rows, geometry=shapely.box(X + x, Y + y, X + x + side, Y + y + side), crs=crs)


def table(patches):
    return patches.rows.drop(columns="geometry").to_dict("list")


def test_cells_within_the_distance_are_one():
    frame = cells((0, 0), (3, 0), (7, 0), mean_probability=[0.6, 0.8, 0.9])
    assert table(join_patches(frame, 1)) == {
        "name": ["P001", "P002"], "class": ["weed", "weed"], "area_m2": [8, 4], "gross_m2": [10, 4],
        "mean_probability": [0.7, 0.9],
    }  # fmt: skip
    assert table(join_patches(frame, 2))["gross_m2"] == [18]
    assert len(join_patches(frame, 0.99)) == 3


def test_cells_that_meet_at_a_corner_are_one_without_any_distance():
    patches = join_patches(cells((0, 0), (2, 2)), 0)
    assert (len(patches), patches.rows["gross_m2"][0]) == (1, 8)


def test_the_outline_of_one_cell_is_the_cell():
    assert join_patches(cells((0, 0)), 1).rows.geometry[0].equals(box(X, Y, X + 2, Y + 2))


def test_what_is_shut_in_counts_in():
    ring = [(x, y) for x in range(0, 10, 2) for y in range(0, 10, 2) if not (2 <= x <= 6 and 2 <= y <= 6)]
    found = join_patches(cells(*ring), 1)
    assert table(found)["area_m2"] == [64]
    assert table(found)["gross_m2"] == [100]
    assert found.centres.within(found.cells.buffer(-0.1)).all()  # on the plants, not in the middle of the ring


def test_the_centre_is_where_there_is_most():
    frame = cells((0, 0), (3, 0), (6, 0))
    frame = frame.set_geometry([*frame.geometry[:2], box(X + 6, Y, X + 10, Y + 6)])
    (centre,) = join_patches(frame, 1).centres
    assert centre.within(frame.geometry[2].buffer(-0.5))


def test_a_bay_narrower_than_the_distance_counts_in_and_a_wider_one_does_not():
    u = cells((0, 0), (0, 2), (2, 0), (4, 0), (4, 2))  # 6 m wide, a bay of 2 x 2 m
    assert join_patches(u, 2).rows["gross_m2"].tolist() == [24]
    assert join_patches(u, 1.9).rows["gross_m2"].tolist() == [20]


def test_classes_stay_apart_and_ids_go_over_all():
    frame = cells((0, 0), (2, 0), (5, 0))
    frame["class"] = ["weed", "sumac", "sumac"]
    found = join_patches(frame, 1)
    assert found.rows[["name", "class"]].to_numpy().tolist() == [["P001", "sumac"], ["P002", "weed"]]
    assert found.of("weed").rows["name"].tolist() == ["P002"]


def test_patches_of_one_size_keep_the_order_of_the_map():
    found = join_patches(cells((10, 0), (0, 0), (20, 0)), 1)
    assert found.rows.geometry.bounds["minx"].tolist() == [X + 10, X, X + 20]


def test_the_mean_is_over_cells_and_the_ground_that_was_seen_counts():
    frame = gpd.GeoDataFrame(
        {"class": "weed", "area_m2": [6.0, 4.0], "mean_cover": [0.9, 0.6]},
        geometry=[box(X, Y, X + 4, Y + 2), box(X + 4, Y + 2, X + 6, Y + 4)],  # two cells, half of one beyond the image
        crs="EPSG:32612",
    )
    found = join_patches(frame, 1)
    assert (found.rows["area_m2"][0], found.rows["mean_cover"][0], found.mean) == (10, 0.8, "mean_cover")


def test_polygons_that_somebody_drew_over_one_another():
    frame = cells((0, 0), (1, 0))
    found = join_patches(frame, 1)
    assert found.cells.area.tolist() == [6]
    assert found.rows.is_valid.all()


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:2263"])
def test_metres_are_metres_in_degrees_in_web_mercator_and_in_feet(crs):
    own = cells((0, 0), (3, 0), (7, 0))
    if crs == "EPSG:2263":  # feet, of New York
        own = own.set_geometry(own.translate(83_000, -500_000)).set_crs("EPSG:32618", allow_override=True)
    frame = own.to_crs(crs)
    found = join_patches(frame, 1.01)
    assert found.rows.crs == frame.crs
    assert found.rows["gross_m2"].to_numpy() == pytest.approx([10, 4], rel=2e-3)
    assert len(join_patches(frame, 0.9)) == 3
    assert found.centres.within(found.cells).all()


def test_the_ground_of_a_projection_in_feet_is_measured_in_its_own_unit():
    frame = cells((0, 0)).to_crs("EPSG:32612").set_crs("EPSG:2263", allow_override=True)
    frame = frame.set_geometry(frame.translate(500_000, -4_800_000))
    shapes, unit_m = measured(frame)
    assert shapes is frame
    assert unit_m == pytest.approx(1200 / 3937)


def test_without_a_place_the_unit_is_what_it_says():
    assert join_patches(cells((0, 0), (3, 0), crs=None), 1).rows["gross_m2"].tolist() == [10]


def test_a_map_of_cells_by_hand(tmp_path):
    folder = make_map(tmp_path / "dune")
    frame = read_vector(folder / "presence.gpkg", measured_crs(folder), usual_layer="presence").rows
    assert table(join_patches(frame, 1)) == {
        "name": ["P001", "P002", "P003", "P004", "P005", "P006"],
        "class": ["leafy spurge", "sumac", *["leafy spurge"] * 4],
        "area_m2": [16, 16, 4, 4, 4, 4], "gross_m2": [16, 16, 4, 4, 4, 4], "mean_probability": [0.75] * 6,
    }  # fmt: skip
    # By 2 m the two that are a cell apart are one, and the block above the first of them joins in: 2 m.
    joined = join_patches(frame, 2).rows
    assert joined["area_m2"].tolist() == [24, 16, 4, 4]


def measured_crs(folder):
    import rasterio

    with rasterio.open(folder / "presence.tif") as file:
        return file.crs


def test_the_projection_of_a_place_keeps_lengths_within_a_site():
    degrees = gpd.GeoSeries.from_xy([-111.0, -110.9], [45.0, 45.0], crs=4326)
    shapes, unit_m = measured(degrees)
    assert unit_m == 1
    line = shapes.iloc[0].distance(shapes.iloc[1])
    geod = degrees.crs.get_geod()
    assert line == pytest.approx(geod.inv(-111.0, 45.0, -110.9, 45.0)[2], rel=1e-6)
    assert Transformer.from_crs(shapes.crs, 4326, always_xy=True).transform(0, 0) == pytest.approx((-110.95, 45))
