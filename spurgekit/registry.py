"""Varieties by name: marker families, augmentations, recipes, metrics, bands of maps, formats of files.

Each kind has one registry, in its own room, whose records say what a variety is called and what it does. Everything else asks
the registry: choices and help of the command line, checks of options, reports and cards. A variety of somebody else's is a
record more. Registries import nothing large, so records hold functions that import what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from spurgekit.errors import UnknownNameError, known_names


class Named(Protocol):
    """What a registry holds: a value with a name."""

    @property
    def name(self) -> str:
        """Return the name that it goes by in options, files and messages."""
        ...


Record = TypeVar("Record", bound=Named)


class Registry(Mapping[str, Record], Generic[Record]):
    """Records of one kind by name, in the order in which they were registered.

    Parameters
    ----------
    kind : str
        What they are, for messages: ``recipe``.
    records : iterable
        Those that there are from the start.

    Examples
    --------
    >>> from collections import namedtuple
    >>> Recipe = namedtuple("Recipe", "name")
    >>> recipes = Registry("recipe", [Recipe("plain"), Recipe("probe")])
    >>> list(recipes), recipes.register(Recipe("lasso")), "lasso" in recipes
    (['plain', 'probe'], Recipe(name='lasso'), True)
    >>> recipes["prob"]
    Traceback (most recent call last):
    spurgekit.errors.UnknownNameError: there is no recipe 'prob', did you mean probe? known are plain, probe, lasso
    """

    def __init__(self, kind: str, records: Iterable[Record] = ()) -> None:
        self.kind = kind
        self._records: dict[str, Record] = {}
        for record in records:
            self.register(record)

    def register(self, record: Record) -> Record:
        """Add a record, and return it.

        Raises
        ------
        ValueError
            If there is one of that name already.
        """
        if record.name in self._records:
            raise ValueError(f"there is a {self.kind} {record.name!r} already; give yours another name")
        self._records[record.name] = record
        return record

    def unregister(self, name: str) -> None:
        """Take a record out again, as a test does that has put one in."""
        del self._records[self[name].name]

    def __getitem__(self, name: str) -> Record:
        """Return the record of a name.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        try:
            return self._records[name]
        except KeyError:
            raise UnknownNameError(f"there is no {self.kind} {name!r}{known_names(str(name), self)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__  # as a part of a type, Annotated[str, RECIPES], it has to be hashable

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}: {', '.join(self)})"
