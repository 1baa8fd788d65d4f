"""A field of 8 x 3 squares of 10 px that is tiled and labelled for the tests of datasets."""

import geopandas as gpd
import pandas as pd
from shapely import box

from tests.conftest import CORNER

X, Y = CORNER
SIDE = 0.1
"""Side of a tile in metres: 10 px of 1 cm."""

ROWS, COLUMNS = 3, 8
WEED = (1, 2, 5, 6)
"""Columns of tiles with weed: two of sand, two of weed and so on, one apart."""


def square(row, col, inset=0.0):
    """The ground of a tile."""
    west, north = X + col * SIDE, Y - row * SIDE
    return box(west + inset, north - SIDE + inset, west + SIDE - inset, north - inset)


def weed_polygons():
    """One polygon over each pair of columns with weed, half a tile inside of its edges."""
    strips = [square(0, col).union(square(ROWS - 1, col + 1)).envelope.buffer(-SIDE / 4) for col in WEED[::2]]
    return gpd.GeoDataFrame(geometry=strips, crs="EPSG:32612")


def add_columns(tiles, **columns):
    """Add columns to the index of a tiles folder, as a notebook would."""
    index = gpd.read_parquet(tiles / "tiles.parquet")
    for name, values in columns.items():
        index[name] = pd.Series(values, index=index.index)
    index.to_parquet(tiles / "tiles.parquet")
    return index
