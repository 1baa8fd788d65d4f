"""Datasets of several surveys: one table, with what each tile comes from."""

from __future__ import annotations

import datetime as dt
import shutil

import geopandas as gpd
import pandas as pd
import pytest

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.errors import InputError, LeakageError
from spurgekit.tiles import TileOptions, tile_images
from tests.dataset import add_columns
from tests.tiles import ramp

CLASSES = 'classes = ["sand", "weed"]\n'


@pytest.fixture
def survey(tmp_path, make_tif):
    """Makes a survey's folder with tiles of a strip of ground, sand and weed in turn."""

    def make(name, *, east=0.0, site="strip", columns=8, text=CLASSES, epsg=32612, **more):
        folder = tmp_path / name
        folder.mkdir()
        image = make_tif(folder / f"{site}.tif", ramp(3, 20, 10 * columns), crs=f"EPSG:{epsg}")
        tile_images([image], folder / "tiles", TileOptions(size_px=10))
        add_columns(folder / "tiles", label=["sand", "weed"] * columns, **more)
        index = gpd.read_parquet(folder / "tiles" / "tiles.parquet")
        index.geometry = index.geometry.translate(east)
        index.to_parquet(folder / "tiles" / "tiles.parquet")
        (folder / "survey.toml").write_text(f'name = "{name}"\n{text}')
        return folder / "tiles"

    return make


def build(tmp_path, *tiles, **options):
    return build_dataset(list(tiles), tmp_path / "dataset", DatasetOptions(**options))


class TestMerged:
    def test_every_row_says_where_it_comes_from(self, survey, tmp_path):
        north = survey("north", site="a", text=f"date = 2026-06-14\n{CLASSES}")
        south = survey("south", site="b", east=1000.0)
        info = build(tmp_path, north, south, group_column="site", test_groups=("b",))
        assert info.counts == {"train": {"sand": 8, "weed": 8}, "test": {"sand": 8, "weed": 8}}
        assert [(one.name, one.date, one.tiles) for one in info.surveys] == [("north", "2026-06-14", 16), ("south", None, 16)]
        rows = open_dataset(tmp_path / "dataset").split("test")
        assert set(rows["survey"]) == {"south"}
        assert set(rows["source"]) == {"b.tif"}
        assert set(open_dataset(tmp_path / "dataset").split("train")["date"]) == {str(dt.date(2026, 6, 14))}
        card = (tmp_path / "dataset" / "README.md").read_text()
        assert "Surveys: north (2026-06-14, 16 tiles), south (no date, 16 tiles)." in card

    def test_in_the_crs_of_the_first(self, survey, tmp_path):
        north, south = survey("north", site="a"), survey("south", site="b", epsg=32613)
        info = build(tmp_path, north, south, group_column="site", test_groups=("b",))
        index = gpd.read_parquet(tmp_path / "dataset" / "tiles.parquet")
        assert info.crs == "EPSG:32612"
        apart = index.geometry[index["site"] == "a"].union_all().distance(index.geometry[index["site"] == "b"].union_all())
        assert apart > 400_000  # six degrees of longitude at 45 degrees north

    def test_tiles_of_one_name_are_told_apart(self, survey, tmp_path):
        north, south = survey("north"), survey("south", east=1000.0)
        build(tmp_path, north, south, group_column="survey", test_groups=("south",))
        assert open_dataset(tmp_path / "dataset").split("test")["tile_id"].iloc[0] == "south_strip_r00000_c00000"

    def test_of_two_surveys_of_one_name_they_cannot_be(self, survey, tmp_path):
        north, south = survey("north"), survey("south", east=1000.0)
        (south.parent / "survey.toml").write_text(f'name = "north"\n{CLASSES}')
        with pytest.raises(InputError, match="both are of the survey north; give the surveys different names"):
            build(tmp_path, north, south, block_m=0.2)

    def test_clusters_are_those_of_one_survey(self, survey, tmp_path):
        north = survey("north", site="a", cluster=[0] * 8 + [1] * 8)
        south = survey("south", site="b", east=1000.0, cluster=[0] * 8 + [1] * 8)
        info = build(tmp_path, north, south, group_column="cluster", test_groups=("south:0", "south:1"))
        assert info.counts["test"] == {"sand": 8, "weed": 8}

    def test_a_dataset_is_a_survey_too(self, survey, tmp_path):
        north, south = survey("north", site="a"), survey("south", site="b", east=1000.0)
        build_dataset(north, tmp_path / "old", DatasetOptions(block_m=0.4))
        old = sum(sum(of.values()) for of in open_dataset(tmp_path / "old").info.counts.values())
        info = build(tmp_path, tmp_path / "old", south, group_column="site", test_groups=("b",))
        assert sum(info.counts["train"].values()) == old
        assert {one.name for one in info.surveys} == {"north", "south"}  # not that of the dataset


