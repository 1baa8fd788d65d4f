"""``make leafy-spurge``, which maps the published survey, on a small copy of its repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from PIL import Image

from tests.command import ROOT
from tests.conftest import CORNER

TILE_PX, SIDE_PX = 39, 390
GSD_M = 0.5 / TILE_PX


@pytest.fixture
def copy(tmp_path, make_tif):
    """Eight points of each class, half of them far away, and one image without labels: weed is dark, sand is bright."""
    rng = np.random.default_rng(0)

    def ground(label, px):
        return rng.integers(*((150, 230) if label == "absent" else (20, 90)), (px, px, 3), np.uint8)

    number = 0
    for side, north in (("train", 0.0), ("test", 500.0)):
        rows = []
        for label in ("absent", "present"):
            folder = tmp_path / "copy" / "data" / "crop" / side / label
            folder.mkdir(parents=True)
            for _ in range(4):
                Image.fromarray(ground(label, TILE_PX)).save(folder / f"{number}_1.tif")
                place = {"easting": CORNER[0] + 5.0 * number, "northing": CORNER[1] + north, "cluster": number % 2}
                rows.append(
                    {"file_name": f"{label}/{number}_1.tif", "idx": number, "longitude": -114.0, "latitude": 46.7, **place}
                )
                number += 1
        pd.DataFrame(rows).to_csv(tmp_path / "copy" / "data" / "crop" / side / "metadata.csv", index=False)
    site = ground("absent", SIDE_PX)
    site[:, SIDE_PX // 2 :] = ground("present", SIDE_PX)[:, SIDE_PX // 2 :]
    (tmp_path / "copy" / "data" / "orthomosaic").mkdir()
    grid = Affine(GSD_M, 0, CORNER[0], 0, -GSD_M, CORNER[1])
    make_tif(tmp_path / "copy" / "data" / "orthomosaic" / "0.tif", site.transpose(2, 0, 1), transform=grid)
    return tmp_path / "copy"


def test_one_command_fetches_learns_and_maps_and_goes_on(copy, tmp_path):
    out = tmp_path / "survey"
    command = [
        "make", "leafy-spurge", "--old-file=.venv/.ready",
        f"BIN={Path(sys.executable).parent}", f"SPURGE={out}", f"SPURGE_SOURCE={copy}",
        "SPURGE_TRAIN=--backbone test_resnet --no-pretrained --image-size 64", "SPURGE_MAP=--cell 0.5 --views 1",
    ]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}  # of `make test`
    first = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    with rasterio.open(out / "maps" / "leafy-spurge" / "presence.tif") as file:
        assert file.res == (0.5, 0.5)
        found = file.read(2, masked=True)
    half = found.shape[1] // 2
    assert found[1:-1, : half - 1].mean() < 0.5 < found[1:-1, half + 1 :].mean()
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "spurgekit" not in done.stdout.replace(str(out), "")
    shutil.rmtree(out / "maps")
    again = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "spurgekit map" in again.stdout
    assert "spurgekit train" not in again.stdout
    assert "dataset fetch" not in again.stdout
