"""A small copy of the repository of Light Stable Representations, written by ``datasets`` as the published one is."""

from __future__ import annotations

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import rasterio
from datasets.features import Array2D
from huggingface_hub import constants
from PIL import Image
from pyarrow import parquet

from spurgekit import hub
from spurgekit.dataset import fetch_light_series
from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery import open_raster
from spurgekit.imagery.crs import has_place
from tests.command import refuse, succeed

SIDE = 48
NONE = -(2**31)
PLACES = {"train": ["0_1", "2_10", "1_0"], "test": ["1_1"]}


def picture(value, mode="RGBA", side=SIDE):
    return Image.new(mode, (side, side), (value, value // 2, 7, 255)[: len(mode)])


def rows_of(places):
    """Return rows whose images say which place and time they are of, and heights that fall to the south."""
    heights = np.repeat(np.arange(SIDE, dtype=np.int32)[::-1, None] * 5, SIDE, axis=1)
    heights[0, 0] = NONE
    return [
        {
            "idx": place,
            **{f"image_t{time}": picture(50 * time + sum(map(int, place.split("_"))) + 10) for time in range(3)},
            "canopy_height": heights.tolist(),
        }
        for place in places
    ]


def write_copy(folder, splits):
    features = datasets.Features(
        {
            "idx": datasets.Value("string"),
            **{f"image_t{time}": datasets.Image() for time in range(3)},
            "canopy_height": Array2D((SIDE, SIDE), dtype="int32"),
        }
    )
    (folder / "data").mkdir(parents=True)
    for split, rows in splits.items():
        made = datasets.Dataset.from_list(rows, features=features)
        made.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return folder


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return write_copy(tmp_path_factory.mktemp("copy") / "lsr", {split: rows_of(places) for split, places in PLACES.items()})


def altered(copy, folder, change):
    """Return a copy of which the table of the test split is another."""
    (folder / "data").mkdir(parents=True)
    name = "test-00000-of-00001.parquet"
    parquet.write_table(change(parquet.read_table(copy / "data" / name)), folder / "data" / name)
    return folder


def replaced(name, value):
    """Return what puts a column of one value in the place of another."""
    return lambda table: table.set_column(table.schema.get_field_index(name), name, value)


def test_a_place_lies_on_the_same_pixels_in_every_light(copy, tmp_path):
    series = fetch_light_series(copy, tmp_path / "out")
    assert (series.places, series.size_px, series.gsd_m) == (4, SIDE, 0.012)
    grids = []
    for time in range(3):
        with rasterio.open(tmp_path / "out" / f"t{time}.tif") as file:
            pixels = file.read()
            grids.append((file.shape, file.transform, file.crs))
            assert [one.name for one in file.colorinterp] == ["red", "green", "blue", "alpha"]
        for row, column in ((0, 1), (2, 10), (1, 0), (1, 1)):
            square = pixels[:, row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            value = 50 * time + row + column + 10
            assert (square == np.array([value, value // 2, 7, 255])[:, None, None]).all()
        assert (pixels[3] > 0).sum() == 4 * SIDE**2
    assert grids[0] == grids[1] == grids[2]
    with open_raster(tmp_path / "out" / "t0.tif") as raster:
        assert (raster.grid.height, raster.grid.width, raster.gsd_m) == (3 * SIDE, 11 * SIDE, pytest.approx(0.012))
        assert (raster.notes, has_place(raster.grid.crs)) == ((), False)


def test_heights_are_metres_and_nan_where_nobody_knows(copy, tmp_path):
    fetch_light_series(copy, tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "canopy_height.tif") as file:
        heights = file.read(1)
        assert file.dtypes == ("float32",)
    square = heights[SIDE : 2 * SIDE, :SIDE]
    assert np.isnan(square[0, 0])
    assert square[0, 1] == pytest.approx(2.35)
    assert square[-1].tolist() == [0.0] * SIDE
    assert np.isnan(heights).sum() == heights.size - 4 * (SIDE**2 - 1)


def test_places_keep_the_split_of_the_publisher(copy, tmp_path):
    fetch_light_series(copy, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "places.csv")
    assert table.to_dict("list") == {
        "idx": ["1_1", "0_1", "2_10", "1_0"],
        "row": [1, 0, 2, 1],
        "column": [1, 1, 10, 0],
        "split": ["test", "train", "train", "train"],
    }


def test_from_the_command_line(copy, tmp_path):
    printed = succeed("dataset", "fetch", copy, "--out", tmp_path / "out").splitlines()
    assert printed[0] == ("the same 4 squares of 48 px (0.576 m) in each of t0.tif (10:00), t1.tif (12:00), t2.tif (15:00)")
    assert printed[1] == "note: a pixel is taken for 1.2 cm, as the card says; nothing says where on Earth the ground lies"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in card
    assert "| `t1.tif` | at 12:00 |" in card


def test_the_commit_that_was_fetched_is_on_record(copy, tmp_path, monkeypatch):
    snapshot = tmp_path / "snapshots" / ("0123456789" * 4)
    snapshot.parent.mkdir()
    snapshot.symlink_to(copy)
    asked = []

    def snapshot_download(repo, **how):
        asked.append((repo, how["allow_patterns"], how["revision"]))
        return str(snapshot)

    monkeypatch.setattr("spurgekit.hub_files.snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    printed = succeed("dataset", "fetch", "mpg-ranch/drone-lsr", "--revision", "main")
    note = f"fetched from mpg-ranch/drone-lsr at commit {snapshot.name}"
    assert asked == [("mpg-ranch/drone-lsr", ["data/*.parquet"], "main")]
    assert f"note: {note}" in printed
    assert note in (tmp_path / "drone-lsr" / "README.md").read_text(encoding="utf-8")


def test_neither_a_connection_nor_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_reaches", lambda _: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    line = refuse("dataset", "fetch", "mpg-ranch/drone-lsr", code=1)
    assert "the Hub cannot be reached for mpg-ranch/drone-lsr; its cache does not hold all of it, so pass a local copy" in line
    assert not list(tmp_path.iterdir())


def test_an_output_that_exists_is_kept_unless_it_may_be_replaced(copy, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert "out exists already; pass --overwrite" in refuse("dataset", "fetch", copy, "--out", out)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    succeed("dataset", "fetch", copy, "--out", tmp_path / "again")
    succeed("dataset", "fetch", copy, "--out", tmp_path / "again", "--overwrite")


def test_configs_are_of_the_other_dataset(copy, tmp_path):
    line = refuse("dataset", "fetch", copy, "--configs", "context", "--out", tmp_path / "out", code=2)
    assert "--configs are of the Leafy Spurge Dataset" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["image_t2", "canopy_height"]), "lacks the columns image_t2, canopy_height; pass"),
        (replaced("idx", pa.array(["north"])), "idx 'north' is not ROW_COLUMN"),
        (replaced("idx", pa.array(["1_100000"])), "idx '1_100000' is not ROW_COLUMN"),
        (lambda table: pa.concat_tables([table, table]), "has the idx '1_1' twice"),
        (lambda table: table.slice(0, 0), "holds no rows"),
        (replaced("image_t1", pa.array(["a.png"])), "image_t1 of 1_1 is no image"),
        (replaced("canopy_height", pa.array([[[1, 2]]])), "canopy_height of 1_1 is no grid of 48 x 48 whole centimetres"),
        (replaced("canopy_height", pa.array([[[0.5] * SIDE] * SIDE])), "no grid of 48 x 48 whole centimetres"),
    ],
)
def test_another_layout(copy, tmp_path, change, message):
    other = altered(copy, tmp_path / "other", change)
    with pytest.raises(InputError) as caught:
        fetch_light_series(other, tmp_path / "out")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_images_of_other_sizes_are_refused(tmp_path):
    rows = rows_of(["0_0", "0_1"])
    rows[1]["image_t1"] = picture(9, "RGB", 24)
    other = write_copy(tmp_path / "other", {"train": rows})
    with pytest.raises(InputError, match="image_t1 of 0_1 is 24 px wide, others 48"):
        fetch_light_series(other, tmp_path / "out")


def test_damaged_files_are_named(copy, tmp_path):
    cut = altered(copy, tmp_path / "cut", replaced("image_t0", pa.array([{"bytes": b"\x89PNG\r\n", "path": None}])))
    with pytest.raises(ImageryError, match="image_t0 of 1_1 cannot be decoded"):
        fetch_light_series(cut, tmp_path / "out")
    whole = (copy / "data" / "test-00000-of-00001.parquet").read_bytes()
    (cut / "data" / "test-00000-of-00001.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"test-00000-of-00001.parquet is not a Parquet file"):
        fetch_light_series(cut, tmp_path / "out")
