"""Whatever ends a run is one line, and the code tells scripts what kind it was."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from rasterio.errors import RasterioIOError
from safetensors import SafetensorError

import spurgekit
from spurgekit.errors import InputError
from tests.chain import BACKBONE, TILE_PX, draw_site
from tests.command import refuse

FULL = "spurgekit: the disk is full; free some space and run it again"


@pytest.fixture
def failing(monkeypatch):
    """Let 'spurgekit info' raise an error, and return what it says of it."""

    def say(error, code):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(spurgekit, "read_image_info", fail)
        return refuse("info", "site.tif", code=code)

    return say


def test_a_fault_asks_to_be_reported(failing):
    line = failing(KeyError("tile_id"), 70)
    assert line.startswith("spurgekit: this is a fault of spurgekit (KeyError: 'tile_id', cli/info.py line ")
    assert line.endswith(
        "; please report it at https://github.com/spurgekit/spurgekit/issues with what 'spurgekit --debug' shows"
    )


@pytest.mark.parametrize("error", [ValueError(), InputError(""), InputError("\n"), OSError(), AssertionError()])
def test_no_line_is_empty(failing, error):
    assert f"this is a fault of spurgekit ({type(error).__name__}, " in failing(error, 70)


def test_a_traceback_comes_ahead_of_the_line(monkeypatch, tmp_path):
    code = "import spurgekit; spurgekit.read_image_info = lambda *a, **b: {}['x']; from spurgekit.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--debug", "info", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert done.stderr.startswith("Traceback (most recent call last)")
    assert done.stderr.splitlines()[-1].startswith("spurgekit: this is a fault of spurgekit (KeyError: 'x'")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("database or disk is full"),
    ],
)
def test_a_full_disk_whoever_says_it(failing, error):
    assert failing(error, 1) == FULL


@pytest.mark.parametrize(
    "said", ["TIFFAppendToStrip:Write error at scanline 0", "TIFFWriteDirectoryTagData:IO error writing tag data"]
)
def test_an_image_that_cannot_be_written(failing, said):
    error = RasterioIOError("See previous exception for details.")
    error.__cause__ = RuntimeError(said)
    assert failing(error, 1) == (
        "spurgekit: a file could not be written: the disk is full, or fails; free some space and run it again"
    )


def test_a_full_disk_behind_another_error(failing):
    error = InputError("site.tif is damaged")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert failing(error, 1) == FULL


def test_a_disk_that_fills_up_while_weights_are_saved(chain, tmp_path, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    quick = ("--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX)
    assert refuse("train", chain.dataset, *quick, "--out", tmp_path / "m", code=1) == FULL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 GB")])
def test_too_little_memory(failing, error):
    assert failing(error, 1).startswith("spurgekit: there is not enough memory for this; ")


def test_what_the_system_refuses_names_the_file(failing):
    assert failing(PermissionError(errno.EACCES, "Permission denied", "/x/y"), 1) == "spurgekit: /x/y: Permission denied"


def test_ctrl_c(failing):
    assert failing(KeyboardInterrupt(), 130) == "spurgekit: interrupted"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to end a process in order by")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_half_written(tmp_path, make_tif, number, code):
    site = make_tif(tmp_path / "site.tif", draw_site().repeat(12, axis=1).repeat(12, axis=2))
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "spurgekit", "tile", site, "--size", "16", "--out", tmp_path / "out" / "tiles"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not list((tmp_path / "out").glob(".*/*.png")):
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    expected = f"spurgekit: {'ended by SIGTERM' if number == signal.SIGTERM else 'interrupted'}\n"
    assert (process.returncode, said) == (code, expected)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="names of files are characters there")
class TestNames:
    def test_that_are_not_utf_8(self, tmp_path):
        line = refuse("info", os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tif"))
        assert line.endswith(r"/\udcff.tif is not UTF-8; rename it. See 'main info --help'.")

    def test_that_lead_round_in_a_circle(self, tmp_path, make_tif):
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        site = make_tif(tmp_path / "site.tif", draw_site())
        assert "is no path, or a loop of links" in refuse("tile", site, "--out", tmp_path / "a")


def test_texts_of_files_do_nothing_to_a_terminal(failing):
    assert failing(InputError("the camera is \x1b[31mred\x1b[0m\x07"), 2) == r"spurgekit: the camera is \x1b[31mred\x1b[0m\x07"
