"""Maps on cells of a round size, on multiples of it: those of other dates and sites lie on the same ones."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from spurgekit.errors import InputError
from spurgekit.maps import MapOptions, map_site
from tests.maps.brightness import brightness_model, p_bright

FIELDS = np.array([[60, 100, 140, 40], [180, 20, 90, 220], [80, 30, 160, 70]])


def mapped(image, folder, model, cell_m):
    made = map_site(image, model, folder, MapOptions(cell_m=cell_m))
    with rasterio.open(made.folder / "presence.tif") as file:
        return file.read(2), file.transform, made


class TestCells:
    @pytest.mark.parametrize(("left_px", "top_px"), [(0, 0), (3, 2), (0.5, 0.25), (7.3, 5.9)])
    def test_corners_are_multiples_of_their_side(self, tmp_path, make_tif, left_px, top_px):
        image = np.full((1, 30, 41), 140, np.uint8)
        transform = Affine(0.01, 0, 500_000 + 0.01 * left_px, 0, -0.01, 5_000_000 - 0.01 * top_px)
        found, cells, made = mapped(
            make_tif(tmp_path / "a.tif", image, transform=transform), tmp_path / "map", brightness_model(8), 0.08
        )
        assert (cells.a, cells.e, cells.b, cells.d) == (0.08, -0.08, 0, 0)
        assert (cells.c / 0.08, cells.f / 0.08) == pytest.approx((round(cells.c / 0.08), round(cells.f / 0.08)), abs=1e-6)
        assert 500_000 + 0.01 * left_px - 0.08 < cells.c <= 500_000 + 0.01 * left_px + 1e-9
        assert 5_000_000 - 0.01 * top_px + 0.08 > cells.f >= 5_000_000 - 0.01 * top_px - 1e-9
        assert found[np.isfinite(found)] == pytest.approx(p_bright(140), abs=1e-5)
        assert made.image_m2 == pytest.approx(0.3 * 0.41, rel=0.03)

    def test_fields_that_lie_on_them_are_read_as_they_are(self, tmp_path, make_tif):
        image = np.kron(FIELDS, np.ones((8, 8))).astype(np.uint8)[None]
        found, cells, made = mapped(make_tif(tmp_path / "a.tif", image), tmp_path / "map", brightness_model(8), 0.08)
        assert (cells.c, cells.f) == (500_000, 5_000_000)
        assert found == pytest.approx(p_bright(FIELDS), abs=1e-5)
        assert made.notes == ()

    def test_a_part_that_was_cut_anywhere_has_the_same_cells(self, tmp_path, make_tif):
        image = np.random.default_rng(1).integers(1, 256, (1, 160, 200)).astype(np.uint8)
        site = make_tif(tmp_path / "site.tif", image)
        part = make_tif(
            tmp_path / "part.tif",
            image[:, 13:121, 29:167],
            transform=Affine(0.01, 0, 500_000.29, 0, -0.01, 5_000_000 - 0.13),
        )
        whole, all_cells, _ = mapped(site, tmp_path / "whole", brightness_model(8), 0.08)
        found, cells, _ = mapped(part, tmp_path / "map", brightness_model(8), 0.08)
        left, top = (round(value) for value in ~all_cells @ (cells.c, cells.f))
        assert (left, top) == (3, 1)
        inner = np.s_[2:-2, 2:-2]  # at its rim a cell has less to see
        np.testing.assert_array_equal(found[inner], whole[top : top + found.shape[0], left : left + found.shape[1]][inner])

    def test_a_turned_image_has_them_north_up(self, tmp_path, make_tif):
        turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(0.01, -0.01)
        image = make_tif(tmp_path / "a.tif", np.full((1, 80, 120), 140, np.uint8), transform=turned)
        found, cells, made = mapped(image, tmp_path / "map", brightness_model(8), 0.08)
        assert (cells.b, cells.d) == (0, 0)
        assert found[np.isfinite(found)] == pytest.approx(p_bright(140), abs=1e-4)
        assert made.image_m2 == pytest.approx(0.8 * 1.2, rel=0.03)

    def test_smaller_ones_than_tiles(self, tmp_path, make_tif):
        found, cells, made = mapped(
            make_tif(tmp_path / "a.tif", np.full((1, 32, 32), 90, np.uint8)), tmp_path / "map", brightness_model(8), 0.04
        )
        assert (cells.a, found.shape) == (0.04, (8, 8))
        assert made.support_m == pytest.approx(0.08)

    def test_feet_are_counted_in_metres(self, tmp_path, make_tif):
        foot = 0.3048
        transform = Affine(0.01 / foot, 0, 1_500_000.1, 0, -0.01 / foot, 600_000.3)
        image = make_tif(tmp_path / "a.tif", np.full((1, 32, 32), 140, np.uint8), transform=transform, crs="EPSG:2256")
        _, cells, made = mapped(image, tmp_path / "map", brightness_model(8), 0.08)
        assert cells.a * foot == pytest.approx(0.08)
        assert cells.c * foot / 0.08 == pytest.approx(round(cells.c * foot / 0.08), abs=1e-4)
        assert made.cell_m == pytest.approx(0.08)


class TestPixels:
    def test_that_are_not_those_of_the_training_are_said(self, tmp_path, make_tif):
        """0.2 m are 15.6 px of 1.28 cm: of tiles of 40 px, whose cells are even, 16 of 1.25 cm."""
        model = brightness_model(40, gsd_m=0.0128)
        image = make_tif(tmp_path / "a.tif", np.full((1, 100, 100), 140, np.uint8))
        _, cells, made = mapped(image, tmp_path / "map", model, 0.2)
        assert cells.a == 0.2
        assert made.notes == ("pixels are read as 12.5 mm, not 12.8 as in training: 16 make a cell",)

    @pytest.mark.parametrize(
        ("cell_m", "says"),
        [
            (0.5, r"cells of 0\.5 m are larger than tiles, of 0\.08 m; pass a smaller `cell_m`"),
            (
                0.05,
                r"cells of 0\.05 m are no whole number of pixels near the model's 0\.01 m; pass `cell_m=0\.04`, or a larger",
            ),
            (0.001, r"cells of 0\.001 m are no whole number of pixels .* pass `cell_m=0\.02`"),
        ],
    )
    def test_cells_that_cannot_be(self, tmp_path, make_tif, cell_m, says):
        image = make_tif(tmp_path / "a.tif", np.full((1, 32, 32), 140, np.uint8))
        with pytest.raises(InputError, match=says):
            map_site(image, brightness_model(8), tmp_path / "map", MapOptions(cell_m=cell_m))
        assert not (tmp_path / "map").exists()

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"cell_m": 0.0}, "`cell_m=0.0` is no side of a cell"),
            ({"cell_m": -1.0}, "`cell_m=-1.0` is no side of a cell"),
            ({"cell_m": float("nan")}, "`cell_m=nan` is not a number"),
            ({"cell_m": 0.5, "stride_px": 50}, "`cell_m` and `stride_px` both say how large cells are"),
            ({"cell_m": 0.5, "resolution": "fine"}, "`cell_m` and `resolution=fine` both say"),
        ],
    )
    def test_options_that_cannot_be(self, options, says):
        with pytest.raises(InputError, match=says):
            MapOptions(**options)
