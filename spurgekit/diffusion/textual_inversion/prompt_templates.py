"""Prompts around a new word, so that what is learned is the thing and not one way to speak of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spurgekit.errors import InputError, known_names

GAP = "{}"
"""Where the word goes."""

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

    Empty lines and those that begin with ``#`` are left out.

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
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text file; write one template on each line") from error
    templates = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    try:
        check_templates(templates)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return templates


def check_templates(templates: Iterable[str]) -> None:
    """Raise an InputError unless there are templates, each with one gap for the word."""
    templates = tuple(templates)
    if not templates:
        raise InputError("there are no templates; write some, e.g. 'a drone photo of {}'")
    for template in templates:
        if template.count(GAP) != 1:
            raise InputError(f"the template {template!r} has {template.count(GAP)} gaps {GAP} for the word; each takes one")


def filled(template: str, word: str) -> str:
    """Return a template with a word in its gap.

    >>> filled("a drone photo of {}", "<leafy_spurge>")
    'a drone photo of <leafy_spurge>'
    """
    return template.replace(GAP, word)
