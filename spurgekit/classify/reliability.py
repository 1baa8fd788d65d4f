"""Reliability diagrams: whether a class is there in 30 % of the tiles of which a model says 30 %."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.cover import cover_scores
from spurgekit.classify.scores import value_of
from spurgekit.errors import InputError
from spurgekit.outputs import output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

"""The diagram in a model folder."""

BINS = 10
COLUMNS = 3
"""Diagrams beside each other, of more than two classes."""

BLUE, GREY = "#1f5a99", "#8a8a8a"


def write_reliability(
    path: Path, probabilities: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], classes: Sequence[str]
) -> Path:
    """Draw a reliability diagram for each class after the first, which is absence.

    In ten bins of the predicted probability: the share of tiles in which the class truly is, against the mean prediction,
    with 95 % intervals (Wilson 1927); below it the tiles in each bin. The title gives the expected calibration error of the
    predicted class and the Brier score, of all classes together. The same input gives the same bytes.

    Parameters
    ----------
    path : pathlib.Path
        PNG to write.
    probabilities : ndarray of float, shape (n, classes)
    targets : ndarray of int, shape (n,)
    classes : sequence of str

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    InputError
        If there are no tiles, or the input is not as described.
    """
    error, score = (value_of(name, probabilities, targets) for name in ("ece", "brier"))  # which check the input
    if len(classes) != probabilities.shape[1]:
        raise InputError(f"there are {len(classes)} names for probabilities of {probabilities.shape[1]} classes")
    diagrams = []
    for number in range(1, len(classes)):
        name = _plain(classes[number])
        words = Words(f"predicted probability of {name}", f"share of tiles with {name}", "tiles, 95 % intervals")
        diagrams.append((words, share_in_bins(probabilities[:, number], targets == number)))
    return _write(path, f"ECE {error:.3f}, Brier {score:.3f}, {len(targets):,} tiles", diagrams)


def write_cover_reliability(
    path: Path, predicted: NDArray[np.floating[Any]], cover: NDArray[np.floating[Any]], name: str
) -> Path:
    """Draw the mean true cover in ten bins of the predicted cover, with 95 % intervals; the same input gives the same bytes.

    Parameters
    ----------
    path : pathlib.Path
        PNG to write.
    predicted, cover : ndarray of float, shape (n,)
        From 0 to 1.
    name : str
        Of the plant.
    """
    scores = cover_scores(np.asarray(predicted, np.float64), np.asarray(cover, np.float64))
    title = f"mean error {scores['cover_mae']:.3f}, bias {scores['cover_bias']:+.3f}, {len(cover):,} tiles"
    words = Words(f"predicted cover of {_plain(name)}", f"cover of {_plain(name)}", "mean of tiles, 95 % intervals")
    return _write(path, title, [(words, cover_in_bins(predicted, cover))])


class Words(NamedTuple):
    """What a diagram is labelled with."""

    predicted: str
    seen: str
    legend: str


class Binned(NamedTuple):
    """Tiles in bins of what is predicted of them: how many, the mean prediction, what was seen, and its interval [2, bins]."""

    counts: NDArray[np.int64]
    predicted: NDArray[np.float64]
    seen: NDArray[np.float64]
    interval: NDArray[np.float64]


def _plain(name: str) -> str:
    return name.replace("$", r"\$")


def _write(path: Path, title: str, diagrams: Sequence[tuple[Words, Binned]]) -> Path:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(COLUMNS, len(diagrams))
    rows = -(-len(diagrams) // columns)
    with rc_context({"font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(3.7 * columns + 0.3, 5.0 * rows + 0.3), dpi=130, layout=ConstrainedLayoutEngine(w_pad=0.1))
        parts = figure.subfigures(rows, columns, squeeze=False).ravel()
        for number, (diagram, part) in enumerate(zip(diagrams, parts, strict=False)):  # the last row may have room for more
            upper, lower = part.subplots(2, 1, sharex=True, height_ratios=(4, 1))
            _draw(upper, lower, *diagram)
            if number == 0:
                upper.legend(loc="upper left", frameon=False, fontsize=8)
        figure.suptitle(title, fontsize=10)
        with output_file(path) as file:
            figure.savefig(file, format="png", metadata={"Software": None})
    return Path(path)


def share_in_bins(probability: NDArray[np.floating[Any]], present: NDArray[np.bool_], *, bins: int = BINS) -> Binned:
    """Sort tiles into bins of equal width by the probability of one class.

    Parameters
    ----------
    probability : ndarray of float, shape (n,)
    present : ndarray of bool, shape (n,)
        Whether the class truly is there.

    Returns
    -------
    Binned
        Tiles (of one on an edge, in the bin above it), mean probability, share of tiles in which the class is, and the 95 %
        interval of that share (Wilson 1927); NaN in empty bins.
    """
    from scipy.stats import binomtest

    counts, predicted, share, _ = _binned(probability, present.astype(np.float64), bins)
    interval = np.full((2, bins), np.nan)
    for i in np.flatnonzero(counts):
        there = round(share[i] * counts[i])
        interval[:, i] = binomtest(there, int(counts[i])).proportion_ci(0.95, method="wilson")
    return Binned(counts, predicted, share, interval)


def cover_in_bins(predicted: NDArray[np.floating[Any]], cover: NDArray[np.floating[Any]], *, bins: int = BINS) -> Binned:
    """Sort tiles into bins of equal width by their predicted cover.

    Parameters
    ----------
    predicted, cover : ndarray of float, shape (n,)

    Returns
    -------
    Binned
        With the 95 % interval of the mean cover (Student's t), from 0 to 1; without width where a bin holds one tile.
    """
    from scipy.stats import t

    counts, mean, seen, squares = _binned(predicted, np.asarray(cover, np.float64), bins)
    several = np.maximum(counts - 1, 1)
    error = np.sqrt(np.maximum(squares - seen**2, 0) / several)
    reach = t.isf(0.025, several) * error
    return Binned(counts, mean, seen, np.clip([seen - reach, seen + reach], 0, 1))


def _binned(predicted: NDArray[np.floating[Any]], seen: NDArray[np.float64], bins: int) -> Binned:
    """Return means in bins, with the mean square of what was seen in place of an interval."""
    number = np.minimum((predicted * bins).astype(np.int64), bins - 1)
    counts = np.bincount(number, minlength=bins)
    sums = (np.bincount(number, weights=weights, minlength=bins) for weights in (predicted, seen, seen**2))
    return Binned(counts, *(np.divide(a, counts, out=np.full(bins, np.nan), where=counts > 0) for a in sums))


def _draw(upper: Axes, lower: Axes, words: Words, binned: Binned) -> None:
    counts, predicted, seen, interval = binned
    filled = counts > 0
    whiskers = np.abs(interval - seen)[:, filled]
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="calibrated")
    upper.errorbar(
        predicted[filled], seen[filled], yerr=whiskers, color=BLUE, marker="o", markersize=4.5, linewidth=1.2,
        elinewidth=1, capsize=2.5, label=words.legend, clip_on=False, zorder=3,
    )  # fmt: skip
    # Boxes of one width, lest the bars lie beside the points that they count.
    upper.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1, ylabel=words.seen)
    centres = (np.arange(BINS) + 0.5) / BINS
    lower.bar(centres, counts, width=0.92 / BINS, color=BLUE, alpha=0.35)
    for centre, count in zip(centres[filled], counts[filled], strict=True):
        lower.annotate(f"{count:,}", (centre, count), (0, 1.5), textcoords="offset points", ha="center", fontsize=7)
    lower.set(xlabel=words.predicted, ylabel="tiles", ylim=(0, 1.3 * counts.max()), box_aspect=0.22)
    lower.set_yticks([])  # the counts are written on the bars
