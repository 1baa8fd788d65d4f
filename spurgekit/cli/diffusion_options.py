"""Options of commands that work with a diffusion model: which one, where it runs, and how it learns words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from spurgekit.cli.declared import options_of
from spurgekit.cli.types import Choice
from spurgekit.diffusion.checkpoint_options import CheckpointOptions
from spurgekit.diffusion.textual_inversion.inversion_options import PRESETS, InversionOptions

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import BackboneInfo

METAVARS = {"backbone": "ID|FOLDER", "revision": "COMMIT"}

checkpoint_options = options_of(CheckpointOptions, without=("safety_checker",), metavars=METAVARS)

preset_option = click.option(
    "--preset",
    type=Choice(tuple(PRESETS)),
    default="spurgekit",
    show_default=True,
    help="What options are that are not given; published: as in the paper.",
)


def word_options(prefix: str = "") -> Callable[[Any], Any]:
    """Add options of learning words; with a prefix, those named like the command's own are ``--learn-steps`` and so on."""
    named = {"steps": "--learn-steps", "batch": "--learn-batch", "size_px": "--learn-size"}
    return options_of(
        InversionOptions,
        only=(*named, "learning_rate", "vectors", "templates", "init_word", "validate_every"),
        flags=named if prefix else {},
        types={"templates": click.STRING},
        metavars={"templates": "NAME|FILE"},
        prefix=prefix,
    )


def about(backbone: BackboneInfo, *devices: object) -> str:
    """Return a line about a model: what it is, on which terms, and where it runs."""
    return f"{backbone.name} (licence: {backbone.licence or 'not stated'}) on {', '.join(map(str, devices))}"
