"""How much memory GDAL keeps decoded blocks in.

Its default is 5 % of the machine's memory for as long as the process lives, which is more than the rest of spurgekit together.
What is needed is a row of blocks, since images are read in strips: with less, each strip decodes the row anew.
"""

from __future__ import annotations

import os

import numpy as np
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.io import DatasetReader

LEAST = 64 << 20
"""Bytes that every process has: a row of 512 px blocks of an RGBA site 30,000 px wide."""

MOST = 512 << 20
"""Bytes of a row of blocks above which it is decoded again instead."""

MORE = 1.3
"""What strips need beside a row of blocks, such as blocks that are resampled."""

_IS_OURS = "GDAL_CACHEMAX" not in os.environ
"""Whether the user has left it to us."""


def set_cache() -> None:
    """Have GDAL keep little, unless the user has said how much. GDAL asks once, ahead of its first block."""
    os.environ.setdefault("GDAL_CACHEMAX", str(LEAST >> 20))


def hold_row(file: DatasetReader) -> None:
    """Have GDAL keep a row of blocks of an image, if it is larger than what is kept."""
    rows, _ = file.block_shapes[0]
    needed = int(MORE * rows * file.width * sum(np.dtype(kind).itemsize for kind in file.dtypes))
    if _IS_OURS and needed <= MOST:
        set_gdal_config("GDAL_CACHEMAX", max(needed, get_gdal_config("GDAL_CACHEMAX")))
