"""What people found in places of a drawn map, in the files that commands and crews leave."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import rasterio
from shapely import box

from spurgekit.accuracy.cell_lists import write_lists
from spurgekit.accuracy.sample import SAMPLE, Sample, SampledCell, Stratum
from spurgekit.imagery import PixelGrid, Window
from spurgekit.tiles.layouts import Tile
from spurgekit.tiles.review_log import LOG, Decision, Opinion, append_decisions
from tests.export.conftest import CORNER

CLASSES = ("bare", "leafy spurge", "sumac")


def decide(folder, tile, label, *, who="Bo", day=20, verdict="accepted"):
    """Add a decision of a June day to the log of a folder."""
    opinion = Opinion(verdict=verdict, label=label)
    append_decisions(folder / LOG, [Decision(when=datetime(2026, 6, day, 12, tzinfo=UTC), who=who, tile=tile, after=opinion)])


def make_check(folder, labels, *, map_folder=Path("maps/dune"), classes=CLASSES):
    """Make a folder of a check of cells by row and column, with a label in its table or none."""
    folder.mkdir(parents=True)
    with rasterio.open(map_folder / "presence.tif") as file:
        grid = PixelGrid(file.width, file.height, file.transform, file.crs)
    cells = [Tile(f"dune_r{row:05d}_c{col:05d}", Window(col, row, 1, 1), {}) for row, col in labels]
    write_lists(folder, cells, grid)
    stratum = Stratum(mapped=classes[0], uncertain=False, cells=48, sampled=len(cells))
    drawn = tuple(SampledCell(cell=cell.id, stratum=0) for cell in cells)
    sample = Sample(map="dune", classes=classes, cell_m=2, cell_m2=4, strata=(stratum,), cells=drawn)
    (folder / SAMPLE).write_text(sample.model_dump_json())
    with (folder / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, label in zip(rows, labels.values(), strict=True):
        row["label"] = label or ""
    with (folder / "cells.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def make_tiles(folder, places, *, crs="EPSG:32612"):
    """Make the index of tiles, each ``(x, y, side)`` in metres from the map's corner, x to the east and y to the south."""
    folder.mkdir(parents=True)
    names = [f"t{number}" for number in range(len(places))]
    shapes = [box(CORNER[0] + x, CORNER[1] - y - side, CORNER[0] + x + side, CORNER[1] - y) for x, y, side in places]
    gpd.GeoDataFrame(
        {
            "tile_id": names, "file_name": [f"{name}.png" for name in names], "site": "dune", "layout": "grid",
            "source": "dune.tif", "col_off": 0, "row_off": 0, "size_px": 100, "gsd_m": 0.02, "valid_fraction": 1.0,
        },
        geometry=shapes, crs=crs,
    ).to_parquet(folder / "tiles.parquet")  # fmt: skip
    return folder


def fill_in(path, labels, **more):
    """Write labels by the names of patches into a crew's table, and what else its rows are to say."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["name"] in labels:
            row.update({"label": labels[row["name"]], **more})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path
