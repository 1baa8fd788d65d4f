"""A map's folder as other rooms find it: its files, its summary, and the image that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from spurgekit.errors import InputError
from spurgekit.outputs import fingerprint, input_files, read_provenance
from spurgekit.reading import Line, Positive, known_version
from spurgekit.survey import find_survey

RASTER, POLYGONS, SUMMARY = "presence.tif", "presence.gpkg", "summary.json"
REMEDY = "make the map again"


class MapSummary(BaseModel):
    """What of a map's ``summary.json`` other rooms need."""

    model_config = ConfigDict(frozen=True)

    schema_version: known_version(2)  # type: ignore[valid-type]
    image: Line | None = None
    cell_m: Positive
    support_m: Positive | None = None
    mapped_m2: Positive | None = None
    occupied: dict[Line, dict[str, Any]] = Field(min_length=1)
    cover: dict[Line, dict[str, Any]] = Field(default_factory=dict)


def check_map(folder: Path) -> None:
    """Refuse a folder that holds no map.

    Raises
    ------
    InputError
        If one of the files is missing.
    """
    for name in (RASTER, POLYGONS, SUMMARY):
        if not (folder / name).is_file():
            what = f"holds no {name}" if folder.is_dir() else "is no folder"
            raise InputError(f"{folder} {what}; name a folder that 'spurgekit map' made")


def opened_as(parameters: object) -> dict[str, Any]:
    """Return how an image was opened to be mapped, as far as a record says what can be."""
    said: Mapping[str, Any] = parameters if isinstance(parameters, dict) else {}
    crs, nodata = said.get("image_crs"), said.get("nodata")
    opened = {
        "image_crs": crs if isinstance(crs, str) else None,
        "nodata": float(nodata) if isinstance(nodata, int | float) and not isinstance(nodata, bool) else None,
    }
    return {name: value for name, value in opened.items() if value is not None}


def find_image(folder: Path, name: str | None) -> tuple[Path | None, str]:
    """Return the image that was mapped, or why there is none.

    It is looked for where the provenance says, among the images of the survey and beside the map's folder, and known by its
    fingerprint. One within the folder is not taken: it may be anybody's, and what is called ``.tif`` may read any file or
    address.

    Parameters
    ----------
    folder : pathlib.Path
        Of the map.
    name : str or None
        File name of the image, as the map's summary has it.
    """
    if name is None:
        return None, "the map does not say which image it is of"
    record, inside = read_provenance(folder), folder.resolve()
    inputs = record.get("inputs")
    known = list(inputs.values()) if isinstance(inputs, dict) else []
    folders = (Path(), inside.parent, inside.parent.parent)
    surveys = (find_survey(place) for place in folders)
    named = [path for survey in surveys if survey is not None for path in survey.images.values() if isinstance(path, Path)]
    paths = [*input_files(record, folder), *named, *(place / name for place in folders)]
    there = [path for path in paths if path.name == name and path.is_file() and not path.resolve().is_relative_to(inside)]
    for path in there:
        if fingerprint(path) in known:
            return path, ""
    return None, f"{there[0]} is not as it was when mapped" if there else f"{name} is not where it was when mapped"
