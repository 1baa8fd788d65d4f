"""``spurgekit build-dataset`` from the command line: what it prints, and one line for whatever it cannot do."""

import errno
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from huggingface_hub import DatasetCard
from shapely import Point, box

from tests.command import refuse, succeed
from tests.dataset import COLUMNS, ROWS, X, Y, add_columns

HALVES = ("--group-column", "half", "--test-groups", "east")


@pytest.mark.usefixtures("field")
class TestPrinted:
    def test_counts_and_what_was_left_out(self):
        assert succeed("build-dataset", "tiles", *HALVES, "--buffer", 0).splitlines() == [
            "class  train   test",
            "sand       3      6",
            "weed       6      6",
            "held out: half east; no test tile touches a training tile",
            "left out: 3 training tiles too close to a test tile, such as field_r00000_c00003",
            "support sets: 20 of 1, 2 tiles a class",
            "dataset: train/, test/, dataset.json, few_shot.parquet, tiles.parquet, README.md",
        ]

    def test_blocks(self):
        assert "held out: blocks of 0.2 m;" in succeed("build-dataset", "tiles", "--block", 0.2)

    def test_in_a_surveys_folder(self, field):
        survey = 'name = "field"\nclasses = ["sand", "weed"]\nlabels = "weed.gpkg"\n'
        (field / "survey.toml").write_text(survey)
        assert "weed       6      6" in succeed("build-dataset", *HALVES, "--buffer", 0)

    def test_a_survey_says_how_to_label_and_split(self, field):
        add_columns(field / "tiles", plot=np.repeat(["a", "b", "c"], COLUMNS), quarter=np.tile(list("12345678"), ROWS))
        rows = [f"{plot},{quarter},{'yes' if quarter in '2367' else 'no'}" for plot in "abc" for quarter in "12345678"]
        (field / "record.csv").write_text("\n".join(["plot,quarter,presence", *rows]) + "\n")
        (field / "survey.toml").write_text(
            'name = "field"\nclasses = ["sand", "weed"]\n[dataset]\nrecord = "record.csv"\ngroup_column = "half"\n'
            'test_groups = ["east"]\nbuffer_m = 0.0\nlicence = "cc0-1.0"\n'
        )
        printed = succeed("build-dataset")
        assert "weed       6      6" in printed
        assert "held out: half east" in printed
        assert DatasetCard.load(field / "dataset" / "README.md").data.license == "cc0-1.0"
        assert "held out: blocks of 0.2 m" in succeed("build-dataset", "--block", 0.2, "--out", "blocks")


