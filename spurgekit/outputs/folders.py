"""Output folders that appear whole or not at all, and replace nothing but what spurgekit made."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spurgekit.errors import InputError, OutputExistsError, SpurgekitError, first_line
from spurgekit.image_names import ImageName, local_file
from spurgekit.outputs.checksums import (
    CHECKSUMS,
    Listing,
    look_through,
    read_checksums,
    remove_listed,
    statuses,
    walk,
    write_checksums,
)
from spurgekit.outputs.exchange import exchange, put_back
from spurgekit.outputs.files import check_name, hidden_beside, output_file, remove_partial_files
from spurgekit.outputs.lock import output_lock
from spurgekit.outputs.provenance import Kind, read_provenance, write_provenance
from spurgekit.text import listed

SETTINGS = "settings.json"
WAITS_S = (0, 0.05, 0.2, 0.5, 1, 2)
"""Between attempts to remove a folder."""

MARK = ".spurgekit-partial.json"
"""File in a folder that is being made: by it a later run knows that the folder is one, and what it was begun with."""

MOST_NAMED = 3


@contextmanager
def output_folder(
    path: str | Path,
    kind: Kind,
    *,
    parameters: Mapping[str, Any],
    inputs: Iterable[ImageName] = (),
    overwrite: bool = False,
    keep: bool = False,
) -> Iterator[Path]:
    """Yield a folder to fill, which takes the name ``path`` only when the block ends without an error.

    The work goes on in a hidden folder beside it (``.NAME.partial``); on an error that folder is removed, and one that a
    killed process left behind is removed by the next run. It gets a ``provenance.json``, and ``SHA256SUMS`` of all
    that is in it.

    Parameters
    ----------
    path : str or pathlib.Path
        The final name. Its parents are made.
    kind : str
        What it holds.
    parameters : mapping
        For ``provenance.json``.
    inputs : iterable of pathlib.Path or GdalName
        What the output is made from; a folder that holds one of them is not replaced.
    overwrite : bool
        Replace a folder of the same kind that spurgekit made before, if it holds nothing else and nothing of it was changed.
    keep : bool
        Files of others in the folder stay in it.

    Raises
    ------
    OutputExistsError
        If the folder is there already, and may not be replaced.
    OutputInUseError
        If another process is at work on it.
    """
    path, inputs = resolved(path), list(inputs)
    with output_lock(path):
        put_back(path)
        old = check_output(path, kind, inputs=inputs, overwrite=overwrite, keep=keep)
        partial = partial_folder(path)
        clear(partial)
        note_settings(partial / MARK, {})
        try:
            yield partial
            write_provenance(partial, kind, parameters, inputs)
            write_checksums(partial, without=[MARK], known=read_checksums(partial))
        except BaseException:
            _remove_in_time(partial)
            raise
        _put_in_place(partial, path, old)


@contextmanager
def resumable_folder(
    path: str | Path,
    kind: Kind,
    settings: Mapping[str, Any],
    *,
    inputs: Iterable[ImageName] = (),
    overwrite: bool = False,
    scratch: Sequence[str] = (),
) -> Iterator[Path]:
    """Yield a folder to fill, like :func:`output_folder`, that an interrupted run leaves behind for the next one to go on with.

    What is in it must be written with :func:`spurgekit.outputs.files.output_file`, so that all that is there is whole.

    Parameters
    ----------
    path : str or pathlib.Path
        The final name. Its parents are made.
    kind : str
        What it holds.
    settings : mapping
        What the content depends on; a run that was begun with others is not gone on with. They are the parameters in
        ``provenance.json``.
    inputs : iterable of pathlib.Path or GdalName
        What the output is made from; a folder that holds one of them is not replaced.
    overwrite : bool
        Replace a folder that spurgekit made before, as :func:`output_folder` does, and begin anew.
    scratch : sequence of str
        Names of files in it that are of use to a later run alone, such as a log or a checkpoint; they go when all is done.

    Raises
    ------
    OutputExistsError
        If the folder is there already and may not be replaced, or was begun with other settings.
    OutputInUseError
        If another process is at work on it.
    """
    path, inputs = resolved(path), list(inputs)
    with output_lock(path):
        put_back(path)
        old = check_resumable(path, kind, settings, inputs=inputs, overwrite=overwrite)
        partial = partial_folder(path)
        if overwrite or not (partial / MARK).is_file():
            clear(partial)
        else:
            remove_partial_files(partial)
        note_settings(partial / MARK, settings)
        yield partial
        write_provenance(partial, kind, settings, inputs)
        write_checksums(partial, without=[*scratch, MARK])
        _put_in_place(partial, path, old, scratch)


def partial_folder(path: str | Path) -> Path:
    """Return the hidden folder in which a folder is made."""
    return hidden_beside(resolved(path), "partial")


def resolved(path: str | Path) -> Path:
    """Return a path without links, and with the name that ``.`` stands for.

    Raises
    ------
    InputError
        If links lead in a circle, or no output can have that name.
    """
    check_name(path)
    try:
        return Path(path).resolve()
    except (RuntimeError, OSError) as error:
        raise InputError(f"{path}: its links lead in a circle; pass another `out`") from error


def check_output(
    path: str | Path, kind: Kind, *, inputs: Iterable[ImageName] = (), overwrite: bool = False, keep: bool = False
) -> Listing | None:
    """Return what is in a folder that is to be replaced, or None where there is nothing: ahead of work that waits for nobody.

    Parameters
    ----------
    path, kind, inputs, overwrite, keep
        As :func:`output_folder` takes them.

    Raises
    ------
    OutputExistsError
        If the folder may not be written.
    """
    path = resolved(path)
    if not path.exists():
        return None
    if not path.is_dir():
        raise OutputExistsError(f"{path} is a file; pass another `out`")
    if what := _stays(path):
        raise OutputExistsError(
            f"{path} is {what}, and such a folder is never replaced; pass another `out`, e.g. a folder in it"
        )
    if not any(path.iterdir()):
        return None
    if not overwrite:
        raise OutputExistsError(f"{path} exists already; pass `overwrite` to replace it, or another `out`")
    if inside := [source for source in filter(None, map(local_file, inputs)) if source.resolve().is_relative_to(path)]:
        raise OutputExistsError(f"{path} cannot be replaced by what is made from {inside[0]} in it; pass another `out`")
    sums = read_checksums(path)
    if sums is None:
        raise OutputExistsError(
            f"{path} was not made by spurgekit, as it holds no {CHECKSUMS}, so it is not replaced; pass another `out`"
        )
    if (theirs := read_provenance(path).get("kind")) != kind:
        raise OutputExistsError(f"{path} holds another kind of output ({theirs}, not {kind}); pass another `out`")
    old = look_through(path, sums)
    if found := [*_said(old.changed, "changed"), *([] if keep else _said(old.foreign, "added to it"))]:
        raise OutputExistsError(f"{path} is not replaced, since {' and '.join(found)}; move these files, or pass another `out`")
    return old


def check_resumable(
    path: str | Path, kind: Kind, settings: Mapping[str, Any], *, inputs: Iterable[ImageName] = (), overwrite: bool = False
) -> Listing | None:
    """Raise what :func:`resumable_folder` would, and change nothing: ahead of work that it should not wait for."""
    old = check_output(path, kind, inputs=inputs, overwrite=overwrite)
    if not overwrite:
        check_begun(partial_folder(path) / MARK, settings, resolved(path))
    return old


def check_begun(file: Path, settings: Mapping[str, Any], out: Path) -> bool:
    """Return whether a run began to fill a folder.

    Parameters
    ----------
    file : pathlib.Path
        What :func:`note_settings` of that run wrote.
    settings : mapping
        What the content depends on.
    out : pathlib.Path
        For messages: what the folder will be.

    Raises
    ------
    OutputExistsError
        If it was begun with other settings.
    """
    if not file.is_file():
        return False
    if changed := _differing(file.read_text(encoding="utf-8"), _as_text(settings)):
        raise OutputExistsError(
            f"{out} was begun with other settings ({changed}); pass `overwrite` to start again, or another `out`"
        )
    return True


def settings_begun(file: Path) -> Mapping[str, Any]:
    """Return what :func:`note_settings` of an earlier run wrote; nothing where there was none, or it is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note_settings(file: Path, settings: Mapping[str, Any]) -> None:
    """Write what the content of a folder depends on, for :func:`check_begun` of a later run."""
    with output_file(file) as partial:
        partial.write_text(_as_text(settings), encoding="utf-8", newline="\n")


