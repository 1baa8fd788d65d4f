"""Maps as folders that ``spurgekit map`` makes, drawn cell by cell."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from spurgekit.imagery import PixelGrid
from spurgekit.imagery.crs import parse_crs
from spurgekit.maps.polygons import presence_polygons, write_polygons
from spurgekit.outputs.provenance import write_provenance

CORNER = (500_000.0, 5_000_000.0)

DRAWN = """
11...1..
11......
......22
1.1...22
........
....1...
"""
"""A field of cells of 2 m; those of a class that do not touch are 2 m apart or more."""

AREA = {"counted_m2": 40.0, "estimate_m2": 36.5, "low_m2": 20.0, "high_m2": 1060.0}
"""Of each class on the whole site."""

GROUND, SPURGE, SUMAC = (90, 110, 70), (250, 210, 0), (0, 60, 250)
"""Colours of cells on an image of the site."""


def cells_of(text):
    return np.array([[0 if cell == "." else int(cell) for cell in row] for row in text.split()], np.uint8)


def make_map(
    folder, drawn=DRAWN, *, classes=("bare", "leafy spurge", "sumac"), crs="EPSG:32612", cell=2.0, corner=CORNER, transform=None
):
    """Write the files of a map that an export reads."""
    predicted = cells_of(drawn)
    height, width = predicted.shape
    transform = transform or Affine(cell, 0, corner[0], 0, -cell, corner[1])
    grid = PixelGrid(width, height, transform, parse_crs(crs))
    folder.mkdir(parents=True)
    with rasterio.open(
        folder / "presence.tif", "w", driver="GTiff", width=width, height=height, count=1, dtype="float32", crs=grid.crs,
        transform=transform,
    ) as file:  # fmt: skip
        file.write(predicted.astype(np.float32), 1)
        file.set_band_description(1, f"probability of {classes[0]}")
    polygons = presence_polygons(
        predicted, np.full(predicted.shape, 0.75, np.float32), np.ones(predicted.shape, np.float32), grid, classes
    )
    write_polygons(polygons, folder / "presence.gpkg")
    summary = {"schema_version": 3, "cell_m": cell, "crs": crs, "occupied": dict.fromkeys(classes[1:], AREA)}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The working folder, with the map ``maps/dune``."""
    monkeypatch.chdir(tmp_path)
    return make_map(tmp_path / "maps" / "dune").relative_to(tmp_path)


def make_image(path, drawn=DRAWN, *, side=40, transform=None, crs="EPSG:32612", corner=CORNER, cell=2.0):
    """Write an image of the site of a map: cells of ``side`` pixels, in the colours of what grows there."""
    predicted = cells_of(drawn)
    pixels = np.array([GROUND, SPURGE, SUMAC], np.uint8)[predicted].repeat(side, axis=0).repeat(side, axis=1)
    height, width = pixels.shape[:2]
    transform = (transform or Affine(cell, 0, corner[0], 0, -cell, corner[1])) @ Affine.scale(1 / side)
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8", crs=crs, transform=transform
    ) as file:
        file.write(np.moveaxis(pixels, -1, 0))
    return path


def note_images(folder, *paths, **parameters):
    """Say in the files of a map which images it is of."""
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "images": [path.name for path in paths]}))
    write_provenance(folder, "map", parameters, paths)


@pytest.fixture
def seen(drawn):
    """The working folder, with the map ``maps/dune`` of ``dune.tif``, of 5 cm a pixel."""
    note_images(drawn, make_image(Path("dune.tif")))
    return drawn
