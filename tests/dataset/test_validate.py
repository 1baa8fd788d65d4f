"""What ``spurgekit dataset validate`` finds in a dataset that somebody has had their hands on."""

from __future__ import annotations

import json
import shutil

import geopandas as gpd
import pandas as pd
import pytest
from PIL import Image

from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.dataset.validate import validate_dataset
from spurgekit.errors import InputError
from tests.command import run, succeed


@pytest.fixture(scope="module")
def built(drawn_field, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    build_dataset(
        drawn_field / "tiles",
        folder / "dataset",
        DatasetOptions(group_column="half", test_groups=("east",), buffer_m=0.0, shots=(1, 2), trials=2),
    )
    return folder / "dataset"


@pytest.fixture
def dataset(built, tmp_path):
    return shutil.copytree(built, tmp_path / "dataset")


def edit(path, change):
    table = pd.read_csv(path)
    change(table).to_csv(path, index=False)


def edit_index(dataset, **columns):
    index = gpd.read_parquet(dataset / "tiles.parquet")
    gpd.GeoDataFrame(index.assign(**columns)).to_parquet(dataset / "tiles.parquet")


def edit_sets(dataset, change):
    sets = pd.read_parquet(dataset / "few_shot.parquet")
    change(sets).to_parquet(dataset / "few_shot.parquet")


def edit_json(dataset, **entries):
    file = dataset / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def first(dataset, side="train"):
    return sorted((dataset / side).rglob("*.png"))[0]


def test_as_it_was_built(dataset):
    assert validate_dataset(dataset) == []
    assert succeed("dataset", "validate", dataset) == f"{dataset} is valid\n"


DAMAGES = {
    "an image is cut off": (lambda d: first(d).write_bytes(first(d).read_bytes()[:-20]), "is damaged or was cut off"),
    "a byte of an image is another": (
        lambda d: first(d).write_bytes(first(d).read_bytes()[:60] + b"\0\1" + first(d).read_bytes()[62:]),
        "is damaged or was cut off",
    ),
    "an image is gone": (lambda d: first(d).unlink(), "cannot be read"),
    "an image is too many": (lambda d: shutil.copyfile(first(d), d / "train" / "0-sand" / "more.png"), "not in train/metadata"),
    "an image has another size": (lambda d: Image.new("RGB", (9, 10)).save(first(d)), "is 9 x 10 px, not 10 x 10"),
    "an image is in another class's folder": (
        lambda d: (
            first(d).rename(d / "train" / "1-weed" / first(d).name),
            edit(
                d / "train" / "metadata.csv",
                lambda t: t.assign(
                    file_name=t["file_name"].str.replace("0-sand/field_r00000_c00000", "1-weed/field_r00000_c00000")
                ),
            ),
        ),
        "is not in the folder of its class, 'sand'",
    ),
    "a row is gone": (lambda d: edit(d / "train" / "metadata.csv", lambda t: t[1:]), "dataset.json says 3 of 'sand'"),
    "nobody knows the CRS": (
        lambda d: edit_json(d, crs="EPSG:999999"),
        "dataset.json: 'EPSG:999999' is no CRS that PROJ knows",
    ),
    "a label was changed": (
        lambda d: edit(d / "test" / "metadata.csv", lambda t: t.assign(label=1 - t["label"])),
        "is none of the classes 0: sand, 1: weed",
    ),
    "a table is gone": (
        lambda d: (d / "test" / "metadata.csv").unlink(),
        "metadata.csv: no such file; build the dataset again",
    ),
    "the index is gone": (lambda d: (d / "tiles.parquet").unlink(), "tiles.parquet"),
    "a footprint is another": (
        lambda d: edit_index(d, geometry=gpd.read_parquet(d / "tiles.parquet").geometry.iloc[[0] * 21].to_numpy()),
        "test tiles touch 9 training tiles",
    ),
    "a support set names a test tile": (
        lambda d: edit_sets(d, lambda t: t.assign(tile_id=["field_r00000_c00005", *t["tile_id"][1:]])),
        "few_shot.parquet names field_r00000_c00005, no training tile",
    ),
    "a support set is short": (
        lambda d: edit_sets(d, lambda t: t[t["n"].ne(2) | ~t["tile_id"].duplicated()]),
        "1 tile of 'sand' in trial 0 of 2 shots",
    ),
    "there are no rows of support sets": (lambda d: edit_sets(d, lambda t: t[:0]), "0 tiles of 'sand' in trial 0 of 1 shots"),
    "all tiles have one id": (lambda d: edit_index(d, tile_id="a"), "tiles.parquet has the tile_id 'a' twice"),
    "tiles are as large as -1 m": (lambda d: edit_index(d, gsd_m=-1), "gsd_m of row 1 is -1, not a number above 0"),
    "a table leads out of the folder": (
        lambda d: edit(d / "train" / "metadata.csv", lambda t: t.assign(file_name="../test/1-weed/x.png")),
        "file_name of row 1 is '../test/1-weed/x.png', not a path within the folder",
    ),
    "there are no support sets": (lambda d: (d / "few_shot.parquet").unlink(), "few_shot.parquet: no such file"),
    "there is no card": (lambda d: (d / "README.md").unlink(), "there is no card (README.md)"),
    "the description is damaged": (lambda d: edit_json(d, classes=3), "classes is 3: it should be a valid"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged(dataset, what):
    spoil, said = DAMAGES[what]
    spoil(dataset)
    assert any(said in problem for problem in validate_dataset(dataset)), validate_dataset(dataset)
    result = run("dataset", "validate", dataset)
    assert result.exit_code == 1
    assert said in result.stdout
    assert "Traceback" not in result.output


def test_no_dataset(tmp_path):
    with pytest.raises(InputError, match="does not exist; make a dataset"):
        validate_dataset(tmp_path / "nowhere")


def test_info(dataset):
    lines = succeed("dataset", "info", dataset).splitlines()
    assert any(line.startswith("tiles      10 x 10 px, 0.10 m at 1.00 cm a pixel") for line in lines)
    assert any(line.split() == ["sand", "3", "6"] for line in lines)
    assert json.loads(succeed("dataset", "info", dataset, "--json"))["classes"] == ["sand", "weed"]


def test_preview(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert succeed("preview", dataset, "--columns", 4, "--rows", 1).splitlines() == [
        "dataset_preview/train_0-sand.png  3 of 3 tiles",
        "dataset_preview/train_1-weed.png  4 of 6 tiles",
        "dataset_preview/test_0-sand.png  4 of 6 tiles",
        "dataset_preview/test_1-weed.png  4 of 6 tiles",
    ]
    for path in (tmp_path / "dataset_preview").glob("*.png"):
        assert min(Image.open(path).size) > 100
