import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio

from tests.command import ROOT

KEPT = """
import sys
from rasterio.env import get_gdal_config
from spurgekit.imagery import open_raster
for path in sys.argv[1:]:
    with open_raster(path):
        print(get_gdal_config("GDAL_CACHEMAX") >> 20)
"""


@pytest.fixture
def wide(tmp_path):
    """Return what writes an RGBA image of one row of 512 px blocks, none of which takes room in the file."""

    def write(width):
        path = tmp_path / f"{width}.tif"
        profile = {"width": width, "height": 512, "count": 4, "dtype": np.uint8, "blockxsize": 512, "blockysize": 512}
        with rasterio.open(path, "w", driver="GTiff", tiled=True, sparse_ok=True, crs="EPSG:32612", **profile):
            return path

    return write


def kept_mb(*paths, **variables):
    """What GDAL keeps after each image was opened."""
    environment = {name: value for name, value in os.environ.items() if name != "GDAL_CACHEMAX"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KEPT, *map(str, paths)],
        env={**environment, "PYTHONPATH": str(ROOT), **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [int(line) for line in run.stdout.split()]


def test_a_row_of_blocks_of_the_widest_image_is_kept(wide):
    """Of 50,000 px: 512 x 50,000 x 4 bytes are 97 MiB. Of 300,000 px they are more than is kept."""
    assert kept_mb(wide(1_000), wide(50_000), wide(1_000), wide(300_000)) == [64, 126, 126, 126]


def test_what_the_user_says_has_its_way(wide):
    assert kept_mb(wide(50_000), GDAL_CACHEMAX="80") == [80]
