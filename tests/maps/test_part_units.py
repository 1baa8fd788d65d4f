"""Whoever makes the parts of a map, it is the same to the byte."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from spurgekit.classify import load_model
from spurgekit.errors import InputError
from spurgekit.executors import open_workers
from spurgekit.maps import MapOptions, load_map_model, map_site
from tests.chain import COLUMNS, ROWS, TILE_PX
from tests.maps.test_parts import ROW_BYTES, contents, parts_in, stopped


@pytest.fixture(autouse=True)
def parts_of_a_row(monkeypatch):
    monkeypatch.setattr("spurgekit.maps.looking.PART_BYTES", ROW_BYTES)
    monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", ROW_BYTES)


def load(chain):
    """As a map has it: layers folded, a prevalence that is not that of training."""
    return load_map_model(chain.model, "cpu", views=1, prevalence="0.1", precision="float32")


@pytest.fixture(scope="module")
def whole(chain, tmp_path_factory):
    """Return a map made by this process, in cells smaller than tiles."""
    folder = tmp_path_factory.mktemp("whole") / "map"
    map_site(chain.site, load(chain), folder, MapOptions(stride_px=16))
    return contents(folder)


def test_by_processes(chain, tmp_path, whole):
    map_site(chain.site, load(chain), tmp_path / "map", MapOptions(stride_px=16), executor="processes")
    assert contents(tmp_path / "map") == whole
    assert [path.name for path in tmp_path.iterdir()] == ["map"]


def test_by_a_worker_of_dask(chain, tmp_path, whole, scheduler, start_worker):
    start_worker()
    map_site(chain.site, load(chain), tmp_path / "map", MapOptions(stride_px=16), executor=scheduler)
    assert contents(tmp_path / "map") == whole


def test_one_of_two_that_is_killed_costs_time_only(chain, tmp_path, whole, scheduler, start_worker):
    processes = [start_worker(), start_worker()]
    killed = threading.Event()

    def kill():
        while not parts_in(tmp_path):
            time.sleep(0.01)
        processes[0].kill()
        killed.set()

    with open_workers(scheduler) as workers:
        while workers.count() < 2:
            time.sleep(0.05)
        thread = threading.Thread(target=kill)
        thread.start()
        map_site(chain.site, load(chain), tmp_path / "map", MapOptions(stride_px=16), executor=workers)
        thread.join()
    assert killed.is_set()
    assert contents(tmp_path / "map") == whole


def test_what_was_begun_here_is_gone_on_with_there(chain, tmp_path, whole):
    options = MapOptions(stride_px=16)
    stopped(chain, tmp_path, 8 * COLUMNS, options=options, model=load(chain))
    assert 0 < len(parts_in(tmp_path)) < 2 * ROWS
    map_site(chain.site, load(chain), tmp_path / "map", options, executor="processes")
    assert contents(tmp_path / "map") == whole


def test_what_one_of_them_refuses_is_one_line_and_leaves_nothing(chain, tmp_path, make_tif):
    """An image that is cut off in the middle."""
    rng = np.random.default_rng(0)
    site = make_tif(tmp_path / "site.tif", rng.integers(1, 255, (3, ROWS * TILE_PX, COLUMNS * TILE_PX)).astype(np.uint8))
    data = site.read_bytes()
    site.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"site\.tif: rows \d+ to \d+ cannot be decoded") as caught:
        map_site(site, load(chain), tmp_path / "map", executor="processes")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["site.tif"]


def test_a_model_that_is_in_no_folder_is_refused(chain, tmp_path):
    model = load_model(chain.model, "cpu")
    model.folder = None
    with pytest.raises(InputError, match="in no folder cannot be sent to workers; save it, or pass `executor=threads`"):
        map_site(chain.site, model, tmp_path / "map", executor="processes")
    assert not list(tmp_path.iterdir())


def test_what_is_no_executor_is_refused(chain, tmp_path):
    with pytest.raises(InputError, match="`executor=slurm` is not known; pass threads, processes, dask://HOST:PORT"):
        map_site(chain.site, load_model(chain.model, "cpu"), tmp_path / "map", executor="slurm")
    assert not list(tmp_path.iterdir())
