"""From tiles and labels to an imagefolder that other readers know."""

import json
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
from huggingface_hub import DatasetCard
from PIL import Image
from pyproj import Transformer
from sklearn.model_selection import GroupShuffleSplit, LeaveOneGroupOut, PredefinedSplit, ShuffleSplit

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.dataset.reader import FIELDS, class_folder
from spurgekit.dataset.splitters import LeaveClustersOut, NewSites, SpatialBlocks
from spurgekit.errors import InputError, LeakageError
from spurgekit.tiles import TileOptions, tile_images
from spurgekit.tiles.index import read_tiles
from tests.dataset import COLUMNS, ROWS, SIDE, WEED, X, Y, add_columns
from tests.tiles import ramp

HALVES = {"group_column": "half", "test_groups": ("east",), "buffer_m": 0.0}


def build(field, out="dataset", **options):
    return build_dataset(field / "tiles", field / out, DatasetOptions(**options))


def rows_of(folder):
    return {name: pd.read_csv(folder / name / "metadata.csv") for name in ("train", "test")}


class TestSplit:
    def test_halves_of_a_field_and_the_seam_left_out(self, field):
        info = build(field, **HALVES)
        # West are columns 0 to 3, of which column 3 touches the east; 1 and 2 are weed. East are 4 to 7 with weed in 5 and 6.
        assert info.counts == {"train": {"sand": 3, "weed": 6}, "test": {"sand": 6, "weed": 6}}
        assert info.left_out == {"training tiles too close to a test tile": 3}
        assert info.split.model_dump() == {"by": "half", "test_groups": ("east",), "buffer_m": 0.0}
        rows = rows_of(field / "dataset")
        assert {name[-6:] for name in rows["train"]["tile_id"]} == {"c00000"[-6:], "c00001", "c00002"}
        assert {name[-6:] for name in rows["test"]["tile_id"]} == {"c00004", "c00005", "c00006", "c00007"}

    def test_groups_that_touch_are_leakage(self, field):
        with pytest.raises(LeakageError, match="pass `buffer_m=0`"):
            build(field, **{**HALVES, "buffer_m": None})
        assert not (field / "dataset").exists()

    def test_a_buffer_leaves_more_out(self, field):
        info = build(field, **{**HALVES, "buffer_m": 0.1})  # column 2 is a tile's side away from column 4
        assert info.counts["train"] == {"sand": 3, "weed": 3}
        assert info.left_out == {"training tiles too close to a test tile": 6}

    def test_drawn_groups(self, field):
        cols = np.tile(np.arange(COLUMNS), ROWS)
        add_columns(field / "tiles", row_group=np.repeat([10, 20, 30], COLUMNS))
        info = build(field, group_column="row_group", buffer_m=0.0, seed=1, test_share=0.3)
        assert len(info.split.test_groups) == 1
        assert sum(info.counts["test"].values()) == len(set(cols))

    def test_plots_are_held_out_whole_where_tiles_are_of_plots(self, field):
        index = read_tiles(field / "tiles")
        apart = index[index["col"] % 3 < 2]  # three plots of two columns, with a column between them
        plots = [f"{col // 3 + 1:02d}" for col in apart["col"]]
        apart.assign(layout="plots", plot=plots).to_parquet(field / "tiles" / "tiles.parquet")
        info = build(field, test_share=0.3)
        assert (info.split.by, len(info.split.test_groups), info.left_out) == ("plot", 1, {})
        assert sum(map(sum, (of.values() for of in info.counts.values()))) == 18
        assert set(open_dataset(field / "dataset").split("test")["plot"]) == set(info.split.test_groups)
        assert info.split.describe().endswith("training tiles that touch a test tile are left out.")


