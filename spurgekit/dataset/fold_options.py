"""Which places are held out in turn, as options that several commands share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from spurgekit.errors import InputError
from spurgekit.options import Options
from spurgekit.text import shown

JOIN = "+"
"""Parts the names of places that are held out together: ``6+7``."""


@dataclass(frozen=True, kw_only=True)
class FoldOptions(Options):
    """Which places are held out in turn.

    Attributes
    ----------
    leave_out : str, optional
        Column of which each place is held out in turn. Default: the dataset's own split.
    together : tuple of tuple of str
        Places of that column that are held out together, as one place. May be repeated.
    """

    leave_out: str | None = None
    together: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.together and self.leave_out is None:
            raise InputError("`together` names places that are held out together; say of which column in `leave_out`")
        for places in self.together:
            if len(places) < 2:
                raise InputError(
                    f"`together` names {shown(places[0]) if places else 'nothing'} alone, and each place is held out by itself "
                    "anyway; name two or more"
                )
        named = Counter(name for places in self.together for name in places)
        if twice := [name for name, count in named.items() if count > 1]:
            raise InputError(f"`together` names {shown(twice[0])} twice; name each place once")
