"""Tiles that hold some of a class and too little to be of it."""

import shutil

import geopandas as gpd
import pandas as pd
import pytest
from shapely import box

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset, validate_dataset
from spurgekit.tiles.index import read_tiles

SHARES = (0.5, 0.02, 0.0)
"""Of tiles under weed, by their row, and so on: a half, a fiftieth, none."""


@pytest.fixture(scope="module")
def built(meadow, tmp_path_factory):
    """A dataset of a meadow where weed lies as stripes over tiles."""
    folder = tmp_path_factory.mktemp("unclear")
    index = read_tiles(meadow)
    weed = [
        box(west, south, west + SHARES[row % 3] * (east - west), north)
        for row, (west, south, east, north) in zip(index["row"], index.geometry.bounds.to_numpy(), strict=True)
        if SHARES[row % 3]
    ]
    gpd.GeoDataFrame(geometry=weed, crs=index.crs).to_file(folder / "weed.gpkg")
    options = DatasetOptions(labels=folder / "weed.gpkg", classes=("sand", "weed"), block_m=0.24)
    return folder / "dataset", build_dataset(meadow, folder / "dataset", options)


def test_they_lie_beside_the_splits_on_the_side_of_their_place(built):
    folder, info = built
    data = open_dataset(folder)
    assert validate_dataset(folder) == []
    assert info.min_cover == 0.05
    assert info.left_out["with some of a class, and too little to be of it"] == 20 * 7
    assert 0 < info.unclear.test < info.unclear.train
    index = gpd.read_parquet(folder / "tiles.parquet")
    tiles = {side: data.unclear(side) for side in ("train", "test")}
    assert {side: len(rows) for side, rows in tiles.items()} == {"train": info.unclear.train, "test": info.unclear.test}
    for side, rows in tiles.items():
        assert rows["cover"].tolist() == pytest.approx([0.02] * len(rows), abs=1e-6)
        assert all(path.is_file() for path in rows["path"])
        assert not set(rows["tile_id"]) & set(index["tile_id"])
        assert set(rows["place"]) <= set(index["cluster"][index["split"] == side].astype(str))


def test_none_touches_a_tile_of_the_other_side(built, meadow):
    folder, _ = built
    data, ground = open_dataset(folder), read_tiles(meadow).set_index("tile_id").geometry
    sides = {side: pd.concat([data.split(side), data.unclear(side)])["tile_id"] for side in ("train", "test")}
    train, test = (ground[list(sides[side])] for side in ("train", "test"))
    assert train.distance(test.union_all()).min() > 1e-3


def test_tiles_of_a_class_know_their_cover(built):
    folder, _ = built
    for side in ("train", "test"):
        rows = open_dataset(folder).split(side)
        assert rows["cover"][rows["class"] == "weed"].tolist() == pytest.approx([0.5] * (rows["class"] == "weed").sum())
        assert (rows["cover"][rows["class"] == "sand"] == 0).all()


def test_other_splits_than_without_them_are_not_drawn(built, meadow, tmp_path):
    """The draw goes by tiles that have a class."""
    folder, _ = built
    held_out = set(open_dataset(folder).split("test")["tile_id"])
    index = read_tiles(meadow)
    index.assign(kind=[["weed", None, "sand"][row % 3] for row in index["row"]]).to_parquet(tmp_path / "tiles.parquet")
    for image in meadow.glob("*.png"):
        (tmp_path / image.name).symlink_to(image)
    build_dataset(tmp_path, tmp_path / "dataset", DatasetOptions(label_column="kind", block_m=0.24))
    assert set(open_dataset(tmp_path / "dataset").split("test")["tile_id"]) == held_out


def test_a_dataset_without_them_says_so(meadow, tmp_path):
    info = build_dataset(meadow, tmp_path / "dataset", DatasetOptions(label_column="kind"))
    assert info.unclear is None
    assert open_dataset(tmp_path / "dataset").unclear("test").empty
    assert not (tmp_path / "dataset" / "unclear").exists()


def test_what_was_taken_away_is_found(built, tmp_path):
    folder = shutil.copytree(built[0], tmp_path / "dataset")
    image = next((folder / "unclear").glob("*.png"))
    image.unlink()
    assert any(f"unclear lacks {image.name}" in problem for problem in validate_dataset(folder))