class TestPlacesInBoth:
    def test_a_flight_of_another_date_over_a_test_site_is_leakage(self, survey, tmp_path):
        before, after = survey("before", site="meadow"), survey("after", site="meadow-2")
        with pytest.raises(LeakageError, match="test tiles touch 16 training tiles"):
            build(tmp_path, before, after, group_column="site", test_groups=("meadow-2",))

    def test_under_the_same_name_it_is_held_out_with_it(self, survey, tmp_path):
        before, after, other = survey("before"), survey("after"), survey("other", site="other", east=1000.0)
        info = build(tmp_path, before, after, other, group_column="site", test_groups=("strip",))
        assert info.counts["test"] == {"sand": 16, "weed": 16}

    def test_in_another_crs_it_is_the_same_ground(self, survey, tmp_path):
        before, after = survey("before", site="meadow"), survey("after", site="again")
        moved = gpd.read_parquet(after / "tiles.parquet").to_crs("EPSG:32611")
        moved.to_parquet(after / "tiles.parquet")
        with pytest.raises(LeakageError, match="test tiles touch 16 training tiles"):
            build(tmp_path, before, after, group_column="site", test_groups=("again",))

    def test_a_given_split_may_part_a_site_and_that_is_said(self, survey, tmp_path):
        sides = ["train"] * 3 + ["test"] * 5  # column 3 of both rows lies between
        tiles = survey("north", site="a", side=[*sides, *sides])
        other = survey("south", site="b", east=1000.0, side="train")
        info = build(tmp_path, tiles, other, split_column="side", buffer_m=0.0)
        assert info.notes == ("site a is in train and in test, so that this is no test on new sites",)
        assert "- Site a is in train and in test" in (tmp_path / "dataset" / "README.md").read_text()


class TestClasses:
    def test_in_different_orders(self, survey, tmp_path):
        north = survey("north", site="a")
        south = survey("south", site="b", east=1000.0, text='classes = ["weed", "sand"]\n')
        with pytest.raises(
            InputError, match=r"south has its classes in the order weed, sand, .* pass the order with `classes`"
        ):
            build(tmp_path, north, south, block_m=0.2)
        info = build(tmp_path, north, south, block_m=0.2, classes=("sand", "weed"))
        assert info.classes == ("sand", "weed")

    def test_of_which_one_survey_has_more(self, survey, tmp_path):
        north = survey("north", site="a")
        south = survey("south", site="b", east=1000.0, text='classes = ["sand", "weed", "shrub"]\n')
        add_columns(south, label=["sand", "shrub"] * 8)
        info = build(tmp_path, north, south, block_m=0.2)
        assert info.classes == ("sand", "weed", "shrub")

    def test_as_numbers_of_a_surveys_own(self, survey, tmp_path):
        north = survey("north", site="a")
        add_columns(north, label=[0, 1] * 8)
        assert build(tmp_path, north, block_m=0.2).classes == ("sand", "weed")


def test_columns_that_look_like_numbers_in_one_split_alone(survey, tmp_path, monkeypatch):
    """Plots 1 to 9 of one site and A1 to A9 of another: the usual readers guess the type of a column file by file."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    north = survey("north", site="a", plot=[str(i // 2) for i in range(16)], elevation=[1.0] * 15 + [None])
    south = survey("south", site="b", east=1000.0, plot=[f"A{i // 2}" for i in range(16)])
    for tiles in (north, south):  # as if each were all of one survey, so that nothing tells their plots apart
        (tiles.parent / "survey.toml").unlink()
    both = pd.concat([gpd.read_parquet(tiles / "tiles.parquet") for tiles in (north, south)], ignore_index=True)
    for name in both["file_name"][both["site"] == "b"]:
        shutil.copyfile(south / name, north / name)
    gpd.GeoDataFrame(both).to_parquet(north / "tiles.parquet")
    build(tmp_path, north, group_column="site", test_groups=("b",))
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"][0]["plot"] == "plot 0"
    assert loaded["test"][0]["plot"] == "A0"
    assert loaded["train"].features == loaded["test"].features
