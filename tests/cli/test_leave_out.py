"""``--leave-out`` and ``--together`` from one command to the next."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.chain import BACKBONE
from tests.clusters import TILE_PX, draw_clusters
from tests.command import refuse, succeed

FEW = ("--shots", "1,2", "--trials", 1)
FOLDS = ("--leave-out", "cluster", "--together", "6,12")
JUDGE = ("--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX * 4)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_tif):
    return draw_clusters(tmp_path_factory.mktemp("clusters"), make_tif)


def test_from_augment_to_evaluate(dataset, tiny):
    made = succeed("augment", dataset, "--backbone", tiny, "--device", "cpu", "--method", "roundtrip", *FEW, *FOLDS)
    assert " images to make for 6 support sets in augmented: " in made
    assert set(pd.read_parquet("augmented/manifest.parquet")["fold"]) == {"5", "7", "6+12"}
    weighed = succeed("weigh", "augmented", dataset, "--keep", "all", *FOLDS, *JUDGE).splitlines()
    assert weighed[1].split()[:2] == ["without-5/t00-n01", "sand"]
    assert weighed[0].index("class") == weighed[1].index("sand")
    said = succeed(
        "evaluate", dataset, "--arms", "probe,probe+synthetic", "--synthetic", "augmented", *FEW, *FOLDS, *JUDGE
    )  # fmt: skip
    assert "| probe+synthetic |" in said
    assert "12 cells; " in said
    table = pd.read_parquet("evaluation/predictions.parquet")
    assert set(table["fold"]) == {"5", "7", "6+12"}


def test_words_of_each_fold(dataset, tiny):
    learned = succeed(
        "invert", dataset, "--backbone", tiny, "--device", "cpu", "--shots", 1, "--trials", 1, "--steps", 2, "--batch", 1,
        "--validate-every", 0, *FOLDS,
    ).splitlines()  # fmt: skip
    assert learned[1].startswith("6 words to learn from 3 sets of tiles")
    assert learned[-2].split()[:2] == ["without-6+12/t00-n01", "<weed>"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--together", "5,6"), "--together names places that are held out together; say of which column in --leave-out"),
        (("--leave-out", "cluster", "--together", "5"), "--together names '5' alone"),
        (("--leave-out", "cluster", "--together", "5,6", "--together", "6,7"), "--together names '6' twice"),
        (("--leave-out", "cluster", "--together", "5,9"), "has no cluster '9' to be held out --together with others; there"),
        (("--leave-out", "altitude"), "has no column 'altitude'; places are in cluster"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(dataset, tiny, options, says):
    assert says in refuse("augment", dataset, "--backbone", tiny, "--device", "cpu", *FEW, *options)
    assert says in refuse("invert", dataset, "--backbone", tiny, "--device", "cpu", *FEW, *options)
    assert says in refuse("evaluate", dataset, *FEW, *options, *JUDGE)
