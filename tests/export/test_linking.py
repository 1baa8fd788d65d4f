import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from spurgekit.export.linking import near_groups, nearest_links

PLACES = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), min_size=2, max_size=25, unique=True)


def squares(places):
    x, y = np.array(places, float).T
    return shapely.box(x, y, x + 1, y + 1)


def single_linkage(shapes):
    return linkage(squareform(shapely.distance(shapes[:, None], shapes[None])), "single")


@given(PLACES, st.sampled_from([0.0, 1.0, 1.4142136, 2.0, 3.0, 5.0]))
def test_groups_are_those_of_single_linkage(places, distance):
    shapes = squares(places)
    found = near_groups(shapes, distance)
    expected = fcluster(single_linkage(shapes), distance + 1e-6, "distance")
    assert (found[:, None] == found[None]).tolist() == (expected[:, None] == expected[None]).tolist()
    firsts = np.unique(found, return_index=True)[1]
    assert firsts.tolist() == sorted(firsts)  # numbered as their first shapes are


@given(PLACES, st.integers(1, 6), st.sampled_from([0.01, 1.0, 50.0]))
def test_links_are_the_shortest_that_join(places, most, reach):
    shapes = squares(places)
    links = nearest_links(shapes, most, reach)
    expected = sorted(single_linkage(shapes)[:, 2])[: max(0, len(shapes) - most)]
    assert sorted(shapely.length(links)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("distance", "groups"), [(0, 3), (0.999, 3), (1, 2), (2.8, 2), (2.8284272, 1)])
def test_a_distance_that_is_just_reached_joins(distance, groups):
    shapes = squares([(0, 0), (2, 0), (5, 3)])  # a gap of 1, and 2 in x and in y: 2.828427
    assert len(set(near_groups(shapes, distance))) == groups


def test_squares_that_share_a_corner_touch():
    assert near_groups(squares([(0, 0), (1, 1)]), 0).tolist() == [0, 0]