@pytest.mark.parametrize("names", [("01", "02", "03"), ("1E1", "07", "8"), ("NA", "01", "None")])
def test_names_of_plots_stay_as_they_are(field, names):
    index = read_tiles(field / "tiles")
    index.assign(plot=[names[row] for row in index["row"]]).to_parquet(field / "tiles" / "tiles.parquet")
    build(field, group_column="plot", test_groups=names[:1], buffer_m=0.0)
    sides = {side: set(open_dataset(field / "dataset").split(side)["plot"]) for side in ("train", "test")}
    assert {name.removeprefix("plot ") for name in sides["test"]} == {names[0]}
    assert {name.removeprefix("plot ") for name in sides["train"]} == {names[2]}


class TestBlocks:
    """Blocks of a meadow of 20 x 20 tiles of 4 cm, sand and weed in turn."""

    def build(self, meadow, out, **options):
        return build_dataset(meadow, out, DatasetOptions(label_column="kind", **options))

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("buffer", [None, 0.05])
    def test_every_tile_is_in_one_place(self, meadow, tmp_path, seed, buffer):
        info = self.build(meadow, tmp_path / "dataset", block_m=0.2, seed=seed, buffer_m=buffer)
        index = gpd.read_parquet(tmp_path / "dataset" / "tiles.parquet")
        rows = rows_of(tmp_path / "dataset")
        train, test = (set(rows[name]["tile_id"]) for name in ("train", "test"))
        assert not train & test
        assert len(train) + len(test) + sum(info.left_out.values()) == 400
        assert set(index["tile_id"][index["split"] == "train"]) == train
        assert set(index["tile_id"][index["split"] == "test"]) == test
        tested = index.geometry[index["split"] == "test"].union_all()
        assert index.geometry[index["split"] == "train"].distance(tested).min() > (buffer or 1e-3)
        # All tiles of a block of 5 x 5 are tested, or none is; those left out were of the other blocks.
        assert not set(rows["train"]["cluster"]) & set(rows["test"]["cluster"])
        assert set(rows["test"]["cluster"].value_counts()) == {25}

    def test_four_tiles_wide_where_nobody_says(self, meadow, tmp_path):
        info = self.build(meadow, tmp_path / "dataset")
        assert info.split.model_dump() == {
            "by": "blocks",
            "block_m": pytest.approx(0.16),
            "test_share": 0.3,
            "seed": 0,
            "buffer_m": 0.0,
        }

    def test_the_same_seed_gives_the_same_bytes(self, meadow, tmp_path):
        for out, seed in (("one", 2), ("two", 2), ("other", 3)):
            self.build(meadow, tmp_path / out, seed=seed)
        for name in ("train/metadata.csv", "test/metadata.csv", "tiles.parquet"):
            first, again, other = ((tmp_path / out / name).read_bytes() for out in ("one", "two", "other"))
            assert first == again != other


