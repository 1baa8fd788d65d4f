"""The way from imagery of other bands than RGB to a map: reflectance in floats and in whole numbers, and elevation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from spurgekit.classify import read_model_info
from spurgekit.classify.tile_reader import TileKind, read_tile
from spurgekit.dataset import open_dataset
from spurgekit.imagery import Window, open_raster
from spurgekit.maps import load_map_model
from tests.chain import BACKBONE
from tests.command import refuse, succeed

RED, NIR = 2, 4


@dataclass(frozen=True)
class Sort:
    """An image, real unless it is drawn, and what is to be found on it: tiles whose value lies above the median."""

    kind: TileKind
    value: Callable[[NDArray[np.float32]], float]
    size_px: int
    gsd_m: float
    drawn: bool = False


def greenness(tile):
    """The vegetation index of what is seen of a tile, with NaN where there is no data."""
    return float(np.nanmean((tile[NIR] - tile[RED]) / (tile[NIR] + tile[RED])))


def height(tile):
    return float(np.nanmean(tile))


SORTS = {
    "reflectance in floats": Sort(TileKind(5, "float32"), greenness, 12, 0.0355),
    "reflectance in whole numbers": Sort(TileKind(5, "uint16"), greenness, 12, 0.0355),
    "elevation": Sort(TileKind(1, "float32"), height, 20, 0.0426),
    "drawn reflectance": Sort(TileKind(5, "float32"), greenness, 12, 0.0355, drawn=True),
}


def draw_reflectance(side: int, size_px: int) -> NDArray[np.float32]:
    """Return five bands of a square of tiles, half of them green; below the diagonal there is no data."""
    rng = np.random.default_rng(0)
    green = rng.permutation(np.arange(side**2) % 2).reshape(side, side)
    means = np.array([0.05, 0.1, 0.1, 0.2, 0.3])[:, None, None] + np.multiply.outer([0, 0.02, -0.05, 0, 0.2], green)
    pixels = np.kron(means, np.ones((size_px, size_px))) * rng.uniform(0.8, 1.2, (5, side * size_px, side * size_px))
    pixels[:, np.tri(side * size_px, dtype=bool)] = np.nan
    return pixels.astype(np.float32)


def write_whole_numbers(source: Path, path: Path) -> Path:
    """Write a reflectance as cameras' software does: times 10,000, with a number that stands for no data."""
    with rasterio.open(source) as file:
        pixels, seen, profile = file.read(), file.dataset_mask() > 0, file.profile
    profile |= {"dtype": "uint16", "nodata": 65535}
    with rasterio.open(path, "w", **profile) as out:
        out.write(np.where(seen, np.round(10_000 * pixels), 65535).astype(np.uint16))
    return path


@dataclass(frozen=True)
class Walk:
    """What the commands made of an image."""

    sort: Sort
    image: Path
    folder: Path

    @property
    def tiles(self):
        """The index of the tiles, with the pixels of each."""
        index = gpd.read_parquet(self.folder / "tiles" / "tiles.parquet")
        return index, [read_tile(self.folder / "tiles" / name) for name in index["file_name"]]