@pytest.fixture(scope="module")
def shelf(drawn_field, tmp_path_factory):
    """The drawn field with labels of all kinds, for commands that are refused and so change nothing."""
    field = tmp_path_factory.mktemp("shelf")
    shutil.copytree(drawn_field, field, dirs_exist_ok=True)
    gpd.GeoSeries([box(X + 0.1, Y - 0.3, X + 0.3, Y)], crs=32612).to_file(field / "west.gpkg")
    gpd.GeoSeries([box(2e5, 2e5, 200_001, 200_001)], crs=32612).to_file(field / "far.gpkg")
    gpd.GeoDataFrame({"label": ["weed"]}, geometry=[Point(2e5, 2e5)], crs=32612).to_file(field / "far_point.gpkg")
    gpd.GeoDataFrame({"label": ["weed"]}, geometry=[Point(X + 0.05, Y - 0.05)], crs=32612).to_file(field / "one_point.gpkg")
    gpd.GeoDataFrame({"label": [None]}, geometry=[box(X, Y - 1, X + 1, Y)], crs=32612).to_file(field / "unnamed.gpkg")
    gpd.GeoSeries([Point(X, Y), box(X, Y - 1, X + 1, Y)], crs=32612).to_file(field / "mixed.gpkg")
    (field / "text.gpkg").write_text("hello\n")
    (field / "odd").mkdir()
    (field / "odd" / "tiles.parquet").write_text("hello\n")
    for name in ("sizes", "scales"):
        shutil.copytree(field / "tiles", field / name)
    add_columns(field / "sizes", size_px=np.repeat([10, 20, 10], COLUMNS))
    add_columns(field / "scales", gsd_m=np.repeat([0.01, 0.02, 0.01], COLUMNS))
    return field


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder; make one with 'spurgekit tile'"),
        (["tiles/overview.png"], "overview.png: no such folder"),
        (["."], "holds no tiles.parquet, but odd, scales, sizes, tiles in it does; name that folder, e.g. odd"),
        (["odd"], "odd/tiles.parquet is not a GeoParquet file"),
        (["sizes"], "sizes holds tiles of 10 px and of 20 px; make them again with one --size"),
        (["scales"], "scales holds tiles of 1.00 cm and of 2.00 cm a pixel; tile with --gsd 0.0200"),
        (["tiles", "--label-column", "species"], "tiles/tiles.parquet has no column 'species' to take labels from (tile_id, "),
        (["tiles", "--label-column", "one"], "the labels are all 'all'; a dataset needs tiles of two classes"),
        (["tiles", "--labels", "weed.gpkg", "--record", "r.csv"], "--labels and --record are two sources of labels"),
        (["tiles", "--group-column", "half", "--block", "1"], "--group-column and --block are two ways to split"),
        (["tiles", "--trials", "0"], "--shots and --trials are numbers of tiles and of support sets; pass positive ones"),
        (["tiles", "--record", "nowhere.csv"], "nowhere.csv: no such file"),
        (["tiles", "--classes", "sand,wheat"], "label 'weed' is none of the classes sand, wheat"),
        (["tiles", "--classes", "sand,weed,wheat"], "class 'wheat' has no tile (found: sand, weed)"),
        (["tiles", "--labels", "nowhere.gpkg"], "nowhere.gpkg: no such file"),
        (["tiles", "--labels", "text.gpkg"], "text.gpkg is not a vector file"),
        (["tiles", "--labels", "mixed.gpkg"], "mixed.gpkg mixes Point and Polygon; labels come from points or from polygons"),
        (["tiles", "--labels", "weed.gpkg", "--label-column", "x"], "weed.gpkg has no column 'x' (none at all)"),
        (["tiles", "--labels", "weed.gpkg", "--classes", "a,b,c"], "weed.gpkg has no column 'label'"),
        (["tiles", "--labels", "unnamed.gpkg"], "unnamed.gpkg: none of its 1 polygons has a class"),
        (["tiles", "--labels", "far.gpkg"], "the labels are all 'absent'"),
        (["tiles", "--labels", "far_point.gpkg"], "far_point.gpkg: none of its 1 shapes lies on a tile; check its CRS"),
        (["tiles", "--labels", "one_point.gpkg"], "the labels are all 'weed'"),
        (["tiles", "--labels", "west.gpkg", *HALVES, "--buffer", "0"], "no tile of class 'present' is left in the test split"),
        (["tiles", *HALVES], "test tiles touch 3 training tiles"),
        (
            ["tiles", "--group-column", "half", "--test-groups", "north"],
            "column 'half' has no group 'north'; it has east, west",
        ),
        (["tiles", "--group-column", "half", "--test-groups", "east,west"], "--test-groups holds out all groups of 'half'"),
        (["tiles", "--group-column", "farm"], "the tiles have no column 'farm'"),
        (["tiles", "--group-column", "gaps"], "column 'gaps' is empty for 1 tiles; fill it, or split by blocks"),
        (["tiles", "--group-column", "one"], "all tiles lie in one place"),
        (["tiles", "--group-column", "pure", "--buffer", "0"], "no tile of class"),
        (["tiles", "--block", "1000"], "all tiles lie in one place"),
        (
            ["tiles", "--block", "0.2", "--buffer", "5"],
            "training tiles too close to a test tile are left out; hold out other groups",
        ),
        (["tiles", "--test-groups", "east"], "--test-groups needs --group-column"),
        (["tiles", "--group-column", "half", "--block", "3"], "--group-column and --block are two ways to split"),
        (["tiles", "--block", "0"], "--block 0.0 is not a size"),
        (["tiles", "--block", "nan"], "--block nan is not a number"),
        (["tiles", "--buffer", "-1"], "--buffer -1.0 is not a distance"),
        (["tiles", "--buffer", "nan"], "--buffer nan is not a number"),
        (["tiles", "--test-share", "1"], "--test-share 1.0 is not a share"),
        (["tiles", "--test-share", "nan"], "--test-share nan is not a number"),
        (["tiles", "--min-cover", "2"], "--min-cover 2.0 is not a share"),
        (["tiles", "--seed", "-1"], "--seed -1 is negative"),
        (["tiles", "--seed", "x"], "Invalid value for '--seed'"),
        ([], "name a tiles folder, or run this in a survey's folder"),
    ],
)
def test_what_it_refuses(shelf, monkeypatch, arguments, message):
    monkeypatch.chdir(shelf)
    assert message in refuse("build-dataset", *arguments)


