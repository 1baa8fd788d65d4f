"""The page of a study: the question, the answer, what was chosen, what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from spurgekit.augment.methods import METHODS
from spurgekit.classify.arms import SYNTHETIC, parse_arm
from spurgekit.classify.metrics import METRICS
from spurgekit.dataset import DatasetInfo
from spurgekit.diffusion.checkpoint_files import is_local
from spurgekit.evaluate.analysis import Evaluation
from spurgekit.study.choosing import CANDIDATE, Choice
from spurgekit.study.study_options import StudyOptions
from spurgekit.text import counted

PAGE, CHOICES = "study.md", "choices.csv"


def study_lines(
    info: DatasetInfo,
    options: StudyOptions,
    found: Evaluation,
    choices: Sequence[Choice],
    gains: pd.DataFrame,
    made: pd.DataFrame,
    costs: pd.DataFrame,
) -> list[str]:
    """Return the lines of ``study.md``."""
    train, test = (sum(info.counts[side].values()) for side in ("train", "test"))
    lines = [
        f"# Does augmentation help on {info.name}?",
        "",
        f"{counted(train, 'training tile')} and {counted(test, 'test tile')} of {len(info.classes)} classes. "
        f"{info.split.describe()} Backbone: {options.backbone or 'the default'}, weights {options.described()}; generator: "
        f"{_generator(options)}.",
        "",
        *answer_lines(found),
        "",
        "[report.md](report.md) has all arms, with their differences from the best arm without a generator.",
        "",
    ]
    if choices:
        lines += ["## What was chosen on the training side", "", *_choice_lines(choices, gains), ""]
        lines += [
            "Nobody can tell here what the generator was trained on: if images of the test side were among that, the arms that "
            "use it have seen them, without their labels.",
            "",
        ]
    if len(made):
        lines += ["## What was made", "", *_made_lines(made), ""]
    minutes = [(step, f"{seconds / 60:,.1f}") for step, seconds in costs["seconds"].items()]
    return [*lines, "## What it cost", "", *_table(("step", "minutes"), minutes)]


def _generator(options: StudyOptions) -> str:
    """Return what the generator is called; of one in a folder not where that lies."""
    if options.diffusion is None:
        return "none"
    name = Path(options.diffusion).resolve().name if is_local(options.diffusion) else options.diffusion
    return name if options.lora is None else f"{name} with the LoRA {options.lora.resolve().name}"


def is_generated(name: str) -> bool:
    """Whether an arm is of tiles that a model made: pasted ones it had no part in.

    >>> [is_generated(f"probe+synthetic:{name}") for name in ("da-fusion", "chosen", "copy-paste")], is_generated("plain")
    ([True, True, False], False)
    """
    arm = parse_arm(name)
    return arm.has(SYNTHETIC) and not (arm.folder in METHODS and METHODS[arm.folder].mode is None)


def answer_lines(found: Evaluation) -> list[str]:
    """Return sentences that say whether arms with a generator differ from the best one without."""
    rows = found.differences[found.differences["metric"] == found.metric]
    title = METRICS[found.metric].title.lower()
    generated = rows[[is_generated(arm) for arm in rows["arm"]]]
    best = f"- The best arm without a generator is `{found.baseline}` (the highest mean over all n, on the test side)."
    if generated.empty:
        return [f"{best} Nothing was generated."]
    real = generated[generated["real"]]
    lines = [best]
    for what, some in (("Better", real[real["difference"] > 0]), ("Worse", real[real["difference"] < 0])):
        cells = [f"`{row.arm}` at n = {row.n} by {abs(row.difference):.3f}" for row in some.itertuples()]
        lines.append(f"- {what} in {title}, and real: {'; '.join(cells) or 'none'}.")
    top = generated.loc[generated["difference"].idxmax()]
    lines.append(
        f"- The highest of those with a generator, against it: `{top['arm']}` at n = {top['n']}, {top['difference']:+.3f} "
        f"({top['low']:+.3f} to {top['high']:+.3f})."
    )
    return lines


def _choice_lines(choices: Sequence[Choice], gains: pd.DataFrame) -> list[str]:
    told = [(", ".join(map(str, one.shots)), one.strength, f"{one.guidance:g}", f"{one.mixing:g}") for one in choices]
    lines = [*_table(("n", *CANDIDATE), told), ""]
    if gains.empty:
        return [*lines, "There was nothing to choose between."]
    by = gains.assign(cell=[f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})" for row in gains.itertuples()])
    shots = sorted(set(gains["n"]))
    rows = [
        (str(strength), f"{guidance:g}", f"{mixing:g}", *(of.set_index("n")["cell"].get(n, "–") for n in shots))
        for (strength, guidance, mixing), of in by.groupby(CANDIDATE, sort=False)
    ]
    return [
        *lines,
        "What each gained over the same arm without it, on half of the training side's places, learning from the other half. "
        "The choice has seen labels of the whole training side, which are more than n.",
        "",
        *_table((*CANDIDATE, *(f"n = {n}" for n in shots)), rows),
    ]


def _made_lines(made: pd.DataFrame) -> list[str]:
    def cell(value: float, digits: int) -> str:
        return "–" if math.isnan(value) else f"{value:.{digits}f}"

    rows = [
        (
            f"`{row.tiles}`", f"{row.images:,}", cell(row.as_labelled, 3), cell(row.moved, 2), cell(row.spread, 2),
            "–" if math.isnan(row.kid) else f"{row.kid:.0f} ({row.kid_low:.0f} to {row.kid_high:.0f})",
        )
        for row in made.itertuples()
    ]  # fmt: skip
    return [
        "As labelled: what a classifier says that learned from all of the training side but the tile's own and some other "
        "places. Moved: how far images are from their tile, and spread, from each other, where two real tiles of a class are 1 "
        "apart. KID x 1000: of images that were made of one half of the real tiles to those of their class in the other half, "
        "and of one half to the other. All in this backbone's features.",
        "",
        *_table(("tiles", "images", "as labelled", "moved", "spread", "KID x 1000"), rows),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
