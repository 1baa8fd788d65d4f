"""Help, and what needs no network of weights, come without what takes seconds to load."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from spurgekit.cli.main import COMMANDS

LARGE = ("torch", "timm", "diffusers", "transformers", "peft")
FOR_HELP = (*LARGE, "numpy", "pandas", "rasterio", "geopandas", "scipy", "sklearn", "cv2", "shapely", "pydantic", "matplotlib")
"""What no help imports."""

CODE = """
import json, sys
import click
from spurgekit.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def loaded(*arguments):
    """Run a command in a process of its own; return what it imported."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=True
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return set(modules)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_loads_nothing_large(command):
    arguments = ["--help"] if command is None else [command, "--help"]
    assert loaded(*arguments) & set(FOR_HELP) == set()


def test_the_package_itself_loads_nothing_large():
    code = "import json, sys, spurgekit; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {name.split(".")[0] for name in json.loads(done.stdout)} & set(FOR_HELP) == set()


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save("photo.jpg")
    return "photo.jpg"


class TestCommands:
    """Each of these runs to its end without torch."""

    def test_info(self, picture):
        assert loaded("info", picture) & set(LARGE) == set()

    def test_markers(self, picture):
        assert loaded("markers", picture, "--image-gsd", 0.01, "--marker-size", 0.2) & set(LARGE) == set()

    def test_tile(self, chain, tmp_path):
        assert loaded("tile", chain.site, "--size", 32, "--out", tmp_path / "tiles") & set(LARGE) == set()

    def test_simulate(self, tmp_path):
        out = tmp_path / "site"
        assert loaded("simulate", out, "--family", "none", "--size", 4) & set(LARGE) == set()

    def test_build_dataset(self, chain, tmp_path):
        arguments = ("--labels", chain.weed, "--classes", "sand,weed", "--out", tmp_path / "dataset")
        assert loaded("build-dataset", chain.tiles, *arguments) & set(LARGE) == set()

    def test_review_report(self, chain):
        assert loaded("review", chain.tiles, "--report", "--classes", "sand,weed") & set(LARGE) == set()

    def test_dataset_info(self, chain):
        assert loaded("dataset", "info", chain.dataset) & set(LARGE) == set()

    def test_model_info(self, chain):
        assert loaded("model", "info", chain.model) & set(LARGE) == set()