def test_tiles_without_a_column_label(field):
    index = gpd.read_parquet("tiles/tiles.parquet")
    index.drop(columns="label").to_parquet("tiles/tiles.parquet")
    assert "no column 'label' to take labels from" in refuse("build-dataset", "tiles")


class TestOutput:
    ARGUMENTS = ("build-dataset", "tiles", *HALVES, "--buffer", 0)

    def test_is_kept_unless_asked(self, field):
        succeed(*self.ARGUMENTS)
        before = {path: path.stat().st_mtime_ns for path in (field / "dataset").rglob("*")}
        assert "pass --overwrite to replace it" in refuse(*self.ARGUMENTS)
        assert {path: path.stat().st_mtime_ns for path in (field / "dataset").rglob("*")} == before
        succeed(*self.ARGUMENTS, "--classes", "weed,sand", "--overwrite")
        assert not (field / "dataset" / "train" / "0-sand").exists()

    @pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
    def test_a_foreign_folder_is_never_replaced(self, field, overwrite):
        (field / "dataset").mkdir()
        (field / "dataset" / "thesis.docx").write_text("four years of work")
        refuse(*self.ARGUMENTS, *overwrite)

    @pytest.mark.usefixtures("field")
    def test_nor_are_the_tiles_themselves(self):
        assert "from tiles in it" in refuse(*self.ARGUMENTS, "--out", "tiles", "--overwrite")

    @pytest.mark.usefixtures("field")
    def test_a_full_disk(self, monkeypatch):
        whole, copied = Path.write_bytes, []

        def write_bytes(target, data):
            if len(copied) == 5:
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
            copied.append(target)
            return whole(target, data)

        monkeypatch.setattr(Path, "write_bytes", write_bytes)
        assert "the disk is full" in refuse(*self.ARGUMENTS, code=1)
        assert len(copied) == 5

    def test_a_tile_is_missing(self, field):
        (field / "tiles" / "field_r00002_c00007.png").unlink()
        assert "field_r00002_c00007.png is in the tiles' table, but is not there" in refuse(*self.ARGUMENTS)


@pytest.mark.parametrize("damage", [lambda png: png[:-30], lambda png: png[:60] + b"weed" + png[64:], lambda _: b""])
def test_a_tile_is_damaged(field, damage):
    tile = field / "tiles" / "field_r00002_c00007.png"
    tile.write_bytes(damage(tile.read_bytes()))
    said = refuse("build-dataset", "tiles", *HALVES, "--buffer", 0)
    assert "field_r00002_c00007.png cannot be decoded; it is damaged or was cut off" in said


def test_every_tile_is_tested_or_trained_on_or_left_out(field):
    succeed("build-dataset", "tiles", "--block", 0.2)
    assert len(list((field / "dataset").rglob("*.png"))) <= ROWS * COLUMNS
