"""What the steps of a study cost, over all of its runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spurgekit.outputs import output_file
from spurgekit.tables import csv_of

COSTS = "costs.csv"


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of steps, kept in ``costs.csv`` of a folder.

    Attributes
    ----------
    folder : pathlib.Path
    """

    folder: Path

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Add what a step takes to what earlier runs took for it, whether it ends or is stopped; not when it is killed."""
        start = time.monotonic()
        try:
            yield
        finally:
            seconds = self.table()
            seconds.loc[step] = seconds["seconds"].get(step, 0.0) + time.monotonic() - start
            with output_file(self.folder / COSTS) as partial:
                partial.write_text(csv_of(seconds.reset_index(), partial, float_format="%.1f"), encoding="utf-8", newline="\n")

    def table(self) -> pd.DataFrame:
        """Return the seconds of all steps, by step, in the order in which they were first taken."""
        file = self.folder / COSTS
        if not file.is_file():
            return pd.DataFrame({"step": pd.Series(dtype="str"), "seconds": pd.Series(dtype="float")}).set_index("step")
        return pd.read_csv(file).set_index("step")
