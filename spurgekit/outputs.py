"""Output folders that appear whole or not at all, each with a record of how it was made."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spurgekit
from spurgekit.errors import InputError, OutputExistsError

if TYPE_CHECKING:
    from torch import Tensor

PROVENANCE = "provenance.json"
SETTINGS = "settings.json"
FINGERPRINT_BYTES = 1 << 20
PACKAGES = (
    "numpy", "opencv-python-headless", "rasterio", "geopandas", "scikit-learn", "timm", "torch", "diffusers", "transformers",
)  # fmt: skip
"""Whose versions results depend on."""


@contextmanager
def output_folder(path: str | Path, *, overwrite: bool = False, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield a folder to fill, which takes the name ``path`` only when the block ends without an error.

    The work goes on in a hidden folder beside it (``.NAME.partial``); on an error that folder is removed, and one that a
    killed process left behind is removed by the next run.

    Parameters
    ----------
    path : pathlib.Path
        The final name. Its parents are made.
    overwrite : bool
        Replace a folder that spurgekit made before. Others are never replaced, lest an ``out`` of ``~`` cost somebody a home.
    inputs : iterable of pathlib.Path
        What the output is made from; a folder that holds one of them is not replaced.

    Raises
    ------
    OutputExistsError
        If the folder is there already.
    """
    path = Path(path).resolve()  # "." has neither a name nor a parent
    check_free(path, overwrite=overwrite)
    _check_apart(path, inputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_folder(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        _put_in_place(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def resumable_folder(
    path: str | Path, settings: Mapping[str, Any], *, overwrite: bool = False, inputs: Iterable[Path] = ()
) -> Iterator[Path]:
    """Yield a folder to fill, like :func:`output_folder`, that an interrupted run leaves behind for the next one to go on with.

    The work goes on in a hidden folder beside it (``.NAME.partial``) with the settings in ``settings.json``. What is in it
    must be written with :func:`output_file`, so that all that is there is whole.

    Parameters
    ----------
    path : pathlib.Path
        The final name. Its parents are made.
    settings : mapping
        What the content depends on; a run that was begun with others is not gone on with.
    overwrite : bool
        Replace a folder that spurgekit made before, and begin anew.
    inputs : iterable of pathlib.Path
        What the output is made from; a folder that holds one of them is not replaced.

    Raises
    ------
    OutputExistsError
        If the folder is there already, or was begun with other settings.
    """
    path = Path(path).resolve()
    check_resumable(path, settings, overwrite=overwrite, inputs=inputs)
    partial = partial_folder(path)
    if overwrite:
        shutil.rmtree(partial, ignore_errors=True)
    note_settings(partial, settings)
    yield partial
    _put_in_place(partial, path)
    (path / SETTINGS).unlink()


def partial_folder(path: str | Path) -> Path:
    """Return the hidden folder in which a folder is made."""
    path = Path(path).resolve()  # "." has neither a name nor a parent
    return path.parent / f".{path.name}.partial"


def check_resumable(path: Path, settings: Mapping[str, Any], *, overwrite: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Raise what :func:`resumable_folder` would, and change nothing: ahead of work that it should not wait for."""
    check_free(path, overwrite=overwrite)
    _check_apart(Path(path).resolve(), inputs)
    if not overwrite:
        check_begun(partial_folder(path), settings, Path(path).resolve())


def check_begun(folder: Path, settings: Mapping[str, Any], out: Path) -> bool:
    """Return whether a run began to fill a folder.

    Parameters
    ----------
    folder : pathlib.Path
    settings : mapping
        What the content depends on.
    out : pathlib.Path
        For messages: what the folder will be.

    Raises
    ------
    OutputExistsError
        If it was begun with other settings.
    """
    file = folder / SETTINGS
    if not file.is_file():
        return False
    if changed := _differing(file.read_text(encoding="utf-8"), _as_text(settings)):
        raise OutputExistsError(
            f"{out} was begun with other settings ({changed}); pass `overwrite` to start again, or another `out`"
        )
    return True


def note_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write what the content of a folder depends on into it, for :func:`check_begun` of a later run."""
    with output_file(folder / SETTINGS) as partial:
        partial.write_text(_as_text(settings), encoding="utf-8")


def _as_text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n"


def _differing(old: str, new: str) -> str:
    """Return the names of the settings, as JSON, that are not the same; empty where all are."""
    try:
        before, after = json.loads(old), json.loads(new)
    except ValueError:
        return "its settings are damaged"
    return ", ".join(name for name in after if before.get(name) != after[name]) or ", ".join(sorted(set(before) - set(after)))


def _check_apart(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse to replace a folder by what is made from something in it."""
    if path.exists() and (inside := [source for source in inputs if Path(source).resolve().is_relative_to(path)]):
        raise OutputExistsError(f"{path} cannot be replaced by what is made from {inside[0]} in it; pass another `out`")


def _put_in_place(partial: Path, path: Path) -> None:
    """Give a folder its final name, in the place of one that may be there."""
    replaced = path.parent / f".{path.name}.replaced"
    shutil.rmtree(replaced, ignore_errors=True)
    if path.exists():
        path.rename(replaced)
    try:
        partial.rename(path)
    except OSError:
        if replaced.exists():
            replaced.rename(path)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def output_file(path: str | Path) -> Iterator[Path]:
    """Yield a hidden name beside ``path``, of the same suffix, that takes that name when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors, whole or not at all, that all may read who may read the user's other files.

    safetensors itself makes files for their owner alone.
    """
    from safetensors.torch import save_file

    with output_file(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, partial, dict(metadata))
        partial.chmod(mode)


def check_free(path: str | Path, *, overwrite: bool) -> None:
    """Raise an :class:`OutputExistsError` if an output folder of that name may not be written."""
    path = Path(path).resolve()
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputExistsError(f"{path} is a file; pass another `out`")
    if not any(path.iterdir()):
        return
    if not overwrite:
        raise OutputExistsError(f"{path} exists already; pass `overwrite` to replace it, or another `out`")
    if not (path / PROVENANCE).is_file():
        raise OutputExistsError(f"{path} exists and was not made by spurgekit, so it is not replaced; pass another `out`")


def write_provenance(folder: Path, *, parameters: Mapping[str, Any], inputs: Iterable[Path], step: str | None = None) -> None:
    """Write ``provenance.json``: the command, versions, parameters and fingerprints of the inputs.

    It holds no time of day, so that the same work gives the same bytes.

    Parameters
    ----------
    folder : pathlib.Path
    parameters : mapping
    inputs : iterable of pathlib.Path
    step : str, optional
        What was done to a folder that was made before: it is recorded under that name, beside what is recorded already. A
        folder without a record gets none, lest it pass for one that spurgekit made and may replace.

    Raises
    ------
    InputError
        If the record that is there is damaged.
    """
    record: dict[str, Any] = {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": versions(),
        "parameters": dict(parameters),
        "inputs": {str(path): fingerprint(path) for path in inputs},
    }
    file = folder / PROVENANCE
    if step is not None:
        if not file.is_file():
            return
        try:
            record = {**json.loads(file.read_text(encoding="utf-8")), step: record}
        except (ValueError, TypeError) as error:
            raise InputError(f"{file} is damaged; make {folder} again") from error
    with output_file(file) as partial:
        partial.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    found = {"python": platform.python_version(), "spurgekit": spurgekit.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # an exotic build
            continue
    return found


def fingerprint(path: Path) -> dict[str, Any]:
    """Return the size of a file and a SHA-256 over its first and last MiB; orthomosaics are too large to hash whole.

    Of a folder that spurgekit made its provenance stands for all, of others the names and sizes of their files do.
    """
    path = Path(path)
    if path.is_dir():
        inner = path / PROVENANCE
        if inner.is_file():
            return fingerprint(inner)
        files = sorted((file.relative_to(path).as_posix(), file.stat().st_size) for file in path.rglob("*") if file.is_file())
        return {"files": len(files), "sha256_of_names_and_sizes": hashlib.sha256(repr(files).encode()).hexdigest()}
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(FINGERPRINT_BYTES))
        if size > FINGERPRINT_BYTES:
            file.seek(max(FINGERPRINT_BYTES, size - FINGERPRINT_BYTES))
            digest.update(file.read(FINGERPRINT_BYTES))
    return {"bytes": size, "sha256_of_ends": digest.hexdigest()}
