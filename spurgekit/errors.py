"""The errors that a user can do something about.

Everything that spurgekit raises on purpose derives from :class:`SpurgekitError`. The message is one line that names the
file, says what is wrong with it and what to do; the command line prints that line and exits with ``exit_code``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

MOST_KNOWN = 12
"""Names that a message lists."""

LONGEST = 200
"""Characters of another library's message that go into ours."""


class SpurgekitError(Exception):
    """Root of all errors raised on purpose."""

    exit_code = 1


class InputError(SpurgekitError, ValueError):
    """The input cannot give a right result: a file, an option or the two together."""

    exit_code = 2


class UnknownNameError(InputError, KeyError):
    """There is no variety of that name: no such recipe, metric, marker family, ..."""

    __str__ = Exception.__str__  # KeyError's is made for keys


class ImageryError(InputError):
    """An image that cannot be read, or whose georeference does not serve."""


class ElsewhereError(InputError):
    """Shapes that have no ground on the image."""


class OutputExistsError(InputError, FileExistsError):
    """The output folder is already there and was not asked to be replaced."""


class OutputInUseError(SpurgekitError, BlockingIOError):
    """Another process is writing the output."""


class LeakageError(InputError):
    """Test tiles share ground with training tiles."""


class ModelError(InputError):
    """Weights, a backbone or a model folder that do not fit what they are used for."""


PARAMETER = re.compile(r"`(\w+(?:\.\w+)?)(?:=([^`]*))?`")
"""How messages name a parameter, and a value that it has or should have: `gsd_m`, `layout=grid`."""


def spelled(message: str, spell: Callable[[str, str | None], str]) -> str:
    """Return a message with the parameters that it names spelled as in another interface.

    Messages name parameters as Python does, between backquotes. The command line makes options of them, ``survey.toml``
    entries.

    Parameters
    ----------
    message : str
    spell : callable
        Takes a name and a value (None where there is none) and returns what stands for them.

    Examples
    --------
    >>> spelled("`layout=points` needs `points`", lambda name, value: f"--{name}" + (f" {value}" if value else ""))
    '--layout points needs --points'
    """
    return PARAMETER.sub(lambda match: spell(match[1], match[2]), message)


@contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Let errors raised within name parameters as the caller's own options are called.

    A function's messages name its own parameters; a caller that passes an option of another name on says so.

    Parameters
    ----------
    **names : str
        What the caller calls each parameter.

    Examples
    --------
    >>> with renamed(declared_crs="points_crs"):
    ...     raise InputError("pass `declared_crs`")
    Traceback (most recent call last):
    spurgekit.errors.InputError: pass `points_crs`
    """
    try:
        yield
    except SpurgekitError as error:

        def spell(name: str, value: str | None) -> str:
            return f"`{names.get(name, name)}{'' if value is None else f'={value}'}`"

        error.args = (spelled(str(error), spell),)
        raise


def known_names(name: str, known: Iterable[str]) -> str:
    """Return how a message about an unknown name goes on: with one that is near it, and all that are known.

    >>> known_names("prob", ["plain", "probe"])
    ', did you mean probe? known are plain, probe'
    >>> known_names("lasso", ["plain", "probe"])
    '; known are plain, probe'
    """
    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1)
    more = f" and {len(names) - MOST_KNOWN} more" if len(names) > MOST_KNOWN + 1 else ""
    listed = ", ".join(names[:MOST_KNOWN] if more else names)
    return f"{f', did you mean {close[0]}?' if close else ';'} known are {listed}{more}"


def first_line(error: BaseException) -> str:
    r"""Return what another library's error says, as a part of one line.

    >>> first_line(ValueError("sizes differ:\n  3 and 4"))
    'sizes differ:'
    >>> first_line(KeyError())
    'KeyError'
    """
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
