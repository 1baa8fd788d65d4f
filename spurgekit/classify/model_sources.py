"""Where a model is: a folder of this machine, or a repository of the Hugging Face Hub (``hf://OWNER/NAME``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from spurgekit.classify.model_files import CONFIG, DESCRIPTION, PREDICTIONS, TRAINING_FEATURES, WEIGHTS
from spurgekit.errors import InputError, ModelError

SCHEME = "hf://"

_ADDRESS = re.compile(r"hf://([^/@]+/[^/@]+)(?:@(refs/(?:pr|convert)/[^/]+|[^/@]+))?/?")
"""As ``HfFileSystem`` of huggingface_hub spells models and their revisions; a slash in one is %2F, but in the Hub's own."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is.

    Attributes
    ----------
    folder : pathlib.Path
        With its files.
    name : str
        What it is called by: the folder, or ``hf://OWNER/NAME@COMMIT``.
    """

    folder: Path
    name: str

    @property
    def is_fetched(self) -> bool:
        """Whether it is from the Hub."""
        return is_on_hub(self.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of where it is from."""
        return (f"the model was fetched from {self.name}",) if self.is_fetched else ()


def is_on_hub(source: str | Path) -> bool:
    """Tell the name of a repository from the path of a folder.

    >>> is_on_hub("hf://mpg-ranch/spurge"), is_on_hub("models/probe")
    (True, False)
    """
    return isinstance(source, str) and source.startswith(SCHEME)


def find_model(source: str | Path, *, weights: bool = True) -> ModelSource:
    """Return where the files of a model are, after a download where it is on the Hub and they are not in its cache.

    Parameters
    ----------
    source : str or pathlib.Path
        A model folder, or ``hf://OWNER/NAME`` with ``@REVISION`` (a branch, a tag or a commit) where that is not ``main``.
    weights : bool
        Whether more is needed than what it says of itself.

    Raises
    ------
    InputError
        If the name of a repository is none.
    ModelError
        If a repository has no model of spurgekit.
    HubError
        If a repository is neither in the Hub's cache nor to be had.
    """
    if not is_on_hub(source):
        return ModelSource(Path(source), str(source))
    from spurgekit.hub_files import download  # an HTTP client, which folders need not

    repo, revision = parse_address(str(source))
    files = [DESCRIPTION, CONFIG, *([WEIGHTS, PREDICTIONS, TRAINING_FEATURES] if weights else [])]
    folder = download(repo, files, repo_type="model", revision=revision)
    name = f"{SCHEME}{repo}@{folder.name}"
    if not (folder / DESCRIPTION).is_file():
        raise ModelError(
            f"{name} is a model of timm, but not one of spurgekit: it has no {DESCRIPTION}; train on it with `weights`"
            if (folder / CONFIG).is_file()
            else f"{name} has no {DESCRIPTION}; pass the name of a repository that 'spurgekit model push' made"
        )
    if weights and not (folder / WEIGHTS).is_file():
        raise ModelError(f"{name} has no {WEIGHTS}, or the Hub's cache has not; push the model again, or try again online")
    return ModelSource(folder, name)


def parse_address(address: str) -> tuple[str, str | None]:
    """Return the repository that an address names, and the revision if it names one.

    Raises
    ------
    InputError
        If it is no address of a model.

    Examples
    --------
    >>> parse_address("hf://mpg-ranch/spurge"), parse_address("hf://mpg-ranch/spurge@season%2F2026")
    (('mpg-ranch/spurge', None), ('mpg-ranch/spurge', 'season/2026'))
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise InputError(f"{address!r} is no address of a model; pass hf://OWNER/NAME, or hf://OWNER/NAME@REVISION")
    repo, revision = found.groups()
    return repo, revision and unquote(revision)