class TestSplitters:
    """The first fold of a splitter is the split, whosever it is."""

    @pytest.mark.parametrize(
        "splitter", [LeaveClustersOut([["east"]]), LeaveOneGroupOut(), GroupShuffleSplit(2, random_state=1)]
    )
    def test_of_groups(self, field, splitter):
        info = build(field, group_column="half", splitter=splitter)
        assert info.counts == {"train": {"sand": 3, "weed": 6}, "test": {"sand": 6, "weed": 6}}
        assert info.left_out == {"training tiles too close to a test tile": 3}
        assert (info.split.by, info.split.test_groups, info.split.splitter) == ("half", ("east",), repr(splitter))
        assert open_dataset(field / "dataset").info.split.held_out == info.split.held_out

    def test_of_sites(self, field):
        index = add_columns(field / "tiles", site=np.tile(np.repeat(list("abcd"), 2), ROWS))
        splitter = NewSites(test_share=0.25, seed=1)
        info = build(field, group_column="site", splitter=splitter)
        _, test = next(splitter.split(np.zeros((len(index), 2)), index["label"], groups=index["site"]))
        assert set(rows_of(field / "dataset")["test"]["tile_id"]) == set(index["tile_id"].iloc[test])
        assert info.split.test_groups == tuple(sorted(set(index["site"].iloc[test])))

    def test_of_coordinates_in_metres(self, meadow, tmp_path):
        splitter = SpatialBlocks(block_m=0.2, n_splits=4, buffer_m=0.1, seed=1)
        info = build_dataset(meadow, tmp_path / "dataset", DatasetOptions(label_column="kind", splitter=splitter))
        index = gpd.read_parquet(meadow / "tiles.parquet")
        train, test = next(splitter.split(np.column_stack([index.centroid.x, index.centroid.y])))
        rows = rows_of(tmp_path / "dataset")
        assert set(rows["train"]["tile_id"]) == set(index["tile_id"].iloc[train])
        assert set(rows["test"]["tile_id"]) == set(index["tile_id"].iloc[test])
        assert set(rows["test"]["cluster"]) == {0}
        assert 0 < sum(info.left_out.values()) == 400 - len(train) - len(test)

    def test_groups_that_a_fold_does_not_keep_together_are_leakage(self, field):
        with pytest.raises(LeakageError, match="ShuffleSplit puts half east into train and into test"):
            build(field, splitter=ShuffleSplit(2, random_state=0), group_column="half")

    def test_one_without_a_fold_is_refused(self, field):
        with pytest.raises(InputError, match="PredefinedSplit has no fold"):
            build(field, splitter=PredefinedSplit([-1] * (ROWS * COLUMNS)))


class TestLabelsBesideTheTiles:
    @pytest.fixture
    def points(self, field):
        """Two points on tiles of the west, two on tiles of the east, one elsewhere."""
        xs = [X + SIDE * col + SIDE / 2 for col in (0, 1, 5, 7)] + [X - 1000]
        ys = [Y - SIDE / 2] * 4 + [Y - 1000]
        names = ["sand", "weed", "weed", "sand", "weed"]
        gpd.GeoDataFrame({"Class": names}, geometry=gpd.points_from_xy(xs, ys), crs="EPSG:32612").to_file(field / "p.gpkg")
        return field / "p.gpkg"

    def test_are_counted_with_the_first_of_them(self, field, points):
        info = build(field, labels=points, **HALVES)
        assert info.notes == (
            "classes are taken from the column 'Class' of p.gpkg",
            f"1 of 5 points of p.gpkg are of no tile, the first of them at {X - 1000:.1f}, {Y - 1000:.1f}",
        )

    def test_but_not_those_on_tiles_of_another_folder(self, field, points, tmp_path):
        index = gpd.read_parquet(field / "tiles" / "tiles.parquet")
        for half in ("west", "east"):
            shutil.copytree(field / "tiles", field / half)
            part = index[index["half"] == half].drop(columns="label")
            part.to_parquet(field / half / "tiles.parquet")
        info = build_dataset([field / "west", field / "east"], tmp_path / "d", DatasetOptions(labels=points, **HALVES))
        assert [note for note in info.notes if "of no tile" in note] == [
            f"1 of 5 points of p.gpkg are of no tile, the first of them at {X - 1000:.1f}, {Y - 1000:.1f}"
        ]


class TestOptionsForImages:
    @pytest.mark.parametrize("option", [{"gsd_m": 0.02}, {"crs": "EPSG:32612"}, {"group_pattern": "(c.)"}])
    def test_are_refused_where_tiles_say_it_themselves(self, field, option):
        (name,) = option
        with pytest.raises(InputError, match=rf"`{name}` is for folders of images, and .*tiles says it itself; leave it out"):
            build(field, **option)
        assert not (field / "dataset").exists()


