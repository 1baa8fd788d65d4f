"""Plants on other ground: how they are turned and moved, what is painted, and what of it counts."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.augment.pasting import Paste, Pasting, draw_shift, moved
from spurgekit.augment.support_sets import SupportSetKey
from spurgekit.tiles.png import encode_png

SIDE = 8
SET = SupportSetKey(0, 1)


def plain(path, value, hole=()):
    """A tile of one grey, black where there are no data."""
    pixels = np.full((SIDE, SIDE, 3), value, np.uint8)
    for row, column in hole:
        pixels[row, column] = 0
    Image.fromarray(pixels).save(path)
    return path


def mask_of(*pixels):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for row, column in pixels:
        mask[row, column] = 255
    return mask


@pytest.fixture
def put(tmp_path):
    """Return what pastes a plant of 200 onto ground of 50: ``put(mask, view=1, shift=(0, 2))``."""

    def make(mask, view=0, shift=(0, 0), ground_hole=(), plant_hole=()):
        plant = plain(tmp_path / "plant.png", 200, plant_hole)
        ground = plain(tmp_path / "ground.png", 50, ground_hole)
        return Paste(plant, encode_png(mask), ground, "ground", view, shift, 0.0)

    return make


class TestMoved:
    def test_turned_first_and_moved_then(self):
        pixels = np.arange(9, dtype=np.uint8).reshape(3, 3)
        assert moved(pixels, 1, (1, 0)).tolist() == [[0, 2, 5], [0, 1, 4], [0, 0, 3]]
        assert moved(pixels, 4, (0, -1)).tolist() == [[5, 4, 3], [8, 7, 6], [0, 0, 0]]

    def test_bands_move_together(self):
        pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        assert (moved(pixels, 0, (-1, 0)) == [[[3, 4, 5], [0, 0, 0]], [[9, 10, 11], [0, 0, 0]]]).all()

    def test_beyond_the_tile_is_nothing(self):
        assert not moved(np.ones((3, 3), np.bool_), 0, (3, 0)).any()


class TestShift:
    def drawn(self, *pixels):
        rng = np.random.default_rng(0)
        return [draw_shift(mask_of(*pixels) > 0, rng) for _ in range(400)]

    def test_the_middle_of_a_plant_comes_everywhere(self):
        right, down = (set(one) for one in zip(*self.drawn((3, 5), (4, 5)), strict=True))
        assert right == set(range(-5, 4))  # its middle column, 5, goes to 0 to 8
        assert down == set(range(-4, 5))

    def test_what_the_edge_cuts_stays_at_it_or_goes_beyond(self):
        right, down = (set(one) for one in zip(*self.drawn((7, 0), (7, 1)), strict=True))
        assert right == {-1, 0}  # cut on the left
        assert down == {0, 1}  # cut below: the middle of row 7 and beyond is row 7

    def test_what_reaches_across_is_not_moved_along(self):
        across = [(4, column) for column in range(SIDE)]
        assert {right for right, _ in self.drawn(*across)} == {0}


class TestPicture:
    def test_the_plant_lies_on_its_ground(self, put):
        expected = np.full((SIDE, SIDE, 3), 50)
        expected[6, 2] = 200  # row 2, column 1 turned to the left: row 6, column 2
        assert (put(mask_of((2, 1)), view=1).picture(0) == expected).all()

    def test_a_soft_rim_lies_within_the_plant(self, put):
        block = mask_of(*((row, column) for row in range(2, 5) for column in range(2, 5)))
        picture = put(block).picture(1)[..., 0]
        assert picture[3, 2:5].tolist() == [125, 200, 125]  # half of both: 128 of 255
        assert (picture[block == 0] == 50).all()

    def test_no_data_are_neither_cut_out_nor_painted_over(self, put):
        paste = put(mask_of((0, 0), (0, 1), (0, 2)), plant_hole=[(0, 0)], ground_hole=[(0, 1), (7, 7)])
        assert paste.plant_pixels().nonzero() == (np.array([0]), np.array([2]))
        assert paste.picture(0)[..., 0].tolist()[0] == [50, 0, 200, 50, 50, 50, 50, 50]
        assert paste.picture(0)[7, 7, 0] == 0

    def test_a_model_may_paint_the_plant_and_as_far_around_as_it_is_told(self, put):
        paste = put(mask_of((4, 4)), shift=(1, 0))
        assert np.argwhere(paste.edit_mask(0, 0) == 255).tolist() == [[4, 5]]
        assert Counter(paste.edit_mask(1, 0).ravel().tolist()) == {255: 5, 0: 59}


class TestDraw:
    @pytest.fixture
    def draw(self, tmp_path):
        """Return what draws many pastes of a plant: ``draw(mask, min_cover=0.1)``."""

        def make(mask, *, min_cover=0.0, hole=(), count=200):
            tile = pd.Series({"tile_id": "p", "path": plain(tmp_path / "p.png", 200)})
            names = ["a", "b", "c"]
            paths = [plain(tmp_path / f"{name}.png", 50, hole) for name in names]
            pasting = Pasting({SET: {"p": encode_png(mask)}}, "sand", min_cover)
            ground = pd.DataFrame({"tile_id": names, "path": paths})
            return [pasting.draw(SET, tile, ground, seed) for seed in range(count)]

        return make

    def test_any_ground_in_any_view_and_anywhere(self, draw):
        pastes = draw(mask_of((4, 4)))
        assert Counter(one.ground_id for one in pastes).keys() == {"a", "b", "c"}
        assert {one.view for one in pastes} == set(range(8))
        assert len({one.shift for one in pastes}) > 40
        assert {one.cover for one in pastes} == {1 / 64}

    def test_the_same_seed_draws_the_same(self, draw):
        block = mask_of((4, 4), (5, 4))
        assert draw(block, count=5) == draw(block, count=5)

    def test_cover_is_what_is_painted(self, draw):
        for one in draw(mask_of(*((row, column) for row in range(4) for column in range(4))), count=50):
            assert one.cover == one.plant_pixels().mean()

    def test_enough_of_the_plant_lies_in_the_tile(self, draw):
        corner = mask_of(*((row, column) for row in range(4) for column in range(4)))  # 16 of 64
        assert min(one.cover for one in draw(corner)) < 0.1
        assert min(one.cover for one in draw(corner, min_cover=0.1)) >= 0.1
        assert {(one.shift, one.is_enough) for one in draw(corner, min_cover=0.5)} == {((0, 0), False)}

    def test_where_there_are_no_data_it_covers_nothing(self, draw):
        pastes = draw(mask_of((4, 4)), hole=[(row, column) for row in range(8) for column in range(8)], count=3)
        assert [(one.cover, one.is_enough) for one in pastes] == [(0, False)] * 3

    def test_ground_is_the_background_of_the_set_or_what_was_found_for_the_fold(self):
        tiles = pd.DataFrame({"tile_id": ["a", "b"], "class": ["sand", "weed"]})
        pool = pd.DataFrame({"tile_id": ["u"]})
        assert Pasting({}, "sand", 0.0).ground(SET, tiles)["tile_id"].tolist() == ["a"]
        assert Pasting({}, "sand", 0.0, {"6": pool}).ground(SET._replace(fold="6"), tiles)["tile_id"].tolist() == ["u"]
