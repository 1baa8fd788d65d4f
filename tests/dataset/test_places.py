import geopandas as gpd
import pandas as pd
import pytest

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.dataset.places import footprints, place_column, places
from spurgekit.errors import InputError
from tests.dataset import add_columns


def opened(field, **options):
    build_dataset(field / "tiles", field / "dataset", DatasetOptions(**options))
    return open_dataset(field / "dataset")


class TestPlaces:
    def test_blocks_of_ground_are_clusters(self, field):
        data = opened(field, block_m=0.2)
        assert place_column(data) == "cluster"
        train, test = (set(places(data, data.split(side))) for side in ("train", "test"))
        assert train
        assert test
        assert not train & test

    def test_blocks_of_points_that_have_clusters_of_their_own(self, field):
        add_columns(field / "tiles", cluster=["a", "b"] * 12)
        data = opened(field, block_m=0.2)
        assert place_column(data) == "block"
        train, test = (set(places(data, data.split(side))) for side in ("train", "test"))
        assert not train & test

    def test_any_column_of_the_tiles(self, field):
        add_columns(field / "tiles", transect=[f"T{i % 8 // 2}" for i in range(24)])
        data = opened(field, group_column="transect", test_groups=("T0",), buffer_m=0.0)
        assert place_column(data) == "transect"
        assert set(places(data, data.split("test"))) == {"T0"}

    def test_numbers_read_as_they_were_written(self, field):
        data = opened(field, block_m=0.2)
        rows = data.split("test").assign(plot=[3.0] * len(data.split("test")))
        assert set(places(data, rows, "plot")) == {"3"}

    def test_one_that_there_is_not(self, field):
        data = opened(field, block_m=0.2)
        with pytest.raises(InputError, match=r"has no column 'altitude'; places are in cluster, site"):
            places(data, data.split("test"), "altitude")

    def test_a_tile_without_one(self, field):
        data = opened(field, block_m=0.2)
        rows = data.split("test")
        rows = rows.assign(plot=[None, *["P1"] * (len(rows) - 1)])
        with pytest.raises(InputError, match=rf"tile {rows['tile_id'].iloc[0]} has no 'plot'; pass another column"):
            places(data, rows, "plot")


def test_footprints_are_those_of_the_tiles(field):
    data = opened(field, block_m=0.2)
    rows = data.split("train")
    index = gpd.read_parquet(field / "tiles" / "tiles.parquet").set_index("tile_id")
    found = footprints(data, rows)
    assert all(a.equals(b) for a, b in zip(found, index.geometry.loc[rows["tile_id"]], strict=True))
    assert footprints(data, pd.DataFrame({"tile_id": ["nowhere"]})).tolist() == [None]
