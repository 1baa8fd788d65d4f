"""Tiles that hold some of a class and too little to be of it: of no class, but not to be forgotten.

A test that leaves them out is easier than the ground is; and a model of cover learns from them as from any other tile.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
from scipy.spatial import cKDTree

from spurgekit.dataset.places import place_names
from spurgekit.dataset.splits import close_pairs

TOO_LITTLE = "with some of a class, and too little to be of it"
"""Why they are in neither split."""


def beside_split(unclear: gpd.GeoDataFrame, index: gpd.GeoDataFrame, column: str) -> gpd.GeoDataFrame:
    """Give unclear tiles the place and the side of the nearest tile that has a class.

    Parameters
    ----------
    unclear : geopandas.GeoDataFrame
        Unclear tiles.
    index : geopandas.GeoDataFrame
        Tiles of the dataset with their ``split``, in the same CRS.
    column : str
        Of the index, with the place of each tile.

    Returns
    -------
    geopandas.GeoDataFrame
        Those that touch no tile of the other side, with ``split`` and ``place``; none of tiles without a footprint.
    """
    unclear = unclear[unclear.geometry.notna()]
    known = index[index.geometry.notna()]
    if unclear.empty or known.empty:
        return unclear.iloc[:0].assign(split=None, place=None)
    _, nearest = cKDTree(known.geometry.centroid.get_coordinates()).query(unclear.geometry.centroid.get_coordinates())
    near = known.iloc[nearest]
    placed = unclear.assign(split=near["split"].to_numpy(), place=place_names(near[column]).to_numpy()).reset_index(drop=True)
    ground = np.concatenate([placed.geometry.to_numpy(), known.geometry.to_numpy()])
    is_test = np.concatenate([placed["split"], known["split"]]) == "test"
    touching = np.zeros(len(ground), np.bool_)
    pairs = close_pairs(ground, is_test)
    touching[pairs[pairs[:, 0] < len(placed), 0]] = True  # of two unclear tiles the one that is trained on gives way
    touching[pairs[(pairs[:, 1] < len(placed)) & (pairs[:, 0] >= len(placed)), 1]] = True
    return gpd.GeoDataFrame(placed[~touching[: len(placed)]].reset_index(drop=True), crs=index.crs)