class TestLabelled:
    def test_by_polygons(self, field):
        info = build(field, labels=field / "weed.gpkg", classes=("sand", "weed"), **HALVES)
        # The polygons end a quarter of a tile inside, so they cover half or three quarters of each, and no other.
        assert info.counts == {"train": {"sand": 3, "weed": 6}, "test": {"sand": 6, "weed": 6}}

    def test_by_points_of_which_some_tiles_have_none(self, field):
        places = [
            (0, 0, "sand"),
            (0, 1, "weed"),
            (1, 2, "weed"),
            (1, 4, "sand"),
            (2, 6, "weed"),
            (2, 7, "weed"),
            (2, 7, "sand"),
        ]
        points = gpd.points_from_xy([X + (c + 0.5) * SIDE for _, c, _ in places], [Y - (r + 0.5) * SIDE for r, _, _ in places])
        gpd.GeoDataFrame({"label": [name for *_, name in places]}, geometry=points, crs=32612).to_file(field / "points.gpkg")
        info = build(field, labels=field / "points.gpkg", **HALVES)
        assert info.counts == {"train": {"sand": 1, "weed": 2}, "test": {"sand": 1, "weed": 1}}
        assert info.left_out == {"without a label": 24 - 6, "with labels that disagree": 1}

    def test_by_one_layer_of_several(self, field):
        polygons = gpd.read_file(field / "weed.gpkg")
        polygons.to_file(field / "all.gpkg", layer="weed")
        polygons.iloc[:0].to_file(field / "all.gpkg", layer="trees")
        build(field, labels=f"{field / 'all.gpkg'}|layername=weed", classes=("sand", "weed"), **HALVES)
        inputs = json.loads((field / "dataset" / "provenance.json").read_text())["inputs"]
        assert str(field / "all.gpkg") in inputs

    def test_by_numbers(self, field):
        add_columns(field / "tiles", cover=np.where(np.isin(np.tile(np.arange(COLUMNS), ROWS), WEED), 1.0, 0.0))
        info = build(field, label_column="cover", **HALVES)
        assert info.classes == ("0", "1")
        assert open_dataset(field / "dataset").split("test")["target"].tolist().count(1) == 6


