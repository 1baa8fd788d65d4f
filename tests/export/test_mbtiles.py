import io
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from spurgekit.export.mbtiles import MOST_ZOOM, write_mbtiles
from spurgekit.export.picture import PLAIN, Picture
from spurgekit.imagery import PixelGrid
from spurgekit.imagery.crs import parse_crs, points_in
from tests.command import succeed
from tests.export.conftest import CORNER, GROUND, SPURGE
from tests.export.test_picture import middle


def nothing(rgb, grid):
    """Draw nothing."""


def picture_in(crs, transform, *, width=500, height=400, mark=None):
    """Return a grey picture in which one pixel of 9 x 9 is white."""
    rgba = np.full((height, width, 4), (80, 80, 80, 255), np.uint8)
    if mark is not None:
        col, row = mark
        rgba[row - 4 : row + 5, col - 4 : col + 5, :3] = 255
    return Picture(rgba, PixelGrid(width, height, transform, parse_crs(crs)), "site.tif", 0.1)


def metadata_of(path):
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT name, value FROM metadata"))


def write(path, picture, draw=nothing):
    return write_mbtiles(path, picture, name="a site", description="spurge", draw=draw, quality=90)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32612", Affine(0.1, 0, 495_000, 0, -0.1, 5_063_000)),
        ("EPSG:32612", Affine.translation(495_000, 5_063_000) @ Affine.rotation(33) @ Affine.scale(0.1, -0.1)),
        ("EPSG:32733", Affine(0.1, 0, 262_000, 0, -0.1, 6_243_000)),  # south of the equator
        ("EPSG:2263", Affine(0.3, 0, 1_000_000, 0, -0.3, 200_000)),  # feet
    ],
)
def test_what_gdal_finds_at_a_place_is_what_stood_there_to_within_a_pixel(tmp_path, crs, transform):
    picture = picture_in(crs, transform, mark=(371, 122))
    made = write(tmp_path / "site.mbtiles", picture)
    there = points_in(np.array([picture.grid.to_world(371.5, 122.5)], float), picture.grid.crs, parse_crs("EPSG:3857"))[0]
    with rasterio.open(tmp_path / "site.mbtiles") as file:
        assert (file.driver, file.crs.to_epsg()) == ("MBTiles", 3857)
        assert made.zooms[1] == int(file.tags()["ZOOM_LEVEL"])
        bright = file.read(1).astype(float)
        rows, cols = np.nonzero(bright > 230)
        found = file.transform @ (cols.mean() + 0.5, rows.mean() + 0.5)
        assert np.hypot(*(np.array(found) - there)) < file.transform.a
        assert len(file.overviews(1)) == made.zooms[1] - made.zooms[0]


def test_what_it_says_of_itself(tmp_path):
    write(tmp_path / "site.mbtiles", picture_in("EPSG:32612", Affine(0.1, 0, 500_000, 0, -0.1, 5_000_000)))
    said = metadata_of(tmp_path / "site.mbtiles")
    bounds = [float(value) for value in said.pop("bounds").split(",")]
    assert bounds == pytest.approx([-111.0, 45.153117, -110.999364, 45.153477], abs=1e-6)  # 50 x 40 m east of 111 W
    longitude, latitude, zoom = said.pop("center").split(",")
    assert (float(longitude), float(latitude)) == pytest.approx(((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2))
    # A pixel has 10 cm, at zoom 20 on 45.15 degrees north 10.5 cm; a tile of zoom 18 has 107.8 m of ground, of 19 53.9 m.
    assert said == {
        "name": "a site", "format": "jpg", "minzoom": "19", "maxzoom": "20", "type": "baselayer", "version": "1",
        "description": "spurge", "attribution": "mapped with spurgekit on site.tif",
    }  # fmt: skip
    assert zoom == "20"
    with closing(sqlite3.connect(tmp_path / "site.mbtiles")) as database:
        for (tile,) in database.execute("SELECT tile_data FROM tiles"):
            with Image.open(io.BytesIO(tile)) as image:
                assert (image.format, image.size) == ("JPEG", (256, 256))


def test_fine_pictures_stop_at_a_zoom_that_apps_go_to(tmp_path):
    made = write(tmp_path / "site.mbtiles", picture_in("EPSG:32612", Affine(0.005, 0, 500_000, 0, -0.005, 5_000_000)))
    assert made.zooms[1] == MOST_ZOOM


def test_ground_without_data_is_plain_and_tiles_of_it_are_left_out(tmp_path):
    picture = picture_in("EPSG:32612", Affine(0.1, 0, 500_000, 0, -0.1, 5_000_000), width=1000, height=1000)
    picture.rgba[:, 300:] = 0
    made = write(tmp_path / "site.mbtiles", picture)
    with rasterio.open(tmp_path / "site.mbtiles") as file:
        cols, rows = np.floor(~file.transform @ np.array(points_in(
            np.array([[500_010.0, 4_999_950.0], [500_032.0, 4_999_950.0]]), picture.grid.crs, parse_crs("EPSG:3857")
        )).T).astype(int)  # fmt: skip
        seen = file.read([1, 2, 3])[:, rows, cols].T
    assert seen[0] == pytest.approx([80, 80, 80], abs=3)
    assert seen[1] == pytest.approx(PLAIN, abs=6)
    assert made.tiles < 20


def test_the_same_gives_the_same_bytes(seen):
    for out in ("one", "two"):
        succeed("export", seen, "--for", "phone", "--out", out)
    for name in ("dune.mbtiles", "map.html", "patches.gpkg", "image.tif", "dune.qgs"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name


def test_cells_are_drawn_where_they_lie(seen):
    succeed("export", seen, "--for", "phone", "--out", "out", "--class", "leafy spurge")
    with rasterio.open("out/dune.mbtiles") as file:
        places = np.array([middle(0, 0), middle(2, 6), middle(4, 4)])
        x, y = points_in(places, parse_crs("EPSG:32612"), file.crs).T
        colours = np.array([values[:3] for values in file.sample(zip(x, y, strict=True))], int)
        # On the line between cells: the outline of the cell at the upper left, in the colour of the class.
        edge = points_in(np.array([[CORNER[0] + 16 - 6 * 2, CORNER[1] - 1.0]]), parse_crs("EPSG:32612"), file.crs)
        line = next(file.sample(edge.tolist()))[:3].astype(int)
    shaded = np.array(SPURGE) * 0.75 + np.array([216, 27, 140]) * 0.25
    assert colours[0] == pytest.approx(shaded, abs=8)
    assert colours[1] == pytest.approx([0, 60, 250], abs=8)  # sumac, which was not asked for
    assert colours[2] == pytest.approx(GROUND, abs=8)
    assert np.abs(line - [216, 27, 140]).max() < 60
