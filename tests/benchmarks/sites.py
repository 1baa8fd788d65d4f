"""Large orthomosaics for the benchmarks: textured like the real thing, written strip by strip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

PATCH_PX = 3000


def make_orthomosaic(path: Path, size_px: int, seed: int = 0) -> Path:
    """Write an RGBA uint8 orthomosaic as ODM does: deflate with predictor 2, 512 px blocks, alpha, 1 cm.

    It repeats one textured patch, mirrored, at changing brightness, so that writing it takes seconds and compressing
    it is neither easier nor harder than drone imagery (PNG tiles of 250 px come to about 95 kB).
    """
    patch = _texture(np.random.default_rng(seed))
    profile = {
        "driver": "GTiff", "width": size_px, "height": size_px, "count": 4, "dtype": "uint8", "crs": "EPSG:32612",
        "transform": from_origin(272_000, 5_196_000, 0.01, 0.01), "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "deflate", "predictor": 2, "interleave": "pixel", "photometric": "rgb", "alpha": "yes",
        "num_threads": "all_cpus", "bigtiff": "if_safer",
    }  # fmt: skip
    repeats = -(-size_px // PATCH_PX)
    with rasterio.open(path, "w", **profile) as file:
        for i in range(repeats):
            parts = [patch[:, :, :: (-1) ** j] for j in range(repeats)]
            strip = np.concatenate(parts, axis=2)[:, :: (-1) ** i, :size_px]
            rows = min(PATCH_PX, size_px - i * PATCH_PX)
            window = rasterio.windows.Window(0, i * PATCH_PX, size_px, rows)
            file.write(strip[:, :rows], window=window, indexes=[1, 2, 3])
            file.write(np.full((rows, size_px), 255, np.uint8), window=window, indexes=4)
    return path


def make_sparse(path: Path, size_px: int, seed: int = 0) -> Path:
    """Write an RGBA orthomosaic that has ground in its upper 1024 rows only; blocks without data take no room in the file."""
    profile = {
        "driver": "GTiff", "width": size_px, "height": size_px, "count": 4, "dtype": "uint8", "crs": "EPSG:32612",
        "transform": from_origin(272_000, 5_196_000, 0.01, 0.01), "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "deflate", "interleave": "pixel", "photometric": "rgb", "alpha": "yes", "bigtiff": "if_safer",
        "sparse_ok": True,
    }  # fmt: skip
    ground = _texture(np.random.default_rng(seed))[:, :1024]
    with rasterio.open(path, "w", **profile) as file:
        for left in range(0, size_px, PATCH_PX):
            width = min(PATCH_PX, size_px - left)
            window = rasterio.windows.Window(left, 0, width, 1024)
            file.write(ground[..., :width], window=window, indexes=[1, 2, 3])
            file.write(np.full((1024, width), 255, np.uint8), window=window, indexes=4)
    return path


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a patch [3, h, w] whose contrast falls with frequency as in photographs of grassland."""
    shape = (PATCH_PX, PATCH_PX)
    ground = np.zeros((*shape, 3), np.float32)
    for period, contrast in ((500, 18), (60, 12), (12, 12), (4, 8)):
        coarse = rng.normal(0, contrast, (PATCH_PX // period, PATCH_PX // period, 1)) + rng.normal(
            0, contrast / 4, (PATCH_PX // period, PATCH_PX // period, 3)
        )
        ground += cv2.resize(coarse.astype(np.float32), shape, interpolation=cv2.INTER_CUBIC)
    ground += rng.normal(0, 2.0, (*shape, 1)).astype(np.float32)
    ground += np.array([125, 118, 96], np.float32)
    return np.asarray(np.clip(ground, 0, 255).transpose(2, 0, 1), np.uint8)
