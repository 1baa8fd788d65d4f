"""What there is to review, from either kind of folder."""

import os
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.errors import InputError
from spurgekit.review import open_folder
from tests.conftest import CORNER
from tests.dataset import add_columns
from tests.review import COLUMNS, ROWS, SIDE_PX, tile_id

X, Y = CORNER


class TestTiles:
    def test_a_tile(self, folder, dune):
        tile = folder.tiles[1]
        assert (tile.id, tile.path) == (tile_id(1), dune / "tiles" / f"{tile_id(1)}.png")
        assert (tile.label, tile.site, tile.group, tile.source) == ("weed", "dune", "1", "dune.tif")
        assert (tile.size_px, tile.gsd_m, tile.confidence) == (SIDE_PX, pytest.approx(0.01), 0.97)
        west, east, south = X + 0.32, X + 0.64, Y - 0.32
        assert np.array(tile.corners) == pytest.approx(np.array([(west, Y), (east, Y), (east, south), (west, south)]))
        assert tile.centre == pytest.approx((X + 0.48, Y - 0.16))

    def test_the_folder(self, folder, dune):
        assert (folder.path, folder.classes, folder.group_name) == ((dune / "tiles").resolve(), ("sand", "weed"), "plot")
        assert folder.crs.to_epsg() == 32612
        assert len(folder.tiles) == ROWS * COLUMNS
        assert folder.by_id[tile_id(7)] is folder.tiles[7]

    def test_labels_may_be_missing(self, dune):
        add_columns(dune / "tiles", label=[None, "", "weed", *["sand"] * 27])
        assert [tile.label for tile in open_folder(dune / "tiles").tiles[:3]] == [None, None, "weed"]

    def test_nothing_but_tiles_is_needed(self, dune):
        path = dune / "tiles" / "tiles.parquet"
        gpd.read_parquet(path).drop(columns=["label", "plot", "confidence"]).to_parquet(path)
        folder = open_folder(dune / "tiles")
        assert (folder.classes, folder.group_name, folder.tiles[0].confidence) == (("absent", "present"), "", None)

    def test_a_linked_folder(self, dune):
        (dune / "link").symlink_to(dune / "tiles")
        assert open_folder(dune / "link").path == (dune / "tiles").resolve()


class TestDataset:
    @pytest.fixture
    def dataset(self, dune):
        build_dataset(dune / "tiles", dune / "dataset", DatasetOptions(group_column="plot", test_groups=("5",), buffer_m=0.0))
        return dune / "dataset"

    def test_both_splits_with_the_ground_that_tiles_cover(self, dataset, folder):
        opened = open_folder(dataset)
        assert (opened.classes, opened.group_name) == (("sand", "weed"), "plot")
        of_tiles = folder.by_id[tile_id(0)]
        tile = opened.by_id[tile_id(0)]
        assert tile.path.is_file()
        assert (tile.corners, tile.source, tile.label) == (of_tiles.corners, "dune.tif", "sand")
        assert {tile.group for tile in opened.tiles} == {"1", "2", "3", "5"}  # plot 4 touches a test tile

    def test_without_an_index_only_centres_are_known(self, dataset):
        (dataset / "tiles.parquet").unlink()
        tile = open_folder(dataset).by_id[tile_id(0)]
        assert tile.centre == pytest.approx((X + 0.16, Y - 0.16))
        assert tile.corners is None

    def test_of_images_that_lie_nowhere(self, tmp_path):
        for i in range(12):
            path = tmp_path / "photos" / ("sand", "weed")[i % 2] / f"{'ab'[i // 6]}_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (i, i, i)).save(path)
        build_dataset(tmp_path / "photos", tmp_path / "dataset", DatasetOptions(group_pattern="([ab])_"))
        opened = open_folder(tmp_path / "dataset")
        tile = opened.by_id["a_0"]
        assert (tile.label, tile.group, tile.centre, tile.gsd_m) == ("sand", "a", None, None)
        assert (opened.crs, opened.group_name) == (None, "group")
        (tmp_path / "dataset" / "tiles.parquet").unlink()
        assert open_folder(tmp_path / "dataset").by_id["a_0"].centre is None

    def test_a_damaged_index(self, dataset):
        (dataset / "tiles.parquet").write_text("hello")
        with pytest.raises(InputError, match=r"tiles\.parquet is not a GeoParquet file .*; build the dataset again"):
            open_folder(dataset)


