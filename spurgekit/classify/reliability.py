"""Reliability diagrams: whether a class is there in 30 % of the tiles of which a model says 30 %."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.scores import value_of
from spurgekit.errors import InputError
from spurgekit.outputs import output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = range(1, len(classes))
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    with rc_context({"font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(3.7 * columns + 0.3, 5.0 * rows + 0.3), dpi=130, layout=ConstrainedLayoutEngine(w_pad=0.1))
        parts = figure.subfigures(rows, columns, squeeze=False).ravel()
        for number, part in zip(shown, parts, strict=False):  # the last row may have room for more
            upper, lower = part.subplots(2, 1, sharex=True, height_ratios=(4, 1))
            _draw(upper, lower, probabilities[:, number], targets == number, classes[number].replace("$", r"\$"))
            if number == 1:
                upper.legend(loc="upper left", frameon=False, fontsize=8)
        figure.suptitle(f"ECE {error:.3f}, Brier {score:.3f}, {len(targets):,} tiles", fontsize=10)
        with output_file(path) as file:
            figure.savefig(file, format="png", metadata={"Software": None})
    return Path(path)


def share_in_bins(
    probability: NDArray[np.floating[Any]], present: NDArray[np.bool_], *, bins: int = BINS
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sort tiles into bins of equal width by the probability of one class.

    Parameters
    ----------
    probability : ndarray of float, shape (n,)
    present : ndarray of bool, shape (n,)
        Whether the class truly is there.

    Returns
    -------
    counts : ndarray of int64, shape (bins,)
        Tiles; of one on an edge, in the bin above it.
    predicted : ndarray of float64, shape (bins,)
        Mean probability; NaN in empty bins.
    share : ndarray of float64, shape (bins,)
        Of tiles in which the class is; NaN in empty bins.
    interval : ndarray of float64, shape (2, bins)
        Lower and upper end of the 95 % interval of that share (Wilson 1927); NaN in empty bins.
    """
    from scipy.stats import binomtest

    number = np.minimum((probability * bins).astype(np.int64), bins - 1)
    counts = np.bincount(number, minlength=bins)
    there = np.bincount(number[present], minlength=bins)
    sums = np.bincount(number, weights=probability, minlength=bins)
    predicted, share = (np.divide(a, counts, out=np.full(bins, np.nan), where=counts > 0) for a in (sums, there))
    interval = np.full((2, bins), np.nan)
    for i in np.flatnonzero(counts):
        interval[:, i] = binomtest(int(there[i]), int(counts[i])).proportion_ci(0.95, method="wilson")
    return counts, predicted, share, interval


def _draw(upper: Axes, lower: Axes, probability: NDArray[np.floating[Any]], present: NDArray[np.bool_], name: str) -> None:
    counts, predicted, share, interval = share_in_bins(probability, present)
    filled = counts > 0
    whiskers = np.abs(interval - share)[:, filled]
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="calibrated")
    upper.errorbar(
        predicted[filled], share[filled], yerr=whiskers, color=BLUE, marker="o", markersize=4.5, linewidth=1.2,
        elinewidth=1, capsize=2.5, label="tiles, 95 % intervals", clip_on=False, zorder=3,
    )  # fmt: skip
    # Boxes of one width, lest the bars lie beside the points that they count.
    upper.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1, ylabel=f"share of tiles with {name}")
    centres = (np.arange(BINS) + 0.5) / BINS
    lower.bar(centres, counts, width=0.92 / BINS, color=BLUE, alpha=0.35)
    for centre, count in zip(centres[filled], counts[filled], strict=True):
        lower.annotate(f"{count:,}", (centre, count), (0, 1.5), textcoords="offset points", ha="center", fontsize=7)
    lower.set(xlabel=f"predicted probability of {name}", ylabel="tiles", ylim=(0, 1.3 * counts.max()), box_aspect=0.22)
    lower.set_yticks([])  # the counts are written on the bars
