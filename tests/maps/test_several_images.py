"""One map of several images. Tiles of 4 px of 1 cm, cells on multiples of 4 cm; brightness says how likely the weed is."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine

from spurgekit.classify import load_model
from spurgekit.errors import InputError
from spurgekit.maps import MapOptions, map_site
from tests.chain import ROWS, TILE_PX, draw_site
from tests.command import refuse, succeed
from tests.maps.brightness import brightness_model, p_bright

X, Y = 500_000.0, 5_000_000.0


@pytest.fixture
def fields(tmp_path, make_tif):
    """Return what writes an image of fields of 4 x 4 px, so many fields right of the first one and below."""

    def write(name, bright, right=0, down=0, **options):
        pixels = np.kron(np.array(bright, np.uint8), np.ones((4, 4), np.uint8))[None].repeat(3, axis=0)
        at = Affine(0.01, 0, X + 0.04 * right, 0, -0.01, Y - 0.04 * down)
        return make_tif(tmp_path / name, pixels, transform=at, nodata=0, **options)

    return write


def read(folder):
    with rasterio.open(folder / "presence.tif") as file:
        return file.read(), file.transform


def test_lies_on_one_grid_and_the_first_has_its_way(tmp_path, fields):
    west = fields("west.tif", [[60, 140], [60, 0]])
    east = fields("east.tif", [[180, 60, 100], [140, 60, 180]], right=1, down=0)
    made = map_site([west, east], brightness_model(4, bands=3), tmp_path / "map")
    bands, transform = read(made.folder)
    assert transform.almost_equals(Affine(0.04, 0, X, 0, -0.04, Y), 1e-9)
    assert bands[1] == pytest.approx(p_bright([[60, 140, 60, 100], [60, 140, 60, 180]]), abs=1e-5)
    assert "of 1 cell several images have data: the first one named is mapped" in made.notes
    assert made.mapped_m2 == pytest.approx(8 * 0.0016)
    record = json.loads((made.folder / "provenance.json").read_text())
    assert list(record["inputs"]) == [str(west), str(east)]
    assert json.loads((made.folder / "summary.json").read_text())["images"] == ["west.tif", "east.tif"]


def test_between_images_that_lie_apart_nothing_is_mapped(tmp_path, fields):
    made = map_site(
        [fields("a.tif", [[140]]), fields("b.tif", [[60]], right=3, down=1)], brightness_model(4, bands=3), tmp_path / "m"
    )
    bands, _ = read(made.folder)
    expected = np.full((2, 4), np.nan)
    expected[0, 0], expected[1, 3] = p_bright([140, 60])
    assert bands[1] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_cut_in_two_a_site_gives_the_map_of_the_whole(chain, tmp_path, make_tif):
    """Tiles of cells at the cut see both halves."""
    site, cut = draw_site(), 5 * TILE_PX
    at = Affine(0.01, 0, X, 0, -0.01, Y)
    halves = [
        make_tif(tmp_path / "west.tif", site[:, :, :cut], transform=at),
        make_tif(tmp_path / "east.tif", site[:, :, cut:], transform=at @ Affine.translation(cut, 0)),
    ]
    model, options = load_model(chain.model, "cpu", views=1), MapOptions(cell_m=0.16)
    whole = map_site(chain.site, model, tmp_path / "whole", options)
    made = map_site(halves, model, tmp_path / "map", options)
    assert made.notes[0] == "of 0 cells several images have data: the first one named is mapped"
    assert read(made.folder)[0].shape[1] == 2 * ROWS
    assert read(made.folder)[0].tobytes() == read(whole.folder)[0].tobytes()
    by_processes = map_site(halves, model, tmp_path / "by processes", options, executor="processes")
    assert (by_processes.folder / "presence.tif").read_bytes() == (made.folder / "presence.tif").read_bytes()


def test_on_the_command_line(chain, tmp_path, make_tif):
    site, cut = draw_site(), 4 * TILE_PX
    halves = [
        make_tif(tmp_path / f"{name}.tif", part, transform=Affine(0.01, 0, X + 0.01 * left, 0, -0.01, Y))
        for name, part, left in (("west", site[:, :, :cut], 0), ("east", site[:, :, cut:], cut))
    ]
    asked = ("map", *halves, "--model", chain.model, "--device", "cpu", "--views", "1")
    assert refuse(*asked).startswith("spurgekit: name the folder of a map of several images with --out")
    assert "of 0 cells several images have data" in succeed(*asked, "--out", tmp_path / "map")


def test_what_does_not_go_together_is_refused_ahead_of_any_work(tmp_path, fields):
    here, there = fields("a.tif", [[60]]), fields("b.tif", [[60]], crs="EPSG:32613")
    with pytest.raises(InputError, match=r"b\.tif is in EPSG:32613, .*a\.tif in EPSG:32612; pass the `crs`"):
        map_site([here, there], brightness_model(4, bands=3), tmp_path / "map")
    with pytest.raises(InputError, match="pass an image"):
        map_site([], brightness_model(4, bands=3), tmp_path / "map")
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif", "b.tif"}
