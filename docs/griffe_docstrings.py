"""What the API reference needs to know of our docstrings: roles of Sphinx are links, options have those of their bases."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterator
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc|obj):`(~?)([\w.]+)`")
OPTIONS = "spurgekit.options.Options"


class Docstrings(griffe.Extension):
    """Makes links of roles, and completes the section "Attributes" of options."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:  # noqa: ARG002
        """Make links of the roles in all docstrings; add to options what their bases have, and defaults."""
        objects, errors = list(_objects(pkg)), pkg["errors"]
        for one in objects:
            if one.docstring is not None:
                one.docstring.value = ROLE.sub(partial(_link, one), one.docstring.value)
        for one in objects:
            if isinstance(one, griffe.Class) and any(base.path == OPTIONS for base in one.mro()):
                _complete(one)
            _tidy(one, errors)


def _objects(scope: griffe.Object) -> Iterator[griffe.Object]:
    """Yield an object and all that is in it, but for what is imported."""
    yield scope
    for member in scope.members.values():
        if isinstance(member, griffe.Object):
            yield from _objects(member)


def _link(obj: griffe.Object, role: re.Match[str]) -> str:
    """Return a role as a link, where what it names is part of the reference; else as the name."""
    short, target = role.groups()
    name = target.rpartition(".")[2] if short else target
    if "." not in target or not target.startswith("spurgekit."):
        for scope in (obj, obj.parent):
            try:
                target = scope.resolve(target) if scope is not None else target
                break
            except griffe.NameResolutionError:
                if scope is not None and scope.is_class and target in scope.all_members:
                    target = f"{scope.path}.{target}"
                    break
    return f'<autoref optional identifier="{target}"><code>{name}</code></autoref>'


def _tidy(obj: griffe.Object, errors: griffe.Module) -> None:
    """Let "Raises" know our errors, which a module that lets them pass need not have imported; write types as they stand."""
    for section in () if obj.docstring is None else obj.docstring.parsed:
        if isinstance(section, griffe.DocstringSectionRaises):
            for error in section.value:
                if (name := str(error.annotation)) in errors.members:
                    error.annotation = griffe.ExprName(name, parent=errors)
        elif isinstance(section, griffe.DocstringSectionParameters | griffe.DocstringSectionAttributes):
            for entry in section.value:
                if isinstance(entry.annotation, griffe.ExprTuple):  # "Path, optional" is none with parentheses
                    entry.annotation.implicit = True


def _attributes(cls: griffe.Class) -> list[griffe.DocstringAttribute]:
    """Return the entries of the section "Attributes" of a class; of one without it, an empty section is made."""
    if cls.docstring is None:
        return []
    for section in cls.docstring.parsed:
        if isinstance(section, griffe.DocstringSectionAttributes):
            return section.value
    cls.docstring.parsed.append(griffe.DocstringSectionAttributes([]))
    return _attributes(cls)


def _complete(cls: griffe.Class) -> None:
    """Put the entries of the bases of options behind their own, and say the defaults."""
    own = _attributes(cls)
    for base in cls.mro():
        known = {entry.name for entry in own}
        own += [copy(entry) for entry in _attributes(base) if entry.name not in known]
    defaults = {field.name: field.default for field in dataclasses.fields(_imported(cls))}
    for entry in own:
        default = defaults.get(entry.name)
        if "Default" not in entry.description and default not in (None, (), "", Path(), dataclasses.MISSING):
            first, blank, rest = entry.description.partition("\n\n")
            entry.description = f"{first} Default: `{default!r}`.{blank}{rest}".strip()


def _imported(cls: griffe.Class) -> type:
    found: type = getattr(importlib.import_module(cls.module.path), cls.name)
    return found
