"""Where the files of a checkpoint are: a local folder, the Hub's cache, or the Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, metadata_load, snapshot_download, try_to_load_from_cache
from yaml import YAMLError  # type: ignore[import-untyped]

from spurgekit.diffusion.diffusers_layout import CARD, HALF, INDEX, Checkpoint, FolderLayout, describe, parse_layout, read_json
from spurgekit.errors import ModelError
from spurgekit.hub import HubError, hub_errors, quick_offline

DEFAULT = "stable-diffusion-v1-5/stable-diffusion-v1-5"

PINNED: Mapping[str, tuple[str, str]] = {
    DEFAULT: ("451f4fe16113bff5a5d2269ed5ad43b0592e9a14", "creativeml-openrail-m"),
    "stabilityai/stable-diffusion-xl-base-1.0": ("462165984030d82259a11f4367a4eed129e94a7b", "openrail++"),
}
"""Commits that stand for a repository unless another is named, and its licence."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def find_checkpoint(
    name: str | Path = DEFAULT,
    *,
    revision: str | None = None,
    half: bool = False,
    safety_checker: bool = False,
    lora: Path | None = None,
) -> Checkpoint:
    """Return a checkpoint whose files are on this machine, after a download where they were not.

    Parameters
    ----------
    name : str or pathlib.Path
        A folder in diffusers' layout, or a repository of the Hub.
    revision : str, optional
        Branch, tag or commit of a repository. Default: the commit that is pinned for it, else ``main``.
    half : bool
        Take weights stored in float16 where there are some.
    safety_checker : bool
        Whether that is needed.
    lora : pathlib.Path, optional
        To be merged into it, for its description.

    Raises
    ------
    ModelError
        If it is no checkpoint in diffusers' layout with safetensors, or of another family.
    HubError
        If it is neither here nor to be had.
    """
    if is_local(name):
        folder, commit = _local(Path(name).expanduser(), revision), None
        layout = _layout_of(str(name), folder, half=half, safety_checker=safety_checker)
        if folder.resolve().parent.name == "snapshots":  # of the Hub's cache
            commit = folder.resolve().name
    else:
        folder, layout = _from_hub(str(name), revision, half=half, safety_checker=safety_checker)
        commit = folder.name
    licence = _licence(folder / CARD) or PINNED.get(str(name), (None, None))[1]
    info = describe(folder, layout, name=str(name), revision=commit, licence=licence, lora=lora)
    return Checkpoint(folder, info, layout)


def is_local(name: str | Path) -> bool:
    """Tell a path from the name of a repository, which may look like a relative path."""
    return isinstance(name, Path) or Path(name).expanduser().exists() or _REPOSITORY.fullmatch(name) is None


def _local(folder: Path, revision: str | None) -> Path:
    if folder.is_file():
        raise ModelError(
            f"{folder} is one file; pass a folder in diffusers' layout, which from_single_file(...).save_pretrained(FOLDER) of"
            " diffusers' StableDiffusionPipeline makes of it"
        )
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; pass a checkpoint in diffusers' layout, or OWNER/NAME of one on the Hub")
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} has no {INDEX}; pass a checkpoint in diffusers' layout")
    if revision is not None:
        raise ModelError(f"{folder} is a folder, which has no revision {revision}; leave `revision` out")
    return folder


def _layout_of(name: str, folder: Path, *, half: bool, safety_checker: bool) -> FolderLayout:
    files = [path.relative_to(folder).as_posix() for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_file()]
    return parse_layout(name, read_json(folder / INDEX), files, half=half, safety_checker=safety_checker)


def _from_hub(name: str, revision: str | None, *, half: bool, safety_checker: bool) -> tuple[Path, FolderLayout]:
    revision = revision or PINNED.get(name, (None, None))[0]
    cached = _cached(name, revision, half=half, safety_checker=safety_checker)
    if cached is not None and revision is not None and _COMMIT.fullmatch(revision):
        best = HALF if half else None
        if all(variant == best for variant in cached[1].variants.values()):
            return cached  # the Hub has nothing better
    elsewhere = "pass the folder of a checkpoint that is here as `backbone`, or try again online"
    try:
        with hub_errors(name, elsewhere), quick_offline():
            if constants.HF_HUB_OFFLINE:
                raise HubError(f"the Hub cannot be reached, and its cache does not hold all of {name}; {elsewhere}")
            return _downloaded(name, revision, half=half, safety_checker=safety_checker)
    except HubError:
        if cached is None:
            raise
        return cached


def _cached(name: str, revision: str | None, *, half: bool, safety_checker: bool) -> tuple[Path, FolderLayout] | None:
    """Return the folder of a repository in the Hub's cache, if all that is needed is there."""
    with hub_errors(name):
        index = try_to_load_from_cache(name, INDEX, revision=revision)
    if not isinstance(index, str):
        return None
    folder = Path(index).parent
    try:
        return folder, _layout_of(name, folder, half=half, safety_checker=safety_checker)
    except ModelError:  # for want of files, or for a reason that a look at the Hub shows too
        return None


def _downloaded(name: str, revision: str | None, *, half: bool, safety_checker: bool) -> tuple[Path, FolderLayout]:
    """Download what is needed of a repository, after a look at the list of its files."""
    listed = HfApi().model_info(name, revision=revision)
    files = [file.rfilename for file in listed.siblings or ()]
    if INDEX not in files:
        raise ModelError(f"{name} has no {INDEX}; pass a checkpoint in diffusers' layout, as {DEFAULT} is")
    index = Path(hf_hub_download(name, INDEX, revision=revision))  # notes which commit a branch is at, for when offline
    layout = parse_layout(name, read_json(index), files, half=half, safety_checker=safety_checker)
    return Path(snapshot_download(name, revision=index.parent.name, allow_patterns=list(layout.files))), layout


def _licence(card: Path) -> str | None:
    """Return what a model card says of the licence."""
    if not card.is_file():
        return None
    try:
        found = metadata_load(card) or {}
    except (ValueError, YAMLError):  # a card is for people; none of this is needed to load the model
        return None
    licence = found.get("license")
    if licence == "other":
        licence = found.get("license_name", licence)
    return ", ".join(licence) if isinstance(licence, list) else licence
