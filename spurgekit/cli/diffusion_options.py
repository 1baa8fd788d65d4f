"""Options of commands that work with a diffusion model: which one, where it runs, and how it learns words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spurgekit.cli import options
from spurgekit.cli.options import PATH

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import BackboneInfo

Command = TypeVar("Command", bound=Callable[..., Any])

INVERSION_PRESETS = ("spurgekit", "published")

BACKBONE = (
    click.option(
        "--backbone", metavar="ID|FOLDER",
        help="Stable Diffusion or SDXL: a repository of the Hub, or a folder of diffusers'.  [default: Stable Diffusion 1.5]",
    ),
    click.option("--revision", metavar="COMMIT", help="Of the repository.  [default: the one that is pinned]"),
    click.option("--lora", type=PATH, help="Folder or file of a LoRA that is merged into it."),
    click.option(
        "--precision", type=click.Choice(["auto", "float32", "float16", "bfloat16"]), default="auto", show_default=True,
        help="auto: float16 on GPUs (bfloat16 to learn words), float32 elsewhere.",
    ),
    options.device,
)  # fmt: skip


def backbone_options(command: Command) -> Command:
    """Add the options; the command gets ``backbone``, ``revision``, ``lora``, ``precision`` and ``device``."""
    for option in reversed(BACKBONE):
        command = option(command)
    return command


def inversion_options(command: Callable[..., Any], *, prefix: str = "learn-") -> Callable[..., Any]:
    """Add the options; the command gets them as one value, ``inversion``, with its own ``--seed``.

    Parameters
    ----------
    command : callable
    prefix : str
        Of names that a command may have for something else: ``--learn-steps``. Where the command does, its own ``--preset`` and
        ``--size`` are the defaults.
    """
    named, default = f"--{prefix}", "that of --preset" if prefix else INVERSION_PRESETS[0]

    @functools.wraps(command)
    def with_inversion(*args: Any, **chosen: Any) -> Any:
        from spurgekit.diffusion.textual_inversion.inversion_options import make_options
        from spurgekit.diffusion.textual_inversion.prompt_templates import read_templates

        names = ("steps", "batch", "size_px", "learning_rate", "vectors", "init", "validate_every")
        given = {name: chosen.pop(f"inversion_{name}") for name in names}
        preset, templates = chosen.pop("inversion_preset"), chosen.pop("inversion_templates")
        given["size_px"] = given["size_px"] or chosen.get("size_px")
        inversion = make_options(
            preset or chosen.get("preset") or INVERSION_PRESETS[0],
            templates=None if templates is None else read_templates(templates),
            seed=chosen.get("seed"),
            **given,
        )
        return command(*args, inversion=inversion, **chosen)

    added = (
        click.option(
            f"{named}preset", "inversion_preset", type=click.Choice(INVERSION_PRESETS),
            help=f"How words are learned; published: as for DA-Fusion.  [default: {default}]",
        ),
        click.option(f"{named}steps", "inversion_steps", type=int, help="Updates of each word.  [default: 1000]"),
        click.option(f"{named}batch", "inversion_batch", type=int, help="Samples of each word in a step.  [default: 4]"),
        click.option(
            f"{named}size", "inversion_size_px", type=int,
            help="Side of the images that the model learns from.  [default: the model's; published: 512]",
        ),
        click.option("--learning-rate", "inversion_learning_rate", type=float, help="Of words.  [default: 0.002]"),
        click.option("--vectors", "inversion_vectors", type=int, help="That stand for a word.  [default: 1]"),
        click.option(
            "--templates", "inversion_templates", metavar="NAME|FILE",
            help="Prompts to learn with: top-down, published, or a text file with one '{}' a line.  [default: top-down]",
        ),
        click.option(
            "--init-word", "inversion_init", metavar="TEXT",
            help="What a word begins as.  [default: the class's name; published: the]",
        ),
        click.option(
            "--validate-every", "inversion_validate_every", type=int,
            help="Steps between sheets of painted images; 0 for none.  [default: 250]",
        ),
    )  # fmt: skip
    wrapped: Callable[..., Any] = with_inversion
    for option in reversed(added):
        wrapped = option(wrapped)
    return wrapped


def warn(text: str) -> None:
    """Say what a user should know while a run goes on."""
    click.echo(f"spurgekit: {text}", err=True)


def about(backbone: BackboneInfo, *devices: object) -> str:
    """Return a line about a model: what it is, on which terms, and where it runs."""
    return f"{backbone.name} (licence: {backbone.licence or 'not stated'}) on {', '.join(map(str, devices))}"
