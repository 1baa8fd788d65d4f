"""Where the images are that tiles were cut from, and how they were opened for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurgekit.errors import InputError
from spurgekit.outputs import PROVENANCE, input_files
from spurgekit.review.review_folder import ReviewFolder
from spurgekit.survey import find_survey
from spurgekit.tiles.index import PARQUET


@dataclass(frozen=True, slots=True)
class SiteImage:
    """An image, to be opened as it was for tiling, so that its pixels lie where the tiles' footprints say.

    Attributes
    ----------
    path : pathlib.Path
    crs, image_crs : str or None
    image_gsd_m : float or None
    nodata : float or None
        As :func:`spurgekit.imagery.open_raster` takes them.
    """

    path: Path
    crs: str | None = None
    image_crs: str | None = None
    image_gsd_m: float | None = None
    nodata: float | None = None


def find_site_images(folder: ReviewFolder, imagery: Path | None = None) -> dict[str, SiteImage]:
    """Return the images that can be found, by the names that the tiles have for them.

    They are looked for in ``imagery``, where the provenance of the tiles says, among the survey's images and beside the folder.
    An image that was georeferenced by markers for tiling is not taken: by itself it does not know where the tiles lie. Nor is
    one within the folder, which may be anybody's, because its provenance says so: what is called ``.tif`` there may be a
    description that reads any file or address.

    Parameters
    ----------
    folder : ReviewFolder
    imagery : pathlib.Path, optional
        A folder, or the image itself.

    Raises
    ------
    InputError
        If ``imagery`` is given and has none of the images.
    """
    names = {Path(tile.source).name for tile in folder.tiles if tile.source}
    if imagery is not None and not any(path.name in names for path in _images_of(imagery, names)):
        raise InputError(
            f"{imagery} has none of the images that the tiles were cut from ({', '.join(sorted(names)) or 'unknown'})"
        )
    parameters, inputs = _provenance(folder.path)
    if (parameters.get("plots") or {}).get("gcp") is not None:
        return {}
    opened = {name: parameters.get(name) for name in ("crs", "image_crs", "image_gsd_m", "nodata")}
    found: dict[str, SiteImage] = {}
    outside = [path for path in inputs if not path.resolve().is_relative_to(folder.path)]
    for path in (*_images_of(imagery, names), *outside, *_survey_images(folder), *_images_of(folder.path.parent, names)):
        if path.name in names and path.is_file():
            found.setdefault(path.name, SiteImage(path, **opened))
    return found


def _images_of(imagery: Path | None, names: set[str]) -> list[Path]:
    if imagery is None:
        return []
    paths = [imagery / name for name in sorted(names)] if imagery.is_dir() else [imagery]
    return [path for path in paths if path.is_file()]


def _survey_images(folder: ReviewFolder) -> list[Path]:
    surveys = (find_survey(where) for where in (folder.path.parent, Path()))
    return [path for survey in surveys if survey is not None for path in survey.images.values() if isinstance(path, Path)]


def _provenance(folder: Path) -> tuple[Mapping[str, Any], list[Path]]:
    """Return the parameters of tiling and the paths of its inputs; those of a dataset are in the tiles that it was made of."""
    record = _read_json(folder / PROVENANCE)
    inputs = list(input_files(record, folder))
    for path in inputs:
        if path.name == PARQUET and path.parent != folder:
            return _provenance_of_tiles(path.parent)
    return _provenance_of_tiles(folder)


def _provenance_of_tiles(folder: Path) -> tuple[Mapping[str, Any], list[Path]]:
    record = _read_json(folder / PROVENANCE)
    parameters = record.get("parameters")
    return parameters if isinstance(parameters, dict) else {}, list(input_files(record, folder))


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # without it the pictures lack their surroundings, and nothing else
        return {}
    return found if isinstance(found, dict) else {}
