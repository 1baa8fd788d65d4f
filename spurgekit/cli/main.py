"""The command ``spurgekit``: errors become one line, commands are loaded when they are used."""

from __future__ import annotations

import errno
import importlib
import traceback
from typing import Any

import click

import spurgekit
from spurgekit.text import printable

COMMANDS = {
    "init": "Start a survey: a folder with a commented survey.toml.",
    "info": "Show what an image is: size, CRS, ground sample distance, valid share.",
    "markers": "List the ground markers in an image.",
    "tile": "Cut orthomosaics into georeferenced tiles.",
    "review": "Verify tiles on a local web page, and report agreement.",
    "build-dataset": "Label tiles and split them by place.",
    "dataset": "Look at datasets, check them, push them to the Hugging Face Hub.",
    "preview": "Draw contact sheets of tiles or datasets.",
    "pretrain-backbone": "Train a small diffusion model on a survey's own ground, without labels.",
    "invert": "Teach a diffusion model the classes of a dataset, by textual inversion.",
    "augment": "Make synthetic tiles with a diffusion model.",
    "weigh": "Weigh synthetic tiles by the confidence of a classifier.",
    "train": "Train a classifier and test it on held-out places.",
    "model": "Look at models, export them to ONNX.",
    "evaluate": "Compare ways to train on the same few-shot support sets, with intervals.",
    "study": "Ask whether augmentation helps on a dataset: every way to it, compared.",
    "map": "Map a whole site with a trained model.",
    "change": "Compare two maps of one site: gain, loss, and their areas.",
    "next-survey": "Plan where to look next, so that a map's model learns most.",
    "check": "Check a map by cells drawn at random, which people label.",
    "export": "Export a map for those who act on it: crews, sprayers.",
    "simulate": "Make up a survey with known truth.",
    "demo": "Run everything on a simulated site, offline.",
}


class LazyGroup(click.Group):
    """Imports a command's module when it is called, so that help and small commands need no torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order in which a survey uses them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, or None if there is none of that name."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"spurgekit.cli.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; of whatever ends it print one line, and the traceback too with ``--debug``."""
        from spurgekit.cli.failures import ended_in_order, failure_of, show_anything

        show_anything()
        try:
            with ended_in_order():
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except click.ClickException as error:
            text = _one_line(error.format_message())
            asked = error.ctx if isinstance(error, click.UsageError) else None
            hint = f" See '{asked.command_path} --help'." if asked else ""
            click.echo(f"spurgekit: {text}{'' if text.endswith(('.', '?')) else '.'}{hint}", err=True)
            ctx.exit(error.exit_code)
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:  # such as of 'spurgekit info | head'
                raise
            if ctx.params.get("debug"):
                traceback.print_exc()
            failure = failure_of(error)
            click.echo(f"spurgekit: {_one_line(self._as_options(ctx, failure.says))}", err=True)
            ctx.exit(failure.code)

    def _as_options(self, ctx: click.Context, message: str) -> str:
        """Return a message of the library in the words of the command that was called."""
        from spurgekit.cli.spelling import as_options

        called = ctx.invoked_subcommand
        return as_options(message, self.get_command(ctx, called) if called else None, self)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(spurgekit.__version__, prog_name="spurgekit")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, for reports: spurgekit --debug COMMAND ...")
def main(debug: bool) -> None:
    """From drone imagery and scarce labels to fine-scale maps of a weed."""
