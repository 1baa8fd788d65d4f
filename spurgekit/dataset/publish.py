"""Datasets to and from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi, snapshot_download

from spurgekit.dataset.reader import datasets_in, open_dataset
from spurgekit.dataset.validate import validate_dataset
from spurgekit.errors import InputError
from spurgekit.hub import hub_errors, quick_offline
from spurgekit.outputs import PROVENANCE
from spurgekit.progress import Progress, silent
from spurgekit.tiles.review_log import LOG

STAYS_HERE = (LOG, f"**/{LOG}", PROVENANCE, f"**/{PROVENANCE}")
"""Not uploaded: who reviewed what, and paths of this machine."""


def push_dataset(
    folder: str | Path,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    progress: Progress = silent,
) -> str:
    """Upload a dataset folder, or one that holds several configs, to a repository of the Hub; make it if it is not there.

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
    api = HfApi(endpoint=endpoint, token=token)
    with hub_errors(repo):
        address = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            folder_path=folder,
            repo_id=repo,
            repo_type="dataset",
            revision=revision,
            commit_message=f"Upload {open_dataset(datasets_in(folder)[0]).info.name}",
            ignore_patterns=list(STAYS_HERE),
        )
    return str(address)


def download(repo: str, patterns: list[str], *, revision: str | None = None, endpoint: str | None = None) -> Path:
    """Return a folder with the files of a dataset repository that match patterns; from the Hub's cache where they are there.

    Raises
    ------
    HubError
        If they are neither there nor to be had.
    """
    with hub_errors(repo, "its cache does not hold all of it, so pass a local copy, or try again online"), quick_offline():
        folder = snapshot_download(repo, repo_type="dataset", allow_patterns=patterns, revision=revision, endpoint=endpoint)
    return Path(folder)
