"""Datasets to and from the Hugging Face Hub."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from spurgekit.dataset.dataset_card import CARD, SHEET
from spurgekit.dataset.few_shot import FILE_NAME as FEW_SHOT
from spurgekit.dataset.reader import DATASET, METADATA, SPLITS, UNCLEAR, datasets_in, open_dataset
from spurgekit.dataset.validate import validate_dataset
from spurgekit.errors import InputError
from spurgekit.hub_files import download, upload
from spurgekit.outputs import CHECKSUMS, PROVENANCE
from spurgekit.outputs.checksums import walk
from spurgekit.progress import Progress, silent
from spurgekit.text import counted
from spurgekit.tiles.index import PARQUET
from spurgekit.tiles.review_log import LOG


def push_dataset(
    folder: str | Path,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Upload a dataset folder, or one that holds several configs, to a repository of the Hub; make it if it is not there.

    What goes is what the dataset says is its own; see :func:`own_files`.

    Parameters
    ----------
    folder : str or pathlib.Path
    repo : str
        ``OWNER/NAME``.
    private : bool
        Of a repository that is made.
    revision : str, optional
        Branch; ``main`` by default.
    token : str, optional
        Default: that of ``hf auth login``.
    endpoint : str, optional
        Address of another Hub.
    progress : Progress
    say : callable
        Is given a line on files that stay here, where there are some.

    Returns
    -------
    str
        Address of the repository.

    Raises
    ------
    InputError
        If the folder is no valid dataset, or has no licence.
    HubError
        If the Hub cannot be reached or refuses.
    """
    folder = Path(folder)
    if problems := validate_dataset(folder, progress=progress):
        raise InputError(f"{problems[0]}; mend it first ('spurgekit dataset validate {folder}' lists all that is wrong)")
    if any(open_dataset(config).info.licence is None for config in datasets_in(folder)):
        raise InputError(f"{folder} says nothing of its licence; build it again with `licence`, e.g. `licence=cc-by-4.0`")
    own = own_files(folder)
    kept = {CHECKSUMS, PROVENANCE, LOG}
    stray = sorted(name for name in walk(folder) if name not in own and Path(name).name not in kept)
    if stray:
        say(f"{counted(len(stray), 'file')} beside the dataset's own stay here, such as {stray[0]}")
    return upload(
        repo,
        {name: folder / name for name in own},
        repo_type="dataset",
        message=f"Upload {open_dataset(datasets_in(folder)[0]).info.name}",
        private=private,
        revision=revision,
        token=token,
        endpoint=endpoint,
    ).address


def own_files(folder: Path) -> list[str]:
    """Return the names of the files that a valid dataset, or a folder of several, consists of, in order.

    They are what its tables list and what every dataset has; not who reviewed what, nor paths of this machine, nor what
    somebody has put beside them.
    """
    found = {CARD}
    for config in datasets_in(folder):
        data = open_dataset(config)
        tables = {side: data.split(side) for side in SPLITS}
        if data.info.unlabelled is not None:
            tables[data.info.unlabelled.folder] = data.unlabelled()
        if data.info.unclear is not None:
            tables[UNCLEAR] = pd.concat([data.unclear(side) for side in SPLITS])
        files = [config / name for name in (DATASET, CARD, SHEET, PARQUET, FEW_SHOT)]
        for where, rows in tables.items():
            files += [config / where / METADATA, *rows["path"]]
            if data.info.masks:
                files += filter(None, data.masks(rows))
        found |= {Path(os.path.normpath(file)).relative_to(os.path.normpath(folder)).as_posix() for file in files}
    return sorted(name for name in found if (folder / name).is_file())


def local_copy(source: str | Path, patterns: list[str], revision: str | None) -> tuple[Path, tuple[str, ...]]:
    """Return a folder with a published dataset, the source itself or what is downloaded, and what is to be said of that."""
    if Path(source).is_dir():
        return Path(source), ()
    folder = download(str(source), patterns, repo_type="dataset", revision=revision)
    return folder, (f"fetched from {source} at commit {folder.name}",)  # the Hub's cache calls folders by it
