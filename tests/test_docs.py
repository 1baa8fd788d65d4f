"""What the documentation shows can be typed: commands and options are those that there are, Python calls what there is."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import spurgekit
from spurgekit.classify.arms import parse_arm, parse_arms
from spurgekit.cli.main import COMMANDS, main
from spurgekit.options import Options

ROOT = Path(__file__).parents[1]
FILES = ["README.md", "CONTRIBUTING.md", "surveys/README.md"]
PAGES = [*FILES, *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/**/*.md")))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> Iterator[str]:
    return (code for language, code in FENCE.findall(text_of(page)) if language in languages)


# -- commands ---------------------------------------------------------------------------------------------------------


def commands(code: str) -> Iterator[list[str]]:
    """Yield the words of each spurgekit command in a block of shell lines."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            if words[0] == "spurgekit":
                yield words[1:end]
            words = words[end + 1 :]


SHOWN = [(page, words) for page in PAGES for code in blocks(page, "", "bash", "sh") for words in commands(code)]


def parsed(words: list[str]) -> click.Context:
    """Return what click makes of a command line, without running it."""
    context = click.Context(main, info_name="spurgekit", **main.context_settings)
    command: click.Command | None = main
    while isinstance(command, click.Group):
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name}"
        context = click.Context(command, info_name=name, parent=context)
    assert command is not None
    return command.make_context(command.name, words, parent=context.parent)


def test_the_documentation_shows_commands():
    assert len(SHOWN) > 60
    assert {*COMMANDS} - {words[0] for _, words in SHOWN} <= {"init", "invert", "demo"}, "a command that no page shows"


@pytest.mark.parametrize(("page", "words"), SHOWN, ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_commands_parse(page, words):
    chosen = parsed(words).params
    if chosen.get("arm") is not None:
        parse_arm(chosen["arm"])
    if chosen.get("arms") is not None:
        parse_arms(chosen["arms"])


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_text_parse(page):
    for line in re.findall(r"`(spurgekit [a-z][^`]*)`", FENCE.sub("", text_of(page))):
        try:
            parsed(shlex.split(line)[1:])
        except (click.MissingParameter, click.exceptions.NoArgsIsHelpError):  # what is not said there
            continue


def test_what_is_not_known_does_not_parse():
    with pytest.raises(click.NoSuchOption):
        parsed(["tile", "site.tif", "--sizes", "64"])
    with pytest.raises(click.BadParameter):
        parsed(["tile", "site.tif", "--quarters", "half"])
    with pytest.raises(AssertionError):
        parsed(["tiles"])


def all_flags(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from all_flags(inner)


def test_options_in_the_text_are_options_of_some_command():
    known = {*all_flags(main), "--help"}
    of_others = re.compile(r"`[\w./]*python [^`]*`")
    prose = {page: of_others.sub("", FENCE.sub("", text_of(page))) for page in PAGES}
    flags = {(page, flag) for page, text in prose.items() for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", text)}
    assert {(page, flag) for page, flag in flags if flag not in known} == set()


# -- Python -----------------------------------------------------------------------------------------------------------


def imported(tree: ast.Module) -> dict[str, object]:
    """Return what the imports of a piece of code bring, of spurgekit alone; all of them have to be there."""
    names: dict[str, object] = {"spurgekit": spurgekit}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "spurgekit":
            module = importlib.import_module(node.module or "")
            names |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    return names


def named(node: ast.AST, names: dict[str, object]) -> object:
    """Return what of spurgekit a name or an attribute is, which has to be there; None for what is something else."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = named(node.value, names)
        return None if owner is None else getattr(owner, node.attr)
    return None


def names_of(page: str) -> dict[str, object]:
    """Return what the pieces of a page import: they are read one after the other."""
    return {name: value for code in blocks(page, "python") for name, value in imported(ast.parse(code)).items()}


CODE = [page for page in PAGES if any(blocks(page, "python", "pycon"))]


@pytest.mark.parametrize("page", CODE)
def test_python_calls_what_there_is(page):
    names = names_of(page)
    for node in (node for code in blocks(page, "python") for node in ast.walk(ast.parse(code))):
        named(node, names)
        if isinstance(node, ast.Call) and callable(function := named(node.func, names)):
            inspect.signature(function).bind(*[None for _ in node.args], **{str(one.arg): None for one in node.keywords})
            values = [*node.args, *(one.value for one in node.keywords)]
            is_whole = not any(isinstance(inner, ast.Name) for value in values for inner in ast.walk(value))
            if isinstance(function, type) and issubclass(function, Options) and is_whole:  # checked when it is made
                eval(ast.unparse(node), dict(names))


@pytest.mark.parametrize("page", CODE)
def test_sessions_end_as_shown(page):
    for code in blocks(page, "pycon"):
        session = doctest.DocTestParser().get_doctest(code, names_of(page), page, page, 0)
        assert doctest.DocTestRunner().run(session).failed == 0
