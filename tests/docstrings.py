"""Check the docstrings of the public face: ``python -m tests.docstrings``.

What ``import spurgekit`` gives has to document every parameter, what it returns, and every option.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from numpydoc.validate import validate

import spurgekit
from spurgekit.options import Options, described, kinds_of

FUNCTIONS = (
    "GL03",
    "GL06",
    "GL07",
    "GL08",
    "GL09",
    "SS01",
    "SS02",
    "SS03",
    "PR01",
    "PR02",
    "PR03",
    "PR04",
    "PR06",
    "RT01",
    "YD01",
)
"""Codes of numpydoc: sections in order, a summary, parameters all there and in order with types, what is returned."""

CLASSES = ("GL03", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03")

BIG = ("tile_images", "build_dataset", "augment_dataset", "train_model", "evaluate_arms", "map_site")
"""Functions that are to show an example, and what goes wrong."""


def problems() -> Iterator[str]:
    """Yield what is wrong, a line each."""
    for name in spurgekit.__all__:
        value = getattr(spurgekit, name)
        if not inspect.isfunction(value) and not inspect.isclass(value):
            continue
        wanted = FUNCTIONS if inspect.isfunction(value) else CLASSES
        if name in BIG:
            wanted = (*wanted, "EX01")
            if "Raises\n" not in (value.__doc__ or ""):
                yield f"spurgekit.{name}: does not say what it raises"
        found = validate(f"spurgekit.{name}")
        yield from (f"spurgekit.{name}: {text} ({code})" for code, text in found["errors"] if code in wanted)
        if inspect.isclass(value) and issubclass(value, Options):
            told = described(value)
            yield from (f"spurgekit.{name}: says nothing of {option}" for option in kinds_of(value) if not told.get(option))


if __name__ == "__main__":
    lines = list(problems())
    print("\n".join(lines) or f"the docstrings of {len(spurgekit.__all__)} public names are whole")
    sys.exit(bool(lines))
