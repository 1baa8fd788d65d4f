"""Synthetic tiles that were made with places left out, weighed by classifiers that have not seen these."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.augment.manifest import MANIFEST
from spurgekit.augment.support_sets import choose_sets
from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.synthetic_weights import weigh_synthetic
from spurgekit.classify.weigh_options import WeighOptions
from spurgekit.dataset import open_dataset
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.errors import InputError, LeakageError
from tests.augment.manifests import synthetic
from tests.chain import BACKBONE
from tests.clusters import TILE_PX, draw_clusters

OPTIONS = BackboneOptions(backbone=BACKBONE, pretrained=False, image_size_px=32, precision="float32", device="cpu")
CLUSTERS = WeighOptions(leave_out="cluster", keep="all")


@pytest.fixture
def dataset(tmp_path, make_tif):
    return draw_clusters(tmp_path, make_tif)


def write(folder, sets):
    """A copy of each real tile of some support sets, made once."""
    folder.mkdir()
    rows = []
    for key, tiles in sets.items():
        for _, tile in tiles.iterrows():
            Image.open(tile["path"]).convert("RGB").save(folder / f"{tile['tile_id']}.png")
            rows.append(
                synthetic(
                    f"{key.name}/{tile['tile_id']}", file_name=f"{tile['tile_id']}.png", tile_id=tile["tile_id"],
                    trial=key.trial, n=key.n, fold=key.fold or None, **{"class": tile["class"]},
                )
            )  # fmt: skip
    pd.DataFrame(rows).astype({"fold": "string"}).to_parquet(folder / MANIFEST, index=False)
    return folder


@pytest.fixture
def augmented(dataset, tmp_path):
    return write(tmp_path / "augmented", choose_sets(open_dataset(dataset), (1, 2), 2, FoldOptions(leave_out="cluster")))


def weigh(augmented, dataset, options=CLUSTERS):
    return weigh_synthetic(augmented, dataset, options, backbone=OPTIONS)


def test_each_set_of_each_fold_has_its_classifier(augmented, dataset):
    report = weigh(augmented, dataset)
    assert len(report.classes) == 4 * 2 * 2 * 2  # folds, trials, shots, classes
    assert [entry.key.name for entry in report.classes[:2]] == ["without-5/t00-n01"] * 2
    rows = pd.read_parquet(augmented / MANIFEST)
    assert rows["confidence"].notna().all()
    assert rows["confidence"].groupby(rows["tile_id"]).nunique().max() > 1  # one image, several classifiers


def test_nothing_is_known_of_the_place_that_is_left_out(augmented, dataset):
    weigh(augmented, dataset)
    before = pd.read_parquet(augmented / MANIFEST)
    data = open_dataset(dataset)
    for side in ("train", "test"):
        rows = data.split(side)
        for path in rows["path"][rows["cluster"].astype(str) == "12"]:
            Image.fromarray(np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)).save(path)
    weigh(augmented, dataset)
    after = pd.read_parquet(augmented / MANIFEST)
    same = before["confidence"].eq(after["confidence"])
    assert same[before["fold"] == "12"].all()
    assert not same[before["fold"] == "5"].all()


@pytest.mark.parametrize(
    ("made", "options", "says"),
    [
        (
            FoldOptions(leave_out="cluster"),
            {},
            "holds tiles made with 5 left out; pass the `leave_out` that they were",
        ),
        (
            FoldOptions(),
            {"leave_out": "cluster"},
            "holds tiles made of the dataset's own training split; leave `leave_out`",
        ),
        (
            FoldOptions(leave_out="cluster"),
            {"leave_out": "cluster", "together": [["5", "6"]]},
            "holds tiles made with 5 left out, and .* has no such cluster; pass the `leave_out` and `together` that",
        ),
    ],
)
def test_other_folds_than_they_were_made_for(dataset, tmp_path, made, options, says):
    augmented = write(tmp_path / "augmented", choose_sets(open_dataset(dataset), (1,), 1, made))
    before = (augmented / MANIFEST).read_bytes()
    with pytest.raises(InputError, match=says) as caught:
        weigh(augmented, dataset, WeighOptions(**options))
    assert "\n" not in str(caught.value)
    assert (augmented / MANIFEST).read_bytes() == before


def test_a_tile_of_the_place_that_is_left_out_is_caught(augmented, dataset):
    rows = pd.read_parquet(augmented / MANIFEST)
    rows.loc[rows["fold"] == "5", "fold"] = "x"
    rows.loc[rows["fold"] == "6", "fold"] = "5"
    rows[rows["fold"] != "x"].to_parquet(augmented / MANIFEST, index=False)
    with pytest.raises(LeakageError, match="made from tiles outside of the support set"):
        weigh(augmented, dataset)
