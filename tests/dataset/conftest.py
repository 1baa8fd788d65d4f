import shutil

import numpy as np
import pytest

from spurgekit.tiles import TileOptions, tile_images
from tests.dataset import COLUMNS, ROWS, WEED, add_columns, weed_polygons
from tests.tiles import ramp


@pytest.fixture(scope="session")
def meadow(tmp_path_factory, make_tif):
    """A folder of 20 x 20 tiles of 4 cm whose index has a column ``kind``: sand and weed in turn. To be read only."""
    folder = tmp_path_factory.mktemp("meadow")
    tile_images([make_tif(folder / "meadow.tif", ramp(3, 80, 80))], folder / "tiles", TileOptions(size_px=4))
    add_columns(folder / "tiles", kind=["sand", "weed"] * 200)
    return folder / "tiles"


@pytest.fixture(scope="session")
def drawn_field(tmp_path_factory, make_tif):
    """A folder with ``tiles/`` of 3 x 8 tiles with labels and groups in their index, and ``weed.gpkg``. To be read only."""
    folder = tmp_path_factory.mktemp("field")
    image = make_tif(folder / "field.tif", ramp(3, 10 * ROWS, 10 * COLUMNS))
    tile_images([image], folder / "tiles", TileOptions(size_px=10))
    weed_polygons().to_file(folder / "weed.gpkg")

    cols = np.tile(np.arange(COLUMNS), ROWS)
    add_columns(
        folder / "tiles",
        label=np.where(np.isin(cols, WEED), "weed", "sand"),
        half=np.where(cols < 4, "west", "east"),
        one="all",
        gaps=[None, *["a"] * (ROWS * COLUMNS - 1)],
        pure=np.where(np.isin(cols, WEED), "weedy", "sandy"),
    )
    (folder / "field.tif").unlink()
    return folder


@pytest.fixture
def field(drawn_field, tmp_path, monkeypatch):
    """The working folder: a copy of the drawn field, to do with as one likes."""
    shutil.copytree(drawn_field, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
