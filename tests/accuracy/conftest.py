import shutil
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from affine import Affine

from spurgekit.accuracy import CheckOptions, draw_check
from spurgekit.maps import map_site
from tests.maps.brightness import brightness_model

ROWS, COLUMNS, CELL_PX = 24, 30, 4
DARK, BRIGHT, DOUBTFUL_DARK, DOUBTFUL_BRIGHT = 40, 180, 98, 104


def drawn_ground():
    """Return the brightness of each cell of a site: a third bright, doubtful at its edge, two columns without data."""
    bright = np.full((ROWS, COLUMNS), DARK)
    bright[:, 10:20] = BRIGHT
    bright[:, 9], bright[:, 10] = DOUBTFUL_DARK, DOUBTFUL_BRIGHT
    bright[:, -2:] = 0
    return bright


@dataclass(frozen=True)
class Drawn:
    """A map of drawn ground, and where the sample of it is."""

    site: Path
    map: Path
    check: Path

    def truth(self, cell: str) -> str:
        """Return what a cell is: bright from column 9 on, where the map has it dark, to 19."""
        return "bright" if 9 <= int(cell.rpartition("_c")[2]) < 20 else "dark"

    def fill_in(self, path: Path, cells: int | None = None) -> Path:
        """Write the table of the sample with labels, of some of its cells."""
        table = pd.read_csv(self.check / "cells.csv", dtype=str)
        table["label"] = [self.truth(cell) for cell in table["cell"]]
        table.loc[len(table) if cells is None else cells :, "label"] = None
        table.to_csv(path, index=False)
        return path


def make_drawn(folder: Path, make_tif, **how) -> Drawn:
    grain = np.tile([[3, -3], [-3, 3]], (CELL_PX // 2, CELL_PX // 2))  # of mean 0, lest one colour pass for no data
    ground = drawn_ground()
    bright = (np.kron(ground, np.ones((CELL_PX, CELL_PX), int)) + np.kron(ground > 0, grain)).astype(np.uint8)
    alpha = np.kron(np.where(ground > 0, 255, 0), np.ones((CELL_PX, CELL_PX), int)).astype(np.uint8)
    site = make_tif(folder / "site.tif", np.stack([bright] * 3 + [alpha]), colours=("red", "green", "blue", "alpha"), **how)
    with chdir(folder):  # where provenance has its paths from
        map_site(site.name, brightness_model(CELL_PX, bands=3), "maps/dune")
    return Drawn(site, folder / "maps" / "dune", folder / "checks" / "dune")


@pytest.fixture(scope="session")
def drawn_once(tmp_path_factory, make_tif) -> Drawn:
    """A map and a sample of 120 of its 672 cells. To be read only."""
    drawn = make_drawn(tmp_path_factory.mktemp("drawn"), make_tif)
    with chdir(drawn.site.parent):
        draw_check("maps/dune", "checks/dune", CheckOptions(cells=120, least=12))
    return drawn


@pytest.fixture
def drawn(drawn_once, tmp_path, monkeypatch) -> Drawn:
    """The same, to do with as one likes; the working folder is where it lies."""
    shutil.copytree(drawn_once.check.parents[1], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Drawn(Path("site.tif"), Path("maps/dune"), Path("checks/dune"))


@pytest.fixture
def nowhere(tmp_path, make_tif) -> Drawn:
    """A map without a place on Earth."""
    local = 'LOCAL_CS["paddock",UNIT["metre",1]]'
    return make_drawn(tmp_path, make_tif, crs=local, transform=Affine(0.01, 0, 0, 0, -0.01, 10))
