"""Dataset folders, tiles folders and synthetic tiles from anybody, damaged in every way."""

from __future__ import annotations

import json
import shutil

import geopandas as gpd
import pandas as pd
import pytest
from hypothesis import strategies as st
from shapely import MultiPolygon, Point, Polygon

from spurgekit.augment.manifest import read_manifest
from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset, validate_dataset
from spurgekit.dataset.few_shot import support_rows
from spurgekit.dataset.places import footprints, places
from spurgekit.dataset.reader import read_mask
from spurgekit.dataset.sources import read_source
from spurgekit.dataset.summary import describe_dataset
from spurgekit.review.messages import list_tiles
from spurgekit.review.review_folder import open_folder
from spurgekit.review.sitemap import draw_site_maps
from spurgekit.tiles.index import read_tiles
from tests.chain import CLASSES
from tests.fuzz import as_json, changed, changed_table, damaged, fuzz, write_table


@pytest.fixture
def dataset(chain, tmp_path):
    return shutil.copytree(chain.dataset, tmp_path / "dataset")


@pytest.fixture
def tiles(chain, tmp_path):
    return shutil.copytree(chain.tiles, tmp_path / "tiles")


def use(dataset):
    """Read all of a dataset that commands read: no tile is in both splits, none lies outside, support sets are of training."""
    data = open_dataset(dataset)
    list(describe_dataset(data))
    rows = {side: data.split(side) for side in ("train", "test")}
    assert not set(rows["train"]["path"]) & set(rows["test"]["path"])
    for table in rows.values():
        assert len(set(table["tile_id"])) == len(table)
        assert all(path.resolve().is_relative_to(dataset.resolve()) for path in table["path"])
        places(data, table)
        footprints(data, table)
    sets = data.support_sets()
    assert len(sets) > 0 or not data.info.shots
    for n in data.info.shots:
        assert len(support_rows(rows["train"], sets, n, 0)) == n * len(data.info.classes)


def show(folder):
    """Open a folder as 'review' does."""
    opened = open_folder(folder)
    json.dumps(list_tiles(opened, draw_site_maps(opened)), allow_nan=False)


def test_values_of_a_description(dataset):
    file = dataset / "dataset.json"

    def attempt(document):
        file.write_bytes(as_json(document))
        validate_dataset(dataset)
        use(dataset)

    fuzz("dataset.json, values", changed(json.loads(file.read_text())), attempt, examples=40)


def test_bytes_of_a_description(dataset):
    file = dataset / "dataset.json"

    def attempt(data):
        file.write_bytes(data)
        validate_dataset(dataset)
        use(dataset)

    fuzz("dataset.json, bytes", damaged(file.read_bytes()), attempt, examples=30)


@pytest.mark.parametrize("name", ["few_shot.parquet", "tiles.parquet"])
def test_tables_of_a_dataset(dataset, name):
    file = dataset / name
    table, whole = pd.read_parquet(file), file.read_bytes()

    def attempt(changed):
        if isinstance(changed, bytes):
            file.write_bytes(changed)
        elif not write_table(changed, file):
            return
        validate_dataset(dataset)
        use(dataset)

    fuzz(f"{name} of a dataset", changed_table(table) | damaged(whole), attempt, examples=40)


def test_footprints_of_a_dataset(dataset):
    file = dataset / "tiles.parquet"
    table = gpd.read_parquet(file)

    def attempt(changed):
        shape, column, value = changed
        odd = table.copy()
        if shape is not None:
            odd.loc[odd.index[0], "geometry"] = shape
        try:
            odd.assign(**{column: value}).to_parquet(file)
        except Exception:  # what cannot be written cannot be read
            return
        validate_dataset(dataset)
        use(dataset)
        show(dataset)

    shapes = [None, Point(1, 2), Point(), Polygon(), MultiPolygon(), Point(float("nan"), 1), Point(1e308, -1e308)]
    columns = st.sampled_from(["tile_id", "split", "class", "plot", "cluster", "site", "size_px", "gsd_m", "source"])
    values = st.sampled_from([None, 0, -1, float("nan"), "x", "../x", 1e308, True])
    fuzz("footprints of a dataset", st.tuples(st.sampled_from(shapes), columns, values), attempt, examples=40)


def test_metadata_of_a_dataset(dataset):
    file = dataset / "train" / "metadata.csv"
    table, whole = pd.read_csv(file), file.read_bytes()

    def attempt(changed):
        file.write_bytes(changed if isinstance(changed, bytes) else changed.to_csv(index=False).encode("utf-8", "replace"))
        validate_dataset(dataset)
        use(dataset)
        show(dataset)

    fuzz("metadata.csv of a dataset", changed_table(table) | damaged(whole), attempt, examples=60)


