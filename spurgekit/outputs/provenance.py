"""How an output was made: the command, versions, parameters and fingerprints of what it was made from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import spurgekit
from spurgekit.errors import InputError
from spurgekit.image_names import GdalName, ImageName
from spurgekit.outputs.checksums import add_checksums
from spurgekit.outputs.files import output_file

PROVENANCE = "provenance.json"
FINGERPRINT_BYTES = 1 << 20
PACKAGES = (
    "numpy", "opencv-python-headless", "rasterio", "geopandas", "scikit-learn", "timm", "torch", "diffusers", "transformers",
    "openvino",
)  # fmt: skip
"""Whose versions results depend on."""

Kind = Literal[
    "tiles", "dataset", "previews", "backbone", "lora", "embeddings", "synthetic tiles", "model", "evaluation", "study", "map",
    "change", "next survey", "check", "survey", "demo", "light series", "orthomosaic", "crew export", "sprayer export",
    "records export", "phone export",
]  # fmt: skip
"""What an output folder holds; one is only ever replaced by another of its kind."""


def write_provenance(folder: Path, kind: Kind, parameters: Mapping[str, Any], inputs: Iterable[ImageName]) -> None:
    """Write ``provenance.json``: what a folder holds and how it was made.

    It holds no time of day, so that the same work gives the same bytes.

    Parameters
    ----------
    folder : pathlib.Path
    kind : str
        What it holds.
    parameters : mapping
    inputs : iterable of pathlib.Path or GdalName
    """
    _write(folder / PROVENANCE, {"kind": kind, **_record(parameters, inputs)})


def add_provenance(folder: Path, step: str, parameters: Mapping[str, Any], inputs: Iterable[ImageName]) -> None:
    """Record what was done to a folder that was made before, beside what is recorded of its making.

    A folder without a record gets none, lest it pass for one that spurgekit made and may replace.

    Parameters
    ----------
    folder : pathlib.Path
    step : str
        Name of the record.
    parameters : mapping
    inputs : iterable of pathlib.Path or GdalName

    Raises
    ------
    InputError
        If the record that is there is damaged.
    """
    file = folder / PROVENANCE
    if not file.is_file():
        return
    _write(file, {**read_provenance(folder), step: _record(parameters, inputs)})
    add_checksums(folder, [PROVENANCE])


def read_provenance(folder: Path) -> dict[str, Any]:
    """Return what ``provenance.json`` of a folder says; empty where there is none.

    Raises
    ------
    InputError
        If it is damaged.
    """
    file = folder / PROVENANCE
    if not file.is_file():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{file} is damaged; make {folder} again") from error


def input_files(record: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Yield those of the inputs of a folder that are files and still there.

    Their paths start from where the command was run, which is not on record.

    Parameters
    ----------
    record : mapping
        Of the folder, which may say anything.
    folder : pathlib.Path
    """
    inputs = record.get("inputs")
    for name in inputs if isinstance(inputs, dict) else ():
        for start in (Path(), folder.parent, folder.parent.parent):
            if os.path.isfile(start / name):  # noqa: PTH113 - of a name that can be none it is False
                yield start / name
                break


def _record(parameters: Mapping[str, Any], inputs: Iterable[ImageName]) -> dict[str, Any]:
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": versions(),
        "parameters": dict(parameters),
        "inputs": {str(path): fingerprint(path) for path in inputs},
    }


def _write(file: Path, record: Mapping[str, Any]) -> None:
    with output_file(file) as partial:
        partial.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8", newline="\n")


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    found = {"python": platform.python_version(), "spurgekit": spurgekit.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # an exotic build
            continue
    return found


def fingerprint(path: ImageName) -> dict[str, Any]:
    """Return the size of a file and a SHA-256 over its first and last MiB; orthomosaics are too large to hash whole.

    Of an image in a file, such as a ZIP archive, that is the file's; one that is elsewhere has a SHA-256 over its first and
    last block. Of a folder that spurgekit made its provenance stands for all, of others the names and sizes of their files do.
    """
    if isinstance(path, GdalName):
        return _fingerprint_elsewhere(path) if path.file is None else fingerprint(path.file)
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


def _fingerprint_elsewhere(name: GdalName) -> dict[str, Any]:
    """Return the size in pixels of an image that is no file of this machine, and a SHA-256 over its first and last block."""
    import rasterio

    digest = hashlib.sha256()
    with rasterio.open(name) as image:
        digest.update(repr((image.count, image.dtypes, image.transform, image.crs)).encode())
        rows, columns = image.block_shapes[0]
        for row, col in ((0, 0), ((image.height - 1) // rows, (image.width - 1) // columns)):
            digest.update(image.read(1, window=image.block_window(1, row, col)).tobytes())
        return {"width": image.width, "height": image.height, "sha256_of_blocks": digest.hexdigest()}
