"""What synthetic tiles are like beside real ones: copies, other tiles of the class, tiles of the other class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.setup import set_up
from spurgekit.dataset import open_dataset
from spurgekit.dataset.folds import own_split
from spurgekit.study.made_tiles import describe_made_tiles
from tests.chain import BACKBONE
from tests.evaluate.test_experiment import draw_dataset

CLASSES = ("absent", "present")
OPTIONS = BackboneOptions(backbone=BACKBONE, pretrained=False, image_size_px=32, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_dataset(draw_dataset(tmp_path_factory.mktemp("drawn"), signal=3, groups=16))


@pytest.fixture(scope="module")
def describe(data, tmp_path_factory):
    """Describe folders that hold, for each of some training tiles, the files that a function chooses for it."""
    split = own_split(data)
    setup = set_up(OPTIONS, split.train)

    def described(*makers):
        folders = {}
        for make in makers:
            folder = tmp_path_factory.mktemp("made") / "augmented"
            (folder / "images").mkdir(parents=True)
            rows = []
            for tile in split.train.itertuples():
                for i, path in enumerate(make(tile, split.train)):
                    name = f"images/{tile.tile_id}-{i}.png"
                    (folder / name).write_bytes(path.read_bytes())
                    rows.append({"id": name, "file_name": name, "tile_id": tile.tile_id, "class": CLASSES[tile.target]})
            pd.DataFrame(rows).assign(trial=0, n=1, weight=1.0).to_parquet(folder / "manifest.parquet")
            folders[make.__name__] = folder
        return describe_made_tiles(setup, folders, [split], CLASSES).set_index("tiles")

    return described


def copies(tile, _):
    return [tile.path, tile.path]


def others_of_the_class(tile, tiles):
    own = tiles[(tiles["target"] == tile.target) & (tiles["tile_id"] != tile.tile_id)]
    start = int(tile.Index) % len(own)
    return [own["path"].iloc[(start + i) % len(own)] for i in (0, 1)]


def of_the_other_class(tile, tiles):
    return tiles["path"][tiles["target"] != tile.target].tolist()[:2]


def test_tiles_of_the_class_lie_between_copies_and_those_of_another(describe):
    found = describe(copies, others_of_the_class, of_the_other_class)
    assert found.loc["copies", ["moved", "spread"]].tolist() == [0, 0]
    assert found["moved"]["others_of_the_class"] == pytest.approx(1, abs=0.3)
    assert found["spread"]["others_of_the_class"] == pytest.approx(1, abs=0.3)
    assert found["moved"]["of_the_other_class"] > found["moved"]["others_of_the_class"]
    assert found["as_labelled"]["copies"] == pytest.approx(found["as_labelled"]["real"])
    assert found["as_labelled"]["real"] > 0.8
    assert found["as_labelled"]["of_the_other_class"] < 0.2
    assert found["kid"]["of_the_other_class"] > found["kid"]["real"]
    assert np.isnan(found["moved"]["real"])


def test_one_image_of_a_tile_has_no_spread(describe):
    def one(tile, _):
        return [tile.path]

    found = describe(one)
    assert np.isnan(found["spread"]["one"])
    assert found["images"]["one"] == found["images"]["real"] // 2


@pytest.mark.parametrize(("weigh", "left"), [(lambda i: i % 4 > 1, 0.5), (lambda _: False, 0)])
def test_images_of_weight_0_are_not_looked_at(data, tmp_path, weigh, left):
    split = own_split(data)
    rows = []
    for i, tile in enumerate(split.train.itertuples()):
        name = f"{tile.tile_id}.png"
        (tmp_path / name).write_bytes(tile.path.read_bytes())
        rows.append({"id": name, "file_name": name, "tile_id": tile.tile_id, "class": CLASSES[tile.target]})
        rows[-1]["weight"] = float(weigh(i))
    pd.DataFrame(rows).assign(trial=0, n=1).to_parquet(tmp_path / "manifest.parquet")
    found = describe_made_tiles(set_up(OPTIONS, split.train), {"half": tmp_path}, [split], CLASSES).set_index("tiles")
    assert found["images"]["half"] <= left * len(split.train)
    assert np.isnan(found["as_labelled"]["half"]) == (left == 0)


def test_of_one_place_nothing_can_be_judged(data, tmp_path):
    split = own_split(data)
    alone = replace(split, train=split.train.assign(group="P0"))
    found = describe_made_tiles(set_up(OPTIONS, split.train), {}, [alone], CLASSES)
    assert np.isnan(found["as_labelled"].iloc[0])
