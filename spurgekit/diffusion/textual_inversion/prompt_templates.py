"""Prompts around a new word, so that what is learned is the thing and not one way to speak of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from spurgekit.errors import InputError, known_names
from spurgekit.text import shown

GAP = "{}"
"""Where the word goes."""

HEADER = re.compile(r"\[([^\[\]{}]+)\]")
"""A line ahead of the templates of one class: its name between brackets."""

PUBLISHED = (
    "a photo of a {}",
    "a rendering of a {}",
    "a cropped photo of the {}",
    "the photo of a {}",
    "a photo of a clean {}",
    "a photo of a dirty {}",
    "a dark photo of the {}",
    "a photo of my {}",
    "a photo of the cool {}",
    "a close-up photo of a {}",
    "a bright photo of the {}",
    "a cropped photo of a {}",
    "a photo of the {}",
    "a good photo of the {}",
    "a photo of one {}",
    "a close-up photo of the {}",
    "a rendition of the {}",
    "a photo of the clean {}",
    "a rendition of a {}",
    "a photo of a nice {}",
    "a good photo of a {}",
    "a photo of the nice {}",
    "a photo of the small {}",
    "a photo of the weird {}",
    "a photo of the large {}",
    "a photo of a cool {}",
    "a photo of a small {}",
)
"""Those of Gal et al. (2022), An Image is Worth One Word, arXiv:2208.01618, a choice of CLIP's for ImageNet."""

TOP_DOWN = (
    "a drone photo of {}",
    "a drone image of {}",
    "an aerial photo of {}",
    "an aerial image of {}",
    "an overhead photo of {}",
    "a top-down photo of {}",
    "a top-down view of {}",
    "a bird's-eye view of {}",
    "a nadir photo of {}",
    "an orthophoto of {}",
    "a photo of {} from above",
    "an aerial image of {} seen from above",
    "a photo of {} taken by a drone",
    "a drone photo of the ground with {}",
    "a drone photo of {} in a field",
    "a close-up drone photo of {}",
    "a cropped drone photo of {}",
    "a sharp drone photo of {}",
    "a blurry drone photo of {}",
    "a bright drone photo of {}",
    "a dark drone photo of {}",
    "a drone photo of {} in the shade",
    "a drone photo of {} in sunlight",
    "a good aerial photo of {}",
)
"""Drone imagery looks straight down on ground without a foreground: no close-up of one thing, no articles, and no words such as
"clean" or "cool" that would take up what belongs to the plants."""

TEMPLATES = {"published": PUBLISHED, "top-down": TOP_DOWN}


def read_templates(choice: str | Path) -> tuple[str, ...]:
    """Return templates by name, or from a text file with one on each line.

    A line ``[CLASS]`` begins those of one class; what stands ahead of the first is for the classes without a section of their
    own. Empty lines and those that begin with ``#`` are left out.

    Raises
    ------
    InputError
        If there are none of that name, the file cannot be read, or a line is no template.

    Examples
    --------
    >>> len(read_templates("published"))
    27
    """
    if str(choice) in TEMPLATES:
        return TEMPLATES[str(choice)]
    path = Path(choice)
    if not path.is_file():
        raise InputError(f"there are no templates {str(choice)!r}{known_names(str(choice), TEMPLATES)}, or pass a text file")
    from spurgekit.reading import read_utf8  # by pydantic, which help does without

    lines = read_utf8(path, "write one template on each line").splitlines()
    templates = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    try:
        check_templates(templates)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return templates


def check_templates(templates: Iterable[str]) -> None:
    """Raise an InputError unless there are templates, in each section too, each with one gap for the word."""
    templates = tuple(templates)
    if not templates:
        raise InputError("there are no templates; write some, e.g. 'a drone photo of {}'")
    headers = [line for line in templates if HEADER.fullmatch(line)]
    if twice := next((line for number, line in enumerate(headers) if line in headers[:number]), None):
        raise InputError(f"there are two sections {shown(twice)}; put their templates into one")
    for line, following in zip(templates, (*templates[1:], "[]"), strict=True):
        if line in headers:
            if following in (*headers, "[]"):
                raise InputError(f"the section {shown(line)} has no templates; write some, or take it out")
        elif line.count(GAP) != 1:
            raise InputError(f"the template {line!r} has {line.count(GAP)} gaps {GAP} for the word; each takes one")


def check_classes_of(templates: Iterable[str], classes: Sequence[str]) -> None:
    """Raise an InputError if templates have a section of no class, or a class has none.

    Parameters
    ----------
    templates : iterable of str
        As :func:`read_templates` returns them.
    classes : sequence of str
        All that there are.
    """
    templates = tuple(templates)
    named = [found[1] for found in map(HEADER.fullmatch, templates) if found]
    if unknown := [name for name in named if name not in classes]:
        raise InputError(f"templates have a section of the class {unknown[0]!r}{known_names(unknown[0], classes)}")
    if without := [name for name in classes if not templates_of(templates, name)]:
        raise InputError(
            f"no template is for {without[0]!r}; add a section [{without[0]}], or templates for all ahead of the first section"
        )


def templates_of(templates: Iterable[str], class_name: str | None = None) -> tuple[str, ...]:
    """Return the templates for a class: those of its section, else those ahead of the first section.

    >>> templates_of(("a photo of {}", "[weed]", "{} beside sand"), "weed")
    ('{} beside sand',)
    >>> templates_of(("a photo of {}", "[weed]", "{} beside sand"), "sand")
    ('a photo of {}',)
    """
    sections: dict[str | None, list[str]] = {None: []}
    name: str | None = None
    for line in templates:
        if header := HEADER.fullmatch(line):
            name = header[1]
            sections[name] = []
        else:
            sections[name].append(line)
    return tuple(sections.get(class_name, sections[None]))


def filled(template: str, word: str) -> str:
    """Return a template with a word in its gap.

    >>> filled("a drone photo of {}", "<leafy_spurge>")
    'a drone photo of <leafy_spurge>'
    """
    return template.replace(GAP, word)
