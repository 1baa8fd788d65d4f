"""Options of recipes that train a backbone in steps: those of ``train`` and of ``evaluate``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

DEFAULT_STEPS = 200

OPTIONS = (
    click.option(
        "--steps", type=int, default=DEFAULT_STEPS, show_default=True, help="Of lora and finetune, the same for every arm."
    ),
    click.option("--learning-rate", type=float, help="Of lora and finetune.  [default: the recipe's]"),
    click.option(
        "--early-stopping/--no-early-stopping", default=True, show_default=True,
        help="Of lora and finetune, on training places that are held out; never with 4 tiles a class or fewer.",
    ),
)  # fmt: skip


def finetune_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one value, ``finetuning``."""

    @functools.wraps(command)
    def with_tuning(*args: Any, steps: int, learning_rate: float | None, early_stopping: bool, **chosen: Any) -> Any:
        from spurgekit.classify.training.finetune_options import FinetuneOptions

        finetuning = FinetuneOptions(steps=steps, learning_rate=learning_rate, early_stopping=early_stopping)
        return command(*args, finetuning=finetuning, **chosen)

    for option in reversed(OPTIONS):
        with_tuning = option(with_tuning)
    return with_tuning
