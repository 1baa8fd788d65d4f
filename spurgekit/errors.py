"""The errors that a user can do something about.

Everything that spurgekit raises on purpose derives from :class:`SpurgekitError`. The message is one line that names the
file, says what is wrong with it and what to do; the command line prints that line and exits with ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 200
"""Characters of another library's message that go into ours."""


class SpurgekitError(Exception):
    """Root of all errors raised on purpose."""

    exit_code = 1


class InputError(SpurgekitError, ValueError):
    """The input cannot give a right result: a file, an option or the two together."""

    exit_code = 2


class ImageryError(InputError):
    """An image that cannot be read, or whose georeference does not serve."""


class OutputExistsError(InputError, FileExistsError):
    """The output folder is already there and was not asked to be replaced."""


class LeakageError(InputError):
    """Test tiles share ground with training tiles."""


class ModelError(InputError):
    """Weights, a backbone or a model folder that do not fit what they are used for."""


def known_names(name: str, known: Iterable[str]) -> str:
    """Return how a message about an unknown name goes on: with one that is near it, and all that are known.

    >>> known_names("prob", ["plain", "probe"])
    ', did you mean probe? known are plain, probe'
    >>> known_names("lasso", ["plain", "probe"])
    '; known are plain, probe'
    """
    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1)
    return f"{f', did you mean {close[0]}?' if close else ';'} known are {', '.join(names)}"


def first_line(error: BaseException) -> str:
    r"""Return what another library's error says, as a part of one line.

    >>> first_line(ValueError("sizes differ:\n  3 and 4"))
    'sizes differ:'
    >>> first_line(KeyError())
    'KeyError'
    """
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
