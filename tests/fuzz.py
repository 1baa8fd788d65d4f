"""Damaged files for readers: each may be refused in one line, or taken for what it is; anything else is a fault.

:func:`fuzz` gives a reader many inputs, the same ones on every run. ``make torture`` asks for many times as many and prints how
many were tried, refused and met with a fault, for each reader.
"""

from __future__ import annotations

import json
import os
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from spurgekit.errors import SpurgekitError

TIMES = int(os.environ.get("SPURGEKIT_TORTURE", "1"))
"""How many times as many inputs as in everyday tests."""

LONGEST_S = 60.0
"""A reader that takes longer hangs."""

NONSENSE: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2, 99, 10**12, -(2**63), 10**400, 0.5, -0.5, 1e308, float("nan"), float("inf"), float("-inf"),
    "", " ", "0", "nan", "NA", "None", "a\nb", "\x1b[31mred", "../../outside.png", "/etc/passwd", "C:\\x", "=1+1", "\ud800",
    "x" * 5000, "é", "\x00", [], [None], [[]], [0, 0], ["a", "a"], {}, {"a": 1}, {"": None},
)  # fmt: skip
"""Values that turn up in files by accident or on purpose."""

CELLS: Sequence[Any] = tuple(
    value for value in NONSENSE if not isinstance(value, (list, dict)) and value not in ("\ud800", 10**400)
)
"""Those that fit a cell of a table."""


# -- inputs -----------------------------------------------------------------------------------------------------------


def damaged(data: bytes) -> st.SearchStrategy[bytes]:
    """Return a file with bytes changed, put in, taken out or said twice, or cut off, in up to four places."""

    def damage(edits: list[tuple[str, float, bytes, int]]) -> bytes:
        found = bytearray(data)
        for kind, place, new, length in edits:
            start = int(place * len(found))
            match kind:
                case "change":
                    found[start : start + len(new)] = new
                case "put in":
                    found[start:start] = new
                case "take out":
                    del found[start : start + length]
                case "twice":
                    found[start:start] = found[start : start + length]
                case "cut off":
                    del found[start:]
        return bytes(found)

    kinds = st.sampled_from(["change", "put in", "take out", "twice", "cut off"])
    edit = st.tuples(kinds, st.floats(0, 1), st.binary(min_size=1, max_size=8), st.integers(1, 64))
    return st.lists(edit, min_size=1, max_size=4).map(damage)


def changed(document: Any) -> st.SearchStrategy[Any]:
    """Return a document of JSON or TOML with up to three of its values replaced, left out, said twice, or added."""

    def change(edits: list[tuple[str, int, Any]]) -> Any:
        found = deepcopy(document)
        for kind, number, value in edits:
            places = list(_places(found))
            if not places:
                continue
            holder, key = places[number % len(places)]
            match kind:
                case "replace":
                    holder[key] = deepcopy(value)
                case "leave out":
                    del holder[key]
                case "twice" if isinstance(holder, list):
                    holder.insert(key, deepcopy(holder[key]))
                case "add" if isinstance(holder, dict):
                    holder["more"] = deepcopy(value)
                case "negate" if isinstance(holder[key], (int, float)):
                    holder[key] = -holder[key]
        return found

    kinds = st.sampled_from(["replace", "replace", "leave out", "twice", "add", "negate"])
    edit = st.tuples(kinds, st.integers(0, 10**6), st.sampled_from(NONSENSE))
    return st.lists(edit, min_size=1, max_size=3).map(change)


