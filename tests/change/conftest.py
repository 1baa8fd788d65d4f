"""Maps of two dates as folders that ``spurgekit map`` makes, their cells and their images drawn."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine

from spurgekit.outputs.provenance import write_provenance
from tests.maps.brightness import brightness_model

CORNER = (500_000.0, 5_000_000.0)
CELL_M, ROWS, COLUMNS = 0.5, 16, 16
GSD_M = 0.05
CLASSES = ("dark", "bright")

AT_FIRST = np.full((ROWS, COLUMNS), 0.02)
AT_FIRST[2:8, 2:8] = 0.98
LATER = np.full((ROWS, COLUMNS), 0.02)
LATER[2:8, 4:12] = 0.98
"""A patch of 36 cells, of which 12 go and to which 24 come."""


def make_model(folder, classes=CLASSES, **changes):
    """Write what of a model a comparison reads; of 8 places, each of 5 tiles of either class, one tile of each is wrong."""
    info = brightness_model(10).info
    changes |= {"classes": classes, "training_counts": dict.fromkeys(classes, 1)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(info.model_copy(update=changes).model_dump_json())
    rows = ["tile_id,class,place,predicted,cover,p(dark),p(bright)"]
    for place in range(8):
        for number in range(10):
            p = 0.9 if (number < 5) is (place != number) else 0.1
            rows.append(f"t{place}-{number},{'bright' if number < 5 else 'dark'},{place},,,{1 - p:.1f},{p}")
    if len(classes) == 2:
        text = "\n".join(rows).replace("dark", classes[0]).replace("bright", classes[1])
        (folder / "test_predictions.csv").write_text(text + "\n")
    return folder


def make_image(path, *, at=CORNER, shift_px=(0, 0), gain=1.0, seed=0):
    """Write a textured image whose content lies ``shift_px`` to the right and below of where it lies in truth."""
    noise = np.random.default_rng(seed).normal(size=(400, 400))
    ground = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.0, 3.0, 8.0))
    side = round(ROWS * CELL_M / GSD_M)
    left, top = (100 - shift for shift in shift_px)
    seen = np.clip(120 + 40 * gain * ground[top : top + side, left : left + side], 0, 255).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:32612",
        transform=Affine(GSD_M, 0, at[0], 0, -GSD_M, at[1]),
    ) as file:  # fmt: skip
        file.write(np.stack([seen] * 3))
    return path


def in_halves(path):
    """Cut an image in two, west and east, and return their paths; the image is no more."""
    halves = []
    with rasterio.open(path) as file:
        pixels, profile, middle = file.read(), file.profile, file.width // 2
    for name, part, left in (("west", pixels[:, :, :middle], 0), ("east", pixels[:, :, middle:], middle)):
        at = profile["transform"] @ Affine.translation(left, 0)
        halves.append(path.with_name(f"{path.stem}-{name}.tif"))
        with rasterio.open(halves[-1], "w", **profile | {"width": part.shape[2], "transform": at}) as file:
            file.write(part)
    path.unlink()
    return halves


def make_date(
    name, p, *, model=Path("model"), images=(), at=CORNER, cell=CELL_M, crs="EPSG:32612", classes=CLASSES, support=None, **more
):
    """Write the files of a map that a comparison reads, of the probability of its second class."""
    folder, p = Path("maps") / name, np.asarray(p, np.float32)
    folder.mkdir(parents=True)
    said = [1 - p, p, *[np.zeros_like(p)] * (len(classes) - 2)]
    with rasterio.open(
        folder / "presence.tif", "w", driver="GTiff", width=p.shape[1], height=p.shape[0], count=len(said), dtype="float32",
        crs=crs, transform=Affine(cell, 0, at[0], 0, -cell, at[1]), nodata=np.nan,
    ) as file:  # fmt: skip
        file.write(np.stack(said))
        file.descriptions = [f"probability of {one}" for one in classes]
    (folder / "presence.gpkg").touch()
    summary = {
        "schema_version": 3, "cell_m": cell, "support_m": support or cell, "images": [path.name for path in images],
        "occupied": {one: {} for one in classes[1:]}, **more,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    write_provenance(folder, "map", {"views": 1, "prevalence": None}, [*images, model])
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, with a model."""
    monkeypatch.chdir(tmp_path)
    make_model(Path("model"))
    return tmp_path


@pytest.fixture
def two(here):
    """Maps ``maps/old`` and ``maps/new`` of images that lie as they should."""
    make_date("old", AT_FIRST, images=[make_image(Path("old.tif"))])
    make_date("new", LATER, images=[make_image(Path("new.tif"), gain=0.8)])
    return here
