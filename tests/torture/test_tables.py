"""Points, polygons and tables of anybody, damaged in every way; what is read of them is whole or refused."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from rasterio.crs import CRS
from shapely import MultiPoint, Point, box

from spurgekit.dataset.build import build_dataset
from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.dataset.field_record import labels_from_record
from spurgekit.dataset.shape_labels import labels_from_vector
from spurgekit.markers.gcp_placement import read_control
from spurgekit.plots.field_sheet import join_field_sheet
from spurgekit.plots.plot import Plot
from spurgekit.plots.protocol import PlotProtocol
from spurgekit.review.model_confidence import read_confidence
from spurgekit.tables import read_table
from spurgekit.tiles.layouts import points_layout
from spurgekit.vectors import read_vector
from tests.fuzz import as_json, changed, damaged, fuzz

UTM = CRS.from_epsg(32612)
X, Y = 500_000.0, 4_999_990.0
TILES = gpd.GeoDataFrame(
    {"plot": ["01", "02", "1E1"], "quarter": "NW", "label": ["a", "b", None]},
    geometry=[box(X + 10 * i, Y, X + 10 * i + 10, Y + 10) for i in range(3)],
    crs="EPSG:32612",
)
POINTS = gpd.GeoDataFrame(
    {"label": ["a", "b", None], "idx": [1, 2, 3], "cover": [0.0, 12.5, 80.0]},
    geometry=[Point(X + 5, Y + 5), MultiPoint([(X + 15, Y + 5)]), Point(X + 20, Y + 10)],
    crs="EPSG:32612",
)
FORMATS = [".gpkg", ".geojson", ".shp", ".parquet", ".fgb", ".gml"]
TABLE = (
    "plot;quarter;label;longitude;latitude;idx\n01;NW;None;-110,999873;45,1532971\n1E1;;yes;111°00'W;45.15329;7\n2;;no;NA;\n"
)

PROTOCOL = PlotProtocol(rows=1, columns=3)


def label(path):
    """Read points or polygons as 'build-dataset' does: what has a label has one of those that are there."""
    shapes = read_vector(path, UTM)
    assert np.isfinite(shapes.rows.total_bounds).all()
    assert not (shapes.rows.geom_type == "MultiPoint").any()
    found = labels_from_vector(TILES, shapes.rows, column=None, classes=("a", "b"), min_cover=0.05, where=path)
    assert len(found.names) == len(TILES)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("shapes", [POINTS, TILES], ids=["points", "polygons"])
def test_bytes_of_shapes(tmp_path, suffix, shapes):
    path = tmp_path / f"shapes{suffix}"
    if suffix == ".shp":  # in which a layer is all points or all MultiPoints
        shapes = shapes.explode(ignore_index=True)
    if suffix == ".parquet":
        shapes.to_parquet(path)
    else:
        shapes.to_crs("EPSG:4326" if suffix == ".geojson" else shapes.crs).to_file(path)

    def attempt(data):
        path.write_bytes(data)
        label(path)

    fuzz(f"shapes{suffix}, bytes", damaged(path.read_bytes()), attempt, examples=20)


@pytest.mark.parametrize("name", ["shapes.dbf", "shapes.shx", "shapes.prj", "shapes.cpg"])
def test_bytes_beside_a_shapefile(tmp_path, name):
    POINTS.explode(ignore_index=True).to_file(tmp_path / "shapes.shp")

    def attempt(data):
        (tmp_path / name).write_bytes(data)
        label(tmp_path / "shapes.shp")

    fuzz(f"{name}, bytes", damaged((tmp_path / name).read_bytes()), attempt, examples=15)


@pytest.mark.parametrize("shapes", [POINTS, TILES], ids=["points", "polygons"])
def test_values_of_geojson(tmp_path, shapes):
    path = tmp_path / "shapes.geojson"
    document = json.loads(shapes.to_crs("EPSG:4326").to_json())
    document["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}

    def attempt(changed_document):
        path.write_bytes(as_json(changed_document))
        label(path)

    fuzz("shapes.geojson, values", changed(document), attempt, examples=60)


class TestTables:
    """A table of text, its bytes damaged, in each of its roles."""

    @pytest.fixture
    def damage(self, tmp_path):
        path = tmp_path / "table.csv"

        def run(role, attempt, text=TABLE, encodings=("utf-8", "utf-16", "cp1252")):
            def write_and_read(data):
                path.write_bytes(data)
                attempt(path)

            fuzz(f"table, {role}", st.one_of([damaged(text.encode(encoding)) for encoding in encodings]), write_and_read)

        return run

    def test_of_points(self, damage, make_tif, tmp_path):
        from spurgekit.imagery import open_raster

        with open_raster(make_tif(tmp_path / "site.tif", np.ones((1, 100, 100), np.uint8), gsd=0.5)) as raster:
            grid = raster.grid

        def attempt(path):
            shapes = read_vector(path, UTM)
            assert len(points_layout(grid, "site", shapes.rows, size_px=5, path=path)) <= len(shapes.rows)

        damage("points", attempt)

    def test_of_records(self, damage):
        def attempt(path):
            record = read_table(path).rows
            labels_from_record(TILES, record, column=None, classes=("no spurge", "leafy spurge"), where=path)

        damage("record", attempt)
        damage("record of cover", attempt, "plot,cover\n01,0 %\n02,12\n1E1,<1\n".replace("<1", "80"))

    def test_of_field_sheets(self, damage):
        corners = ((0.0, 10.0), (10.0, 10.0), (10.0, 0.0), (0.0, 0.0))
        plots = [Plot(name, corners, (True,) * 4) for name in ("01", "02", "1E1")]
        damage("field sheet", lambda path: join_field_sheet(plots, path, PROTOCOL))

    def test_of_control_points(self, damage):
        damage("control points", lambda path: read_control(path, UTM))

    def test_of_predictions(self, damage):
        def attempt(path):
            found = read_confidence(path, {"a": "weed", "b": None})
            assert all(0 <= value <= 1 for value in found.values())

        damage("predictions", attempt, "tile_id,class,p(sand),p(weed)\na,weed,0.25,0.75\nb,sand,1,0\n")


def test_lists_of_control_points(tmp_path):
    path = tmp_path / "gcp_list.txt"
    text = "EPSG:32612\n500000.5 4999990.5 12.5 100.5 200.25 IMG_1.jpg gcp04\n500010 4999995 1e1 7 8 IMG_2.jpg\n"

    def attempt(data):
        path.write_bytes(data)
        assert all(np.isfinite([point.x, point.y]).all() for point in read_control(path, UTM).points)

    fuzz("gcp_list.txt, bytes", damaged(text.encode()), attempt)


def test_metadata_beside_images(tmp_path):
    from PIL import Image

    for name in "abcd":
        Image.fromarray(np.full((4, 4, 3), ord(name), np.uint8)).save(tmp_path / f"{name}.png")
    rows = [
        {"file_name": f"{name}.png", "label": label, "plot": f"0{number // 2}", "longitude": number - 111, "latitude": 45}
        for number, (name, label) in enumerate(zip("abcd", ["sand", "weed"] * 2, strict=True))
    ]
    table = pd.DataFrame(rows)
    options = DatasetOptions(group_column="plot", gsd_m=0.01, shots=(1,), trials=1)

    def attempt(file):
        name, data = file
        for other in ("metadata.csv", "metadata.jsonl"):
            (tmp_path / other).unlink(missing_ok=True)
        (tmp_path / name).write_bytes(data)
        build_dataset(tmp_path, tmp_path.parent / f"{tmp_path.name}-dataset", options, overwrite=True)

    lines = st.lists(changed(rows[0]), min_size=1, max_size=4)
    fuzz(
        "metadata beside images",
        st.tuples(st.just("metadata.csv"), damaged(table.to_csv(index=False).encode()))
        | st.tuples(st.just("metadata.jsonl"), lines.map(lambda some: b"\n".join(json.dumps(row).encode() for row in some))),
        attempt,
        examples=40,
    )
