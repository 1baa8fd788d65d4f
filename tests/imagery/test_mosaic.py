"""Several images read as one. Images of 4 x 4 px of 1 cm, the upper left corner of the first at (500000, 5000000)."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from spurgekit.errors import ImageryError
from spurgekit.imagery import Mosaic, Raster, Window, open_images, open_raster

X, Y, GSD = 500_000.0, 5_000_000.0, 0.01


@pytest.fixture
def image(tmp_path, make_tif):
    """Return what writes an image of one value, so many pixels right of and below the first one."""

    def write(name, value, right=0, down=0, *, holes=(), shape=(1, 4, 4), gsd=GSD, **options):
        pixels = np.full(shape, value, options.pop("dtype", np.uint8))
        for row, col in holes:
            pixels[:, row, col] = 0
        at = Affine(gsd, 0, X + right * GSD, 0, -gsd, Y - down * GSD)
        return make_tif(tmp_path / name, pixels, transform=at, nodata=0, **options)

    return write


def opened(*paths, **options):
    return Mosaic([open_raster(path, gsd_m=GSD, align_m=2 * GSD, **options) for path in paths])


def test_the_first_that_has_data_is_seen(image):
    """The second lies two pixels to the right and two below; the first one has a hole above it."""
    with opened(image("a.tif", 10, holes=[(2, 3)]), image("b.tif", 20, 2, 2)) as mosaic:
        assert (mosaic.grid.width, mosaic.grid.height) == (6, 6)
        assert mosaic.grid.transform.almost_equals(Affine(GSD, 0, X, 0, -GSD, Y), 1e-9)
        pixels, valid = mosaic.read(Window(-1, 0, 8, 6))
        assert pixels[0].tolist() == [
            [0, 10, 10, 10, 10, 0, 0, 0],
            [0, 10, 10, 10, 10, 0, 0, 0],
            [0, 10, 10, 10, 20, 20, 20, 0],
            [0, 10, 10, 10, 10, 20, 20, 0],
            [0, 0, 0, 20, 20, 20, 20, 0],
            [0, 0, 0, 20, 20, 20, 20, 0],
        ]
        assert (valid == (pixels[0] > 0)).all()


def test_in_whatever_order_the_grid_is_the_same(image):
    a, b = image("a.tif", 10), image("b.tif", 20, 2, 2)
    with opened(a, b) as one, opened(b, a) as other:
        assert one.grid == other.grid
        assert other.read(Window(2, 2, 2, 2))[0].tolist() == [[[20, 20], [20, 20]]]


def test_ground_that_two_have_data_of(image):
    with opened(image("a.tif", 10, holes=[(2, 3)]), image("b.tif", 20, 2, 2), image("c.tif", 30, 40)) as mosaic:
        assert [(window, seen.tolist()) for window, seen in mosaic.seen_twice(1)] == [
            (Window(2, 2, 2, 1), [[True, False]]),
            (Window(2, 3, 2, 1), [[True, True]]),
        ]


def test_it_is_called_by_the_first_and_notes_name_their_image(image, tmp_path, make_tif):
    upside_down = Affine(GSD, 0, X + 4 * GSD, 0, GSD, Y - 4 * GSD)
    other = make_tif(tmp_path / "b.tif", np.full((1, 4, 4), 20, np.uint8), transform=upside_down, nodata=0)
    with opened(image("a.tif", 10), other) as mosaic:
        assert mosaic.path.name == "a.tif and 1 more"
        assert mosaic.notes == ("b.tif: mirrored: rows run from south to north",)


def test_a_collar_is_looked_for_in_what_is_seen(tmp_path, make_tif):
    """Half of each image is of one black, and nothing says that it holds no data."""
    paths = []
    for number in range(2):
        pixels = np.random.default_rng(number).integers(1, 255, (3, 16, 16)).astype(np.uint8)
        pixels[:, :8] = 0
        at = Affine(GSD, 0, X + 16 * GSD * number, 0, -GSD, Y)
        paths.append(make_tif(tmp_path / f"{number}.tif", pixels, transform=at))
    with opened(*paths) as mosaic:
        pixels, valid = mosaic.read(mosaic.grid.window)
        mosaic.collar.watch(pixels, valid)
        (note,) = mosaic.notes
    assert note.startswith("50 % of the pixels are exactly 0, 0, 0, as corners of the image are")


def test_opened_without_a_size_of_pixels_several_have_that_of_the_coarsest(image):
    a, b = image("a.tif", 10, shape=(1, 6, 6)), image("b.tif", 20, 6, gsd=0.012, shape=(1, 5, 5))
    with open_images([a]) as alone, open_images([a, b]) as mosaic:
        assert isinstance(alone, Raster)
        assert (alone.gsd_m, mosaic.gsd_m) == pytest.approx((0.01, 0.012))
        assert mosaic.grid.transform.c / 0.012 == pytest.approx(round(mosaic.grid.transform.c / 0.012), abs=1e-3)
        values, valid = mosaic.read(mosaic.grid.window)
        assert set(values[0][valid].tolist()) == {10, 20}


def test_the_image_at_a_place_is_the_first_that_reaches_there(image):
    with opened(image("a.tif", 10), image("b.tif", 20, 2, 2)) as mosaic:
        found = [mosaic.image_at(Window(col, row, 1, 1)).path.name for col, row in ((0, 0), (3, 3), (4, 3), (90, 0))]
    assert found == ["a.tif", "a.tif", "b.tif", "a.tif"]


class TestWhatDoesNotGoTogether:
    @pytest.mark.parametrize(
        ("other", "says"),
        [
            ({"crs": "EPSG:32613"}, r"b\.tif is in EPSG:32613, .*a\.tif in EPSG:32612; pass the `crs`"),
            ({"shape": (2, 4, 4)}, r"b\.tif has 2 bands of uint8, and .*a\.tif has 1 band of uint8; pass the `bands`"),
            ({"dtype": np.uint16}, r"b\.tif has 1 band of uint16, and .*a\.tif has 1 band of uint8"),
            ({"gsd": 0.02}, r"b\.tif has pixels of 20 mm, .*a\.tif of 10: .*; make a map of each"),
        ],
    )
    def test_is_refused(self, image, other, says):
        with pytest.raises(ImageryError, match=says) as caught:
            opened(image("a.tif", 10), image("b.tif", 20, 4, **other))
        assert "\n" not in str(caught.value)

    def test_an_image_that_is_named_twice(self, image):
        path = image("a.tif", 10)
        with pytest.raises(ImageryError, match=r"a\.tif is named twice"):
            opened(path, path)
