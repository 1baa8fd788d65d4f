"""The images of the Leafy Spurge Dataset's config ``orthomosaic``, cut from one drawn site as they are, laid together again."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from spurgekit.dataset import fetch_orthomosaic
from spurgekit.errors import InputError
from spurgekit.imagery import Window, open_raster
from tests.command import refuse, succeed
from tests.conftest import CORNER

GSD_M, SIDE = 0.0128, 16
PLACES = ((1, 0), (0, 1), (2, 2))
"""Columns and rows of squares of the site that there are images of."""


def grid_at(col: float, row: float, gsd: float = GSD_M) -> Affine:
    return Affine(gsd, 0, CORNER[0] + col * GSD_M, 0, -gsd, CORNER[1] - row * GSD_M)


@pytest.fixture
def site() -> np.ndarray:
    """Return a site of 3 x 3 squares."""
    return np.random.default_rng(0).integers(1, 255, (3, 3 * SIDE, 3 * SIDE), np.uint8)


@pytest.fixture
def copy(tmp_path, make_tif, site):
    """Return a copy of the repository with images of some squares."""
    folder = tmp_path / "copy" / "data" / "orthomosaic"
    folder.mkdir(parents=True)
    for number, (col, row) in enumerate(PLACES):
        pixels = site[:, row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE]
        make_tif(folder / f"{number}.tif", pixels, transform=grid_at(col * SIDE, row * SIDE))
    return tmp_path / "copy"


def test_images_lie_where_they_were_cut_and_the_rest_has_no_data(copy, tmp_path, site):
    laid = fetch_orthomosaic(copy, tmp_path / "laid")
    assert (laid.images, laid.grid.width, laid.grid.height) == (3, 48, 48)
    assert laid.covered == pytest.approx(1 / 3)
    assert laid.grid.gsd_m == pytest.approx(GSD_M)
    with open_raster(laid.file) as raster:
        pixels, valid = raster.read(raster.grid.window)
        assert raster.validity == "mask"
        assert raster.rgb == (1, 2, 3)
        assert raster.grid.to_pixel(*CORNER) == pytest.approx((0, 0), abs=1e-6)
    expected = np.zeros((48, 48), bool)
    for col, row in PLACES:
        expected[row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE] = True
    assert (valid == expected).all()
    assert (pixels == site * expected).all()


def test_alpha_stays_alpha(tmp_path, make_tif, site):
    folder = tmp_path / "copy" / "data" / "orthomosaic"
    folder.mkdir(parents=True)
    alpha = np.full((1, SIDE, SIDE), 255, np.uint8)
    alpha[:, :, :4] = 0
    colours = ("red", "green", "blue", "alpha")
    for number, col in enumerate((0, 2)):
        pixels = np.concatenate([site[:, :SIDE, col * SIDE : (col + 1) * SIDE], alpha])
        make_tif(folder / f"{number}.tif", pixels, transform=grid_at(col * SIDE, 0), colours=colours)
    with open_raster(fetch_orthomosaic(tmp_path / "copy", tmp_path / "laid").file) as raster:
        assert raster.validity == "alpha band"
        _, valid = raster.read(Window(0, 0, 48, 1))
    assert np.flatnonzero(valid[0]).tolist() == [*range(4, 16), *range(36, 48)]


def test_it_is_a_command(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = succeed("dataset", "fetch", copy, "--orthomosaic")
    assert "orthomosaic.vrt: 48 x 48 px of 1.28 cm, 33% of them in 3 images; the rest has no data" in said
    assert f"the images stay in {copy / 'data' / 'orthomosaic'}; keep them there" in said
    assert "layout  grid" in succeed("tile", "leafy-spurge-orthomosaic/orthomosaic.vrt", "--size", 16, "--layout", "grid")
    assert "leave --configs out" in refuse("dataset", "fetch", copy, "--orthomosaic", "--configs", "crop")
    assert "--orthomosaic is of the Leafy Spurge" in refuse("dataset", "fetch", "mpg-ranch/drone-lsr", "--orthomosaic")


class TestRefused:
    def refusal(self, copy):
        with pytest.raises(InputError) as caught:
            fetch_orthomosaic(copy, copy.parent / "laid")
        assert not (copy.parent / "laid").exists()
        return str(caught.value)

    def test_no_images(self, tmp_path):
        (tmp_path / "copy").mkdir()
        assert "holds no GeoTIFF; pass a copy of mpg-ranch/leafy_spurge" in self.refusal(tmp_path / "copy")

    def test_images_that_say_nothing_of_where_they_lie(self, copy, make_tif):
        for number in range(2):
            make_tif(
                copy / f"data/orthomosaic/9{number}.tif", np.ones((3, 4, 4), np.uint8), crs=None, transform=Affine.identity()
            )
        assert "as 2 images of 5 do not: they cannot be laid together; take them" in self.refusal(copy)

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ({"transform": grid_at(3.4, 0)}, "lies between the pixels"),
            ({"transform": grid_at(0, 0, gsd=0.02)}, "has another CRS, size of pixels or bands"),
            ({"transform": grid_at(0, 0), "crs": "EPSG:32613"}, "has another CRS"),
        ],
    )
    def test_images_of_something_else(self, copy, make_tif, how, said):
        make_tif(copy / "data/orthomosaic/9.tif", np.ones((3, 4, 4), np.uint8), **how)
        assert said in self.refusal(copy)

    def test_what_is_no_image(self, copy):
        (copy / "data/orthomosaic/9.tif").write_bytes(b"II*\0")
        assert "9.tif is no GeoTIFF that can be read" in self.refusal(copy)
