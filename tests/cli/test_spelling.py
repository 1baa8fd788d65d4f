"""The library speaks Python, the command line speaks flags: every parameter that a message names is an option of a command."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

import spurgekit
from spurgekit.cli.main import main
from spurgekit.cli.spelling import as_options, find_parameter
from spurgekit.errors import PARAMETER

PACKAGE = Path(spurgekit.__file__).parent

PAGES = {
    "backbone_card.py",
    "dataset_card.py",
    "model_card.py",
    "report_page.py",
    "split_info.py",
    "study_page.py",
    "light_series.py",
}
"""What these write is Markdown, in which backquotes are those of code."""

PYTHON = {"declared_crs", "schema_version", "date", "country_code", "positional_accuracy_m", "taxa"}
"""Parameters that no command has: of a function that is told an option under another name, and entries of survey.toml."""

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def texts(path):
    """Yield the strings of a module that are not docstrings: the line, and the text with {} for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inside):
            yield node.lineno, node.value


def library():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "cli" and path.name not in PAGES]


def test_every_parameter_that_is_named_is_an_option():
    named = {}
    for path in library():
        for line, text in texts(path):
            for name, _ in PARAMETER.findall(text):
                named.setdefault(name, f"{path.relative_to(PACKAGE)}:{line}")
    assert len(named) > 60
    lost = {name: where for name, where in named.items() if name not in PYTHON and find_parameter(name, None, main) is None}
    assert lost == {}


OF_OTHERS = ("pyproj", "gdal_calc", "--force-reinstall")


def test_no_flag_is_named():
    flags = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path in library()
        for line, text in texts(path)
        # The file that survey.py writes says which commands come next, and some are flags of programs of others.
        if FLAG.search(text) and path.name != "survey.py" and not any(name in text for name in OF_OTHERS)
    ]
    assert flags == []


COMMAND = click.Command(
    "paint",
    params=[
        click.Argument(["image"]),
        click.Option(["--gsd", "gsd_m"], type=float),
        click.Option(["--steps", "steps"], type=int),
        click.Option(["--learn-steps", "inversion_steps"], type=int),
        click.Option(["--keep/--no-keep"]),
        click.Option(["--bands"]),
    ],
)
GROUP = click.Group("all", commands=[COMMAND, click.Command("cut", params=[click.Option(["--size", "size_px"])])])


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("`gsd_m=0.0` cannot be", "--gsd 0.0 cannot be"),
        ("pass `gsd_m`, e.g. `gsd_m=0.01`", "pass --gsd, e.g. --gsd 0.01"),
        ("pass `keep=False`", "pass --no-keep"),
        ("pass `keep=True`", "pass --keep"),
        ("pass `bands=(1, 2, 3)`", "pass --bands 1,2,3"),
        ("pass `bands=[4]`", "pass --bands 4"),
        ("`gsd_m='a b'` is not a number", "--gsd a b is not a number"),
        ("`steps=0`, `inversion.steps=0`", "--steps 0, --learn-steps 0"),
        ("cut with another `size_px`", "cut with another --size"),
        ("`image` is no image", "IMAGE is no image"),
        ("the class `weed` has no tile", "the class `weed` has no tile"),
    ],
)
def test_names_become_options(message, said):
    assert as_options(message, COMMAND, GROUP) == said
