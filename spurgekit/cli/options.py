"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from spurgekit.survey import Survey, find_survey

PATH = click.Path(path_type=Path)

overwrite = click.option("--overwrite", is_flag=True, help="Replace an output folder that spurgekit made before.")
crs = click.option(
    "--crs", metavar="CRS", help="Work in this CRS (e.g. EPSG:32612): assigned to an image that has none, else reprojected to."
)
image_gsd = click.option(
    "--image-gsd", "image_gsd_m", type=float, help="Metres a pixel of a photo that does not say where it was taken."
)
device = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ... (auto: a GPU if there is one)."
)


def extra_tiles(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where ``+synthetic`` tiles are, and how much they and retrieved ones count."""
    command = click.option(
        "--mixing", type=float, metavar="SHARE", help="Of synthetic or retrieved tiles in each class.  [default: by the shots]"
    )(command)
    return click.option(
        "--synthetic",
        multiple=True,
        callback=_named_folders,
        metavar="[NAME=]DIR",
        help="An augmented/ folder, for +synthetic; of several each with a name, for +synthetic:NAME.",
    )(command)


def _named_folders(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:  # noqa: ARG001
    """Return folders by name."""
    found: dict[str, Path] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals or Path(value).exists():  # a folder may have such a name itself
            name, folder = "", value
        if name in found:
            raise click.BadParameter(f"two folders are called {name!r}" if name else "of several folders each needs a name")
        found[name] = Path(folder)
    return found


class NumberList(click.ParamType):  # type: ignore[type-arg]
    """Numbers parted by commas, as a tuple.

    Parameters
    ----------
    kind : {int, float}
    """

    def __init__(self, kind: type[int] | type[float] = int) -> None:
        self.kind = kind
        self.name = "N,N,..." if kind is int else "X,X,..."
        self.example = "whole numbers such as 1,2,3" if kind is int else "numbers such as 0.5,0.5,0.5"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of {self.example}", param, ctx)


class NameList(click.ParamType):  # type: ignore[type-arg]
    """Names parted by commas, as a tuple."""

    name = "NAME,NAME,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002
        """Return the names."""
        return value if isinstance(value, tuple) else tuple(part.strip() for part in str(value).split(","))


class Shots(click.ParamType):  # type: ignore[type-arg]
    """Numbers of shots parted by commas; ``all`` is the whole training split."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers, 0 for all."""
        if isinstance(value, tuple):
            return value
        names = [part.strip() for part in str(value).split(",")]
        if wrong := [name for name in names if name != "all" and not (name.isdecimal() and int(name) > 0)]:
            self.fail(f"{wrong[0]!r} is no number of shots; pass e.g. 1,4,16,all", param, ctx)
        return tuple(0 if name == "all" else int(name) for name in names)


bands: Callable[[Any], Any] = click.option("--bands", type=NumberList(), help="1-based bands to read; default all but alpha.")


def survey_here(what: str) -> Survey:
    """Return the survey of the working folder, for commands called without arguments.

    Raises
    ------
    click.UsageError
        If there is none.
    """
    survey = find_survey()
    if survey is None:
        raise click.UsageError(f"name {what}, or run this in a survey's folder (one with a survey.toml)")
    return survey
