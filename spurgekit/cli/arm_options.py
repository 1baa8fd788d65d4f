"""Options that say which backbone, and how arms are trained on it: those of ``train``, ``evaluate`` and ``weigh``."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.train_options import ArmOptions
from spurgekit.classify.training.finetune_options import FinetuneOptions
from spurgekit.cli.declared import given, options_of
from spurgekit.options import kinds_of


class Arguments(click.ParamType):  # type: ignore[type-arg]
    """``KEY=VALUE`` as a pair; what is no number, word of Python or list is a text."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        try:
            return key, ast.literal_eval(text)
        except (ValueError, SyntaxError):  # a word is itself
            return key, text


class NamedFolder(click.ParamType):  # type: ignore[type-arg]
    """``NAME=DIR`` or ``DIR`` as a pair of a name, which may be empty, and a folder."""

    name = "[NAME=]DIR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:  # noqa: ARG002
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        name, equals, folder = str(value).partition("=")
        if not equals or Path(value).exists():  # a folder may have such a name itself
            name, folder = "", value
        return name, Path(folder)


def _as_mapping(ctx: click.Context, param: click.Parameter, values: tuple[tuple[str, Any], ...]) -> Mapping[str, Any]:  # noqa: ARG001
    found: dict[str, Any] = {}
    for name, value in values:
        if name in found and param.name == "synthetic":
            raise click.BadParameter(f"two folders are called {name!r}" if name else "of several folders each needs a name")
        found[name] = value
    return found


_SEVERAL = ("backbone_options", "synthetic")

_further = click.option(
    "--backbone-option", "backbone_options", type=Arguments(), multiple=True, callback=_as_mapping,
    help="Further argument of timm.create_model, e.g. pad_type=same. May be repeated.",
)  # fmt: skip
_synthetic = click.option(
    "--synthetic", type=NamedFolder(), multiple=True, callback=_as_mapping,
    help="An augmented/ folder, for +synthetic; of several each with a name, for +synthetic:NAME.",
)  # fmt: skip


def backbone_options(command: Any) -> Any:
    """Add the options of :class:`~spurgekit.classify.backbone_options.BackboneOptions`."""
    return options_of(BackboneOptions, without=_SEVERAL)(_further(command))


def arm_options(command: Any) -> Any:
    """Add those of :class:`~spurgekit.classify.train_options.ArmOptions`, and what training in steps has for everyone."""
    command = options_of(ArmOptions, without=_SEVERAL)(_further(_synthetic(command)))
    others = tuple(name for name in kinds_of(FinetuneOptions) if name not in _FINETUNING)
    return options_of(FinetuneOptions, without=others)(command)


def given_finetuning(chosen: dict[str, Any]) -> FinetuneOptions:
    """Take the options of training in steps out of those of a command."""
    return given(FinetuneOptions, {name: chosen.pop(name) for name in _FINETUNING})


_FINETUNING = ("steps", "learning_rate", "early_stopping")
"""The others are those of the arm, or nobody has had to change them."""
