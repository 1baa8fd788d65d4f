"""Unlabelled tiles that look like a support set: real tiles, with a guess for a label. What synthetic ones have to beat."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spurgekit.classify.features import unit
from spurgekit.classify.probe import Array

NEIGHBOURS = 4
"""Unlabelled tiles for each tile of a support set."""


def retrieve(tiles: pd.DataFrame, described: Array, unlabelled: pd.DataFrame, described_unlabelled: Array) -> pd.DataFrame:
    """Return the unlabelled tiles that are nearest to the tiles of a support set, with their classes.

    An unlabelled tile that is near to several goes to the nearest of them.

    Parameters
    ----------
    tiles : pandas.DataFrame
        The support set: tile_id and target.
    described : ndarray, shape (tiles, d)
        See :func:`spurgekit.classify.samples.describe`.
    unlabelled : pandas.DataFrame
        With tile_id and path.
    described_unlabelled : ndarray, shape (unlabelled, d)

    Returns
    -------
    pandas.DataFrame
        tile_id, path, target, weight (1), and ``owner``, the tile that each owes its class to.
    """
    similarity = unit(described) @ unit(described_unlabelled).T
    nearest = similarity.argmax(axis=0)
    found = []
    for i, (tile_id, target) in enumerate(zip(tiles["tile_id"], tiles["target"], strict=True)):
        mine = np.flatnonzero(nearest == i)
        chosen = mine[np.argsort(-similarity[i, mine], kind="stable")[:NEIGHBOURS]]
        rows = unlabelled.iloc[chosen][["tile_id", "path"]]
        found.append(rows.assign(target=target, weight=1.0, owner=tile_id))
    return pd.concat(found, ignore_index=True)
