"""Options as values: they take what people pass, and refuse what they do not know.

An option is declared once, as a field of a frozen dataclass: its name, type and default there, its meaning in the docstring.
From that come the check when a value is made, the option of the command line (:mod:`spurgekit.cli.declared`), the entry of
``survey.toml``, and the reference.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from spurgekit.errors import InputError, known_names, renamed
from spurgekit.image_names import ImageName, image_name
from spurgekit.text import shown


class Options:
    """Base of options; a subclass is a dataclass, frozen, its fields passed by name.

    What is passed is brought into the type that is declared: a ``str`` for a path, one value or a list for a tuple. A word that
    is none of those declared, by ``Literal`` or by ``Annotated[str, REGISTRY]``, and a value of another type are refused.

    Raises
    ------
    InputError
        If a value is not of the type declared.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Example(Options):
    ...     layout: Literal["grid", "points"] = "grid"
    ...     points: Path | None = None
    ...     shots: tuple[int, ...] = ()
    >>> Example(points="points.gpkg", shots=[1, 4]).shots
    (1, 4)
    >>> Example(layout="point")
    Traceback (most recent call last):
    spurgekit.errors.InputError: `layout='point'` cannot be, did you mean points? known are grid, points
    """

    def __post_init__(self) -> None:
        for name, kind in kinds_of(type(self)).items():
            value = getattr(self, name)
            settled = _settled(name, value, kind)
            if settled is not value:
                object.__setattr__(self, name, settled)

    def parameters(self) -> dict[str, Any]:
        """Return all options by name, for a record of what was done; of options within options likewise."""
        values = {name: getattr(self, name) for name in kinds_of(type(self))}
        return {name: value.parameters() if isinstance(value, Options) else value for name, value in values.items()}


def kinds_of(cls: Any) -> Mapping[str, Any]:
    """Return the type of each field of options, in order."""
    if cls not in _KINDS:
        hints = typing.get_type_hints(cls, include_extras=True)
        _KINDS[cls] = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return _KINDS[cls]


_KINDS: dict[Any, Mapping[str, Any]] = {}


def choices_of(kind: Any) -> tuple[str, ...]:
    """Return the words that an option of some type takes; none where it takes anything.

    >>> choices_of(Literal["grid", "points"] | None)
    ('grid', 'points')
    """
    kind, _ = without_none(kind)
    if get_origin(kind) is Annotated:
        return tuple(get_args(kind)[1])
    if get_origin(kind) in (Union, types.UnionType):
        parts = [choices_of(part) for part in get_args(kind)]
        return tuple(choice for part in parts for choice in part) if all(parts) else ()
    return get_args(kind) if get_origin(kind) is Literal else ()


def without_none(kind: Any) -> tuple[Any, bool]:
    """Return a type without None, and whether None was part of it."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    others = [part for part in get_args(kind) if part is not type(None)]
    return (others[0] if len(others) == 1 else Union[tuple(others)]), len(others) < len(get_args(kind))  # noqa: UP007


def described(cls: type) -> dict[str, str]:
    """Return what the docstring of options says of each: its first paragraph, which is for users of any interface.

    Entries of base classes count, too. A paragraph after a blank line is for those who read the code.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update(_entries(base.__doc__ or ""))
    return found


def parted(text: str) -> tuple[str, str | None]:
    """Return what is said of an option without the default that it ends with, and that default.

    >>> parted("Side of a block. Default: 4 tiles."), parted("Least cover.")
    (('Side of a block.', '4 tiles'), ('Least cover.', None))
    """
    told = re.search(r"\s*Default: (.+)\.$", text)
    return (text, None) if told is None else (text[: told.start()], told[1])


def _entries(doc: str) -> dict[str, str]:
    """Return the entries of the section "Attributes" of a docstring as numpydoc has them."""
    lines = [line.rstrip() for line in doc.expandtabs().splitlines()]
    start = next((i for i, line in enumerate(lines) if line.strip() == "Attributes"), None)
    if start is None:
        return {}
    indent = len(lines[start]) - len(lines[start].lstrip())
    found: dict[str, str] = {}
    name, open_ = "", False
    for line in lines[start + 2 :]:
        depth = len(line) - len(line.lstrip())
        if line and depth <= indent:
            match = re.match(r"\s*(\w+) :", line)
            if match is None:
                break  # the next section
            name, open_ = match[1], True
            found[name] = ""
        elif open_ and line:
            found[name] = f"{found[name]} {line.strip()}".strip()
        elif found.get(name):
            open_ = False
    return found


def within(name: str, cls: Any) -> AbstractContextManager[None]:
    """Let errors raised within name options of a class as those of an option that holds them: ``inversion.steps``."""
    return renamed(**{one: f"{name}.{one}" for one in kinds_of(cls)})


def _settled(name: str, value: Any, kind: Any) -> Any:
    """Return a value as its type wants it."""
    kind, optional = without_none(kind)
    if value is None and optional:
        return None
    origin = get_origin(kind)
    if origin is Annotated:
        if not isinstance(value, str):
            raise InputError(f"`{name}={shown(value)}` is not a text")
        return get_args(kind)[1][value].name
    if choices := choices_of(kind):
        if value not in choices:
            raise InputError(f"`{name}={shown(value)}` cannot be{known_names(str(value), map(str, choices))}")
        return value
    if origin is tuple:
        return _as_tuple(name, value, get_args(kind))
    if kind in _TAKES:
        expected, taken, make = _TAKES[kind]
        if isinstance(value, bool) is not (kind is bool) or not isinstance(value, taken):
            raise InputError(f"`{name}={shown(value)}` is not {expected}")
        if kind is float and value != value:  # NaN, which fails no comparison that it should
            raise InputError(f"`{name}=nan` is not {expected}")
        return value if type(value) is kind else make(value)
    return value


def _as_tuple(name: str, value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    several = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    if parts[0] is str:  # names such as those of groups may be numbers
        several = tuple(str(one) if isinstance(one, Integral) and not isinstance(one, bool) else one for one in several)
    if parts[-1] is Ellipsis:
        return tuple(_settled(name, one, parts[0]) for one in several)
    if len(several) != len(parts):
        raise InputError(f"`{name}={shown(value)}` has to be {len(parts)} values")
    return tuple(_settled(name, one, kind) for one, kind in zip(several, parts, strict=True))


_TAKES: Mapping[Any, tuple[str, Any, Any]] = {
    bool: ("True or False", bool, bool),
    int: ("a whole number", Integral, int),
    float: ("a number", Real, float),
    str: ("a text", str, str),
    Path: ("a path", (str, os.PathLike), Path),
    ImageName: ("a path", (str, os.PathLike), image_name),
}
"""What stands for each type in messages, what is taken for it, and how it is made of that."""
