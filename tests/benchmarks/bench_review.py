"""The page of a review in a browser: from a key press to the next tile on the screen, and to the grid of all tiles.

``python -m tests.benchmarks.bench_review [--tiles 10000]``
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import geopandas as gpd
import numpy as np
import shapely

from spurgekit.parallel import cores
from spurgekit.tiles.index import PARQUET
from spurgekit.tiles.png import encode_png
from spurgekit.tiles.review_log import LOG, Decision, Opinion, append_decisions
from tests.review.served import find_chromium, launch_chromium, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

TILE_PX = 250
DIFFERENT = 400
"""Tiles with pictures of their own; the others are further names of the same files."""

# From the time stamp of a key press to the second frame after what it is to bring is in the page: by then it is painted.
WATCH = """
() => {
  const frame = () => new Promise(requestAnimationFrame);
  const painted = async (isThere) => {
    while (!isThere()) await new Promise((wake) => setTimeout(wake, 1));
    await frame();
    await frame();
    return performance.now();
  };
  const measure = (isThere) => new Promise((done) => {
    addEventListener("keydown", ({ timeStamp }) => {
      setTimeout(async () => done((await painted(isThere)) - timeStamp));
    }, { capture: true, once: true });
  });
  const isShown = (image) => image && image.complete && image.naturalWidth > 0;
  const tile = () => document.querySelector("#tile-picture img");
  window.nextTile = () => {
    const before = tile().dataset.tile;
    return measure(() => isShown(tile()) && tile().dataset.tile !== before);
  };
  window.grid = () => measure(() => {
    const { top, bottom } = document.getElementById("cells").getBoundingClientRect();
    const seen = [...document.querySelectorAll(".cell img")].filter((image) => {
      const cell = image.getBoundingClientRect();
      return cell.top < bottom && cell.bottom > top;
    });
    return seen.length > 20 && seen.every(isShown);
  });
}
"""


def make_tiles_folder(folder: Path, count: int) -> Path:
    """Write a tiles folder of a square grid of tiles, without the image that it would have been cut from.

    One reviewer has decided all of it, and ada the second half.
    """
    folder.mkdir()
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.normal(110, 60, (2000, 2000, 3)).astype(np.float32), (0, 0), 1.2)
    ground = np.clip(ground, 0, 255).astype(np.uint8)
    side = int(np.ceil(np.sqrt(count)))
    rows, cols = np.divmod(np.arange(count), side)
    names = [f"site_r{row:05d}_c{col:05d}" for row, col in zip(rows, cols, strict=True)]
    for i, name in enumerate(names):
        path = folder / f"{name}.png"
        if i < DIFFERENT:
            top, left = rng.integers(0, len(ground) - TILE_PX, 2)
            path.write_bytes(encode_png(ground.astype(np.uint8)[top : top + TILE_PX, left : left + TILE_PX]))
        else:
            os.link(folder / f"{names[i % DIFFERENT]}.png", path)
    metres = TILE_PX * 0.0125
    index = gpd.GeoDataFrame(
        {
            "tile_id": names, "file_name": [f"{name}.png" for name in names], "site": "site", "layout": "grid",
            "source": "site.tif", "col_off": cols * TILE_PX, "row_off": rows * TILE_PX, "size_px": TILE_PX, "gsd_m": 0.0125,
            "valid_fraction": 1.0, "plot": [str(1 + row // 10) for row in rows], "confidence": rng.random(count).round(4),
            "label": np.where(rng.random(count) < 0.3, "present", "absent"),
        },
        geometry=[
            shapely.Polygon([(x, y), (x + metres, y), (x + metres, y - metres), (x, y - metres)])
            for x, y in zip(272_000 + cols * metres, 5_196_000 - rows * metres, strict=True)
        ],
        crs="EPSG:32612",
    )  # fmt: skip
    index.to_parquet(folder / PARQUET)
    said = {label: Opinion(verdict="accepted", label=label) for label in ("absent", "present")}
    others = [Decision(who="bo", tile=name, after=said[label]) for name, label in zip(names, index["label"], strict=True)]
    own = [decision.model_copy(update={"id": f"ada{i}", "who": "ada"}) for i, decision in enumerate(others[count // 2 :])]
    append_decisions(folder / LOG, [*others, *own])
    return folder


def measure(page: Page, what: str, key: str) -> float:
    """Press a key and return the milliseconds until what it is to bring is on the screen."""
    waiting = page.evaluate_handle(f"() => ({{ done: {what}() }})")
    page.keyboard.press(key)
    return float(page.evaluate("(waiting) => waiting.done", waiting))


def describe(values: list[float]) -> str:
    """Return median and worst."""
    return f"median {np.median(values):6.1f} ms   worst {max(values):6.1f} ms   ({len(values)} times)"


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=200, help="decisions to time")
    options = parser.parse_args()
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no chromium here; name one in SPURGEKIT_CHROMIUM")
    with tempfile.TemporaryDirectory() as name, launch_chromium(chromium) as browser:
        folder = make_tiles_folder(Path(name) / "tiles", options.tiles)
        print(f"{options.tiles:,} PNG tiles of {TILE_PX} px; headless Chromium without a GPU, {cores()} cores", flush=True)
        begun = time.perf_counter()
        with serve(folder, "--reviewer", "ada") as served:
            print(f"server started           {1000 * (time.perf_counter() - begun):7.0f} ms", flush=True)
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            begun = time.perf_counter()
            page.goto(served.link)
            page.wait_for_selector("#tile-picture img")
            print(f"page with its first tile {1000 * (time.perf_counter() - begun):7.0f} ms", flush=True)
            page.evaluate(WATCH)
            page.wait_for_timeout(2000)  # a person looks at the first tile for a while
            for text, keys, pause_ms in (
                ("decision (4 a second)", "12ru", 250),
                ("next tile (held arrow)", ["ArrowRight"], 30),
            ):
                times = []
                for i in range(options.keys):
                    times.append(measure(page, "nextTile", keys[i % len(keys)]))
                    page.wait_for_timeout(pause_ms)
                print(f"{text:24s} {describe(times)}", flush=True)
            page.keyboard.press("Home")
            grids = []
            for _ in range(5):
                grids.append(measure(page, "grid", "g"))
                page.keyboard.press("g")
                page.wait_for_selector("#single:not([hidden])")
            print(f"grid, {'pictures on the screen':18s} first {grids[0]:6.1f} ms   {describe(grids[1:])}", flush=True)
            page.keyboard.press("g")
            page.wait_for_timeout(500)
            times = [measure(page, "grid", key) for key in ["PageDown"] * 10 + ["End", "Home"]]
            print(f"grid, another page       {describe(times)}", flush=True)
            page.wait_for_selector("#saving[data-state=saved]")
            print(served.interrupt().strip().split(" in ")[0])


if __name__ == "__main__":
    main()
