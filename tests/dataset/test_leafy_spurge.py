"""A small copy of the published Leafy Spurge Dataset's repository, laid out as it is on the Hub."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import constants
from PIL import Image

from spurgekit import hub
from spurgekit.dataset import open_dataset
from spurgekit.dataset.leafy_spurge import fetch_dataset
from spurgekit.dataset.validate import validate_dataset
from spurgekit.errors import InputError
from tests.command import refuse, succeed

EAST, NORTH = 726_534.8, 5_176_622.7
"""In UTM zone 11N, as in the published data, whose points lie just east of the zone's edge."""


@pytest.fixture
def copy(tmp_path):
    """Six points of each class in train, two in test, half a kilometre away."""
    folder, rng = tmp_path / "leafy_spurge", np.random.default_rng(0)
    number = 0
    for side, count, north in (("train", 6, 0.0), ("test", 2, 500.0)):
        rows = []
        for label in ("absent", "present"):
            for config in ("crop", "context"):
                (folder / "data" / config / side / label).mkdir(parents=True)
            for _ in range(count):
                for config, px in (("crop", 39), ("context", 64)):
                    image = Image.fromarray(rng.integers(0, 256, (px, px, 3), np.uint8))
                    image.save(folder / "data" / config / side / label / f"{number}_1.tif")
                rows.append(
                    {
                        "file_name": f"{label}/{number}_1.tif",
                        "idx": number,
                        "longitude": -114.03648818,
                        "latitude": 46.70476716,
                        "easting": EAST + 5.0 * number,
                        "northing": NORTH + north,
                        "elevation": 1001.154,
                        "time": 20230612120503.7,
                        "cluster": number % 3,
                    }
                )
                number += 1
        for config in ("crop", "context"):
            pd.DataFrame(rows).to_csv(folder / "data" / config / side / "metadata.csv", index=False)
    (folder / "data" / "orthomosaic").mkdir()
    for tile in range(3):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / "data" / "orthomosaic" / f"{tile}.tif")
    return folder


def test_crops_come_with_the_split_the_fields_and_the_classes_that_they_have(copy, tmp_path):
    info = fetch_dataset(copy, tmp_path / "out")
    assert info.counts == {"train": {"absent": 6, "present": 6}, "test": {"absent": 2, "present": 2}}
    assert (info.size_px, info.gsd_m, info.crs) == (39, pytest.approx(0.5 / 39), "EPSG:32611")
    assert (info.licence, info.classes) == ("cc-by-4.0", ("absent", "present"))
    rows = open_dataset(tmp_path / "out").split("test")
    first = rows.iloc[0]
    assert (first["idx"], first["elevation"], first["time"], first["cluster"]) == (12, 1001.154, "20230612120503.7", "0")
    assert first["tile_id"] == "leafy-spurge_p00012"
    assert (first["easting"], first["northing"]) == pytest.approx((EAST + 60, NORTH + 500))
    assert validate_dataset(tmp_path / "out") == []


def test_all_views(copy, tmp_path):
    info = fetch_dataset(copy, tmp_path / "out", configs=("crop", "context", "unlabelled"))
    context = open_dataset(tmp_path / "out" / "context")
    assert context.info.size_px == 64
    assert context.split("test")["idx"].tolist() == [12, 13, 14, 15]
    assert info.unlabelled.tiles == 3
    assert validate_dataset(tmp_path / "out") == []


def test_crops_are_not_compared_with_tiles_of_more_ground(copy, tmp_path):
    """Published are crops of 0.5 m and unlabelled tiles of 13 m."""
    fetch_dataset(copy, tmp_path / "out", configs=("crop", "unlabelled"))
    line = refuse(
        "evaluate", tmp_path / "out", "--arms", "probe,probe+retrieval", "--shots", 1, "--trials", 1, "--no-pretrained"
    )
    assert line.endswith(
        "are 39 px of 1.28 cm wide, unlabelled ones 64 px of 1.28 cm, and what is to be compared has to show as much ground "
        "in as many pixels; tile with --unlabelled 39, and build the dataset again"
    )


def test_from_the_command_line(copy, tmp_path):
    printed = succeed("dataset", "fetch", copy, "--out", tmp_path / "out").splitlines()
    assert printed[:3] == ["class    train   test", "absent       6      2", "present      6      2"]
    assert "held out: what split says" in printed[3]


def test_a_folder_that_is_no_copy(tmp_path):
    with pytest.raises(InputError, match=r"holds no data/crop; pass a copy of mpg-ranch/leafy_spurge"):
        fetch_dataset(tmp_path, tmp_path / "out")


def test_a_view_that_there_is_not(copy, tmp_path):
    with pytest.raises(InputError, match="there is no config 'full'; there are crop, context, unlabelled"):
        fetch_dataset(copy, tmp_path / "out", configs=("full",))


def test_neither_a_connection_nor_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_reaches", lambda _: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    line = refuse("dataset", "fetch", "--out", "lsd", code=1)
    assert (
        "the Hub cannot be reached for mpg-ranch/leafy_spurge; its cache does not hold all of it, so pass a local copy" in line
    )


def test_the_commit_that_was_fetched_is_on_record(copy, tmp_path, monkeypatch):
    snapshot = tmp_path / "snapshots" / ("0123456789" * 4)
    snapshot.parent.mkdir()
    copy.rename(snapshot)
    monkeypatch.setattr("spurgekit.hub_files.snapshot_download", lambda *_, **__: str(snapshot))
    info = fetch_dataset("mpg-ranch/leafy_spurge", tmp_path / "out")
    assert f"fetched from mpg-ranch/leafy_spurge at commit {snapshot.name}" in info.notes
