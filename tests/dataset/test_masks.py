"""Masks of tiles: what polygons say of each of their pixels."""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pytest
from shapely import Polygon, box
from shapely.affinity import translate

from spurgekit.dataset.reader import UNKNOWN
from spurgekit.dataset.tile_masks import DrawnGround
from spurgekit.tiles.index import footprint_corners
from tests.dataset import X, Y

CLASSES = ("sand", "weed", "shrub")
NORTH_UP = Polygon([(0, 4), (4, 4), (4, 0), (0, 0)])
"""Ground of a tile of 4 px of 1 m, its corners as in its image: upper left, upper right, lower right, lower left."""


def drawn(shapes, names, square=NORTH_UP, classes=CLASSES, size_px=4):
    tiles = gpd.GeoDataFrame({"size_px": [size_px]}, geometry=[square], crs="EPSG:32612")
    (mask,) = DrawnGround(tiles, np.array(shapes, object), names, classes[0]).draw([0], classes)
    return mask.tolist()


class TestPixels:
    def test_each_is_of_what_covers_its_centre(self):
        # From x 0.6 to 2.6 and y 2.4 to 4: the centres 1.5 and 2.5 of columns, and those of the two rows above.
        assert drawn([box(0.6, 2.4, 2.6, 4)], ["weed"]) == [[0, 1, 1, 0], [0, 1, 1, 0], [0] * 4, [0] * 4]

    def test_polygons_reach_beyond_the_tile_and_have_holes(self):
        ring = Polygon(box(-9, -9, 9, 9).exterior, [box(1, 1, 3, 3).exterior])
        assert drawn([ring], ["weed"]) == [[1] * 4, [1, 0, 0, 1], [1, 0, 0, 1], [1] * 4]

    def test_one_that_touches_with_a_side_covers_nothing(self):
        assert drawn([box(4, 0, 8, 4), box(-2, 4, 2, 5)], ["weed", "weed"]) == [[0] * 4] * 4

    def test_the_later_class_is_above_and_what_nobody_knows_above_all(self):
        shapes = [box(0, 0, 4, 1), box(1, 0, 4, 1), box(2, 0, 4, 1), box(3, 0, 4, 1)]
        for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
            names = ["sand", "weed", "shrub", None]
            assert drawn([shapes[i] for i in order], [names[i] for i in order])[3] == [0, 1, 2, UNKNOWN]

    def test_a_class_that_the_dataset_does_not_have_is_unknown(self):
        assert drawn([box(0, 0, 1, 4)], ["moss"])[0] == [UNKNOWN, 0, 0, 0]

    def test_far_from_the_origin_of_coordinates(self):
        east, north = 499_999.7, 4_999_999.3
        away = translate(NORTH_UP, east, north)
        assert drawn([translate(box(0.6, 2.4, 2.6, 4), east, north)], ["weed"], away)[0] == [0, 1, 1, 0]


class TestTilesThatLieAslant:
    """An L of three pixels, upright in the image, wherever north is."""

    L_SHAPE = Polygon([(1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (1, 2)])
    """In columns and rows of the image."""

    EXPECTED = ((0, 1, 0, 0), (0, 1, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0))

    @staticmethod
    def on_ground(shape, angle, scale=0.25, mirrored=False):
        """Where pixels of a tile lie whose rows run at an angle to the east."""
        across = scale * np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        down = np.array([across[1], -across[0]]) * (-1 if mirrored else 1)
        corner = np.array([X, Y])
        return Polygon([corner + col * across + row * down for col, row in shape.exterior.coords[:-1]])

    @pytest.mark.parametrize("angle", [0, 17, 45, 90, 133, 180, 270, -30])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_turned(self, angle, mirrored):
        square = self.on_ground(Polygon([(0, 0), (4, 0), (4, 4), (0, 4)]), angle, mirrored=mirrored)
        shape = self.on_ground(self.L_SHAPE, angle, mirrored=mirrored)
        assert drawn([shape], ["weed"], square) == [list(row) for row in self.EXPECTED]

    def test_seen_in_perspective(self):
        # The sides are 4 and 2 m long, so that what is the middle in the image lies at x = 8/3 m, where diagonals cross, and
        # a centre at u at 8 u / (1 + u): 0.89, 2.18, 3.08 and 3.73 m, rather than 0.5, 1.5, 2.5 and 3.5 m.
        square = Polygon([(0, 4), (4, 3), (4, 1), (0, 0)])
        assert drawn([box(0, -1, 2.2, 5)], ["weed"], square) == [[1, 1, 0, 0]] * 4
        assert drawn([box(0, -1, 2.1, 5)], ["weed"], square) == [[1, 0, 0, 0]] * 4


def test_corners_of_footprints_that_are_no_quadrilaterals():
    odd = [None, Polygon(), NORTH_UP.buffer(1), Polygon([(0, 0), (4, 0), (1, 1), (0, 4)]), box(0, 0, 1, 1).boundary]
    corners = footprint_corners(gpd.GeoSeries([NORTH_UP, *odd]))
    assert corners[0].tolist() == [[0, 4], [4, 4], [4, 0], [0, 0]]
    assert np.isnan(corners[1:]).all()
