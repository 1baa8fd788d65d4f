"""How to review."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spurgekit.errors import InputError
from spurgekit.options import Options
from spurgekit.text import check_formulas

DEFAULT_PORT = 8765
"""The same each time: what a page has not been able to save it keeps for the address that it was opened under."""


@dataclass(frozen=True, kw_only=True)
class ReviewOptions(Options):
    """How to review tiles.

    Attributes
    ----------
    reviewer : str, optional
        Who reviews. Default: the login name.
    classes : tuple of str, optional
        Class names in the order of their keys, 1 to 9. Default: the dataset's or the survey's, else those of the labels.
    predictions : pathlib.Path, optional
        A model's test_predictions.csv, to find labels that it doubts.

        See :func:`spurgekit.review.model_confidence.read_confidence`.
    imagery : pathlib.Path, optional
        Folder of the images that the tiles were cut from. Default: looked for.
    port : int
        Port on this machine; 0 takes a free one.
    browser : bool
        Open the page in the browser.
    """

    reviewer: str | None = None
    classes: tuple[str, ...] | None = None
    predictions: Path | None = None
    imagery: Path | None = None
    port: int = DEFAULT_PORT
    browser: bool = True

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        check_formulas("the `reviewer`", [self.reviewer])  # goes to the metadata.csv of datasets
        if not 0 <= self.port <= 65535:
            raise InputError(f"`port={self.port}` is none; pass a number from 0 to 65535")