class TestClasses:
    def test_those_that_are_given(self, dune):
        assert open_folder(dune / "tiles", classes=["weed", "sand", "stone"]).classes == ("weed", "sand", "stone")

    def test_those_of_the_survey(self, dune):
        (dune / "survey.toml").write_text('name = "dune"\nclasses = ["sand", "weed", "stone"]\n')
        assert open_folder(dune / "tiles").classes == ("sand", "weed", "stone")

    def test_those_of_the_survey_that_it_is_run_in(self, dune, monkeypatch):
        (dune / "survey").mkdir()
        (dune / "survey" / "survey.toml").write_text('name = "dune"\nclasses = ["sand", "weed", "stone"]\n')
        monkeypatch.chdir(dune / "survey")
        assert open_folder(dune / "tiles").classes == ("sand", "weed", "stone")

    def test_those_of_the_labels_absence_first(self, dune):
        add_columns(dune / "tiles", label=["weed", "absent", "sand"] * 10)
        assert open_folder(dune / "tiles").classes == ("absent", "sand", "weed")

    def test_presence_alone_has_an_absence(self, dune):
        add_columns(dune / "tiles", label="present")
        assert open_folder(dune / "tiles").classes == ("absent", "present")


class TestPredictions:
    @pytest.fixture
    def table(self, dune):
        rows = {
            "tile_id": [tile_id(0), tile_id(1), "elsewhere"],
            "label": ["sand", "weed", "weed"],
            "p(sand)": [0.9, 0.75, 0.5],
            "p(weed)": [0.1, 0.25, 0.5],
        }
        path = dune / "test_predictions.csv"
        pd.DataFrame(rows).to_csv(path, index=False)
        return path

    def confidence(self, dune, table):
        return [tile.confidence for tile in open_folder(dune / "tiles", predictions=table).tiles[:3]]

    def test_the_probability_of_the_tiles_own_label(self, dune, table):
        assert self.confidence(dune, table) == [0.9, 0.25, None]

    def test_of_the_likeliest_class_where_there_is_no_label(self, dune, table):
        add_columns(dune / "tiles", label=[None, *["weed", "sand"] * 14, "sand"])
        assert self.confidence(dune, table)[0] == 0.9

    def test_of_other_tiles(self, dune, table):
        table.write_text(table.read_text().replace("dune", "field"))
        with pytest.raises(InputError, match=r"test_predictions\.csv is about none of these tiles"):
            open_folder(dune / "tiles", predictions=table)

    def test_another_table(self, dune, table):
        table.write_text("tile,probability\na,0.5\n")
        with pytest.raises(InputError, match=r"has no columns tile_id and p\(CLASS\) \(tile, probability\)"):
            open_folder(dune / "tiles", predictions=table)


class TestRefused:
    def refused(self, path, match, **options):
        with pytest.raises(InputError, match=match) as caught:
            open_folder(path, **options)
        assert "\n" not in str(caught.value)

    def test_an_empty_folder(self, tmp_path):
        self.refused(tmp_path, r"holds neither tiles\.parquet nor dataset\.json; make tiles with 'spurgekit tile'")

    def test_a_folder_around_it(self, dune):
        self.refused(dune, "is itself neither tiles nor a dataset; name a folder in it, e.g. .*/tiles$")

    def test_no_folder(self, tmp_path):
        self.refused(tmp_path / "nowhere", "nowhere is not a folder; make tiles")

    def test_a_folder_of_something_else(self, tmp_path):
        (tmp_path / "holiday.jpg").write_bytes(os.urandom(10))
        self.refused(tmp_path, "holds neither")

    def test_an_index_without_tiles(self, dune):
        path = dune / "tiles" / "tiles.parquet"
        gpd.read_parquet(path).iloc[:0].to_parquet(path)
        self.refused(dune / "tiles", "lists no tiles")

    def test_a_damaged_index(self, dune):
        (dune / "tiles" / "tiles.parquet").write_text("hello")
        self.refused(dune / "tiles", "is not a GeoParquet file")

    def test_one_id_for_two_tiles(self, dune):
        add_columns(dune / "tiles", tile_id="a")
        self.refused(dune / "tiles", "has the tile_id 'a' twice")

    def test_a_single_class(self, dune):
        add_columns(dune / "tiles", label="sand")
        self.refused(dune / "tiles", "are all 'sand'; name the classes with `classes`")

    def test_a_class_named_twice(self, dune):
        self.refused(dune / "tiles", "name each class once", classes=["sand", "sand"])

    def test_a_damaged_dataset(self, dune):
        (dune / "dataset").mkdir()
        (dune / "dataset" / "dataset.json").write_text("{}")
        self.refused(dune / "dataset", r"dataset\.json: ")


def test_the_context_of_points_is_a_folder_of_its_own(dune):
    shutil.copytree(dune / "tiles", dune / "tiles" / "context")
    assert len(open_folder(dune / "tiles").tiles) == ROWS * COLUMNS
