import shutil

import numpy as np
import pytest

from spurgekit.outputs import PROVENANCE
from spurgekit.review import open_folder
from spurgekit.tiles import TileOptions, tile_images
from tests.dataset import add_columns
from tests.review import COLUMNS, ROWS, SIDE_PX
from tests.tiles import ramp


@pytest.fixture(scope="session")
def drawn_dune(tmp_path_factory, make_tif):
    """A folder with ``dune.tif`` and ``tiles/`` of 5 x 6 tiles with labels, plots and confidences. To be read only."""
    folder = tmp_path_factory.mktemp("drawn")
    site = make_tif(folder / "dune.tif", ramp(3, ROWS * SIDE_PX, COLUMNS * SIDE_PX))
    tile_images([site], folder / "tiles", TileOptions(size_px=SIDE_PX, layout="grid"))
    count = ROWS * COLUMNS
    add_columns(
        folder / "tiles",
        label=np.array(["sand", "weed"] * (count // 2), object),
        plot=[1 + i // COLUMNS for i in range(count)],
        confidence=np.linspace(0.99, 0.41, count).round(2),
    )
    return folder


@pytest.fixture
def dune(drawn_dune, tmp_path, monkeypatch):
    """The working folder: a copy of the drawn dune, to do with as one likes."""
    shutil.copytree(drawn_dune, tmp_path, dirs_exist_ok=True)
    provenance = tmp_path / "tiles" / PROVENANCE
    provenance.write_text(provenance.read_text().replace(str(drawn_dune), str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder(dune):
    """The tiles of the dune, opened."""
    return open_folder(dune / "tiles")