@pytest.fixture(scope="module", params=SORTS)
def walk(request, make_tif, tmp_path_factory):
    """From an image to a map with the commands; labels are computed from the tiles' pixels, and lie in a file of points."""
    sort, folder = SORTS[request.param], tmp_path_factory.mktemp("bands")
    if sort.drawn:
        image = make_tif(folder / "site.tif", draw_reflectance(18, sort.size_px), gsd=sort.gsd_m, nodata=np.nan)
        backbone = (BACKBONE, "--no-pretrained")
    else:
        data = request.getfixturevalue("data")
        image = data / "orthos" / "plantcv" / ("gray.tif" if sort.value is height else "615.tif")
        if sort.kind.dtype == "uint16":
            image = write_whole_numbers(image, folder / "615.tif")
        backbone = (
            "mobilenetv2_035", "--weights", data / "weights" / "mobilenetv2_035" / "model.safetensors",
            "--backbone-option", "pad_type=same", "--backbone-option", "bn_eps=1e-3",
        )  # fmt: skip
    made = Walk(sort, image, folder)
    succeed(
        "tile", image, "--layout", "grid", "--size", sort.size_px, "--gsd", sort.gsd_m, "--min-valid", 0.5,
        "--out", folder / "tiles",
    )  # fmt: skip
    index, pixels = made.tiles
    values = np.array([sort.value(np.where(tile.any(axis=0), tile, np.float32(np.nan))) for tile in pixels])
    labels = np.where(values > np.median(values), "much", "little")
    points = gpd.GeoDataFrame({"label": labels}, geometry=index.geometry.centroid, crs=index.crs)
    points.to_file(folder / "points.gpkg")
    succeed(
        "build-dataset", folder / "tiles", "--labels", folder / "points.gpkg", "--classes", "little,much",
        "--out", folder / "dataset",
    )  # fmt: skip
    succeed("train", folder / "dataset", "--backbone", *backbone, "--image-size", 64, "--out", folder / "model")
    output = succeed("map", image, "--model", folder / "model", "--out", folder / "map")
    assert f"in cells of {sort.size_px * sort.gsd_m:.2f} m" in output
    return made


class TestDataset:
    def test_tiles_are_as_they_were_cut(self, walk):
        train = open_dataset(walk.folder / "dataset").split("train")
        assert {TileKind.of(read_tile(path)) for path in train["path"]} == {walk.sort.kind}
        for tile in train.itertuples():
            assert tile.path.read_bytes() == (walk.folder / "tiles" / f"{tile.tile_id}.tif").read_bytes()

    def test_contact_sheets_show_them(self, walk, tmp_path):
        with Image.open(walk.folder / "dataset" / "contact_sheet.png") as sheet:
            assert len(sheet.convert("RGB").getcolors(1 << 24)) > 100
        succeed("preview", walk.folder / "dataset", "--out", tmp_path / "preview")
        with Image.open(tmp_path / "preview" / "train_1-much.png") as sheet:
            assert len(sheet.convert("RGB").getcolors(1 << 24)) > 100


class TestModel:
    def test_it_tells_on_ground_not_seen_before(self, walk):
        # Half of the tiles lie near the median, where the classes meet; how well the rest is ranked does not hang on it.
        assert read_model_info(walk.folder / "model").held_out.metrics["auroc"] >= 0.85

    def test_it_knows_the_bands_as_the_training_tiles_have_them(self, walk):
        info = read_model_info(walk.folder / "model")
        assert TileKind(info.bands, info.dtype) == walk.sort.kind
        paths = open_dataset(walk.folder / "dataset").split("train")["path"]
        pixels = np.concatenate([read_tile(path).reshape(info.bands, -1) for path in paths], axis=1).astype(np.float64)
        seen = pixels[:, np.isfinite(pixels).all(axis=0) & pixels.any(axis=0)]
        assert info.mean == pytest.approx(seen.mean(axis=1), rel=1e-6)
        assert info.std == pytest.approx(seen.std(axis=1), rel=1e-6)


