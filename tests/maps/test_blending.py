"""Overlapping tiles blended. Tiles are of 4 px, cells of 2: a cell lies in its own tile, and half of it in the next ones."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely import box

from spurgekit.errors import InputError
from spurgekit.maps import MapOptions, map_site
from spurgekit.maps.blending import FLOOR, blend_weights
from tests.maps.brightness import brightness_model, p_bright

SIDE = ((1 - FLOOR) * (1 / 2 - 1 / np.pi) + FLOOR) / (2 + 2 * FLOOR)
"""Of a cell beside a tile's own: the part of a Hann window with a floor over its last quarter."""

MIDDLE = 1 - 2 * SIDE


def mapped(folder, image, make_tif, **options):
    site = make_tif(folder / "site.tif", image, **({"colours": ("red", "green", "blue", "alpha")} if len(image) == 4 else {}))
    made = map_site(site, brightness_model(4, bands=3), folder / "map", MapOptions(blend=True, **{"stride_px": 2, **options}))
    with rasterio.open(made.folder / "presence.tif") as file:
        return made, file.read(), file.descriptions


def columns(*bright, rows=4):
    """An image of columns of 2 x 2 px cells."""
    return np.kron(np.tile(np.array(bright, np.uint8), (rows, 1)), np.ones((2, 2), np.uint8))[None].repeat(3, axis=0)


class TestWeights:
    @pytest.mark.parametrize(
        ("tile_px", "stride_px", "cells"), [(4, 4, 1), (4, 2, 3), (6, 2, 3), (8, 2, 5), (250, 16, 17), (5, 1, 5)]
    )
    def test_are_positive_wherever_a_tile_has_some_of_a_cell(self, tile_px, stride_px, cells):
        weights = blend_weights(tile_px, stride_px)
        assert len(weights) == cells
        assert (weights > 0).all()
        assert weights.sum() == pytest.approx(1)
        assert weights.tolist() == pytest.approx(weights[::-1].tolist())
        assert weights.argmax() == cells // 2

    def test_by_hand(self):
        assert blend_weights(4, 2) == pytest.approx([SIDE, MIDDLE, SIDE])
        assert pytest.approx(0.106, abs=1e-4) == SIDE


class TestCells:
    def test_are_told_by_all_tiles_that_hold_some_of_them(self, tmp_path, make_tif):
        """Six columns of cells. The tile around one has half of it, and a quarter of each neighbour; it moves in at the rim."""
        bright = np.array([60, 60, 60, 140, 140, 140])
        made, bands, titles = mapped(tmp_path, columns(*bright), make_tif)
        tiles = p_bright([60, 60, 80, 120, 140, 140])
        assert titles == (
            "probability of dark",
            "probability of bright",
            "uncertainty (entropy, 0 to 1)",
            "probability of dark in the tile around",
            "probability of bright in the tile around",
        )
        assert bands[4] == pytest.approx(np.tile(tiles, (4, 1)), abs=1e-5)
        inner = SIDE * tiles[:-2] + MIDDLE * tiles[1:-1] + SIDE * tiles[2:]
        ends = (MIDDLE * tiles[[0, -1]] + SIDE * tiles[[1, -2]]) / (MIDDLE + SIDE)
        expected = [ends[0], *inner, ends[1]]
        assert bands[1] == pytest.approx(np.tile(expected, (4, 1)), abs=1e-5)
        assert bands[0] == pytest.approx(1 - bands[1], abs=1e-6)
        # Areas are of tiles, as without it: those of 120 and 140 are bright.
        assert made.occupied["bright"].counted_m2 == pytest.approx(0.5 * made.mapped_m2)

    def test_count_by_their_share_of_data_and_not_where_they_have_none(self, tmp_path, make_tif):
        """Of five columns of cells the third has half of its pixels, the fourth none. Pixels without data are as the rest."""
        image = columns(60, 60, 140, 0, 140)
        alpha = np.full((1, *image.shape[1:]), 255, np.uint8)
        alpha[:, :, 5:8] = 0
        _, bands, _ = mapped(tmp_path, np.concatenate([image, alpha]), make_tif)
        assert np.isnan(bands[:, :, 3]).all()
        tiles = bands[4, 0]
        own, beside = bands[1, 1, 2], (MIDDLE * 0.5 * tiles[2] + SIDE * tiles[1]) / (MIDDLE * 0.5 + SIDE)
        assert own == pytest.approx(beside, abs=1e-5)
        assert bands[1, 1, 4] == pytest.approx(tiles[4], abs=1e-6)

    def test_in_an_area_of_interest_are_those_of_the_whole_map(self, tmp_path, make_tif):
        """Of two patches with rows between them that nobody wants."""
        image = np.random.default_rng(0).integers(20, 230, (3, 60, 40)).astype(np.uint8)
        for name in "ab":
            (tmp_path / name).mkdir()
        whole = mapped(tmp_path / "a", image, make_tif)[1]
        x, y = 500_000, 5_000_000
        patches = [box(x + 0.1, y - 0.1, x + 0.2, y - 0.04), box(x + 0.16, y - 0.56, x + 0.3, y - 0.5)]
        gpd.GeoDataFrame(geometry=patches, crs="EPSG:32612").to_file(tmp_path / "aoi.gpkg")
        part = mapped(tmp_path / "b", image, make_tif, aoi=tmp_path / "aoi.gpkg")[1]
        own = whole[:, 2:28, 5:15]
        wanted = np.zeros(own.shape[1:], bool)
        wanted[:3, :5] = wanted[23:, 3:] = True
        assert part.tobytes() == np.where(wanted, own, np.float32(np.nan)).tobytes()


class TestWhatCannotBe:
    def test_tiles_that_do_not_overlap(self, tmp_path, make_tif):
        with pytest.raises(InputError, match="`blend` is of tiles that overlap; pass cells smaller than a tile with `str"):
            MapOptions(blend=True)
        with pytest.raises(InputError, match="`blend` is of tiles that overlap, and cells are as large as tiles"):
            mapped(tmp_path, columns(60, 60), make_tif, stride_px=4)
        assert [path.name for path in tmp_path.iterdir()] == ["site.tif"]

    def test_cells_finer_than_tiles(self):
        with pytest.raises(InputError, match="`blend` is of tiles that overlap"):
            MapOptions(blend=True, resolution="fine")


def test_the_record_says_so(tmp_path, make_tif):
    made, _, _ = mapped(tmp_path, columns(60, 60), make_tif)
    assert json.loads((made.folder / "provenance.json").read_text())["parameters"]["blend"] is True