def changed_table(table: pd.DataFrame, values: Sequence[Any] = CELLS) -> st.SearchStrategy[pd.DataFrame]:
    """Return a table with cells or whole columns replaced, columns or rows left out or said twice, or emptied."""
    columns = st.sampled_from([str(name) for name in table.columns])

    def change(edits: list[tuple[str, str, int, Any]]) -> pd.DataFrame:
        found = pd.DataFrame(table).astype(object)
        for kind, name, number, value in edits:
            if name not in found or not len(found):
                continue
            row = number % len(found)
            match kind:
                case "cell":
                    found.iloc[row, list(found.columns).index(name)] = value
                case "column":
                    found[name] = pd.Series([value] * len(found), index=found.index, dtype=object)
                case "leave out":
                    found = found.drop(columns=name)
                case "rename":
                    found = found.rename(columns={name: name.upper()})
                case "rows":
                    found = found.iloc[:row]
                case "twice":
                    found = pd.concat([found, found.iloc[[row]]], ignore_index=True)
                case "shuffle":
                    found[name] = np.roll(found[name].to_numpy(), 1)
        return found

    kinds = st.sampled_from(["cell", "cell", "column", "leave out", "rename", "rows", "twice", "shuffle"])
    edit = st.tuples(kinds, columns, st.integers(0, 10**6), st.sampled_from(values))
    return st.lists(edit, min_size=1, max_size=3).map(change)


def as_json(document: Any) -> bytes:
    """Return a document as a file; NaN, infinity and halves of characters are written as JSON has them or as others do."""
    return json.dumps(document, indent=2).encode()


def write_table(table: pd.DataFrame, path: Path) -> bool:
    """Write a table as Parquet; False where it cannot be written, as with texts and numbers in one column."""
    try:
        table.to_parquet(path, index=False)
    except Exception:  # pyarrow's errors are of many kinds; such a table cannot reach a reader
        return False
    return True


def _places(found: Any) -> Any:
    """Yield each value within a document as what holds it and its key."""
    for key in list(found) if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ():
        yield found, key
        yield from _places(found[key])


# -- readers ----------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What became of the inputs of one reader."""

    tried: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


TALLIES: dict[str, Tally] = {}
"""By reader, in the order in which they were tried."""


def fuzz(reader: str, inputs: st.SearchStrategy[Any], attempt: Callable[[Any], object], *, examples: int = 60) -> None:
    """Give a reader many inputs.

    Parameters
    ----------
    reader : str
        Name for the table that ``make torture`` prints.
    inputs : SearchStrategy
        Of what ``attempt`` is called with.
    attempt : callable
        Reads an input. It may raise a SpurgekitError whose message is one line; or return, having asserted what has to hold of
        what was read.
    examples : int
        How many inputs, in everyday tests.
    """
    tally = TALLIES.setdefault(reader, Tally())

    @settings(max_examples=examples * TIMES)
    @given(inputs)
    def run(value: Any) -> None:
        tally.tried += 1
        start = time.monotonic()
        try:
            tally.refused += _is_refused(attempt, value)
        except Exception as error:  # whatever is no refusal is a fault, which is what is looked for
            tally.faults.append("".join(traceback.format_exception(error)[-6:]))
            if TIMES == 1:  # else all are counted
                raise
        tally.slowest_s = max(tally.slowest_s, time.monotonic() - start)
        assert tally.slowest_s < LONGEST_S, f"took {tally.slowest_s:.0f} s"

    run()
    assert not tally.faults, f"{len(tally.faults)} faults of {tally.tried}; the first:\n{tally.faults[0]}"


def _is_refused(attempt: Callable[[Any], object], value: Any) -> bool:
    """Whether an input is refused as it should be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            attempt(value)
        except SpurgekitError as error:
            assert str(error).strip(), f"an error without text: {error!r}"
            return True
    return False


def table_of_tallies() -> list[str]:
    """Return what was tried as lines of text."""
    lines = [f"{'reader':<44}{'tried':>8}{'refused':>9}{'faults':>8}{'slowest s':>11}"]
    for name, tally in TALLIES.items():
        lines.append(f"{name:<44}{tally.tried:>8,}{tally.refused:>9,}{len(tally.faults):>8,}{tally.slowest_s:>11.2f}")
    return lines
