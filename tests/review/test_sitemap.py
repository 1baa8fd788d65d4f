"""Where tiles lie on the overview, or on a picture of their footprints."""

import io

import numpy as np
import pytest
from PIL import Image

from spurgekit.review import open_folder
from spurgekit.review.sitemap import draw_site_maps
from spurgekit.tiles import TileOptions, tile_images
from spurgekit.tiles.overview import WHOLE
from tests.dataset import add_columns
from tests.review import COLUMNS, ROWS, tile_id
from tests.tiles import ramp


def test_on_the_overview_that_was_drawn_with_the_tiles(folder, dune):
    (drawn,) = draw_site_maps(folder)
    assert drawn.png == (dune / "tiles" / "overview.png").read_bytes()
    picture = np.asarray(Image.open(io.BytesIO(drawn.png)).convert("RGB"))
    assert picture.shape == (drawn.height_px, drawn.width_px, 3)
    # The outline of a tile is half a side from its centre, in each direction.
    across, down = drawn.places[tile_id(COLUMNS + 1)]
    col, row, half = across * drawn.width_px, down * drawn.height_px, drawn.tile_share * drawn.width_px / 2
    for dx, dy in ((half, 0), (-half, 0), (0, half), (0, -half)):
        beside = picture[round(row + dy) - 2 : round(row + dy) + 3, round(col + dx) - 2 : round(col + dx) + 3]
        assert (np.abs(beside.astype(int) - WHOLE).sum(axis=-1) < 60).any()


def test_without_one_on_the_tiles_footprints(dune):
    (dune / "tiles" / "overview.png").unlink()
    (drawn,) = draw_site_maps(open_folder(dune / "tiles"))
    picture = np.asarray(Image.open(io.BytesIO(drawn.png)))
    assert picture.shape[:2] == (drawn.height_px, drawn.width_px)
    places = np.array([drawn.places[tile_id(i)] for i in range(ROWS * COLUMNS)]).reshape(ROWS, COLUMNS, 2)
    assert np.diff(places[..., 0], axis=1) == pytest.approx(drawn.tile_share)
    assert (np.diff(places[..., 1], axis=0) > 0).all()  # north is up
    cols, rows = (places.reshape(-1, 2) * (drawn.width_px, drawn.height_px)).astype(int).T
    assert (picture[rows, cols, 3] > 0).all()
    assert (picture[0, :, 3] == 0).all()


@pytest.mark.parametrize("spoiled", ["another picture", "a link"])
def test_a_picture_that_does_not_serve(dune, spoiled):
    path = dune / "tiles" / "overview.png"
    if spoiled == "a link":
        path.rename(dune / "overview.png")
        path.symlink_to(dune / "overview.png")
    else:
        Image.new("RGB", (10, 10)).save(path)
    (drawn,) = draw_site_maps(open_folder(dune / "tiles"))
    assert drawn.png != path.read_bytes()


def test_each_site_has_its_own(tmp_path, make_tif):
    sites = [make_tif(tmp_path / f"{name}.tif", ramp(3, 40, 40)) for name in ("east", "west")]
    tile_images(sites, tmp_path / "tiles", TileOptions(size_px=20, layout="grid"))
    folder = open_folder(tmp_path / "tiles")
    drawn = dict(zip(folder.sites, draw_site_maps(folder), strict=True))
    for name, of_site in drawn.items():
        assert of_site.png == (tmp_path / "tiles" / f"overview_{name}.png").read_bytes()
        assert {tile.split("_")[0] for tile in of_site.places} == {name}


def test_tiles_that_lie_nowhere(dune):
    add_columns(dune / "tiles", geometry=[None] * (ROWS * COLUMNS))
    assert draw_site_maps(open_folder(dune / "tiles")) == [None]
