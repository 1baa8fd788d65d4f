"""Points with their context, and the rest of the site without labels."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset, validate_dataset
from spurgekit.errors import InputError, LeakageError
from spurgekit.tiles import TileOptions, tile_images
from tests.conftest import CORNER
from tests.tiles import ramp

SIDE = 120
"""Of the site in pixels of 1 cm."""

PLACES = [(10, 10), (20, 10), (10, 20), (20, 20), (90, 90), (100, 90), (90, 100), (100, 100)]
"""Two clusters of four points, 80 px apart."""


def write_points(path, **columns):
    x, y = np.array(PLACES).T
    table = {"idx": range(8), "label": ["absent", "present"] * 4, **columns}
    points = gpd.points_from_xy(CORNER[0] + x * 0.01, CORNER[1] - y * 0.01)
    gpd.GeoDataFrame(table, geometry=points, crs="EPSG:32612").to_file(path)
    return path


@pytest.fixture
def tiles(tmp_path, make_tif):
    def make(context=20, unlabelled=8, size=8, **columns):
        image = make_tif(tmp_path / "site.tif", ramp(3, SIDE, SIDE))
        points = write_points(tmp_path / "points.gpkg", **columns)
        options = TileOptions(points=points, size_px=size, context_px=context, unlabelled_px=unlabelled)
        tile_images([image], tmp_path / "tiles", options)
        return tmp_path / "tiles"

    return make


def build(tmp_path, tiles, **options):
    return build_dataset(tiles, tmp_path / "dataset", DatasetOptions(**options))


class TestContext:
    def test_two_datasets_of_the_same_places(self, tiles, tmp_path):
        build(tmp_path, tiles(), cluster_distance_m=0.3)
        crop, context = (open_dataset(tmp_path / "dataset" / name) for name in ("crop", "context"))
        assert (crop.info.size_px, context.info.size_px) == (8, 20)
        assert (crop.info.context, context.info.context) == (False, True)
        assert crop.info.counts == context.info.counts == {side: {"absent": 2, "present": 2} for side in ("train", "test")}
        for side in ("train", "test"):
            assert crop.split(side)["tile_id"].tolist() == context.split(side)["tile_id"].tolist()
            assert crop.split(side)["easting"].tolist() == context.split(side)["easting"].tolist()
        assert crop.support_sets().equals(context.support_sets())

    def test_each_is_judged_by_what_it_shows(self, tiles, tmp_path):
        # Points 10 px apart: crops of 8 px do not touch, contexts of 20 px do, and those of the far cluster touch none of them.
        info = build(tmp_path, tiles(place=["t", "t", "w", "w", *"ffff"]), group_column="place", test_groups=("t",))
        crop, context = (open_dataset(tmp_path / "dataset" / name) for name in ("crop", "context"))
        assert crop.info.counts["train"] == {"absent": 3, "present": 3}
        assert crop.info.left_out == {}
        assert context.info.counts["train"] == {"absent": 2, "present": 2}
        assert context.info.left_out == {"training tiles too close to a test tile": 2}
        assert context.info.examples == {"training tiles too close to a test tile": "site_p00002"}
        assert crop.info.counts["test"] == context.info.counts["test"]
        assert info.notes[-1] == (
            "context/ lacks 2 of 6 training tiles, whose context of 0.2 m is too close to that of a test tile; "
            "crop/ has them, as its tiles show their own ground alone"
        )
        assert validate_dataset(tmp_path / "dataset") == []

    def test_a_context_that_leaves_nothing_to_train_on_is_the_cause_that_is_named(self, tiles, tmp_path):
        made = tiles(half=["west", "east"] * 4, label=["absent", "absent", "present", "present"] * 2)
        with pytest.raises(InputError, match=r"left in the train split, and 4 training tiles too close .* buffers or contexts"):
            build(tmp_path, made, group_column="half", test_groups=("east",))

    def test_crops_that_touch_are_leakage(self, tiles, tmp_path):
        made = tiles(size=12, half=["west", "east"] * 4, label=["absent", "absent", "present", "present"] * 2)
        with pytest.raises(LeakageError, match="test tiles touch 4 training tiles"):
            build(tmp_path, made, group_column="half", test_groups=("east",))

    def test_a_folder_of_two_datasets_says_so(self, tiles, tmp_path):
        build(tmp_path, tiles(), cluster_distance_m=0.3)
        with pytest.raises(InputError, match=r"holds several datasets \(crop, context\); name one of them, e\.g\. .*crop"):
            open_dataset(tmp_path / "dataset")
        card = (tmp_path / "dataset" / "README.md").read_text()
        assert "- [`context/`](context/README.md): tiles of 20 x 20 px (0.20 x 0.20 m" in card

    def test_hugging_face_loads_each_by_its_name(self, tiles, tmp_path, monkeypatch):
        datasets = pytest.importorskip("datasets")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        build(tmp_path, tiles(), cluster_distance_m=0.3)
        for name, side in (("crop", 8), ("context", 20)):
            loaded = datasets.load_dataset(str(tmp_path / "dataset"), name, cache_dir=str(tmp_path / "cache"))
            assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 4, "test": 4}
            assert loaded["train"][0]["image"].size == (side, side)
        loaded = datasets.load_dataset(str(tmp_path / "dataset"), "unlabelled", cache_dir=str(tmp_path / "cache"))
        assert loaded["train"].num_rows == open_dataset(tmp_path / "dataset" / "crop").info.unlabelled.tiles


class TestUnlabelled:
    def test_they_touch_no_labelled_tile_and_no_tested_ground(self, tiles, tmp_path):
        build(tmp_path, tiles(), cluster_distance_m=0.3)
        crop = open_dataset(tmp_path / "dataset" / "crop")
        free = crop.unlabelled()
        assert crop.info.unlabelled.size_px == 8
        assert len(free) == crop.info.unlabelled.tiles
        assert all(path.is_file() for path in free["path"])
        index = gpd.read_parquet(tmp_path / "tiles" / "unlabelled" / "tiles.parquet").set_index("tile_id")
        shown = index.loc[free["tile_id"]].geometry.union_all()
        labelled = gpd.read_parquet(tmp_path / "dataset" / "crop" / "tiles.parquet")
        context = gpd.read_parquet(tmp_path / "dataset" / "context" / "tiles.parquet")
        assert labelled.geometry.distance(shown).min() > 1e-6
        assert context.geometry[context["split"] == "test"].distance(shown).min() > 1e-6
        # Of the 15 x 15 squares all others are there.
        taken = labelled.geometry.union_all().union(context.geometry[context["split"] == "test"].union_all())
        assert len(free) == 225 - (index.geometry.distance(taken) < 1e-6).sum()

    def test_beside_the_splits_where_there_is_no_context(self, tiles, tmp_path):
        build(tmp_path, tiles(context=None), cluster_distance_m=0.3)
        dataset = open_dataset(tmp_path / "dataset")
        assert dataset.info.unlabelled.folder == "unlabelled"
        assert (tmp_path / "dataset" / "unlabelled" / "metadata.csv").is_file()
        assert "label" not in pd.read_csv(tmp_path / "dataset" / "unlabelled" / "metadata.csv")

    def test_where_there_are_none(self, tiles, tmp_path):
        build(tmp_path, tiles(context=None, unlabelled=None), cluster_distance_m=0.3)
        with pytest.raises(InputError, match="has no unlabelled tiles; tile with `unlabelled_px`"):
            open_dataset(tmp_path / "dataset").unlabelled()


class TestClusters:
    def test_made_by_distance_where_the_points_have_none(self, tiles, tmp_path):
        info = build(tmp_path, tiles(context=None), cluster_distance_m=0.3)
        assert info.split.by == "cluster"
        assert info.split.cluster_distance_m == 0.3
        assert {side: set(open_dataset(tmp_path / "dataset").split(side)["cluster"]) for side in ("train", "test")} in (
            {"train": {"0"}, "test": {"1"}},
            {"train": {"1"}, "test": {"0"}},
        )

    def test_taken_from_the_points_where_they_have_some(self, tiles, tmp_path):
        info = build(tmp_path, tiles(context=None, cluster=[7] * 4 + [9] * 4))
        assert info.split.by == "cluster"
        assert info.split.test_groups in (("7",), ("9",))

    def test_one_cluster_is_no_place_to_hold_out(self, tiles, tmp_path):
        with pytest.raises(InputError, match=r"all points lie within 10 m of another, in one cluster, .* `cluster_distance_m`"):
            build(tmp_path, tiles(context=None))


class TestAccuracy:
    ACCURACY = (0.01, 0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.5)

    def test_is_kept_and_the_poor_are_told(self, tiles, tmp_path):
        info = build(tmp_path, tiles(context=None, hrms=self.ACCURACY), cluster_distance_m=0.3)
        assert info.notes == ("1 point is known worse than half a tile's side; `max_accuracy_m` leaves such points out",)
        rows = pd.concat([open_dataset(tmp_path / "dataset").split(side) for side in ("train", "test")])
        assert sorted(rows["accuracy_m"]) == sorted(self.ACCURACY)

    def test_the_poor_are_left_out_if_asked_for(self, tiles, tmp_path):
        made = tiles(context=None, Accuracy=self.ACCURACY)
        info = build(tmp_path, made, cluster_distance_m=0.3, max_accuracy_m=0.04)
        assert info.left_out == {"with a position not known to 0.04 m": 1}

    def test_where_nothing_says_it(self, tiles, tmp_path):
        with pytest.raises(InputError, match=r"says nothing of the accuracy of its points .* leave out `max_accuracy_m`"):
            build(tmp_path, tiles(context=None), cluster_distance_m=0.3, max_accuracy_m=0.04)
