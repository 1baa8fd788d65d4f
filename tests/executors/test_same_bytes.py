"""Outputs are the same to the byte, whoever makes them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from spurgekit.errors import InputError
from spurgekit.executors import open_workers
from spurgekit.outputs.checksums import look_through, read_checksums
from spurgekit.tiles import TileOptions, tile_images
from tests.executors.test_executors import blind_to, wait_for

SLOW = """
import time, spurgekit.tiles.cut as cut
write = cut.TileWriter.write
cut.TileWriter.write = lambda *tile: (time.sleep(0.2), write(*tile))[1]
"""
"""Done first, has a worker take so long over each tile that it is killed in the middle of some."""


def files(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, but for what says when and where it was made."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "provenance.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def site(tmp_path, make_tif):
    """Return an image with holes and a white collar that nothing says holds no data, in many rows of tiles."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 254, (3, 300, 170), np.uint8)
    pixels[:, :40] = pixels[:, :, :10] = 255
    return make_tif(tmp_path / "site.tif", pixels, compress="deflate", tiled=True, blockxsize=64, blockysize=64)


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    """Cut small sites into many units, as large ones are."""
    monkeypatch.setattr("spurgekit.tiles.cut.BAND_PX", 40)


class TestTiles:
    @pytest.mark.parametrize("options", [{"size_px": 20}, {"size_px": 20, "overlap_px": 4, "gsd_m": 0.013}])
    def test_processes_make_what_threads_make(self, site, tmp_path, options):
        one, other = (
            tile_images(site, tmp_path / executor, TileOptions(layout="grid", **options), executor=executor)
            for executor in ("threads", "processes")
        )
        assert files(one.folder) == files(other.folder)
        assert one.sites == other.sites
        assert look_through(other.folder, read_checksums(other.folder)).changed == ()
        assert any("exactly 255" in note for note in one.sites[0].notes)  # which workers count

    def test_one_dask_worker_or_two_one_of_which_dies(self, site, tmp_path, scheduler, start_worker, monkeypatch):
        monkeypatch.chdir(tmp_path)  # workers have another working folder
        options = TileOptions(layout="grid", size_px=20)
        expected = files(tile_images(site.name, "threads", options).folder)
        start_worker()
        with open_workers(scheduler) as workers:
            assert files(tile_images(site.name, "one", options, executor=workers).folder) == expected
            second = start_worker(SLOW)
            wait_for(lambda: workers.count() == 2)
            killed = Killer(second)
            assert files(tile_images(site.name, "two", options, executor=workers, progress=killed).folder) == expected
            assert killed.done
            assert workers.count() == 1

    def test_what_workers_do_not_see_is_said_ahead_of_the_work(self, site, tmp_path, scheduler, start_worker):
        start_worker(blind_to(tmp_path))
        with pytest.raises(InputError, match="does not see"):
            tile_images(site, tmp_path / "tiles", TileOptions(layout="grid"), executor=scheduler)
        assert not [path for path in tmp_path.iterdir() if "tiles" in path.name and path.is_dir()]


class Killer:
    """Progress that kills a process as soon as there is some."""

    def __init__(self, process):
        self.process, self.done = process, False

    @contextmanager
    def __call__(self, *_):
        yield self.advance

    def advance(self, *_):
        if not self.done:
            self.done = True
            self.process.kill()
            self.process.join()
