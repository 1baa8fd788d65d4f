"""Options that say which backbone: those of ``train`` and of ``evaluate``."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, TypeVar

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH, NumberList

Command = TypeVar("Command", bound=Callable[..., Any])


def _parse_options(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:  # noqa: ARG001
    parsed: dict[str, Any] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE")
        try:
            parsed[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):  # a word is itself
            parsed[key] = value
    return parsed


OPTIONS = (
    click.option(
        "--backbone",
        help="Any model of timm.  [default: DINOv2's small vision transformer at 252 px; with --no-pretrained resnet18]",
    ),
    click.option("--weights", type=PATH, help="Local safetensors for it, or a folder of timm's, instead of a download."),
    click.option(
        "--pretrained/--no-pretrained", default=True, show_default=True, help="Fetch timm's weights, or take random ones."
    ),
    click.option(
        "--backbone-option", "backbone_options", multiple=True, metavar="KEY=VALUE", callback=_parse_options,
        help="Further argument of timm.create_model, e.g. pad_type=same. May be repeated.",
    ),
    click.option("--image-size", "image_size_px", type=int, help="Side that tiles are resized to.  [default: the backbone's]"),
    click.option(
        "--mean", type=NumberList(float),
        help="Normalisation per band.  [default: the backbone's for RGB, else of the training tiles]",
    ),
    click.option("--std", type=NumberList(float), help="The same."),
    click.option("--batch-size", type=int, default=32, show_default=True),
    click.option(
        "--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True,
        help="auto: bfloat16 where the hardware multiplies it.",
    ),
    options.device,
    click.option("--seed", type=int, default=0, show_default=True),
)  # fmt: skip


def backbone_options(command: Command) -> Command:
    """Add the options."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
