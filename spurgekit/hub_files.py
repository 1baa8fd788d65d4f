"""Files to and from repositories of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError

from spurgekit.errors import InputError
from spurgekit.hub import hub_errors, quick_offline
from spurgekit.text import shown

RepoType = Literal["dataset", "model"]


@dataclass(frozen=True, slots=True)
class Upload:
    """Where files are that were uploaded.

    Attributes
    ----------
    address : str
        Of the repository.
    commit : str
        That they came with.
    """

    address: str
    commit: str


def upload(
    repo: str,
    files: Mapping[str, Path | bytes],
    *,
    repo_type: RepoType,
    message: str,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
) -> Upload:
    """Upload files to a repository, in one commit; make it if it is not there.

    Parameters
    ----------
    repo : str
        ``OWNER/NAME``.
    files : mapping of str to pathlib.Path or bytes
        What is to be in the repository, by its name there.
    repo_type : {"dataset", "model"}
    message : str
        Of the commit.
    private : bool
        Of a repository that is made.
    revision : str, optional
        Branch; ``main`` by default.
    token : str, optional
        Default: that of ``hf auth login``.
    endpoint : str, optional
        Address of another Hub.

    Returns
    -------
    Upload

    Raises
    ------
    InputError
        If the name is none, or the Hub finds fault with the card's header.
    HubError
        If the Hub cannot be reached or refuses.
    """
    api = HfApi(endpoint=endpoint, token=token)
    with hub_errors(repo):
        address = api.create_repo(repo, repo_type=repo_type, private=private, exist_ok=True)
        try:
            commit = api.create_commit(
                repo,
                [CommitOperationAdd(name, content) for name, content in files.items()],
                commit_message=message,
                repo_type=repo_type,
                revision=revision,
            )
        except HFValidationError:
            raise
        except ValueError as error:  # of the card's header
            raise InputError(
                f"the Hub refuses the card of {repo}: {shown(str(error).splitlines()[-1].lstrip('- '), quotes=False)}; "
                "is the licence one that it names so?"
            ) from error
    return Upload(str(address), commit.oid)


def download(
    repo: str, patterns: list[str], *, repo_type: RepoType, revision: str | None = None, endpoint: str | None = None
) -> Path:
    """Return a folder with the files of a repository that match patterns; from the Hub's cache where they are there.

    The Hub's cache calls the folder by the commit.

    Parameters
    ----------
    repo : str
        ``OWNER/NAME``.
    patterns : list of str
    repo_type : {"dataset", "model"}
    revision : str, optional
        Branch, tag or commit; ``main`` by default.
    endpoint : str, optional
        Address of another Hub.

    Raises
    ------
    InputError
        If the name is none.
    HubError
        If they are neither there nor to be had.
    """
    with (
        hub_errors(
            repo,
            offline="its cache does not hold all of it, so pass a local copy, or try again online",
            log_in="is the name right? if it is private or gated, log in with 'hf auth login'",
            revision=revision,
        ),
        quick_offline(),
    ):
        folder = snapshot_download(repo, repo_type=repo_type, allow_patterns=patterns, revision=revision, endpoint=endpoint)
    return Path(folder)
