"""Clusters by distance."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.dataset.splits import cluster_by_distance

X = np.array([0.0, 4.0, 8.0, 20.0, 23.0])


def test_a_chain_is_one_cluster():
    assert cluster_by_distance(X, np.zeros(5), 5.0).tolist() == [0, 0, 0, 1, 1]


def test_shorter_steps_make_more_of_them():
    assert cluster_by_distance(X, np.zeros(5), 3.5).tolist() == [0, 1, 2, 3, 3]


def test_points_in_one_place_are_of_one_cluster():
    assert cluster_by_distance(np.array([5.0, 0.0, 5.0]), np.zeros(3), 1.0).tolist() == [1, 0, 1]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30), st.randoms())
def test_the_order_of_points_changes_nothing(places, random):
    x, y = np.array(places, float).T
    order = list(range(len(places)))
    random.shuffle(order)
    clusters = cluster_by_distance(x, y, 7.0)
    assert (cluster_by_distance(x[order], y[order], 7.0) == clusters[order]).all()
    # Numbered from 0 without gaps, and two points of different clusters are far apart.
    assert set(clusters) == set(range(clusters.max() + 1))
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    assert (apart[clusters[:, None] != clusters] > 7).all()
