"""A map's folder as other rooms find it: its files, its summary, and the images that it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from spurgekit.errors import InputError
from spurgekit.outputs import fingerprint, input_files, read_provenance
from spurgekit.reading import Line, Positive, known_version
from spurgekit.survey import find_survey

RASTER, POLYGONS, SUMMARY = "presence.tif", "presence.gpkg", "summary.json"
REMEDY = "make the map again"


def _named(said: Any) -> Any:
    """Return the images of a map, of which version 2 names one alone, or none."""
    if said is None or isinstance(said, str):
        return () if said is None else (said,)
    return tuple(said) if isinstance(said, list) else said


class MapSummary(BaseModel):
    """What of a map's ``summary.json`` other rooms need."""

    model_config = ConfigDict(frozen=True)

    schema_version: known_version(2, 3)  # type: ignore[valid-type]
    images: Annotated[tuple[Line, ...], BeforeValidator(_named)] = Field((), validation_alias=AliasChoices("images", "image"))
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


def find_images(folder: Path, names: Sequence[str]) -> tuple[tuple[Path, ...], str]:
    """Return the images that were mapped, in the order of their names, or none of them and why.

    They are looked for where the provenance says, among the images of the survey and beside the map's folder, and known by
    their fingerprints. One within the folder is not taken: it may be anybody's, and what is called ``.tif`` may read any file
    or address.

    Parameters
    ----------
    folder : pathlib.Path
        Of the map.
    names : sequence of str
        File names of the images, as the map's summary has them; those of two folders may have one name.
    """
    if not names:
        return (), "the map does not say which image it is of"
    record, inside = read_provenance(folder), folder.resolve()
    inputs = record.get("inputs")
    known = list(inputs.values()) if isinstance(inputs, dict) else []
    folders = (Path(), inside.parent, inside.parent.parent)
    surveys = (find_survey(place) for place in folders)
    named = [path for survey in surveys if survey is not None for path in survey.images.values() if isinstance(path, Path)]
    paths, found = [*input_files(record, folder), *named], list[Path]()
    taken = set[Path]()
    for name in names:
        places = (path for path in (*paths, *(place / name for place in folders)) if path.name == name and path.is_file())
        there = [path for path in places if not {path.resolve(), *path.resolve().parents} & {inside, *taken}]
        path = next((path for path in there if fingerprint(path) in known), None)
        if path is None:
            return (), f"{there[0]} is not as it was when mapped" if there else f"{name} is not where it was when mapped"
        found.append(path)
        taken.add(path.resolve())
    return tuple(found), ""
