"""A drawn site with clusters of labelled points far apart, and the rest of it without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.tiles import TileOptions, tile_images
from tests.conftest import CORNER

SIDE_PX, TILE_PX, GSD_M = 160, 8, 0.01
CENTRES_PX = ((30, 30), (130, 30), (30, 130), (130, 130))
NAMES = ("5", "6", "7", "12")
"""Of the clusters, in the order of their centres: north-west, north-east, south-west, south-east."""

CLASSES = ("sand", "weed")
FREE = 91
"""Unlabelled tiles in each quarter of the site: 10 x 10, but for the 3 x 3 that touch the tiles of its cluster."""


def draw_clusters(folder: Path, write_tif: Any, names: Sequence[str] = NAMES, unlabelled_px: int | None = TILE_PX) -> Path:
    """Make a dataset of four clusters of two tiles of each class, which do not touch, and return it."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(100, 140, (3, SIDE_PX, SIDE_PX))
    x, y = np.array([(cx + dx, cy + dy) for cx, cy in CENTRES_PX for dx in (-5, 5) for dy in (-5, 5)]).T
    labels = ["sand", "weed", "weed", "sand"] * len(CENTRES_PX)
    for column, row, label in zip(x, y, labels, strict=True):
        square = slice(row - TILE_PX // 2, row + TILE_PX // 2), slice(column - TILE_PX // 2, column + TILE_PX // 2)
        pixels[(slice(None), *square)] += 80 if label == "sand" else -80
    image = write_tif(folder / "site.tif", pixels.astype(np.uint8), gsd=GSD_M)
    table = {"idx": range(len(x)), "label": labels, "cluster": np.repeat(names, 4)}
    points = gpd.points_from_xy(CORNER[0] + x * GSD_M, CORNER[1] - y * GSD_M)
    gpd.GeoDataFrame(table, geometry=points, crs="EPSG:32612").to_file(folder / "points.gpkg")
    options = TileOptions(points=folder / "points.gpkg", size_px=TILE_PX, unlabelled_px=unlabelled_px)
    tile_images([image], folder / "tiles", options)
    build_dataset(folder / "tiles", folder / "dataset", DatasetOptions(classes=CLASSES, shots=(1, 2), trials=3))
    return folder / "dataset"