def clear(folder: Path) -> None:
    """Remove what a killed run left of a folder that it was making, or of one that it had replaced.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    OutputExistsError
        If it is something else.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_dir() and not folder.is_symlink():
        if (folder / MARK).is_file() or all(Path(MARK).stem in name for name in walk(folder)):
            _remove(folder)
            return
        if (sums := read_checksums(folder)) is not None:
            found = look_through(folder, sums)
            if not found.foreign and not found.changed:
                remove_listed(folder, found.listed)
                return
    raise OutputExistsError(f"{folder} is in the way, and not what a run left behind; rename it, or pass another `out`")


def _remove(folder: Path) -> None:
    """Remove a folder that was being made; what says that it was one goes last, lest a kill leave what nobody knows."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MARK:
            entry.unlink()
    (folder / MARK).unlink(missing_ok=True)
    folder.rmdir()


def _remove_in_time(folder: Path) -> None:
    """Remove a folder that was being made, if need be once those are done who still write into it.

    An executor does not wait for a thread that a signal caught it starting.
    """
    for wait_s in WAITS_S:
        time.sleep(wait_s)
        with suppress(OSError):
            _remove(folder)
        if not os.path.lexists(folder):
            return


def _put_in_place(partial: Path, path: Path, old: Listing | None, scratch: Sequence[str] = ()) -> None:
    """Give a folder its final name, in the place of one that may be there.

    Parameters
    ----------
    partial, path : pathlib.Path
    old : Listing or None
        What was in the place when the work began; files of others in it, which are to stay, are moved into the new folder.
    scratch : sequence of str
        Names of files that do not stay.

    Raises
    ------
    OutputExistsError
        If something else is there now, or the new folder has a file of the name of one that is to stay.
    SpurgekitError
        If the operating system does not let it, when what was made is still in ``partial``; or if that is not what its list
        says.
    """
    passing = (*scratch, MARK)
    if set(walk(partial)) - {CHECKSUMS, *passing} != (read_checksums(partial) or {}).keys():
        raise SpurgekitError(f"another program changed {partial} while {path.name} was made in it; run it again")
    for name in passing:
        (partial / name).unlink(missing_ok=True)
    made = f"what was made is in {partial}: rename it"
    staying = () if old is None else old.foreign
    if taken := [name for name in staying if (partial / name).exists()]:
        raise OutputExistsError(f"{path / taken[0]} is not spurgekit's and has the name of a file that is; {made}")
    if path.exists() and statuses(path) != (old.files if old else {}):
        raise OutputExistsError(f"{path} was changed while this was made, so it is not replaced; {made}")
    try:
        if old is None:
            if path.exists():
                path.rmdir()
            partial.rename(path)
            return
        exchange(path, partial)
    except OSError as error:
        raise SpurgekitError(
            f"{path} cannot be put in place ({first_line(error)}): is it open in another program? {made}"
        ) from error
    for name in staying:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).rename(path / name)
    remove_listed(partial, old.listed)


def _stays(path: Path) -> str:
    """Return why a folder is never replaced, whatever is in it; empty where nothing speaks against it."""
    if Path.cwd().is_relative_to(path):
        return "the working directory, or holds it"
    return "where a disk is mounted" if path.is_mount() else ""


def _said(names: Sequence[str], what: str) -> list[str]:
    """Return what there is to say of some files: nothing of none."""
    if not names:
        return []
    return [f"{listed(names, MOST_NAMED)} {'was' if len(names) == 1 else 'were'} {what}"]


def _as_text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n"


def _differing(old: str, new: str) -> str:
    """Return the names of the settings, as JSON, that are not the same; empty where all are."""
    try:
        before, after = json.loads(old), json.loads(new)
        # As texts, since a value that is no number is not the same as itself.
        return ", ".join(name for name in after if repr(before.get(name)) != repr(after[name])) or ", ".join(
            sorted(set(before) - set(after))
        )
    except (ValueError, AttributeError, TypeError):
        return "its settings are damaged"
