"""Clusters of points that lie near each other, for points whose field file does not say which belong together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


def cluster_by_distance(x_m: NDArray[np.float64], y_m: NDArray[np.float64], distance_m: float) -> NDArray[np.int64]:
    """Return the number of the cluster that each point belongs to.

    Two points are of one cluster if one can walk from one to the other over points without a step of more than a distance
    (single linkage). Clusters are numbered from the west, whatever the order of the points.

    Parameters
    ----------
    x_m, y_m : ndarray, shape (n,)
        Projected coordinates in metres.
    distance_m : float

    Returns
    -------
    ndarray of int64, shape (n,)

    Examples
    --------
    >>> cluster_by_distance(np.array([20.0, 0.0, 3.0, 6.0]), np.zeros(4), 5.0)
    array([1, 0, 0, 0])
    """
    places = np.column_stack([x_m, y_m])
    near = cKDTree(places).sparse_distance_matrix(cKDTree(places), distance_m, output_type="coo_matrix")
    near.data[:] = 1.0  # points in one place are 0 apart, which a sparse matrix takes for "not near"
    _, cluster = connected_components(near, directed=False)
    order = np.lexsort([places[:, 1], places[:, 0]])
    _, first = np.unique(cluster[order], return_index=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[cluster], np.int64)