class TestFolder:
    def test_metadata(self, field):
        build(field, classes=("weed", "sand"), **HALVES)
        rows = rows_of(field / "dataset")
        known = [name for name in FIELDS if name in rows["test"].columns]
        assert list(rows["test"].columns) == list(rows["train"].columns) == known
        assert set(FIELDS) - set(known) == {  # of which nothing is known here
            "elevation", "time", "cluster", "plot", "quarter", "group", "date", "reviewers", "accuracy_m", "cover",
        }  # fmt: skip
        assert list(FIELDS[:10]) == [
            "file_name", "label", "idx", "longitude", "latitude", "easting", "northing", "elevation", "time", "cluster",
        ]  # fmt: skip
        first = rows["train"].iloc[0]  # row 0, column 0
        assert (first["file_name"], first["label"], first["class"], first["tile_id"]) == (
            "1-sand/field_r00000_c00000.png",
            1,
            "sand",
            "field_r00000_c00000",
        )
        assert (first["easting"], first["northing"]) == pytest.approx((X + SIDE / 2, Y - SIDE / 2))
        assert (first["size_px"], first["gsd_m"], first["valid_fraction"], first["site"]) == (
            10,
            pytest.approx(0.01),
            1,
            "field",
        )
        there = Transformer.from_crs(32612, 4326, always_xy=True).transform(first["easting"], first["northing"])
        assert (first["longitude"], first["latitude"]) == pytest.approx(there, abs=1e-7)
        for name, row in [("train", row) for _, row in rows["train"].iterrows()] + [
            ("test", row) for _, row in rows["test"].iterrows()
        ]:
            copied = field / "dataset" / name / row["file_name"]
            assert copied.read_bytes() == (field / "tiles" / f"{row['tile_id']}.png").read_bytes()
        both = pd.concat(rows.values())
        assert both["idx"].is_unique

    def test_class_folders_sort_in_the_order_of_the_classes(self, field):
        build(field, classes=("weed", "sand"), **HALVES)
        for split in ("train", "test"):
            assert sorted(path.name for path in (field / "dataset" / split).iterdir() if path.is_dir()) == ["0-weed", "1-sand"]
        assert class_folder(1, "leafy spurge (new)") == "1-leafy-spurge-new"

    def test_opened_again(self, field):
        info = build(field, classes=("weed", "sand"), **HALVES)
        dataset = open_dataset(field / "dataset")
        assert dataset.info == info
        assert (info.size_px, info.gsd_m, info.crs) == (10, pytest.approx(0.01), "EPSG:32612")
        rows = dataset.split("test")
        assert rows["target"].tolist() == [0 if label == "weed" else 1 for label in rows["class"]]
        assert all(path.is_file() for path in rows["path"])

    def test_the_card_tells_people(self, field):
        build(field, **HALVES)
        card = (field / "dataset" / "README.md").read_text()
        assert card.startswith("---\n")
        assert DatasetCard(card).data.pretty_name == "dataset"
        for line in (
            "| sand | 3 | 6 |",
            "| weed | 6 | 6 |",
            "whole groups of `half` are held out (east)",
            "EPSG:32612",
            "0.10 x 0.10 m",
        ):
            assert line in card

    def test_provenance(self, field):
        build(field, **HALVES)
        record = json.loads((field / "dataset" / "provenance.json").read_text())
        assert record["parameters"]["test_groups"] == ["east"]
        assert str(field / "tiles" / "tiles.parquet") in record["inputs"]

    def test_what_is_no_dataset(self, field):
        with pytest.raises(InputError, match="does not exist; make a dataset"):
            open_dataset(field / "nowhere")
        with pytest.raises(InputError, match=r"holds no dataset\.json"):
            open_dataset(field / "tiles")
        (field / "tiles" / "dataset.json").write_text('{"classes": 3}')
        with pytest.raises(InputError, match=r"dataset\.json: name is missing"):
            open_dataset(field / "tiles")

    def test_a_label_that_was_edited_by_hand(self, field):
        build(field, **HALVES)
        metadata = field / "dataset" / "test" / "metadata.csv"
        metadata.write_text(metadata.read_text().replace(",weed,", ",wheat,", 1))
        with pytest.raises(
            InputError, match=r"metadata\.csv: class 'wheat' of number 1 is none of the classes 0: sand, 1: weed"
        ):
            open_dataset(field / "dataset").split("test")


def load(folder, cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(cache))


def test_hugging_face_loads_it(field, monkeypatch):
    build(field, **HALVES)
    loaded = load(field / "dataset", field / "cache", monkeypatch)
    assert {name: split.num_rows for name, split in loaded.items()} == {"train": 9, "test": 12}
    for name, split in loaded.items():
        for row in split:
            assert row["image"].size == (10, 10)
            path = field / "tiles" / f"{row['tile_id']}.png"
            assert (np.asarray(row["image"]) == np.asarray(Image.open(path))).all()
        assert set(zip(split["label"], split["class"], strict=True)) == {(0, "sand"), (1, "weed")}, name


