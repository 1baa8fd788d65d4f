"""Photos, frames and mosaics, of which what says how the rest is to be read is damaged."""

import io

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from hypothesis import strategies as st
from PIL.TiffImagePlugin import IFDRational

from spurgekit.dataset.raster_labels import is_raster, labels_from_raster
from spurgekit.imagery import PixelGrid, Window
from spurgekit.imagery.exif import read_exif
from spurgekit.imagery.image_info import format_info, read_image_info
from spurgekit.imagery.xmp import parse_xmp, read_xmp
from tests.conftest import write_tif
from tests.fuzz import fuzz
from tests.imagery.photos import CAMERA, DRONE, MERIDIAN, XMP, packet, photo

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of GDAL's messages, not in UTF-8

METADATA_BYTES = 1200
"""Of each file that are changed: those that say how the rest is to be read."""

BYTES = st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255)
CHANGES = st.lists(
    st.tuples(st.integers(0, METADATA_BYTES - 1), st.sampled_from(["set", "insert", "delete"]), st.lists(BYTES, max_size=8)),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A drone's JPEG and TIFF, and a mosaic with alpha and nodata."""
    folder = tmp_path_factory.mktemp("fuzz")
    camera = {**CAMERA, "DateTimeOriginal": "2023:06:23 16:33:27", "ExposureTime": IFDRational(1, 500)}
    said = {"base": {**DRONE, "Orientation": 6}, "camera": camera, "gps": MERIDIAN}
    noise = np.random.default_rng(0).integers(0, 255, (4, 40, 50), np.uint8)
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate", "nodata": 0}
    return {
        "jpg": photo(folder / "photo.jpg", **said, xmp=XMP).read_bytes(),
        "tif": photo(folder / "photo.tif", **said).read_bytes(),
        "mosaic.tif": write_tif(folder / "mosaic.tif", noise, colours=("red", "green", "blue", "alpha"), **layout).read_bytes(),
    }


def changed(data, changes):
    raw = bytearray(data)
    for at, how, values in changes:
        if how == "set":
            raw[at : at + len(values)] = bytes(values)
        elif how == "insert":
            raw[at:at] = bytes(values)
        else:
            del raw[at : at + len(values)]
    return bytes(raw)


@pytest.mark.parametrize("kind", ["jpg", "tif", "mosaic.tif"])
def test_images(tmp_path_factory, originals, kind):
    path = tmp_path_factory.mktemp("changed") / f"a.{kind.split('.')[-1]}"

    def attempt(changes):
        path.write_bytes(changed(originals[kind], changes))
        format_info(read_image_info(path))

    fuzz(f"images, {kind}", CHANGES, attempt, examples=150)


def test_the_metadata_of_photos(originals):
    def attempt(changes):
        data = changed(originals["jpg"], changes)
        read_exif(io.BytesIO(data))
        read_xmp(io.BytesIO(data))

    fuzz("EXIF and XMP of a JPEG", CHANGES, attempt, examples=300)


def test_xmp():
    fuzz("XMP", CHANGES, lambda changes: parse_xmp(changed(packet(XMP), changes)), examples=300)


def test_rasters_of_classes(tmp_path):
    path = write_tif(tmp_path / "weed.tif", np.random.default_rng(0).integers(0, 2, (1, 40, 50), np.uint8), nodata=255)
    with rasterio.open(path) as file:
        grid = PixelGrid(file.width, file.height, file.transform, file.crs)
    windows = [Window(col, row, 20, 20) for row in (0, 20) for col in (0, 20, 40)]
    tiles = gpd.GeoDataFrame(
        {"tile_id": list("abcdef"), "size_px": 20, "gsd_m": grid.gsd_m},
        geometry=[grid.footprint(window) for window in windows],
        crs=grid.crs.to_wkt(),
    )
    whole = path.read_bytes()

    def attempt(changes):
        path.write_bytes(changed(whole, changes))
        if not is_raster(path):
            return
        found = labels_from_raster(tiles, path, classes=("sand", "weed"), min_cover=0.05)
        assert found.cover.dropna().between(0, 1).all()
        for mask in found.ground.draw(range(len(tiles)), ("sand", "weed")):
            assert mask.shape == (20, 20)
            assert set(np.unique(mask)) <= {0, 1, 255}

    fuzz("rasters of classes", CHANGES, attempt, examples=60)