def test_tables_of_tiles(tiles, tmp_path):
    file = tiles / "tiles.parquet"
    table, whole = gpd.read_parquet(file), file.read_bytes()
    plain = pd.DataFrame(table.drop(columns="geometry"))

    def attempt(changed):
        if isinstance(changed, bytes):
            file.write_bytes(changed)
        else:
            geometry = table.geometry.reindex(range(len(changed)))
            try:
                gpd.GeoDataFrame(changed.reset_index(drop=True), geometry=geometry, crs=table.crs).to_parquet(file)
            except Exception:  # what cannot be written cannot be read
                return
        index = read_tiles(tiles)
        assert index["tile_id"].is_unique
        assert (index["gsd_m"].isna() | (index["gsd_m"] > 0)).all()
        read_source(tiles)
        show(tiles)

    fuzz("tiles.parquet of tiles", changed_table(plain) | damaged(whole), attempt, examples=60)


def test_building_from_damaged_tiles(tiles, tmp_path):
    file = tiles / "tiles.parquet"
    table = gpd.read_parquet(file)
    labelled = table.assign(label=[CLASSES[number % 4 >= 2] for number in range(len(table))])
    plain = pd.DataFrame(labelled.drop(columns="geometry"))

    def attempt(changed):
        geometry = table.geometry.reindex(range(len(changed)))
        try:
            gpd.GeoDataFrame(changed.reset_index(drop=True), geometry=geometry, crs=table.crs).to_parquet(file)
        except Exception:  # what cannot be written cannot be read
            return
        built = tmp_path / "built"
        build_dataset(tiles, built, DatasetOptions(classes=CLASSES), overwrite=built.exists())
        assert validate_dataset(built) == []

    fuzz("build-dataset of tiles.parquet", changed_table(plain), attempt, examples=15)


def test_masking_damaged_tiles(chain, tiles, tmp_path):
    """Polygons say what each pixel of tiles is of whose sizes or places cannot be."""
    file = tiles / "tiles.parquet"
    table = gpd.read_parquet(file)
    odd = [
        None,
        Point(1, 2),
        Polygon(),
        MultiPolygon(),
        Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]),
        table.geometry[0].buffer(0.1),
    ]
    odd += [Polygon([(-1e300, 0), (1e300, 0), (1e300, 1e300), (-1e300, 1e300)]), Polygon([(0, 0), (1, 0), (1, 0), (0, 0)])]
    sizes = st.sampled_from([0, 1, 31, 32, 4000, 16_384, 16_385, float("nan"), -1])

    def attempt(changed):
        row, shape, size_px = changed
        damaged = table.copy()
        damaged.loc[row, "geometry"] = shape
        damaged["size_px"] = size_px
        damaged.to_parquet(file)
        built = tmp_path / "built"
        options = DatasetOptions(labels=chain.weed, classes=CLASSES)
        info = build_dataset(tiles, built, options, overwrite=built.exists())
        assert size_px != table["size_px"][0] or validate_dataset(built) == []
        assert info.masks

    fuzz("masks of tiles", st.tuples(st.integers(0, len(table) - 1), st.sampled_from(odd), sizes), attempt, examples=15)


def test_bytes_of_a_mask(dataset):
    data = open_dataset(dataset)
    (file,) = data.masks(data.split("train").iloc[:1])

    def attempt(data):
        file.write_bytes(data)
        validate_dataset(dataset)
        mask = read_mask(file)
        assert (mask.dtype, mask.ndim) == ("uint8", 2)
        assert mask.shape[0] == mask.shape[1]

    fuzz("a mask", damaged(file.read_bytes()), attempt, examples=60)


def test_manifests(tmp_path):
    images = [tmp_path / f"{name}.png" for name in "abcd"]
    for image in images:
        image.write_bytes(b"")
    table = pd.DataFrame(
        {
            "id": list("abcd"), "file_name": [image.name for image in images], "tile_id": ["s", "s", "w", "w"],
            "trial": [0, 0, None, 1], "n": [1, 2, None, 1], "class": ["sand", "sand", "weed", "weed"],
            "weight": [1.0, 0.5, 0, 2],
            "share": [1, 0.5, None, 1], "source_class": ["weed", "weed", None, "sand"],
        }
    )  # fmt: skip
    file = tmp_path / "manifest.parquet"
    table.to_parquet(file)
    whole = file.read_bytes()

    def attempt(changed):
        if isinstance(changed, bytes):
            file.write_bytes(changed)
        elif not write_table(changed, file):
            return
        rows = read_manifest(tmp_path, CLASSES)
        assert all(path.parent == tmp_path for path in rows["path"])
        assert (rows["weight"] >= 0).all()

    fuzz("manifest.parquet", changed_table(table) | damaged(whole), attempt, examples=80)
