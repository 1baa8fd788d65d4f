"""Shapes that are near one another: those within a distance, and the shortest links between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

Shapes = NDArray[np.object_]
Numbers = NDArray[np.intp]

TOLERANCE = 1e-6
"""How much farther apart shapes may be, so that cells of 0.1 m are 0.2 m apart; coordinates of millions have no more digits."""

TOUCHING = 1e-12
"""Length of a link between shapes that touch: SciPy takes 0 for no link at all."""


def near_groups(shapes: Shapes, distance: float) -> Numbers:
    """Return which shapes belong together, as each is within a distance of another of its group.

    Shapes are joined by growing distances, up to the one that is asked for. What is near is one shape by then, so that the
    pairs to look at stay few even where the distance reaches over thousands of shapes.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
    distance : float
        In the unit of their coordinates; 0 joins those that touch, at a corner too.

    Returns
    -------
    ndarray of int, shape (n,)
        Number of the group of each, counted from 0 in the order of their first shapes.

    Examples
    --------
    >>> near_groups(shapely.box([0, 1.5, 5], 0, [1, 2.5, 6], 1), 0.5).tolist()
    [0, 0, 1]
    """
    numbers = np.arange(len(shapes))
    for reach in _reaches(shapes, distance):
        groups = united(shapes, numbers)
        one, other = _pairs(groups, reach)
        numbers = _components(len(groups), one, other)[numbers]
    return numbers


def nearest_links(shapes: Shapes, most: int, reach: float) -> Shapes:
    """Return the links that join shapes, the nearest first, until there are no more groups than asked for.

    They are the shortest edges of a minimum spanning tree (Kruskal 1956), which is what clustering by single linkage joins.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
    most : int
        Groups that may be left, 1 or more.
    reach : float
        Distance to begin the search with, in the unit of their coordinates; it is doubled as often as need be.

    Returns
    -------
    ndarray of LineString
        The shortest line of each link, max(0, n - most) of them.

    Examples
    --------
    >>> shapely.length(nearest_links(shapely.box([0, 4, 7], 0, [1, 5, 8], 1), 2, reach=1)).tolist()
    [2.0]
    """
    groups, links = shapes, []
    while (surplus := len(groups) - most) > 0:
        one, other = _pairs(groups, reach)
        lengths = np.maximum(shapely.distance(groups[one], groups[other]), TOUCHING)
        tree = minimum_spanning_tree(coo_array((lengths, (one, other)), shape=(len(groups),) * 2)).tocoo()
        nearest = np.argsort(tree.data, kind="stable")[:surplus]
        one, other = tree.row[nearest], tree.col[nearest]
        links.append(shapely.shortest_line(groups[one], groups[other]))
        groups = united(groups, _components(len(groups), one, other))
        reach *= 2
    return np.concatenate(links) if links else np.array([], object)


def united(shapes: Shapes, numbers: Numbers) -> Shapes:
    """Return a MultiPolygon for each group, of its shapes as they are.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
    numbers : ndarray of int, shape (n,)
        Number of the group of each; all from 0 to the largest are there.

    Returns
    -------
    ndarray of MultiPolygon, shape (groups,)
    """
    parts, shape = shapely.get_parts(shapes, return_index=True)
    order = np.argsort(numbers[shape], kind="stable")
    return np.asarray(shapely.multipolygons(parts[order], indices=numbers[shape][order]))


def _reaches(shapes: Shapes, distance: float) -> Iterator[float]:
    """Yield growing distances, from the side of a middling shape up to the one that is asked for."""
    reach = float(np.sqrt(np.median(shapely.area(shapes)))) if len(shapes) else 0.0
    while 0 < reach < distance:
        yield reach
        reach *= 2
    yield distance + TOLERANCE


def _pairs(shapes: Shapes, distance: float) -> tuple[Numbers, Numbers]:
    """Return the numbers of shapes that are within a distance of each other, each pair once, that of more points first.

    GEOS indexes the first of two shapes, so that many small ones near a large one cost little.
    """
    around = shapely.box(*(shapely.bounds(shapes) + distance * np.array([-1, -1, 1, 1])).T)
    one, other = shapely.STRtree(shapes).query(around)
    points = shapely.get_num_coordinates(shapes)
    first = (points[one] > points[other]) | ((points[one] == points[other]) & (one < other))
    one, other = one[first], other[first]
    shapely.prepare(shapes)
    near = shapely.dwithin(shapes[one], shapes[other], distance)
    return one[near], other[near]


def _components(count: int, one: Numbers, other: Numbers) -> Numbers:
    links = coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1])
