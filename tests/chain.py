"""A drawn survey taken through the whole chain once, for the tests that need a dataset or a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray

from spurgekit.imagery import PixelGrid, Window

TILE_PX = 32
ROWS, COLUMNS = 8, 12
BACKBONE = "test_resnet"
"""Of timm, a tenth of a resnet10t in weights."""
CLASSES = ("sand", "weed")


@dataclass(frozen=True)
class Chain:
    """Where the drawn site and what was made of it lie."""

    site: Path
    weed: Path
    tiles: Path
    dataset: Path
    model: Path


def is_weed(row: int, column: int) -> bool:
    """Whether a tile of the drawn site is weed: two columns of sand, two of weed, and so on."""
    return column % 4 >= 2


def draw_site() -> NDArray[np.uint8]:
    """Return RGB of 8 x 12 squares of 32 px: smooth bright sand, and weed that is dark, green and rough."""
    rng = np.random.default_rng(0)
    pixels = np.empty((3, ROWS * TILE_PX, COLUMNS * TILE_PX), np.uint8)
    for row, column in np.ndindex(ROWS, COLUMNS):
        square = slice(row * TILE_PX, (row + 1) * TILE_PX), slice(column * TILE_PX, (column + 1) * TILE_PX)
        mean, spread = ((70, 120, 50), 40) if is_weed(row, column) else ((210, 200, 170), 6)
        noise = rng.integers(-spread, spread + 1, (3, TILE_PX, TILE_PX))
        pixels[(slice(None), *square)] = np.array(mean)[:, None, None] + noise
    return pixels


def write_weed(site: Path, path: Path) -> Path:
    """Write a polygon inside each pair of columns of weed, as it would be drawn in QGIS."""
    with rasterio.open(site) as file:
        grid = PixelGrid(file.width, file.height, file.transform, file.crs)
    inset = TILE_PX // 4
    windows = [
        Window(column * TILE_PX + inset, 0, 2 * TILE_PX - 2 * inset, ROWS * TILE_PX)
        for column in range(COLUMNS)
        if is_weed(0, column) and not is_weed(0, column - 1)
    ]
    gpd.GeoDataFrame(geometry=[grid.footprint(window) for window in windows], crs=grid.crs.to_wkt()).to_file(path)
    return path


def build(folder: Path, write_tif: Any) -> Chain:
    """Draw the site and make tiles, a dataset and a model of it."""
    from spurgekit.classify import TrainOptions, train_model
    from spurgekit.dataset import DatasetOptions, build_dataset
    from spurgekit.tiles import TileOptions, tile_images

    site = write_tif(folder / "dune.tif", draw_site())
    chain = Chain(site, write_weed(site, folder / "weed.gpkg"), *(folder / name for name in ("tiles", "dataset", "model")))
    tile_images([site], chain.tiles, TileOptions(size_px=TILE_PX))
    build_dataset(chain.tiles, chain.dataset, DatasetOptions(labels=chain.weed, classes=CLASSES))
    train_model(chain.dataset, chain.model, TrainOptions(backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX))
    return chain
