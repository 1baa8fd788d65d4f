"""Running the command line in a test, and what a refusal looks like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from click.testing import CliRunner, Result

from spurgekit.cli.main import main

ROOT = Path(__file__).parents[1]


def run(*arguments: object) -> Result:
    """Run ``spurgekit ARGUMENTS``."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> str:
    """Run a command that works and return what it prints."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr or repr(result.exception)
    return result.stdout


def refuse(*arguments: object, code: int = 2) -> str:
    """Run a command that fails and return the one line in which it says so.

    Checked are the line, the exit code, and that the working folder is left as it was: the test's own, or an empty one where
    the test works in that of all tests.
    """
    own = nullcontext() if Path.cwd() != ROOT else _in_an_empty_folder()
    with own:
        before = sorted(Path().rglob("*"))
        result = run(*arguments)
        assert sorted(Path().rglob("*")) == before
    assert isinstance(result.exception, SystemExit), repr(result.exception)  # else the user sees a traceback
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("spurgekit: ")
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.rstrip("\n")


@contextmanager
def _in_an_empty_folder() -> Iterator[None]:
    with TemporaryDirectory() as folder, chdir(folder):
        yield
