"""Texts for people: numbers of things in words, and values that come from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from spurgekit.errors import InputError


def counted(number: int, thing: str) -> str:
    """Return how many of a thing there are.

    >>> counted(1, "tile"), counted(0, "tile"), counted(1234, "synthetic tile")
    ('1 tile', '0 tiles', '1,234 synthetic tiles')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


LONGEST = 60
"""Characters of a value that a message shows."""

LONGEST_NAME = 255
"""Bytes of a name of a file, on most systems; longer names of classes and sites could be none."""

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, separators of lines, marks that turn the direction of text, halves of characters."""


def shown(value: object, *, quotes: bool = True) -> str:
    r"""Return a value as a message shows it: short, on one line, without codes that a terminal would obey.

    Parameters
    ----------
    value : object
    quotes : bool
        Whether a text stands between quotes.

    Examples
    --------
    >>> shown("a\x1b[2J"), shown([1, None]), shown("x" * 100)
    ("'a\\x1b[2J'", '[1, None]', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...")
    >>> shown("line 2\n", quotes=False)
    'line 2\\n'
    """
    try:
        text = repr(value) if quotes or not isinstance(value, str) else printable(value)
    except ValueError:  # whole numbers of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST or not quotes else f"{text[: LONGEST - 3]}..."


def printable(text: str) -> str:
    r"""Return a text that does nothing to a terminal: control characters and halves of characters are written out.

    Examples
    --------
    >>> printable("red\x1b[31m and \udcff, but é")
    'red\\x1b[31m and \\udcff, but é'
    """
    return CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def is_line(text: str) -> bool:
    """Whether a text says something, on one line no longer than a name of a file, without codes that a terminal would obey."""
    return bool(text.strip()) and len(text.encode(errors="replace")) <= LONGEST_NAME and CONTROL.search(text) is None


def listed(names: Sequence[str], most: int) -> str:
    """Return the first of some names, and how many more there are.

    >>> listed("abc", 3), listed("abcde", 3)
    ('a, b, c', 'a, b, c and 2 more')
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def some(names: Sequence[str], most: int = 6) -> str:
    """Return the first of some names.

    >>> some("abc"), some("abcdefgh", most=2)
    ('a, b, c', 'a, b, ...')
    """
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def markdown(text: str) -> str:
    r"""Return a text that means nothing to Markdown, in tables neither.

    >>> markdown("a|b <script> [x](y) north_pasture")
    'a\\|b \\<script> \\[x](y) north_pasture'
    """
    return re.sub(r"([\\`*<\[|])", r"\\\1", printable(text))


def is_formula(text: str) -> bool:
    """Whether a spreadsheet that opens a table takes a text for a formula; signs alone and numbers it does not.

    >>> is_formula("=1+1"), is_formula("@sum"), is_formula("-cmd|x"), is_formula("-1"), is_formula("+")
    (True, True, True, False, False)
    """
    return re.match(r"[=@]|[+-](?![\d.,]*$)", text.lstrip()) is not None


def check_formulas(what: str, names: Iterable[object]) -> None:
    """Refuse names that may go to a CSV and that a spreadsheet would run.

    Raises
    ------
    InputError
        If one is a formula.
    """
    if formula := next((name for name in names if isinstance(name, str) and is_formula(name)), None):
        raise InputError(f"{what} {shown(formula)} is a formula to spreadsheets, which would run it; call it otherwise")
