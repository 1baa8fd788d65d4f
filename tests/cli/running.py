"""Runs commands as a user would."""

from __future__ import annotations

from click.testing import CliRunner, Result

from spurgekit.cli.main import main


def invoke(*arguments: object) -> Result:
    """Run a command and return what came of it."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run(*arguments: object) -> str:
    """Run a command that succeeds and return what it prints."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def run_one_line(*arguments: object, exit_code: int = 2) -> str:
    """Run a command that fails with one line on standard error and return that line."""
    result = invoke(*arguments)
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("spurgekit: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.strip()
