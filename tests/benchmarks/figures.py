"""Figures of a benchmark, in a file as soon as they are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Rows(list[dict[str, Any]]):
    """Rows of a part of a benchmark; what is measured is not lost where the rest of it is cut off.

    Parameters
    ----------
    figures : dict
        All figures, by part; gets this part.
    part : str
    out : pathlib.Path, optional
        JSON file that all figures are written to with each row.
    """

    def __init__(self, figures: dict[str, Any], part: str, out: Path | None) -> None:
        super().__init__()
        self._figures, self._out = figures, out
        figures[part] = self

    def add(self, **row: Any) -> None:
        """Add a row, and write the file."""
        self.append(row)
        if self._out:
            write_json(self._figures, self._out)


def write_json(figures: Any, path: Path) -> None:
    """Write figures to a file, which is whole at any time."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
