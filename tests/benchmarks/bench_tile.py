"""Tiling against the bare encoder and against a loop that reopens the file and writes each tile with rasterio.

``python -m tests.benchmarks.bench_tile [--size 12000]``
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterioWindow

from spurgekit.imagery import PixelGrid, Window, open_raster
from spurgekit.parallel import cores
from spurgekit.tiles import TileOptions, tile_images
from spurgekit.tiles.tile_formats import TILE_FORMATS
from tests.benchmarks.sites import make_orthomosaic

if TYPE_CHECKING:
    from spurgekit.tiles.tile_formats import Encoder

TILE_PX = 250
SAMPLE = 480


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def encode_bare(site: Path, folder: Path, encode: Encoder) -> float:
    """Return tiles/s of an encoder alone: tiles in memory, a thread for each core, files written."""
    with open_raster(site) as raster:
        rows = SAMPLE * TILE_PX // raster.grid.width + 1
        pixels, valid = raster.read(Window(0, 0, raster.grid.width // TILE_PX * TILE_PX, rows * TILE_PX))
        at = [(r, c) for r in range(0, pixels.shape[1], TILE_PX) for c in range(0, pixels.shape[2], TILE_PX)][:SAMPLE]
        tiles = [np.ascontiguousarray(pixels[:, r : r + TILE_PX, c : c + TILE_PX]) for r, c in at]
        whole, grid = valid[:TILE_PX, :TILE_PX], raster.grid

    def one(i: int) -> None:
        (folder / f"bare_{i}.png").write_bytes(encode(tiles[i], whole, grid))

    with ThreadPoolExecutor(cores()) as threads:
        return SAMPLE / seconds(lambda: list(threads.map(one, range(SAMPLE))))


def encode_with_opencv(pixels: NDArray[np.generic], valid: NDArray[np.bool_], grid: PixelGrid) -> bytes:
    """Encode as OpenCV does by default, the fastest PNG encoder that a user would otherwise pick."""
    return bytes(cv2.imencode(".png", cv2.merge([pixels[2], pixels[1], pixels[0]]))[1])


def loop_with_rasterio(site: Path, folder: Path) -> float:
    """Return tiles/s of what a user writes first: open, read a window, write a PNG, for each tile."""

    def loop() -> None:
        for i in range(SAMPLE // 4):
            with rasterio.open(site) as file:
                tile = file.read([1, 2, 3], window=RasterioWindow(i % 40 * TILE_PX, i // 40 * TILE_PX, TILE_PX, TILE_PX))
            with rasterio.open(
                folder / f"loop_{i}.png", "w", driver="PNG", width=TILE_PX, height=TILE_PX, count=3, dtype="uint8"
            ) as png:
                png.write(tile)

    return SAMPLE / 4 / seconds(loop)


def read_only(site: Path) -> float:
    """Return tiles/s of decoding alone, with all cores, in the strips that tiling reads."""

    def read() -> None:
        with open_raster(site, threads=cores()) as raster:
            for row in range(0, raster.grid.height, TILE_PX):
                raster.read(Window(0, row, raster.grid.width, TILE_PX))

    with open_raster(site) as raster:
        count = (raster.grid.width // TILE_PX) * (raster.grid.height // TILE_PX)
    return count / seconds(read)


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=12_000, help="pixels a side")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_orthomosaic(folder / "site.tif", options.size)
        print(f"{options.size} x {options.size} px RGBA deflate, {site.stat().st_size / 1e6:.0f} MB, {cores()} cores")
        rates: dict[str, list[float]] = {
            "bare encoder, OpenCV": [],
            "bare encoder, ours": [],
            "spurgekit tile": [],
            "loop that reopens": [],
            "decoding alone": [],
        }
        for i in range(options.rounds):
            rates["bare encoder, OpenCV"].append(encode_bare(site, folder, encode_with_opencv))
            rates["bare encoder, ours"].append(encode_bare(site, folder, TILE_FORMATS["png"].encoder()))
            out = folder / f"tiles{i}"
            start = time.perf_counter()
            written = tile_images([site], out, TileOptions(layout="grid")).written
            rates["spurgekit tile"].append(written / (time.perf_counter() - start))
            rates["loop that reopens"].append(loop_with_rasterio(site, folder))
            rates["decoding alone"].append(read_only(site))
        best = {what: float(np.median(values)) for what, values in rates.items()}
        for what, rate in best.items():
            print(f"{what:20s} {rate:7.0f} tiles/s   (rounds: {', '.join(f'{v:.0f}' for v in rates[what])})")
        for what in ("bare encoder, OpenCV", "bare encoder, ours", "loop that reopens"):
            print(f"tile / {what:20s} {best['spurgekit tile'] / best[what]:6.2f}")


if __name__ == "__main__":
    main()
