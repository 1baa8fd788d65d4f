"""Tiles of real orthomosaics."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from spurgekit.imagery import Window
from spurgekit.tiles import TileOptions, read_tiles, tile_images
from tests.command import refuse, succeed
from tests.tiles import read_tile

SIZE = 250


@pytest.fixture(scope="module")
def dune(data, tmp_path_factory):
    """The kite's orthomosaic on a grid: its folder, its report, and the file's own pixels."""
    folder = tmp_path_factory.mktemp("dune") / "tiles"
    report = tile_images([data / "copr" / "site.tif"], folder, TileOptions(layout="grid"))
    with rasterio.open(data / "copr" / "site.tif") as file:
        return folder, report, file.read()


class TestDune:
    def test_every_valid_pixel_is_covered_exactly_once(self, dune):
        folder, _, pixels = dune
        valid = pixels[3] > 0
        counts = np.zeros((5400 + SIZE, 5400 + SIZE), np.uint8)
        index = read_tiles(folder)
        for col, row in zip(index["col_off"], index["row_off"], strict=True):
            counts[Window(col, row, SIZE, SIZE).slices] += 1
        counts = counts[: valid.shape[0], : valid.shape[1]]
        assert (counts[valid] == 1).all()
        assert counts.max() == 1
        assert valid.sum() == round(index["valid_fraction"].sum() * SIZE**2)

    def test_footprints_add_up_to_the_ground(self, dune):
        folder, _, _ = dune
        index = read_tiles(folder)
        assert index.geometry.area.sum() == pytest.approx(222 * (SIZE * 0.01) ** 2)
        assert index.union_all().area == pytest.approx(222 * (SIZE * 0.01) ** 2, rel=1e-6)  # so none overlap

    def test_every_tile_is_the_files_pixels_where_valid_and_black_elsewhere(self, dune):
        folder, report, pixels = dune
        padded = np.pad(np.where(pixels[3] > 0, pixels[:3], 0), ((0, 0), (0, SIZE), (0, SIZE)))
        index = read_tiles(folder)
        for name, col, row in zip(index["file_name"], index["col_off"], index["row_off"], strict=True):
            assert (read_tile(folder / name) == padded[:, row : row + SIZE, col : col + SIZE]).all()
        assert len(index) == report.written == len(list(folder.glob("site_*.png"))) == 222
        assert report.sites[0].empty == 22 * 21 - 222  # of 5400 x 5200 px

    def test_qgis_finds_the_tiles_on_the_ground(self, dune, data):
        folder, _, _ = dune
        package = gpd.read_file(folder / "tiles.gpkg")
        assert package.crs.to_authority() == ("EPSG", "32611")
        with rasterio.open(data / "copr" / "site.tif") as file:
            for _, row in package.iterrows():
                west, north = file.transform @ (row["col_off"], row["row_off"])
                assert row.geometry.bounds == pytest.approx((west, north - 2.5, west + 2.5, north))

    def test_a_tile_around_each_plant(self, data, tmp_path):
        points = gpd.read_file(data / "copr" / "plant_points.gpkg")
        out = succeed(
            "tile", data / "copr" / "site.tif", "--layout", "points", "--points", data / "copr" / "plant_points.gpkg",
            "--size", 50, "--out", tmp_path / "tiles",
        )  # fmt: skip
        index = read_tiles(tmp_path / "tiles")
        assert "294 png tiles" in out
        assert len(index) == 294
        assert index["idx"].tolist() == points["idx"].tolist()
        assert index["label"].value_counts().to_dict() == {"present": 150, "absent": 144}
        off = index.geometry.centroid.distance(points.geometry)
        assert off.max() <= 0.01 * np.sqrt(0.5) + 1e-6  # half a pixel to the east and half a pixel to the north


@pytest.mark.parametrize(
    ("name", "size", "tiles", "suffix", "epsg"),
    [
        ("australia/australia.tif", 250, 12, ".png", 32753),
        ("plantcv/rgb.tif", 250, 3, ".png", 32615),
        ("plantcv/615.tif", 50, None, ".tif", None),
    ],
)
def test_other_orthomosaics(data, tmp_path, name, size, tiles, suffix, epsg):
    succeed("tile", data / "orthos" / name, "--size", size, "--out", tmp_path / "tiles")
    index = read_tiles(tmp_path / "tiles")
    assert tiles is None or len(index) == tiles
    assert epsg is None or index.crs.to_epsg() == epsg
    assert {path.suffix for path in map(tmp_path.joinpath, index["file_name"])} == {suffix}
    assert index["valid_fraction"].between(0, 1, inclusive="right").all()
    for name, share in zip(index["file_name"], index["valid_fraction"], strict=True):
        pixels = read_tile(tmp_path / "tiles" / name)
        assert pixels.shape[1:] == (size, size)
        some = np.isfinite(pixels).all(axis=0) if suffix == ".tif" else pixels.any(axis=0)
        assert some.mean() == pytest.approx(share, abs=0.01)  # black ground is valid, too


def test_an_image_without_a_place_gives_one_line(data, tmp_path, monkeypatch):
    image = data.resolve() / "orthos" / "plantcv" / "rgb_uint16.tif"
    monkeypatch.chdir(tmp_path)
    line = refuse("tile", image)
    assert "rgb_uint16.tif is not georeferenced" in line
