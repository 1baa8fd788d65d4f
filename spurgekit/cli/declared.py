"""Options of commands, made from the options of the library: each is declared once, there."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import click

from spurgekit.cli.types import PATH, Choice, NameList, NumberList, NumberPair
from spurgekit.errors import renamed
from spurgekit.options import Options, choices_of, described, kinds_of, parted, without_none

Command = TypeVar("Command", bound=Callable[..., Any])
Declared = TypeVar("Declared", bound=Options)

UNITS = re.compile(r"_(?:m|px|deg)$")
MOST_CHOICES = 12
"""Of an option with more words to choose from, help does not list them all."""


def options_of(
    cls: type[Options],
    *,
    only: tuple[str, ...] | None = None,
    without: tuple[str, ...] = (),
    flags: Mapping[str, str] | None = None,
    types: Mapping[str, click.ParamType[Any]] | None = None,
    metavars: Mapping[str, str] | None = None,
    multiple: tuple[str, ...] = (),
    prefix: str = "",
) -> Callable[[Command], Command]:
    """Add a command-line option for each option of a class of the library.

    What was not given is None, so that :func:`given` can tell; help shows the defaults that are declared.

    Parameters
    ----------
    cls : type
        A dataclass derived from :class:`~spurgekit.options.Options`. Options within it have a class of their own.
    only, without : tuple of str
        Fields that options are added for, all by default, and those that none is added for.
    flags : mapping of str to str
        Names of options where they are not those of the fields. The rule is: ``gsd_m`` is ``--gsd``.
    types, metavars : mapping, optional
        Types and metavars by field, where the declared type does not say enough.
    multiple : tuple of str
        Fields whose values are given one by one, by the option repeated.
    prefix : str
        Of the values' names, where a command takes two options of one name: ``inversion_`` and ``steps``.
    """
    help_texts, defaults = described(cls), {entry.name: entry.default for entry in dataclasses.fields(cls)}  # type: ignore[arg-type]

    def add(command: Command) -> Command:
        for name, kind in reversed(list(kinds_of(cls).items())):
            left_out = name in without or (only is not None and name not in only)
            if left_out or (isinstance(kind, type) and issubclass(kind, Options)):
                continue
            command = click.option(
                (flags or {}).get(name, flag_of(name, kind, defaults[name])),
                prefix + name,
                type=(types or {}).get(name) or (str if name in multiple else _type_of(kind)),
                metavar=(metavars or {}).get(name),
                is_flag=kind is bool,
                multiple=name in multiple,
                default=None,
                help=_help(help_texts.get(name, ""), defaults[name], shown=kind is not bool),
            )(command)
        return command

    return add


def given(
    cls: type[Declared], chosen: dict[str, Any], base: Declared | None = None, *, prefix: str = "", **more: Any
) -> Declared:
    """Take the options of a class out of those of a command, and make its value.

    Parameters
    ----------
    cls : type
    chosen : dict
        Options of the command by name, of which those of the class are taken out.
    base : Options, optional
        What those that were not given are; by default as declared.
    prefix : str
        See :func:`options_of`.
    **more
        Options that the command has no option for.
    """
    names = [name for name in kinds_of(cls) if prefix + name in chosen]
    taken = {name: chosen.pop(prefix + name) for name in names}
    entries = {**{name: value for name, value in taken.items() if value not in (None, (), {})}, **more}
    # Messages are to name the options of the command, which may be called otherwise than those of the class.
    with renamed(**{name: prefix + name for name in names}):
        return cls(**entries) if base is None else dataclasses.replace(base, **entries)  # type: ignore[type-var]


def flag_of(name: str, kind: Any = None, default: object = None) -> str:
    """Return what an option of the library is called on the command line.

    >>> flag_of("min_valid"), flag_of("gsd_m"), flag_of("pretrained", bool, True)
    ('--min-valid', '--gsd', '--pretrained/--no-pretrained')
    """
    flag = UNITS.sub("", name).replace("_", "-")
    return f"--{flag}/--no-{flag}" if kind is bool and default is True else f"--{flag}"


def _type_of(kind: Any) -> Any:
    kind, _ = without_none(kind)
    if choices := choices_of(kind):
        return Choice(choices) if len(choices) <= MOST_CHOICES else None
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if parts == (float, float):
            return NumberPair()
        return NameList() if parts[0] is str else NumberList(parts[0])
    return {Path: PATH, bool: None}.get(kind, kind)


def _help(text: str, default: object, *, shown: bool) -> str:
    """Return what help says of an option, its default in brackets.

    >>> _help("Side of a block. Default: 4 tiles.", None, shown=True)
    'Side of a block.  [default: 4 tiles]'
    >>> _help("Share of tiles to hold out.", 0.3, shown=True)
    'Share of tiles to hold out.  [default: 0.3]'
    """
    text, told = parted(text.replace("``", "'"))
    if told is not None:
        return f"{text}  [default: {told}]"
    if not shown or default in (None, (), "", dataclasses.MISSING):
        return text
    value = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{text}  [default: {value}]"