class TestMap:
    def test_a_cell_is_what_the_model_says_of_the_tile_that_lies_there(self, walk):
        index, pixels = walk.tiles
        said = load_map_model(walk.folder / "model", "cpu").predict(np.stack(pixels))
        with rasterio.open(walk.folder / "map" / "presence.tif") as file:
            values = file.read([1, 2])
            places = [file.index(x, y) for x, y in zip(index.centroid.x, index.centroid.y, strict=True)]
            sides = file.transform.a, -file.transform.e
        rows, cols = np.array(places, int).T
        assert sides == pytest.approx([walk.sort.size_px * walk.sort.gsd_m] * 2)
        assert rows.tolist() == index["row"].tolist()
        assert cols.tolist() == index["col"].tolist()
        assert pytest.approx(said, abs=1e-4) == values[:, rows, cols].T

    def test_where_there_is_too_little_data_there_is_no_value(self, walk):
        size = walk.sort.size_px
        with (
            rasterio.open(walk.folder / "map" / "presence.tif") as file,
            open_raster(walk.image, gsd_m=walk.sort.gsd_m) as image,
        ):
            has_value = np.isfinite(file.read(1))
            _, valid = image.read(Window(0, 0, file.width * size, file.height * size))
        share = valid.reshape(has_value.shape[0], size, has_value.shape[1], size).mean(axis=(1, 3))
        np.testing.assert_array_equal(has_value, share >= 0.5)
        assert 0.2 < has_value.mean() < 0.8

    def test_products(self, walk):
        summary = json.loads((walk.folder / "map" / "summary.json").read_text())
        size = walk.sort.size_px
        with (
            rasterio.open(walk.folder / "map" / "presence.tif") as file,
            open_raster(walk.image, gsd_m=walk.sort.gsd_m) as image,
        ):
            little, much = file.read([1, 2])
            _, valid = image.read(Window(0, 0, file.width * size, file.height * size))
        ground = valid.reshape(much.shape[0], size, much.shape[1], size).sum(axis=(1, 3)) * walk.sort.gsd_m**2
        assert summary["mapped_m2"] == pytest.approx(ground[np.isfinite(much)].sum(), abs=1e-2)
        polygons = gpd.read_file(walk.folder / "map" / "presence.gpkg", layer="presence")
        assert polygons["area_m2"].sum() == pytest.approx(ground[much > little].sum(), abs=1e-2)
        with Image.open(walk.folder / "map" / "presence.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 100


class TestWhatDoesNotGoTogether:
    @pytest.mark.parametrize(
        ("count", "bands", "says"),
        [
            (5, None, "has 5 bands of float32, the model reads 3 of uint8; choose them with --bands"),
            (5, "3,2,1", "has 3 bands of float32, the model reads 3 of uint8; choose them with --bands"),
            (1, None, "has 1 band of float32, the model reads 3 of uint8; choose them with --bands"),
        ],
    )
    def test_a_model_of_rgb_and_other_images(self, make_tif, chain, tmp_path, count, bands, says):
        path = make_tif(tmp_path / "site.tif", draw_reflectance(2, 32)[:count])
        line = refuse("map", path, "--model", chain.model, *(("--bands", bands) if bands else ()))
        assert line.startswith(f"spurgekit: {path} {says}")

    def test_a_model_of_other_bands_and_an_image_of_rgb(self, make_tif, walk, tmp_path):
        path = make_tif(tmp_path / "rgb.tif", np.full((4, 40, 40), 255, np.uint8), colours=("red", "green", "blue", "alpha"))
        line = refuse("map", path, "--model", walk.folder / "model")
        wanted = walk.sort.kind
        assert (
            f"rgb.tif has 3 bands of uint8, the model reads {wanted.bands} of {wanted.dtype}; choose them with --bands" in line
        )

    def test_a_dataset_of_two_kinds_of_tiles(self, walk, tmp_path):
        copy = shutil.copytree(walk.folder / "dataset", tmp_path / "dataset")
        path = sorted(open_dataset(copy).split("train")["path"])[-1]
        with rasterio.open(path) as file:
            profile, pixels = file.profile, file.read()
        with rasterio.open(path, "w", **profile | {"count": len(pixels) + 1}) as out:
            out.write(np.concatenate([pixels, pixels[:1]]))
        has, wanted = TileKind(walk.sort.kind.bands + 1, walk.sort.kind.dtype), walk.sort.kind
        line = refuse("train", copy, "--no-pretrained", "--backbone", "resnet10t")
        assert f"{path.name} has {has}, others {wanted.bands} of {wanted.dtype} (such as " in line
