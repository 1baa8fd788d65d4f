"""Sheets of pictures, read back pixel by pixel."""

import numpy as np
import pytest
from PIL import Image, ImageFont

from spurgekit.imagery.sheet import GAP_PX, LETTERS_PX, NAME_PX, Group, draw_groups, end_that_fits, thumbnail

SIDE_PX = 40
COLOURS = [(10 * number, 100, 200) for number in range(7)]
PICTURES = [np.full((SIDE_PX, SIDE_PX, 3), colour, np.uint8) for colour in COLOURS]
TOP = LETTERS_PX + 2 * GAP_PX
STEP = SIDE_PX + GAP_PX


def square(page, left, top):
    """The one colour of a picture."""
    pixels = np.asarray(page)[top : top + SIDE_PX, left : left + SIDE_PX]
    assert (pixels == pixels[0, 0]).all()
    return tuple(pixels[0, 0].tolist())


def test_pictures_are_in_rows_below_their_title():
    page = draw_groups([Group("seven", PICTURES)], SIDE_PX, 3)
    assert page.size == (3 * STEP + GAP_PX, TOP + 3 * STEP + GAP_PX)
    places = [(GAP_PX + STEP * (i % 3), TOP + STEP * (i // 3)) for i in range(7)]
    assert [square(page, *place) for place in places] == COLOURS


def test_groups_are_below_each_other():
    page = draw_groups([Group("two", PICTURES[:2]), Group("none", []), Group("one", PICTURES[2:3])], SIDE_PX, 3)
    assert square(page, GAP_PX, TOP) == COLOURS[0]
    assert square(page, GAP_PX, TOP + STEP + 2 * TOP) == COLOURS[2]


def test_a_title_that_is_wider_than_its_pictures_widens_the_sheet():
    page = draw_groups([Group("a title of many words", PICTURES[:1])], SIDE_PX, 3)
    assert page.width == int(ImageFont.load_default(LETTERS_PX).getlength("a title of many words")) + 2 * GAP_PX


def test_names_are_below_their_pictures():
    bare = draw_groups([Group("one", PICTURES[:1])], SIDE_PX, 3)
    named = draw_groups([Group("one", PICTURES[:1], ["tile"])], SIDE_PX, 3)
    assert named.height == bare.height + NAME_PX + GAP_PX
    below = np.asarray(named)[TOP + SIDE_PX :]
    assert below.min() < 255


def test_of_a_long_name_the_end_is_shown():
    font = ImageFont.load_default(NAME_PX)
    assert end_that_fits("r00012", font, 100) == "r00012"
    short = end_that_fits("a_site_with_a_long_name_r00012", font, 60)
    assert short.startswith("…")
    assert short.endswith("r00012")
    assert font.getlength(short) <= 60


class TestThumbnail:
    def test_is_of_the_size_asked_for(self, tmp_path):
        Image.new("RGB", (200, 200), (1, 2, 3)).save(tmp_path / "tile.png")
        assert (thumbnail(tmp_path / "tile.png", SIDE_PX) == np.full((SIDE_PX, SIDE_PX, 3), (1, 2, 3))).all()

    def test_pixels_of_small_tiles_can_be_seen(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "tile.png")
        assert (thumbnail(tmp_path / "tile.png", SIDE_PX) == pixels.repeat(2, axis=0).repeat(2, axis=1)).all()

    @pytest.mark.parametrize("content", [None, b"not an image"])
    def test_what_cannot_be_read_is_grey(self, tmp_path, content):
        if content is not None:
            (tmp_path / "tile.png").write_bytes(content)
        assert (thumbnail(tmp_path / "tile.png", SIDE_PX) == 160).all()

    def test_other_types_than_bytes_are_stretched(self, make_tif, tmp_path):
        ramp = np.linspace(1000, 5000, 100).repeat(100).reshape(1, 100, 100).astype(np.uint16)
        shown = thumbnail(make_tif(tmp_path / "tile.tif", ramp), 100)
        assert shown.shape == (100, 100, 3)
        assert (shown[0, 0].max(), shown[-1, 0].min()) == (0, 255)
        assert (np.diff(shown[:, 0, 0].astype(int)) >= 0).all()
