"""What the library says, in the words of the command line: the parameters that it names become options."""

from __future__ import annotations

from collections.abc import Iterator

import click

from spurgekit.errors import spelled
from spurgekit.text import printable


def echo(message: str = "") -> None:
    """Print a message for the user of the command that runs."""
    show(_here(message))


def warn(message: str) -> None:
    """Say what a user should know while a run goes on."""
    show(f"spurgekit: {_here(message)}", err=True)


def show(text: str, *, err: bool = False) -> None:
    """Print lines as they are, but for codes that a terminal would obey: texts of files are among them."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)


def _here(message: str) -> str:
    context = click.get_current_context()
    root = context.find_root().command
    return as_options(message, context.command, root if isinstance(root, click.Group) else None)


def as_options(message: str, command: click.Command | None, group: click.Group | None) -> str:
    """Return a message with the parameters that it names as options.

    Parameters
    ----------
    message : str
        With parameters as :func:`spurgekit.errors.spelled` has them.
    command : click.Command, optional
        The one that was called; a parameter that it has is meant.
    group : click.Group, optional
        Whose commands are asked where that one has no such parameter: what to do may be said of another. What none of them
        has stays as it is.

    Examples
    --------
    >>> command = click.Command("tile", params=[click.Option(["--gsd", "gsd_m"]), click.Option(["--keep/--no-keep"])])
    >>> as_options("`gsd_m=0.0` cannot be; pass `keep=False`", command, None)
    '--gsd 0.0 cannot be; pass --no-keep'
    """

    def spell(name: str, value: str | None) -> str:
        parameter = find_parameter(name, command, group)
        if parameter is None:
            return f"`{name}`" if value is None else f"`{name}={value}`"
        return _option(parameter, value)

    return spelled(message, spell)


def find_parameter(name: str, command: click.Command | None, group: click.Group | None) -> click.Parameter | None:
    """Return the parameter of a command that is called so in the library, or an option of another command of its group."""
    for known in dict.fromkeys((name.replace(".", "_"), name.rpartition(".")[2])):  # of an option that holds options
        for parameter in _parameters(command):
            if parameter.name == known:
                return parameter
        for parameter in _parameters(group):
            if parameter.name == known and isinstance(parameter, click.Option):
                return parameter
    return None


def _parameters(command: click.Command | None) -> Iterator[click.Parameter]:
    if command is None:
        return
    yield from command.params
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _parameters(command.get_command(context, name))


def _option(parameter: click.Parameter, value: str | None) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(click.Context(click.Command(""))) if value is None else value
    flag = max(parameter.opts, key=len)
    if value is None:
        return flag
    if value in ("True", "False"):
        return flag if value == "True" or not parameter.secondary_opts else parameter.secondary_opts[0]
    return f"{flag} {_plain(value)}"


def _plain(value: str) -> str:
    """Return a value as it is typed: without the quotes, brackets and blanks of Python.

    >>> _plain("'grid'"), _plain("(0.5, 0.5)")
    ('grid', '0.5,0.5')
    """
    return value.strip("()[]'\"").replace("', '", ",").replace(", ", ",").rstrip(",")