class TestSeveralSites:
    @pytest.fixture
    def tiles(self, tmp_path, make_tif):
        def make(gsd_b=0.01):
            a = make_tif(tmp_path / "a.tif", ramp(3, 10, 40))
            b = make_tif(tmp_path / "b.tif", ramp(3, 10, 40), gsd=gsd_b, transform=None)
            tile_images([a, b], tmp_path / "tiles", TileOptions(size_px=10))
            add_columns(tmp_path / "tiles", label=["s", "w"] * 4)
            index = gpd.read_parquet(tmp_path / "tiles" / "tiles.parquet")
            index.loc[index["site"] == "b", "geometry"] = index.geometry.translate(100)[index["site"] == "b"]
            index.to_parquet(tmp_path / "tiles" / "tiles.parquet")
            return tmp_path

        return make

    def test_one_site_held_out(self, tiles):
        info = build(tiles(), group_column="site", test_groups=("b",))
        assert info.counts == {"train": {"s": 2, "w": 2}, "test": {"s": 2, "w": 2}}

    def test_a_model_sees_pixels_not_metres(self, tiles):
        folder = tiles(0.02)
        with pytest.raises(InputError, match=r"holds tiles of 1\.00 cm and of 2\.00 cm a pixel; tile with `gsd_m=0\.02"):
            build(folder, group_column="site", test_groups=("b",))

    def test_two_per_cent_are_no_matter(self, tiles):
        info = build(tiles(0.01015), group_column="site", test_groups=("b",))
        assert info.counts == {"train": {"s": 2, "w": 2}, "test": {"s": 2, "w": 2}}
        assert 0.01 <= info.gsd_m <= 0.01015


@pytest.fixture(scope="module")
def plants(data, tmp_path_factory):
    """A tile around each plant of the dune, in ``tiles/``."""
    folder = tmp_path_factory.mktemp("dune")
    points = data / "copr" / "plant_points.gpkg"
    tile_images([data / "copr" / "site.tif"], folder / "tiles", TileOptions(points=points, size_px=50))
    return folder


class TestDune:
    def test_three_clusters_held_out(self, plants, monkeypatch):
        info = build(plants, group_column="cluster", test_groups=("0", "3", "6"))
        assert info.counts == {"train": {"absent": 79, "present": 117}, "test": {"absent": 65, "present": 33}}
        assert info.left_out == {}
        rows = rows_of(plants / "dataset")
        assert set(rows["test"]["cluster"]) == {0, 3, 6}
        assert set(rows["train"]["cluster"]) == {1, 2, 4, 5, 7}
        assert sorted(pd.concat(rows.values())["idx"]) == list(range(294))
        loaded = load(plants / "dataset", plants / "cache", monkeypatch)
        assert loaded["test"][0]["image"].size == (50, 50)
        assert loaded["train"]["label"].count(1) == 117

    def test_blocks(self, plants):
        info = build(plants, "blocks", test_share=0.3)
        test = sum(info.counts["test"].values())
        assert test / 294 == pytest.approx(0.3, abs=0.03)
        assert test + sum(info.counts["train"].values()) + sum(info.left_out.values()) == 294

    def test_points_label_as_their_own_column_does(self, plants, data):
        info = build(
            plants, "points", labels=data / "copr" / "plant_points.gpkg", group_column="cluster", test_groups=("0", "3", "6")
        )
        assert sum(info.counts["test"].values()) + sum(info.counts["train"].values()) + sum(info.left_out.values()) == 294


def test_a_tile_that_somebody_deleted(field):
    (field / "tiles" / "field_r00000_c00000.png").unlink()
    with pytest.raises(InputError, match=r"field_r00000_c00000\.png is in the tiles' table, but is not there"):
        build(field, **HALVES)
    assert sorted(path.name for path in field.iterdir()) == ["tiles", "weed.gpkg"]


def test_a_dataset_moves_as_a_whole(field):
    build(field, **HALVES)
    shutil.move(field / "dataset", field / "elsewhere")
    assert len(open_dataset(field / "elsewhere").split("train")) == 9


