"""Building a dataset against copying its images, and its memory for few and for many tiles.

``python -m tests.benchmarks.bench_dataset [--tiles 10000]``
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.dataset.validate import validate_dataset
from spurgekit.parallel import cores
from spurgekit.tiles import TileOptions, tile_images
from tests.benchmarks.bench_memory import peaks_mb
from tests.benchmarks.sites import make_orthomosaic

SITE_PX = 3000
TILE_PX = 250


def make_many_tiles(folder: Path, count: int) -> Path:
    """Make a tiles folder of many tiles: those of one site, again and again, each time farther east."""
    site = make_orthomosaic(folder / "site.tif", SITE_PX)
    tile_images([site], folder / "few", TileOptions(layout="grid"))
    few, parts = gpd.read_parquet(folder / "few" / "tiles.parquet"), []
    tiles = folder / f"tiles{count}"
    tiles.mkdir()
    shutil.copyfile(folder / "few" / "provenance.json", tiles / "provenance.json")
    for number in range(-(-count // len(few))):
        part = few.copy()
        part.geometry = part.geometry.translate(1.1 * number * SITE_PX / 100)
        part["site"] = f"site{number:03d}"
        part["tile_id"] = [f"site{number:03d}_{tile}" for tile in few["tile_id"]]
        part["file_name"] = [f"{tile}.png" for tile in part["tile_id"]]
        parts.append(part)
    index = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True)[:count])
    index["label"] = np.where(np.arange(count) % 3 == 0, "leafy spurge", "no spurge")
    for tile in index["tile_id"]:
        shutil.copyfile(folder / "few" / f"{tile.split('_', 1)[1]}.png", tiles / f"{tile}.png")
    index.to_parquet(tiles / "tiles.parquet")
    return tiles


def main() -> None:
    """Print the times, their ratio and the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times: dict[str, list[float]] = {"copy the images": [], "build-dataset": [], "dataset validate": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiles = make_many_tiles(folder, options.tiles)
        size = sum(path.stat().st_size for path in tiles.glob("*.png"))
        print(f"{options.tiles:,} tiles of {TILE_PX} px, {size / 1e6:.0f} MB, {cores()} cores")
        for _ in range(options.rounds):
            start = time.perf_counter()
            shutil.copytree(tiles, folder / "copy")
            times["copy the images"].append(time.perf_counter() - start)
            start = time.perf_counter()
            build_dataset(tiles, folder / "dataset", DatasetOptions(group_column="site"))
            times["build-dataset"].append(time.perf_counter() - start)
            start = time.perf_counter()
            assert not validate_dataset(folder / "dataset")
            times["dataset validate"].append(time.perf_counter() - start)
            for made in ("copy", "dataset"):
                shutil.rmtree(folder / made)
        for what, values in times.items():
            print(f"{what:17s} {np.median(values):6.2f} s   (rounds: {', '.join(f'{v:.2f}' for v in values)})")
        print(f"build-dataset / copy  {np.median(times['build-dataset']) / np.median(times['copy the images']):.2f}")
        shutil.rmtree(folder / "few")
        (folder / "site.tif").unlink()
        few = make_many_tiles(folder, options.tiles // 5)
        for source, count in ((few, options.tiles // 5), (tiles, options.tiles)):
            resident, private = peaks_mb("build-dataset", source, "--group-column", "site", "--out", folder / f"out{count}")
            print(f"build-dataset {count:6,} tiles  {resident:6.0f} MB resident, {private:6.0f} MB private")


if __name__ == "__main__":
    main()
