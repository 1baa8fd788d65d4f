"""Few-shot curves: a metric against the number of shots, a line with a band for each arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from spurgekit.classify.metrics import METRICS
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.evaluate.intervals import CONFIDENCE
from spurgekit.evaluate.predictions import ALL
from spurgekit.outputs import output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK = "#000000"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of Okabe and Ito, told apart by the colour-blind; their yellow is too pale for lines on white. The baseline is black."""

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
"""Of lines, when colours begin again."""

AXES_IN, LEAST_HEIGHT_IN, DPI = 4.9, 4.5, 160
LABEL_IN, LETTER_IN = 0.19, 0.078
"""Height of a label beside its line, and about the width of a letter of it."""

APART = 1.4
"""How far the whole training split stands from the most shots, in doublings."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: other fonts would give other bytes elsewhere
    "font.size": 9,
    "svg.hashsalt": "spurgekit",
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class _End(NamedTuple):
    """Where the line of an arm ends, and how it is drawn."""

    arm: str
    colour: str
    dash: Any
    x: float
    y: float


def write_curves(
    paths: Sequence[Path], summary: pd.DataFrame, *, metric: str, baseline: str | None = None, confidence: float = CONFIDENCE
) -> None:
    """Write few-shot curves as pictures; the same summary gives the same bytes.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Ending in .png or .svg.
    summary : pandas.DataFrame
        From :func:`spurgekit.evaluate.intervals.summarise`.
    metric : str
    baseline : str, optional
        An arm to draw in black.
    confidence : float
        Of the intervals of the summary.
    """
    # Matplotlib writes the time of day and its version into files unless told not to.
    metadata = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
    with _style():
        figure = draw_curves(summary, metric=metric, baseline=baseline, confidence=confidence)
        for path in paths:
            with output_file(path) as partial:
                figure.savefig(partial, metadata=metadata[path.suffix])


def draw_curves(summary: pd.DataFrame, *, metric: str, baseline: str | None = None, confidence: float = CONFIDENCE) -> Figure:
    """Return the curves as a figure, for a notebook to change; see :func:`write_curves`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = summary[summary["metric"] == metric]
    arms = list(dict.fromkeys(rows["arm"]))
    few = sorted(set(rows["n"]) - {ALL_SHOTS})
    x_of = {n: float(np.log2(n)) for n in few}
    x_of[ALL_SHOTS] = (max(x_of.values()) + APART) if few else 0.0
    height = max(LEAST_HEIGHT_IN, LABEL_IN * len(arms) + 1.6)
    with _style():
        width = max(0.6 + AXES_IN + 0.4 + LETTER_IN * max(map(len, arms)), 6.5)
        figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.6 / width, 0.62 / height, AXES_IN / width, 1 - 1.37 / height))
        others = [arm for arm in arms if arm != baseline]
        paleness = min(0.1, 0.35 / len(arms))  # many bands that overlap would hide the lines
        ends = []
        for number, arm in enumerate(arms):
            rank = others.index(arm) if arm != baseline else 0
            colour = BLACK if arm == baseline else COLOURS[rank % len(COLOURS)]
            dash = DASHES[rank // len(COLOURS) % len(DASHES)]
            sway = 0.3 * ((number + 0.5) / len(arms) - 0.5)
            mine = rows[rows["arm"] == arm].assign(x=rows["n"].map(x_of))
            curve = mine[mine["n"] != ALL_SHOTS].sort_values("n")
            if len(curve) > 1:
                axes.fill_between(curve["x"], curve["low"], curve["high"], color=colour, alpha=paleness, linewidth=0)
                for edge in ("low", "high"):
                    axes.plot(curve["x"], curve[edge], color=colour, linestyle=dash, linewidth=0.5, alpha=0.45)
                axes.plot(curve["x"], curve["mean"], color=colour, linestyle=dash, linewidth=1.7, marker="o", markersize=4)
            else:
                _draw_points(axes, curve, sway, colour)
            _draw_points(axes, mine[mine["n"] == ALL_SHOTS], sway, colour)
            last = mine.loc[mine["x"].idxmax()]
            lone = last["n"] == ALL_SHOTS or len(curve) == 1
            ends.append(_End(arm, colour, dash, float(last["x"]) + sway * lone, float(last["mean"])))
        _scale_axes(axes, few, x_of, whole=bool((rows["n"] == ALL_SHOTS).any()))
        _label_ends(axes, ends, height)
        _head(figure, rows, metric, confidence, height)
    return figure


def _draw_points(axes: Axes, rows: pd.DataFrame, sway: float, colour: str) -> None:
    """Draw what is no curve: a point with its interval, the arms side by side."""
    if len(rows):
        mean = rows["mean"].to_numpy()
        reach = np.abs([mean - rows["low"], rows["high"] - mean])
        axes.errorbar(rows["x"] + sway, mean, reach, color=colour, fmt="o", markersize=4, elinewidth=1.2, capsize=0)


def _scale_axes(axes: Axes, few: Sequence[int], x_of: dict[int, float], *, whole: bool) -> None:
    """Set the ticks at the shots there are, and the line below them apart from that of the whole training split."""
    shown = [*few, *([ALL_SHOTS] if whole else [])]
    axes.set_xticks([x_of[n] for n in shown], [ALL if n == ALL_SHOTS else str(n) for n in shown])
    left, right = min(x_of[n] for n in shown), max(x_of[n] for n in shown)
    margin = max(0.04 * (right - left), 0.25)
    axes.set_xlim(left - margin, right + margin)
    axes.set_xlabel("Training tiles of each class")
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if whole and few:
        axes.spines["bottom"].set_bounds(left - margin, x_of[few[-1]] + 0.25)
        axes.plot([right - margin, right + margin], [0, 0], color="black", linewidth=1.6, transform=axes.get_xaxis_transform())


def _label_ends(axes: Axes, ends: Sequence[_End], height_in: float) -> None:
    """Name each line at its end, names moved apart as little as it takes."""
    from sklearn.isotonic import isotonic_regression

    low, high = axes.get_ylim()
    ordered = sorted(ends, key=lambda end: end.y)
    step = LABEL_IN / (height_in * axes.get_position().height) * (high - low)
    slots = step * np.arange(len(ordered))
    # Least squares with a gap between neighbours is isotonic regression of what is left when the gaps are taken out.
    wanted = np.array([end.y for end in ordered]) - slots
    places = isotonic_regression(wanted, y_min=low, y_max=max(low, high - slots[-1])) + slots
    edge = axes.get_xlim()[1]
    reach = 0.035 * (edge - axes.get_xlim()[0])
    for end, place in zip(ordered, places, strict=True):
        way = [end.x, edge, edge + reach], [end.y, end.y, place]
        axes.plot(*way, color=end.colour, linestyle=end.dash, linewidth=0.7, alpha=0.6, clip_on=False, zorder=1)
        axes.text(edge + 1.3 * reach, place, end.arm, color=end.colour, va="center", ha="left")
    axes.set_ylim(low, high)


def _head(figure: Figure, rows: pd.DataFrame, metric: str, confidence: float, height_in: float) -> None:
    """Say above the curves what they show."""
    direction = "" if METRICS[metric].higher_is_better else ", lower is better"
    trials = sorted(set(rows.loc[rows["n"] != ALL_SHOTS, "trials"])) or [1]
    count = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]} to {trials[-1]}"
    places = int(rows["places"].max())
    left, title = 0.14 / figure.get_figwidth(), METRICS[metric].title + direction
    figure.text(left, 1 - 0.27 / height_in, title, fontsize=12, fontweight="bold", va="center")
    text = f"Mean of {count} trial{'s' if count != '1' else ''}, with {confidence:.0%} intervals over trials and "
    text += "test places" if places > 1 else "one test place"
    figure.text(left, 1 - 0.53 / height_in, text, color="#555555", va="center")


@contextmanager
def _style() -> Iterator[None]:
    """Draw as matplotlib does by default and ``STYLE`` says, whatever the user's own settings are."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield
