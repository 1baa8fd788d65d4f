"""Types of options of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spurgekit.classify.model_sources import is_on_hub
from spurgekit.errors import known_names
from spurgekit.image_names import GdalName, ImageName, image_name
from spurgekit.text import printable


class FilePath(click.Path):
    """A path whose name other programs can read, too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        found = Path(str(super().convert(value, param, ctx)))
        try:
            str(found).encode()
            found.resolve()
        except UnicodeEncodeError:
            self.fail(f"the name {printable(str(found))} is not UTF-8; rename it", param, ctx)
        except (RuntimeError, OSError, ValueError):  # RuntimeError: of a loop before Python 3.13
            self.fail(f"{printable(str(found))} is no path, or a loop of links; pass another", param, ctx)
        return found


PATH = FilePath(path_type=Path)


class ImageType(FilePath):
    """An image: a path, or another name that GDAL reads, such as an address."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ImageName:
        """Return the name."""
        name = image_name(value)
        return name if isinstance(name, GdalName) else super().convert(value, param, ctx)


IMAGE = ImageType(path_type=Path)


class ModelType(FilePath):
    """A model: a folder, or its name on the Hugging Face Hub."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """Return the path of the folder, or the name."""
        return str(value) if is_on_hub(value) else Path(super().convert(value, param, ctx))


MODEL = ModelType(path_type=Path)


class Choice(click.Choice):  # type: ignore[type-arg]
    """One of some words, with a hint where it is none of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word."""
        if value not in self.choices:
            self.fail(f"{value!r} is not known{known_names(str(value), self.choices)}", param, ctx)
        return value


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


class NumberPair(click.ParamType):  # type: ignore[type-arg]
    """One length, or two parted by a comma, as a pair."""

    name = "M[,M]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        try:
            first, last = float(parts[0]), float(parts[-1])
        except ValueError:
            self.fail(f"{value!r} is not a length in metres, or two such as 2,2.5", param, ctx)
        if len(parts) > 2:
            self.fail(f"{value!r} is more than two lengths", param, ctx)
        return first, last


class Place(click.ParamType):  # type: ignore[type-arg]
    """Two coordinates parted by a comma, as a pair."""

    name = "X,Y"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        try:
            x, y = map(float, str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no place; pass two coordinates such as 499120.5,5189433", param, ctx)
        return x, y


class NameList(click.ParamType):  # type: ignore[type-arg]
    """Names parted by commas, as a tuple."""

    name = "NAME,NAME,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002
        """Return the names."""
        return value if isinstance(value, tuple) else tuple(part.strip() for part in str(value).split(","))


class Shots(click.ParamType):  # type: ignore[type-arg]
    """Numbers of shots parted by commas, or one of them; ``all`` is the whole training split.

    Parameters
    ----------
    several : bool
    """

    def __init__(self, *, several: bool = True) -> None:
        self.several = several
        self.name = "N,N,..." if several else "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the numbers; ``ALL_SHOTS`` for all."""
        from spurgekit.dataset.shots import ALL_SHOTS

        if isinstance(value, (tuple, int)):
            return value
        names = [part.strip() for part in str(value).split(",")]
        wrong = [name for name in names if name != "all" and not (name.isdecimal() and int(name) > 0)]
        if wrong or (len(names) > 1 and not self.several):
            example = "1,4,16,all" if self.several else "4, or all"
            self.fail(f"{wrong[0] if wrong else value!r} is no number of shots; pass e.g. {example}", param, ctx)
        shots = tuple(ALL_SHOTS if name == "all" else int(name) for name in names)
        return shots if self.several else shots[0]
