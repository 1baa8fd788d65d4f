import numpy as np
import pytest
from affine import Affine
from shapely import MultiPolygon, Polygon, box

from spurgekit.imagery import PixelGrid, Window
from spurgekit.maps.cell_mask import CellMask

GRID = PixelGrid(6, 4, Affine(1, 0, 100, 0, -1, 200))


def box_in_cells(left, top, right, bottom):
    return box(100 + left, 200 - bottom, 100 + right, 200 - top)


def numbers(mask):
    return [(int(row), int(col)) for row, col in zip(*mask.numbers(), strict=True)]


def test_a_cell_is_inside_if_its_centre_is():
    mask = CellMask.on(box_in_cells(1.4, 0.6, 3.6, 2.6), GRID)
    assert numbers(mask) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert mask.window == Window(1, 1, 3, 2)
    assert mask.inside.all()


def test_of_polygons_that_share_an_edge_each_cell_is_in_one():
    """The edge runs through the centres of a column, and from corner to corner."""
    parts = [box_in_cells(0, 0, 2.5, 4), box_in_cells(2.5, 0, 6, 4)]
    halves = [
        Polygon([(100, 200), (106, 200), (100, 196)]),
        Polygon([(106, 196), (106, 200), (100, 196)]),
    ]
    for pair in (parts, halves):
        times = sum(CellMask.on(ground, GRID).over(GRID.window).astype(int) for ground in pair)
        assert (times == 1).all()


def test_ground_beyond_the_grid_and_between_parts_is_no_cell():
    mask = CellMask.on(MultiPolygon([box_in_cells(-9, -9, 1, 1), box_in_cells(4, 2, 90, 90)]), GRID)
    assert numbers(mask) == [(0, 0), (2, 4), (2, 5), (3, 4), (3, 5)]
    assert mask.over(Window(4, 1, 3, 2)).tolist() == [[False, False, False], [True, True, False]]
    assert not mask.over(Window(20, 20, 2, 2)).any()


def test_a_hole_is_no_cell():
    ring = box_in_cells(0, 0, 3, 3) - box_in_cells(1, 1, 2, 2)
    assert (1, 1) not in numbers(CellMask.on(ring, GRID))
    assert len(numbers(CellMask.on(ring, GRID))) == 8


@pytest.mark.parametrize(
    "ground", [box_in_cells(7, 0, 9, 2), box_in_cells(0.6, 0, 1.4, 4), MultiPolygon()], ids=["elsewhere", "narrow", "empty"]
)
def test_ground_without_a_centre(ground):
    assert CellMask.on(ground, GRID) is None


def test_a_turned_grid():
    turned = PixelGrid(6, 4, Affine.translation(100, 200) @ Affine.rotation(37) @ Affine.scale(0.5, -0.5))
    ground = Polygon(np.column_stack(turned.to_world([1.4, 3.6, 3.6, 1.4], [0.6, 0.6, 2.6, 2.6])))
    assert numbers(CellMask.on(ground, turned)) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