class TestWithoutAPlaceOnEarth:
    """Photos of which nothing but the ground sample distance is known."""

    @pytest.fixture
    def photos(self, tmp_path):
        folder, paths = tmp_path / "photos", []
        folder.mkdir()
        for number in range(2):
            paths.append(folder / f"photo{number}.png")
            Image.fromarray(np.moveaxis(ramp(3, 80, 80) + np.uint8(number), 0, -1)).save(paths[-1])
        tile_images(paths, folder / "tiles", TileOptions(size_px=4, image_gsd_m=0.01))
        add_columns(folder / "tiles", label=["sand", "weed"] * 400)
        return folder

    def test_longitude_and_latitude_are_empty(self, photos):
        report = build(photos, buffer_m=0.0)
        rows = rows_of(photos / "dataset")["train"]
        assert not {"longitude", "latitude"} & set(rows)
        assert rows[["easting", "northing"]].notna().all(axis=None)
        assert "no place on Earth: longitude and latitude are empty, and sites lie side by side" in " ".join(report.notes)

    def test_tiles_of_one_photo_touch_none_of_another(self, photos):
        build(photos, group_column="site", test_groups=("photo1",))
        rows = rows_of(photos / "dataset")
        assert {side: set(table["site"]) for side, table in rows.items()} == {"train": {"photo0"}, "test": {"photo1"}}
        # 0.8 m wide, set a kilometre apart and another for what a photo may measure.
        assert rows["train"]["easting"].between(0, 0.8).all()
        assert rows["test"]["easting"].between(2000, 2000.8).all()

    @pytest.fixture
    def mosaics(self, photos):
        """Tiles of the same size, of two sites in the local CRS of a survey: the second begins where the first ends."""

        def make(*names):
            index = gpd.read_parquet(photos / "tiles" / "tiles.parquet")
            crs = [pyproj.CRS.from_wkt(f'LOCAL_CS["{name}",UNIT["metre",1]]') for name in names]
            first = index["site"] == "photo0"
            if len(crs) == 1:
                index.geometry = index.geometry.where(first, index.geometry.translate(0.8))
                index.set_crs(crs[0], allow_override=True).to_parquet(photos / "tiles" / "tiles.parquet")
                return [photos / "tiles"]
            folders = [photos / name for name in names]
            for folder, of_one, rows in zip(folders, crs, (first, ~first), strict=True):
                folder.mkdir()
                index[rows].set_crs(of_one, allow_override=True).to_parquet(folder / "tiles.parquet")
                for name in index["file_name"][rows]:
                    shutil.copyfile(photos / "tiles" / name, folder / name)
            return folders

        return make

    def test_sites_in_one_local_crs_are_in_common_coordinates(self, mosaics, photos):
        folders = mosaics("site grid")
        with pytest.raises(LeakageError, match="test tiles touch 20 training tiles"):
            build_dataset(folders, photos / "d", DatasetOptions(group_column="site", test_groups=("photo1",)))
        info = build_dataset(folders, photos / "d", DatasetOptions(group_column="site", test_groups=("photo1",), buffer_m=0.0))
        rows = rows_of(photos / "d")
        assert rows["train"]["easting"].between(0, 0.8).all()
        assert rows["test"]["easting"].between(0.8, 1.6).all()
        assert "sites are taken to be in common coordinates" in " ".join(info.notes)

    def test_in_two_they_lie_side_by_side(self, mosaics, photos):
        folders = mosaics("grid A", "grid B")
        info = build_dataset(folders, photos / "d", DatasetOptions(group_column="site", test_groups=("photo1",)))
        rows = rows_of(photos / "d")
        assert rows["train"]["easting"].between(0, 0.8).all()
        assert rows["test"]["easting"].between(2000, 2000.8).all()
        assert "sites lie side by side" in " ".join(info.notes)

    def test_they_do_not_go_with_tiles_that_have_one(self, photos, field):
        with pytest.raises(
            InputError, match=r"has no place on Earth, so nothing says where it lies .*build a dataset of their own"
        ):
            build_dataset([field / "tiles", photos / "tiles"], field / "both", DatasetOptions())


def test_the_card_says_names_as_they_are(chain, tmp_path):
    build_dataset(chain.tiles, tmp_path / "d", DatasetOptions(labels=chain.weed, classes=("sand", "a|b <img src=x>")))
    card = (tmp_path / "d" / "README.md").read_text()
    assert "| a\\|b \\<img src=x> | " in card
    assert " <img" not in card.partition("\n---\n")[2]
