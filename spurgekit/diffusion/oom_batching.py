"""As much at a time as the memory of a GPU holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from spurgekit.errors import ModelError

Result = TypeVar("Result")


class Chunks:
    """Runs work over rows in chunks, which are halved when they do not fit, and stay so.

    Parameters
    ----------
    size : int
        Rows of a chunk to begin with.
    what : str
        What the rows are, for messages.
    warn : callable
        Told once for each halving.
    """

    def __init__(self, size: int, what: str, warn: Callable[[str], None] = lambda _: None) -> None:
        self.size = size
        self.what = what
        self.warn = warn

    def run(self, count: int, work: Callable[[slice], Result]) -> list[Result]:
        """Return what ``work`` makes of each chunk of ``count`` rows; work that ran out of memory is done again.

        Raises
        ------
        ModelError
            If not even one row fits.
        """
        results: list[Result] = []
        start = 0
        while start < count:
            rows = slice(start, min(count, start + self.size))
            try:
                results.append(work(rows))
            except torch.OutOfMemoryError as error:
                if rows.stop - rows.start == 1:
                    raise ModelError(
                        f"the GPU has too little memory for one of the {self.what}; pass a smaller `size_px`, or `device=cpu`"
                    ) from error
                self.size = (rows.stop - rows.start) // 2
            else:
                start = rows.stop
                continue
            # Out of the except block, whose traceback would hold on to the tensors.
            torch.cuda.empty_cache()
            self.warn(f"out of GPU memory: {self.size} {self.what} at a time from here on, with the same result")
        return results
