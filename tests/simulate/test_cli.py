from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pytest

from tests.command import refuse, succeed

SMALL = ("--plot-rows", 1, "--plot-columns", 1, "--plot-size", 5, "--gsd", 0.03)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_what_it_made() -> None:
    output = succeed("simulate", "out", *SMALL, "--missing", 0.25, "--covered", 0.34, "--name", "north")
    assert output.splitlines() == [
        "1 plots, 3 markers, 1 of them half hidden",
        "out: north.tif, survey.toml; the truth: plots.gpkg, markers.gpkg, weed.gpkg, weed.tif",
    ]
    assert len(gpd.read_file("out/markers.gpkg")) == 3


def test_what_it_made_can_be_tiled(monkeypatch: pytest.MonkeyPatch) -> None:
    succeed("simulate", "out", *SMALL, "--family", "none", "--size", 9)
    monkeypatch.chdir("out")
    assert "grid" in succeed("tile", "--layout", "grid", "--size", 100)


def test_a_frame() -> None:
    assert "site.jpg" in succeed("simulate", "out", *SMALL, "--frame", "--frame-px", 600)


def test_overwriting() -> None:
    succeed("simulate", "out", *SMALL)
    assert "pass --overwrite to replace it" in refuse("simulate", "out", *SMALL)
    succeed("simulate", "out", *SMALL, "--overwrite", "--seed", 1)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--plot-size", 0), "--plot-size 0.0 is not a size of a plot"),
        (("--plot-size", "nan"), "--plot-size nan is not a number"),
        (("--marker-color", "1,2"), "--marker-color 1,2 has to be 3 values"),
        (("--family", "square"), "known are cross, dark-cross"),
        (("--blur", -1), "pass 0 to 20"),
        (("--exposure", 9), "pass -4 to 4"),
        (("--missing", 2), "pass a number from 0 to 1"),
        (("--frame", "--size", 40), "--size does not go with --frame"),
    ],
)
def test_options_that_cannot_serve(arguments: tuple[object, ...], hint: str) -> None:
    assert hint in refuse("simulate", "out", *arguments)
