"""Pages and tables that are made from the code while the documentation is built, so that they cannot say anything else.

- A page for each command, from click's own description of it (``reference/commands/NAME.md``).
- ``contributing.md`` and ``changelog.md``, which are files at the root.
- Tables in pages, where a page has a comment ``<!-- table: NAME ARGUMENT -->``; the functions of ``TABLES`` make them.

Tables that are written by hand are checked: ahead of a comment ``<!-- columns: NAME -->``, the name being that of a tuple in
the code, there is a row for each of its entries. What a page lacks is a warning, and so an error of ``mkdocs build --strict``.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import html
import importlib
import logging
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import spurgekit
from spurgekit.cli.main import COMMANDS, main
from spurgekit.options import Options, choices_of, described, kinds_of, parted, without_none

LOG = logging.getLogger("mkdocs.hooks.spurgekit")
ROOT = Path(__file__).parents[1]
FOLDER = "reference/commands"

INCLUDED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}

SEE = {
    "init": ("init_survey", "tutorial.md"),
    "info": ("read_image_info", "tutorial.md"),
    "markers": ("list_markers", "how-to/plots.md"),
    "tile": ("tile_images", "how-to/plots.md"),
    "review": ("review_tiles", "how-to/review.md"),
    "build-dataset": ("build_dataset", "how-to/datasets.md"),
    "dataset info": ("open_dataset", "how-to/datasets.md"),
    "dataset validate": ("validate_dataset", "how-to/datasets.md"),
    "dataset push": ("push_dataset", "how-to/datasets.md"),
    "dataset fetch": ("fetch_dataset", "how-to/datasets.md"),
    "preview": ("preview_tiles", "how-to/datasets.md"),
    "pretrain-backbone": ("pretrain_backbone", "how-to/backbone.md"),
    "invert": ("invert_classes", "how-to/augment.md"),
    "augment": ("augment_dataset", "how-to/augment.md"),
    "weigh": ("weigh_synthetic", "how-to/augment.md"),
    "train": ("train_model", "how-to/train.md"),
    "model info": ("read_model_info", "how-to/train.md"),
    "model export": ("export_model", "how-to/train.md"),
    "model push": ("push_model", "how-to/train.md"),
    "evaluate": ("evaluate_arms", "how-to/train.md"),
    "study": ("run_study", "explanation/does-it-help.md"),
    "map": ("map_site", "how-to/maps.md"),
    "change": ("map_change", "how-to/change.md"),
    "next-survey": ("plan_survey", "how-to/next-survey.md"),
    "check": ("draw_check", "how-to/check.md"),
    "export": ("export_map", "how-to/export.md"),
    "simulate": ("simulate_survey", "tutorial.md"),
    "demo": ("run_demo", "tutorial.md"),
}
"""The function that each command calls, and the page that shows how it is used."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the commands into the navigation, in the order in which a survey uses them."""
    pages = [f"{FOLDER}/{name}.md" for name in COMMANDS]
    (reference,) = [entry["Reference"] for entry in config.nav or () if isinstance(entry, dict) and "Reference" in entry]
    (commands,) = [entry["Commands"] for entry in reference if isinstance(entry, dict) and "Commands" in entry]
    commands += pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and look whether the reference has all public names."""
    for name in COMMANDS:
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content="\n".join(_command_page(name))))
    for page, source in INCLUDED.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    pages = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/reference/api").glob("*.md")))
    for name in spurgekit.__all__:
        if name != "__version__" and not re.search(rf"^::: spurgekit\.(\w+\.)*{name}$", pages, re.MULTILINE):
            LOG.warning("no page of the reference has spurgekit.%s", name)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put tables where a page asks for them, and hold those that it has itself against the code."""

    def made(comment: re.Match[str]) -> str:
        name, *arguments = comment[1].split()
        return "\n".join(TABLES[name](*arguments))

    for comment in re.finditer(r"<!-- columns: (\S+) -->", markdown):
        table = markdown[: comment.start()].rpartition("\n\n|")[2]
        for column in _found(comment[1]):
            if not re.search(rf"^\|?[^|]*`{column}`", table, re.MULTILINE):
                LOG.warning("%s: the table ahead of %s does not say what %s is", page.file.src_uri, comment[1], column)
    return re.sub(r"<!-- table: (.+?) -->", made, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Keep short pieces of code on one line; take out dashes that nothing follows, where a type says enough."""
    content = re.sub(r"<code>([^<\n]{1,30})</code>", r'<code class="short">\1</code>', content)
    return re.sub(r'–\s*<div class="doc-md-description">\s*</div>', "", content)


# -- commands ---------------------------------------------------------------------------------------------------------


def _command_page(name: str) -> Iterator[str]:
    root = click.Context(main, info_name="spurgekit", **main.context_settings)
    command = main.get_command(root, name)
    assert command is not None
    context = click.Context(command, parent=root, info_name=name)
    yield from _described(name, command, context, level=1)
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            assert inner is not None
            yield from _described(f"{name} {sub}", inner, click.Context(inner, parent=context, info_name=sub), level=2)


def _described(name: str, command: click.Command, context: click.Context, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} spurgekit {name}"
    yield ""
    usage = command.collect_usage_pieces(context)
    yield from ["```text", f"spurgekit {name} {' '.join(usage)}", "```", ""]
    for paragraph in _paragraphs(command.help or ""):
        yield from [_prose(paragraph), ""]
    if name in SEE:
        function, page = SEE[name]
        yield f"In Python: [`spurgekit.{function}`][spurgekit.{function}]. How to: [{_title(page)}](../../{page})."
        yield ""
    rows = [_option(parameter, context) for parameter in command.params if isinstance(parameter, click.Option)]
    if rows:
        yield from _table(("Option", "Meaning", "Default"), rows)
    if command.epilog:
        yield from _epilog(command.epilog)
    yield ""


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    """Return the cells of an option: how it is written, what it means, its default."""
    record = option.get_help_record(context)
    assert record is not None
    text, found = record[1], re.search(r"\s*\[([^\[]*(?:\[[^\]]*\])?[^\[]*)\]$", record[1])
    more = "" if found is None else found[1]
    text = text if found is None else text[: found.start()]
    default = re.search(r"default: (.*?)(?:; [\d<=x]+)?$", more)
    limits = re.search(r"([\d.]+<=?x<=?[\d.]+)", more)
    required = "required" in more
    flags = "<br>".join(f"<code>{flag}</code>" for flag in (*option.opts, *option.secondary_opts) if flag.startswith("--"))
    if option.is_flag or isinstance(option.type, click.Choice):
        metavar = ""
    else:
        metavar = f" <em>{_cell(option.make_metavar(context))}</em>"
    meaning = _prose(text)
    if isinstance(option.type, click.Choice) and not option.is_flag:
        words = ", ".join(f"<code>{_cell(str(word))}</code>" for word in option.type.choices)
        meaning = f"One of {words}. {meaning}".strip()
    if limits is not None:
        meaning = f"{meaning} From {limits[1].replace('<=x<=', ' to ')}.".strip()
    return (
        flags + metavar,
        meaning,
        "<em>required</em>" if required else "" if default is None else _cell(default[1]).replace(",", ",<wbr>"),
    )


def _epilog(text: str) -> Iterator[str]:
    """Yield what help says at its end: lines as they are, or a paragraph."""
    if "\b" in text:
        yield from ["", "```text", text.replace("\b\n", "").rstrip(), "```"]
    else:
        yield from ["", *(_prose(paragraph) for paragraph in _paragraphs(text))]


TYPED = re.compile(r"(?<!\w)'([^']+)'(?!\w)|(?<![\w-])(--[a-z][\w-]*)")
"""What help says as it is typed: commands and words in quotes, and options."""


def _prose(text: str) -> str:
    """Return text of the help as Markdown: what is typed as code, the rest as HTML, which is left as it is."""
    return TYPED.sub(lambda match: f"<code>{match[1] or match[2]}</code>", _cell(text))


def _cell(text: str) -> str:
    """Return text as a cell of a table takes it: HTML, in which nothing means anything to Markdown."""
    text = html.escape(text, quote=False)
    return re.sub(r"[\\*_|\[\]{}]", lambda match: f"&#{ord(match[0])};", text)


def _title(page: str) -> str:
    """Return the heading of a page."""
    first = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a table; narrow screens show its rows as blocks, and name its defaults (stylesheets/extra.css)."""
    names = list(head)
    yield from ['<div class="options" markdown>' if "Default" in names else "<div markdown>", ""]
    yield f"| {' | '.join(names)} |"
    yield f"|{' --- |' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(cell or ' ' for cell in row)} |"
    yield from ["", "</div>", ""]


def _commands() -> Iterator[str]:
    return _table(("Command", "What it does"), ((f"[`{name}`]({name}.md)", _cell(text)) for name, text in COMMANDS.items()))


# -- tables of the files ----------------------------------------------------------------------------------------------


def _survey_toml() -> Iterator[str]:
    """Yield the entries of ``survey.toml``, table by table."""
    from spurgekit.dataset.dataset_options import DatasetOptions
    from spurgekit.record_table import RecordTable, Taxon
    from spurgekit.survey import Site, Survey
    from spurgekit.tiles.tile_options import PlotOptions, TileOptions

    tables = (
        ("The survey itself", "before the first table", Survey),
        ("`[tiles]`", "how it is tiled", TileOptions),
        ("`[plots]`", "how its plots are laid out, and where they come from", PlotOptions),
        ("`[dataset]`", "how its dataset is labelled and split", DatasetOptions),
        ("`[record]`", "what its records for weed databases say besides what is on the map", RecordTable),
        ('`[record.taxa."CLASS"]`', "what a class is called in floras, where there are several weed classes", Taxon),
        ("`[[sites]]`", "one for each imaged place", Site),
    )
    for title, about, cls in tables:
        yield from [f"{title}: {about}.", ""]
        yield from _table(("Entry", "Meaning", "Default"), _entries(cls))


def _entries(cls: type[Options]) -> Iterator[tuple[str, str, str]]:
    texts = described(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name, kind in kinds_of(cls).items():
        written = _as_toml(kind)
        if written is None or name == "folder":
            continue
        text, default = _told(texts.get(name, ""), fields[name])
        yield f"<code>{name}</code> <em>{_cell(written)}</em>", _prose(text.replace("``", "'")), default


def _told(text: str, field: dataclasses.Field[Any]) -> tuple[str, str]:
    """Return what is said of an option, and its default."""
    text, told = parted(text)
    if told is not None:
        return text, _cell(told)
    if field.default is dataclasses.MISSING:
        return text, "<em>required</em>" if field.default_factory is dataclasses.MISSING else ""
    return text, "" if field.default in (None, (), "") else f"<code>{_cell(_toml_value(field.default))}</code>"


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    return f'"{value}"' if isinstance(value, (str, Path)) else str(value)


def _as_toml(kind: Any) -> str | None:
    """Return what an entry is written as; None for what cannot be written."""
    kind, _ = without_none(kind)
    if words := choices_of(kind):
        return "text" if len(words) > 12 else " or ".join(f'"{word}"' for word in words)
    if get_origin(kind) is tuple:
        inner = _as_toml(get_args(kind)[0])
        return None if inner is None else f"list of {_plural(inner)}"
    kinds = {str: "text", Path: "path", int: "whole number", float: "number", bool: "true or false", dt.date: "date"}
    return kinds.get(kind)


def _plural(word: str) -> str:
    return {"text": "texts", "path": "paths", "whole number": "whole numbers", "number": "numbers"}[word]


def _fields(path: str) -> Iterator[str]:
    """Yield the fields of the class that a JSON file is written from, by its docstring or its own description."""
    module, _, name = path.rpartition(".")
    cls = next(node for node in _parsed(module).body if isinstance(node, ast.ClassDef) and node.name == name)
    texts = {}
    for section in griffe.parse_numpy(griffe.Docstring(ast.get_docstring(cls) or ""), warnings=False):
        if section.kind is griffe.DocstringSectionKind.attributes:
            texts.update({each: entry.description for entry in section.value for each in entry.name.split(", ")})
    rows = []
    for node in cls.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            field = node.target.id
            keywords = node.value.keywords if isinstance(node.value, ast.Call) else []
            told = [ast.literal_eval(one.value) for one in keywords if one.arg == "description"]
            text = texts.get(field) or next(iter(told), "")
            if not text:
                LOG.warning("nothing is said of %s.%s", path, field)
            rows.append((f"<code>{field}</code>", _sentences(text)))
    return _table(("Entry", "Meaning"), rows)


def _parsed(module: str) -> ast.Module:
    """Return the source of a module, which importing would load large libraries for."""
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text(encoding="utf-8"))


def _sentences(text: str) -> str:
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", " ".join(text.split()))
    return re.sub(r"``?([^`]+)``?", r"<code>\1</code>", _cell(text))


# -- the floors -------------------------------------------------------------------------------------------------------


def _floors() -> Iterator[str]:
    """Yield the rooms, floor by floor, as the contract of import-linter has them, with what each says of itself."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        (contract,) = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    rows = []
    for layer in contract["layers"]:
        rooms = re.findall(r"\w+", layer)
        is_open = ":" in layer
        told = [(ast.get_docstring(_parsed(f"spurgekit.{room}")) or "").partition("\n")[0] for room in rooms]
        cells = [f"<code>{room}</code> {_sentences(text)}" for room, text in zip(rooms, told, strict=True)]
        rows.append(("<br>".join(cells) + (" <em>(open to each other)</em>" if is_open else ""),))
    return _table(("Rooms, the uppermost floor first",), rows)


# -- tables of the varieties ------------------------------------------------------------------------------------------


def _registry(path: str) -> Iterator[str]:
    """Yield the records of a registry: name and description."""
    rows = [(f"<code>{name}</code>", _cell(_about(record))) for name, record in _found(path).items()]
    return _table(("Name", "What it is"), rows)


def _about(record: Any) -> str:
    for name in ("description", "words"):
        if hasattr(record, name):
            text: str = getattr(record, name)
            return text
    return ", ".join(record.titles(["class 0", "class 1", "..."]))


def _found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


TABLES: Mapping[str, Callable[..., Iterator[str]]] = {
    "commands": _commands,
    "floors": _floors,
    "survey.toml": _survey_toml,
    "fields": _fields,
    "registry": _registry,
}
"""What makes the tables that pages ask for."""
